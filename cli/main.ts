#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { ConcordatError } from '../shared/errors.js';
import { registerCompareMasks } from './commands/compare-masks.js';
import { registerConsortium } from './commands/consortium.js';
import { registerCoordinator } from './commands/coordinator.js';
import { registerDemo } from './commands/demo.js';
import { registerExtract } from './commands/extract.js';
import { registerInspect } from './commands/inspect.js';
import { registerKeys, unlockFolderOf } from './commands/keys.js';
import { registerModel } from './commands/model.js';
import { registerPhantom } from './commands/phantom.js';
import { registerQuality } from './commands/quality.js';
import { registerScores } from './commands/scores.js';
import { registerSegment } from './commands/segment.js';
import { registerSimulate } from './commands/simulate.js';
import { registerSite } from './commands/site.js';
import { registerStability } from './commands/stability.js';
import { registerStudy } from './commands/study.js';
import { reportError } from './console.js';
import { PROGRAM_VERSION } from './version.js';

const json = process.argv.includes('--json');

// A reader that left (`| head`) ends neither a command with a stack trace nor an agent at all.
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });

const program = new Command('concordat')
  .description(
    'Hospitals that may not pool their patients build one validated imaging model together.\nNothing leaves a site but declared sums that the site approved; see docs/security.md.',
  )
  .version(PROGRAM_VERSION)
  .option('--json', 'one JSON document on stdout, for errors too')
  .configureHelp({ sortSubcommands: false, showGlobalOptions: true })
  .configureOutput({ writeErr: () => undefined })
  .exitOverride()
  .addHelpText(
    'after',
    `
First steps:
  $ concordat demo                                        six processes on this machine, simulated patients
  $ concordat simulate study.yaml --table cases.csv --site-column hospital --out result
                                                          plan a study on one table, in one process

A study between hospitals, in order:
  consortium   $ concordat consortium init --dir key      (a folder apart from the coordinator's host)
  coordinator  $ concordat coordinator init --dir co --consortium key/consortium.pub
               $ concordat coordinator invite alder --dir co --address host:7443
               $ concordat coordinator start --dir co
  site         $ concordat site init alder --dir site
               $ concordat site enroll invitation-alder.json --dir site
               $ concordat site start --dir site
  consortium   $ concordat consortium sign-roster --dir key --coordinator co
  coordinator  $ concordat study propose study.yaml --dir co
  site         $ concordat site approve 3f2a --dir site   (shows what would leave before it asks)

Exit status: 0 ok, 1 a comparison or verification failed, 2 usage or input, 3 refused, 4 network, 5 internal.`,
  );

registerDemo(program);
registerSimulate(program);
registerStudy(program);
registerSite(program);
registerCoordinator(program);
registerConsortium(program);
registerInspect(program);
registerExtract(program);
registerSegment(program);
registerQuality(program);
registerCompareMasks(program);
registerModel(program);
registerKeys(program);
registerPhantom(program);
registerScores(program);
registerStability(program);

program.hook('preAction', async (_program, command) => {
  const { dir } = command.opts<{ dir?: string }>();
  if (dir !== undefined && command.parent?.name() !== 'keys') await unlockFolderOf(dir);
});

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = handle(error);
}

function handle(error: unknown): number {
  if (!(error instanceof CommanderError)) return reportError(error, json);
  // --help and --version end this way too, with status 0 and their text already written.
  if (error.exitCode === 0) return 0;
  if (error.code === 'commander.help') return 2;
  const message = error.message.replace(/^error: /, '');
  return reportError(new ConcordatError('CLI_USAGE', message), json);
}
