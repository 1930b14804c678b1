import { FOUR_SITES, TestFederation } from '../e2e/support.js';
import { chaos, killTable } from './chaos.js';

/**
 * `npm run chaos -- --kills N --seed S --kills-per-study K`: a federation of real processes under SIGKILL. Prints each kill, a
 * table of victims by how far the study was, and every promise that was broken. Exit 1 where one was.
 */
async function main(args: readonly string[]): Promise<number> {
  const values = new Map<string, number>();
  for (let i = 0; i < args.length; i += 2) {
    const value = Number(args[i + 1]);
    if (!['--kills', '--seed', '--kills-per-study'].includes(args[i]!) || !Number.isInteger(value) || value < 1) {
      process.stderr.write('usage: npm run chaos -- [--kills N] [--seed S] [--kills-per-study K]\n');
      return 2;
    }
    values.set(args[i]!, value);
  }
  const began = Date.now();
  const seconds = () => ((Date.now() - began) / 1000).toFixed(1);
  const seed = values.get('--seed') ?? 1;
  const kills = values.get('--kills') ?? 20;
  const federation = await TestFederation.start(FOUR_SITES);
  try {
    let number = 0;
    const result = await chaos(federation, {
      kills,
      seed,
      killsPerStudy: values.get('--kills-per-study') ?? 10,
      onKill: ({ study, victim, events, after, downMs }) =>
        process.stdout.write(
          `${seconds().padStart(7)} s  kill ${String(++number).padStart(3)}  ${victim.padEnd(11)} ${study}, ` +
            `${events} events, last ${after}, down ${downMs} ms\n`,
        ),
    });
    process.stdout.write(`${killTable(result.kills).join('\n')}\n`);
    for (const problem of result.problems) process.stdout.write(`BROKEN: ${problem}\n`);
    process.stdout.write(
      `${result.kills.length} kills over ${result.studies.length} studies in ${seconds()} s, ` +
        `${result.problems.length === 0 ? 'every promise kept' : `${result.problems.length} promises broken`}; ` +
        `again: npm run chaos -- --kills ${kills} --seed ${seed}\n`,
    );
    return result.problems.length === 0 ? 0 : 1;
  } finally {
    await federation.stop();
  }
}

process.exitCode = await main(process.argv.slice(2));
