import type { Command } from 'commander';
import { output } from '../console.js';
import { parseSeed } from '../options.js';

export function registerDemo(program: Command): void {
  program
    .command('demo')
    .description('the whole journey on this machine: six processes, simulated patients, about a minute')
    .option('--dir <folder>', 'folder of the demo; an earlier demo’s is replaced', 'concordat-demo')
    .option('--seed <number>', 'seed of the simulated cohort', parseSeed, 7)
    .action(async (options: { dir: string; seed: number }, command: Command) => {
      const { runDemo } = await import('../demo/demo.js');
      await runDemo(options.dir, options.seed, output(command.optsWithGlobals()['json'] === true));
    });
}
