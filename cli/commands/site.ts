import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import { ERROR_TABLE } from '../../shared/error-table.js';
import { ConcordatError } from '../../shared/errors.js';
import { toHex } from '../../shared/hex.js';
import { planStudy } from '../../shared/plan.js';
import type { SiteStore } from '../../shared/stores.js';
import { studySites } from '../../shared/study.js';
import { readStudyDocument } from '../../shared/study-signatures.js';
import type { AgentProgress } from '../../site-agent/agent.js';
import type { KnownStudy } from '../../site-agent/site-records.js';
import { type Output, output } from '../console.js';
import { table } from '../format.js';
import { type KeptRunning, keepRunning } from '../keep-running.js';
import { type ObservationOptions, startObserver, withObservation } from '../observe/observe.js';
import { registerSiteCohort } from './cohort.js';
import { reportChecks, untilSignal } from './coordinator.js';
import { registerSiteEgress } from './egress.js';
import { findStudy, studiesOf, withStore } from './site-store.js';

interface SiteOptions {
  readonly dir: string;
}

function problemOf(error: unknown): AgentProgress {
  const code = error instanceof ConcordatError ? error.code : 'INTERNAL_BUG';
  return { kind: 'problem', code, message: error instanceof Error ? error.message : String(error) };
}

interface ApproveOptions extends SiteOptions {
  readonly yes?: boolean;
  readonly dryRun?: boolean;
  readonly restored?: boolean;
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
    .action(async (name: string, options: SiteOptions, command: Command) => {
      const { initSite } = await import('../../site-agent/keys.js');
      const keys = await initSite(options.dir, name);
      writeTemplates(options.dir);
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
            : (await import('../observe/metrics.js')).siteMetrics(
                options.dir,
                Date.now,
                () => running?.current?.ledger() ?? [],
              ),
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
      const studies = await withStore(options.dir, async (store) => studyRows(store));
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
      const studies = await withStore(options.dir, async (store) => studyRows(store));
      out(command).result(studiesText(studies), { studies });
    });

  withFolder(site.command('approve'))
    .description('show what would leave, then approve; the running agent sends the decision')
    .argument('<study>', 'hash of the study, or its first digits')
    .option('--yes', 'do not ask (the picture is shown all the same)')
    .option('--dry-run', 'show what would leave and stop')
    .option('--restored', 'although this site was started from a backup and cannot know what left since')
    .action(async (study: string, options: ApproveOptions, command: Command) => {
      await approve(study, options, out(command));
    });

  withFolder(site.command('decline'))
    .description('decline a study; the running agent sends the decision')
    .argument('<study>', 'hash of the study, or its first digits')
    .requiredOption('--reason <text>', 'why, in a sentence that the consortium will read')
    .action(async (study: string, options: SiteOptions & { reason: string }, command: Command) => {
      const { decide } = await import('../../site-agent/shell/decide.js');
      const { readSiteKeys } = await import('../../site-agent/keys.js');
      const { site: name, signingKey } = readSiteKeys(options.dir);
      const known = await withStore(options.dir, async (store) => {
        const found = findStudy(study, await studiesOf(store));
        decide(store, found, {
          site: name,
          signingKey,
          frozen: null,
          decision: 'declined',
          reason: options.reason,
          nowMs: Date.now(),
        });
        return found;
      });
      out(command).result(`Declined ${known.studyHash.slice(0, 12)}.`, {
        study: known.studyHash,
        decision: 'declined',
        reason: options.reason,
      });
    });

  withFolder(site.command('withdraw'))
    .description('stop every further contribution to a study that this site approved; the study ends')
    .argument('<study>', 'hash of the study, or its first digits')
    .requiredOption('--reason <text>', 'why, in a sentence that the consortium will read')
    .action(async (study: string, options: SiteOptions & { reason: string }, command: Command) => {
      const { withdraw } = await import('../../site-agent/shell/decide.js');
      const { readSiteKeys } = await import('../../site-agent/keys.js');
      const { signingKey } = readSiteKeys(options.dir);
      const { known, totals } = await withStore(options.dir, async (store) => {
        const known = findStudy(study, await studiesOf(store));
        withdraw(store, known, { signingKey, reason: options.reason, nowMs: Date.now() });
        const closed = known.participant.filter((record) => record.type === 'closed' && record.outcome === 'total');
        return { known, totals: closed.length };
      });
      const taken =
        totals === 0
          ? 'No total has this site’s contribution in it.'
          : `${totals} totals have this site’s contribution in them and cannot be taken back.`;
      out(command).result(
        `Withdrawn from ${known.studyHash.slice(0, 12)}: nothing more of it leaves this site.\n${taken}\nThe running agent tells the coordinator, and the study ends for everybody.`,
        { study: known.studyHash, decision: 'withdrawn', reason: options.reason, totals },
      );
    });

  registerSiteEgress(site);
  registerSiteCohort(site);
}

// Approval -----------------------------------------------------------------------------------------------------------

async function approve(digits: string, options: ApproveOptions, out: Output): Promise<void> {
  const { decide, decisionGrounds, requireUndecided } = await import('../../site-agent/shell/decide.js');
  const { readSiteKeys } = await import('../../site-agent/keys.js');
  const { leavesByComputation } = await import('../../site-agent/preview.js');
  const { sitePolicy } = await import('../run-site.js');
  const { acceptHistory, historyOf } = await import('../../site-agent/shell/restored.js');
  const { approvalPicture } = await import('../approval-picture.js');
  const { trustedRoster } = await import('../../site-agent/roster-store.js');
  const { site, signingKey } = readSiteKeys(options.dir);
  await withStore(options.dir, async (store) => {
    const known = findStudy(digits, await studiesOf(store));
    const again = options.restored === true && historyOf(store, known.studyHash) === 'unknown';
    if (options.dryRun !== true && !again) requireUndecided(known);
    const study = readStudyDocument(known.document, known.studyHash);
    const place = {
      site,
      folder: options.dir,
      policy: sitePolicy(options.dir),
      nowMs: Date.now(),
      restoreAccepted: options.restored === true,
    };
    const grounds = decisionGrounds(store, known, place, leavesByComputation(planStudy(study)));
    const picture = approvalPicture(study, known, trustedRoster(store, known.rosterVersion), site, grounds);
    if (!out.json) out.result(picture.text, picture.data);
    if (grounds.reasons.length > 0)
      throw new ConcordatError('POLICY_STUDY_REFUSED', 'this site’s policy does not allow the study', {
        problems: grounds.reasons.map((message) => ({ message })),
      });
    if (options.dryRun === true) {
      if (out.json) out.result('', { ...picture.data, decision: null });
      return;
    }
    if (
      options.yes !== true &&
      !(await confirmed(`Approve ${known.studyHash.slice(0, 12)} for site ${site}? [y/N] `))
    ) {
      out.result('Nothing was decided.', { ...picture.data, decision: null });
      return;
    }
    if (again) {
      acceptHistory(store, known);
      out.result(
        'Approved to go on. Start the agent again: it takes the whole plan as released and goes on from there.',
        {
          ...picture.data,
          decision: 'approved',
          restored: true,
        },
      );
      return;
    }
    decide(store, known, {
      site,
      signingKey,
      frozen: grounds.frozen,
      decision: 'approved',
      reason: '',
      nowMs: Date.now(),
    });
    out.result('Approved and signed. The running agent sends it.', { ...picture.data, decision: 'approved' });
  });
}

async function confirmed(question: string): Promise<boolean> {
  if (!process.stdin.isTTY) return false;
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await prompt.question(question);
  prompt.close();
  return /^y(es)?$/i.test(answer.trim());
}

// Helpers ------------------------------------------------------------------------------------------------------------

interface StudyRow {
  readonly study: string;
  readonly name: string;
  readonly state: string;
  readonly sites: number;
  readonly computation: string;
  readonly round: number;
}

async function studyRows(store: SiteStore): Promise<StudyRow[]> {
  return (await studiesOf(store)).map((known) => {
    const study = readStudyDocument(known.document, known.studyHash);
    const last = known.participant.findLast((record) => record.type === 'joined');
    return {
      study: known.studyHash,
      name: study.name,
      state: stateOf(known),
      sites: studySites(study).length,
      computation: last?.type === 'joined' ? last.computation : '',
      round: last?.type === 'joined' ? last.round : 0,
    };
  });
}

function stateOf(known: KnownStudy): string {
  if (known.closed !== null) return known.closed.phase;
  if (known.withdrawal !== null) return 'withdrawn here';
  if (known.ratification !== null) return known.ratification.verdict;
  if (known.approvals !== null) return 'running';
  return known.approval?.decision ?? 'waiting for your decision';
}

function studiesText(studies: readonly StudyRow[]): string {
  if (studies.length === 0) return 'No study was proposed to this site.';
  return table(
    ['study', 'name', 'state', 'sites', 'computation', 'round'],
    studies.map((row) => [
      row.study.slice(0, 12),
      row.name,
      row.state,
      row.sites,
      row.computation,
      row.round === 0 ? '' : row.round,
    ]),
  );
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

/** Files a hospital fills in or reviews; never overwritten. */
function writeTemplates(folder: string): void {
  const templates: [string, string][] = [
    [
      'cohort.yaml',
      '# Which table holds this site’s cases, and what its columns are called here. See docs/study.md.\nconcordat: 1\ntable: cases.csv\nid: patient_id\nmissing: ["", NA]\n# columns: {sex: Geschlecht}        # study name: local name\n# values: {sex: {w: F, m: M}}\n',
    ],
    [
      'policy.yaml',
      '# What this site allows, whatever a study asks. These are the strict defaults. See docs/study.md.\nconcordat: 1\nminimumCohort: 10\nminimumCount: 5\nminimumCases: 5\nminSites: 3\nsecureAggregation: required\nvisibility: {metrics: true, descriptions: true, aggregate: false}\nautomaticApproval: false\n',
    ],
  ];
  for (const [name, text] of templates) {
    const file = path.join(folder, name);
    if (!existsSync(file)) writeFileSync(file, text);
  }
}
