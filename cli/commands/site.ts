import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { ERROR_TABLE } from '../../shared/error-table.js';
import { ConcordatError } from '../../shared/errors.js';
import { toHex } from '../../shared/hex.js';
import type { AgentProgress } from '../../site-agent/agent.js';
import type { Preset } from '../../site-agent/policy.js';
import { type Output, output } from '../console.js';
import { type KeptRunning, keepRunning } from '../keep-running.js';
import { type ObservationOptions, startObserver, withObservation } from '../observe/observe.js';
import { registerSiteCohort } from './cohort.js';
import { reportChecks, untilSignal } from './coordinator.js';
import { registerSiteEgress } from './egress.js';
import { registerSiteApprover } from './site-approver.js';
import { registerSiteDecisions } from './site-decide.js';
import { presetOption, registerSitePolicy, writeTemplates } from './site-policy.js';
import { withStore } from './site-store.js';
import { studiesText, studyRows } from './site-studies.js';

interface SiteOptions {
  readonly dir: string;
}

function problemOf(error: unknown): AgentProgress {
  const code = error instanceof ConcordatError ? error.code : 'INTERNAL_BUG';
  return { kind: 'problem', code, message: error instanceof Error ? error.message : String(error) };
}

export function registerSite(program: Command): void {
  const site = program
    .command('site')
    .description('run at a hospital: sees its own patients, sends declared sums only');
  const withFolder = (command: Command) => command.requiredOption('--dir <folder>', 'folder of the site');
  const out = (command: Command): Output => output(command.optsWithGlobals()['json'] === true);

  withFolder(site.command('init'))
    .description('make the site’s keys; they never leave the folder')
    .argument('<name>', 'name of the site, as the consortium invites it')
    .addOption(presetOption())
    .action(async (name: string, options: SiteOptions & { preset: Preset }, command: Command) => {
      const { initSite } = await import('../../site-agent/keys.js');
      const keys = await initSite(options.dir, name);
      await writeTemplates(options.dir, options.preset);
      out(command).result(
        `Keys of site ${name} made in ${options.dir}/keys.\nSigning key  ${toHex(keys.signingPublicKey)}   (read it to the consortium by telephone)\n\nNext: put the table’s name into ${options.dir}/cohort.yaml, review ${options.dir}/policy.yaml, then\n  concordat site enroll INVITATION --dir ${options.dir}`,
        { site: name, folder: options.dir, signingPublicKey: toHex(keys.signingPublicKey) },
      );
    });

  withFolder(site.command('enroll'))
    .description('enroll with the coordinator’s invitation')
    .argument('<invitation>', 'invitation file')
    .option('--new-tls-key', 'make a new TLS key too; a running agent changes over when the next roster names it')
    .action(async (invitation: string, options: SiteOptions & { newTlsKey?: boolean }, command: Command) => {
      const { enrollSite } = await import('../../site-agent/keys.js');
      const { requestEnrollment } = await import('../../site-agent/rpc.js');
      const { parseInvitation } = await import('../../shared/enrollment.js');
      const enrolled = await enrollSite(
        options.dir,
        parseInvitation(readFileSync(invitation, 'utf8')),
        requestEnrollment,
        { newTlsKey: options.newTlsKey === true },
      );
      out(command).result(
        `Site ${enrolled.site} enrolled with ${enrolled.invitation.coordinator}; its certificate ends ${enrolled.certificateEnds}.\nIt may connect once the consortium has signed the next roster.\nNext: concordat site start --dir ${options.dir}`,
        {
          site: enrolled.site,
          coordinator: enrolled.invitation.coordinator,
          certificateEnds: enrolled.certificateEnds,
        },
      );
    });

  withObservation(withFolder(site.command('start')))
    .description('connect and take part in approved studies; only ever dials out')
    .option('--restored', 'the folder comes from a backup: refuse what was open when it was made')
    .action(async (options: SiteOptions & ObservationOptions & { restored?: boolean }, command: Command) => {
      const { readEnrolled } = await import('../../site-agent/keys.js');
      const { runSite } = await import('../run-site.js');
      const { siteRecord } = await import('../observe/log-records.js');
      const name = readEnrolled(options.dir).site;
      const progress = out(command).progress;
      let running: KeptRunning<Awaited<ReturnType<typeof runSite>>> | undefined;
      const observer = await startObserver(options, {
        role: 'site',
        name,
        text: progressLine(progress),
        record: siteRecord,
        metrics:
          options.metrics === undefined
            ? null
            : (await import('../observe/metrics.js')).siteMetrics(options.dir, () => running?.current?.ledger() ?? []),
        tracing: async (processor) => (await import('../observe/tracing.js')).siteTracing(name, processor),
        say: progress,
      });
      running = await keepRunning(
        options.dir,
        (again, onProblem) =>
          runSite(options.dir, {
            restored: options.restored === true && !again,
            progress: (event) => {
              observer.observe(event);
              if (event.kind === 'problem') onProblem(event.code);
            },
          }),
        (error) => observer.observe(problemOf(error)),
      ).catch(async (error: unknown) => {
        await observer.close();
        throw error;
      });
      writeFileSync(path.join(options.dir, 'agent.pid'), `${process.pid}\n`);
      await untilSignal();
      await running.close();
      await observer.close();
    });

  withFolder(site.command('doctor'))
    .description(
      'look at keys, policy, cohort, ledger, disk, proxy, name, port, TLS and clock: what is wrong, and how to mend it',
    )
    .action(async (options: SiteOptions, command: Command) => {
      const { siteDoctor } = await import('../doctor/site-doctor.js');
      reportChecks(await siteDoctor(options.dir, process.env, Date.now), out(command));
    });

  withFolder(site.command('status'))
    .description('keys, connection and studies of this site')
    .action(async (options: SiteOptions, command: Command) => {
      const { readSiteKeys, readEnrolled } = await import('../../site-agent/keys.js');
      const keys = readSiteKeys(options.dir);
      const enrolled = existsSync(path.join(options.dir, 'keys', 'tls.pem')) ? readEnrolled(options.dir) : null;
      const studies = await withStore(options.dir, async (store) => studyRows(store, keys.site));
      const data = {
        site: keys.site,
        signingPublicKey: toHex(keys.signingPublicKey),
        coordinator: enrolled?.invitation.coordinator ?? null,
        certificateEnds: enrolled?.certificateEnds ?? null,
        studies,
      };
      const lines = [
        `Site         ${data.site}`,
        `Signing key  ${data.signingPublicKey}`,
        `Coordinator  ${data.coordinator ?? 'not enrolled'}`,
        ...(data.certificateEnds === null ? [] : [`Certificate  ends ${data.certificateEnds}`]),
        '',
        studiesText(studies),
      ];
      out(command).result(lines.join('\n'), data);
    });

  withFolder(site.command('studies'))
    .description('studies that were proposed to this site')
    .action(async (options: SiteOptions, command: Command) => {
      const { readSiteKeys } = await import('../../site-agent/keys.js');
      const { site: name } = readSiteKeys(options.dir);
      const studies = await withStore(options.dir, async (store) => studyRows(store, name));
      out(command).result(studiesText(studies), { studies });
    });

  registerSiteDecisions(site);
  registerSitePolicy(site);
  registerSiteApprover(site);
  registerSiteEgress(site);
  registerSiteCohort(site);
}

function progressLine(write: (line: string) => void): (event: AgentProgress) => void {
  let connected: boolean | null = null;
  return (event) => {
    switch (event.kind) {
      case 'connected':
        connected = true;
        return write('connected');
      case 'disconnected': {
        // One line for a lost connection, not one for every attempt to get it back.
        const told = connected === false;
        connected = false;
        return told ? undefined : write(`not connected: ${event.message} (${event.code}); trying again`);
      }
      case 'study':
        return write(
          `study ${event.studyHash.slice(0, 12)} ${event.name} ${event.state}${event.detail === '' ? '' : `: ${event.detail}`}`,
        );
      case 'round':
        return write(`study ${event.studyHash.slice(0, 12)} round ${event.round} ${event.computation} ${event.what}`);
      case 'problem':
        return write(`problem ${event.code}: ${event.message}\n  ${ERROR_TABLE[event.code].hint}`);
    }
  };
}
