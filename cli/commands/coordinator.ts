import { renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import type { ServicePorts } from '../../coordinator/service.js';
import { ConcordatError } from '../../shared/errors.js';
import { type Output, output } from '../console.js';
import { readConsortiumPublicKey } from '../consortium-keys.js';
import { type Check, doctorText } from '../doctor/check.js';
import { keepRunning } from '../keep-running.js';
import { type ObservationOptions, startObserver, withObservation } from '../observe/observe.js';
import { parsePort } from '../options.js';
import { registerCoordinatorEgress } from './egress.js';

export function registerCoordinator(program: Command): void {
  const coordinator = program
    .command('coordinator')
    .description('run by the consortium: adds up encrypted contributions');

  coordinator
    .command('init')
    .description('make a coordinator folder: transport authority, pinned consortium key')
    .requiredOption('--dir <folder>', 'folder of the coordinator')
    .requiredOption('--consortium <key>', 'consortium.pub, its folder, or the 64 hexadecimal digits')
    .action(async (options: { dir: string; consortium: string }, command: Command) => {
      const { initCoordinator } = await import('../../coordinator/enrollment.js');
      await initCoordinator(options.dir, readConsortiumPublicKey(options.consortium));
      output(command.optsWithGlobals()['json'] === true).result(
        `Coordinator made in ${options.dir}.\nNext: concordat coordinator invite SITE --dir ${options.dir} --address HOST:PORT`,
        { folder: options.dir },
      );
    });

  coordinator
    .command('invite')
    .description('make an invitation for one site: a one-time token that expires')
    .argument('<site>', 'name of the site')
    .requiredOption('--dir <folder>', 'folder of the coordinator')
    .requiredOption('--address <host:port>', 'where sites reach the coordinator')
    .option('--out <file>', 'by default invitation-<site>.json')
    .action(async (site: string, options: { dir: string; address: string; out?: string }, command: Command) => {
      const { createInvitation } = await import('../../coordinator/enrollment.js');
      const { invitationText } = await import('../../shared/enrollment.js');
      const invitation = createInvitation(options.dir, site, options.address);
      const file = options.out ?? `invitation-${site}.json`;
      writeFileSync(file, invitationText(invitation), { mode: 0o600 });
      output(command.optsWithGlobals()['json'] === true).result(
        `Invitation for ${site}: ${file}\nIt holds a one-time token, valid until ${invitation.expiresAt}. Send it to the hospital by a channel you trust.`,
        { site, file, expiresAt: invitation.expiresAt },
      );
    });

  withObservation(coordinator.command('start'))
    .description('open the port and run all studies; goes on where it stopped')
    .requiredOption('--dir <folder>', 'folder of the coordinator')
    .option('--host <address>', 'address to listen on', '0.0.0.0')
    .option('--port <number>', 'port to listen on', parsePort, 7443)
    .action(async (options: StartOptions, command: Command) => {
      const { runCoordinator, requireCoordinatorFolder } = await import('../run-coordinator.js');
      requireCoordinatorFolder(options.dir);
      const out = output(command.optsWithGlobals()['json'] === true);
      const { coordinatorRecord } = await import('../observe/log-records.js');
      const metrics =
        options.metrics === undefined ? null : (await import('../observe/metrics.js')).coordinatorMetrics(options.dir);
      const observer = await startObserver(options, {
        role: 'coordinator',
        name: 'coordinator',
        text: progressLine(out.progress),
        record: coordinatorRecord,
        metrics,
        tracing: async (processor) => (await import('../observe/tracing.js')).coordinatorTracing(processor),
        say: out.progress,
      });
      let { port } = options;
      const kept = await keepRunning(
        options.dir,
        async (_again, onProblem) => {
          const started = await runCoordinator(options.dir, {
            host: options.host,
            port,
            progress: (message) => {
              observer.observe(message);
              if (message.kind === 'refused') onProblem(message.code);
            },
            ...(metrics === null ? {} : { stored: metrics.stored }),
          });
          port = started.port;
          return started;
        },
        (error) => observer.observe(refused('to start again', error)),
      ).catch(async (error: unknown) => {
        await observer.close();
        throw error;
      });
      const address = path.join(options.dir, 'address.json');
      // Whoever waits for the file must not read half of it.
      writeFileSync(`${address}.tmp`, `${JSON.stringify({ port, pid: process.pid })}\n`);
      renameSync(`${address}.tmp`, address);
      observer.note(`coordinator listening on ${options.host}:${port}`, {
        level: 'info',
        event: 'coordinator.listening',
        fields: { host: options.host, port },
      });
      await untilSignal();
      await kept.close();
      await observer.close();
    });

  coordinator
    .command('doctor')
    .description('look at folder, keys, roster, log, disk and port: what is wrong, and how to mend it')
    .requiredOption('--dir <folder>', 'folder of the coordinator')
    .action(async (options: { dir: string }, command: Command) => {
      const { coordinatorDoctor } = await import('../doctor/coordinator-doctor.js');
      reportChecks(await coordinatorDoctor(options.dir, Date.now), output(command.optsWithGlobals()['json'] === true));
    });

  registerCoordinatorEgress(coordinator);
}

/** Prints what a doctor found; exit status 1 where there is a problem. */
export function reportChecks(checks: readonly Check[], out: Output): void {
  out.result(doctorText(checks), { checks });
  if (checks.some(({ state }) => state === 'problem')) process.exitCode = 1;
}

function refused(what: string, error: unknown) {
  const code = error instanceof ConcordatError ? error.code : 'INTERNAL_BUG';
  return { kind: 'refused' as const, what, code, message: error instanceof Error ? error.message : String(error) };
}

interface StartOptions extends ObservationOptions {
  readonly dir: string;
  readonly host: string;
  readonly port: number;
}

/** One calm line for each thing that an operator would want to know. */
function progressLine(write: (line: string) => void): ServicePorts['progress'] {
  return (message) => {
    switch (message.kind) {
      case 'site':
        return write(`site ${message.site} ${message.connected ? 'connected' : 'disconnected'}`);
      case 'phase':
        return write(
          `study ${message.studyHash.slice(0, 12)} ${message.phase}${message.reason === '' ? '' : `: ${message.reason}`}`,
        );
      case 'round':
        return write(
          `study ${message.studyHash.slice(0, 12)} round ${message.round} ${message.computation} ${message.iteration}`,
        );
      case 'round-report':
        if (message.report.kind === 'missing')
          write(`waiting for ${message.report.sites.join(', ')} (${message.report.exchange})`);
        if (message.report.kind === 'damaged')
          write(`the masked input of ${message.report.site} is damaged on disk: ${message.report.code}`);
        if (message.report.kind === 'refused') write(`site ${message.report.site} refused: ${message.report.code}`);
        return;
      case 'refused':
        return write(`refused ${message.what}: ${message.code}: ${message.message}`);
      case 'published':
        return write(`published in ${message.folder}`);
      case 'collected':
        return write(`deleted ${message.blobs} blobs that nothing needs any more`);
    }
  };
}

export function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
}
