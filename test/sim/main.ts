import { addFaults, EXCHANGES, FAULT_KINDS, type FaultCounts, noFaults } from './faults.js';
import { optionsForSeed, simulateFederation } from './federation.js';

/**
 * `npm run sim -- --seeds N --first-seed K --sites S`: whole federations from seeds, with crashes and a bad network. A seed that
 * fails is printed and replays exactly. Exit 1 where a promise was broken.
 */
function main(args: readonly string[]): number {
  const values = new Map<string, number>();
  for (let i = 0; i < args.length; i += 2) {
    const name = args[i]!;
    const value = Number(args[i + 1]);
    if (!['--seeds', '--first-seed', '--sites'].includes(name) || !Number.isInteger(value) || value < 0) {
      process.stderr.write('usage: npm run sim -- [--seeds N] [--first-seed K] [--sites S]\n');
      return 2;
    }
    values.set(name, value);
  }
  const first = values.get('--first-seed') ?? 1;
  const count = values.get('--seeds') ?? 50;
  const sum = noFaults();
  let broken = 0;
  for (let seed = first; seed < first + count; seed++) {
    const options = optionsForSeed(seed, values.get('--sites'));
    const result = simulateFederation(options);
    addFaults(sum, result.faults);
    const problems = [...result.violations];
    if (result.couldFinish && !result.finished)
      problems.push(`could finish and did not (${result.failure ?? 'stuck'})`);
    if (problems.length > 0) broken++;
    const { terms } = options;
    process.stdout.write(
      `seed ${seed}: ${options.sites} sites, ${terms.mode}, ${terms.coordinator}, ${terms.onMissingSite}: ` +
        `${result.finished ? 'finished' : 'not finished'}${result.couldFinish ? '' : ' (could not)'}, ` +
        `${result.totals.length} rounds in ${result.attempts} attempts, ${result.writes} writes, ` +
        `${(result.virtualMs / 1000).toFixed(1)} s of virtual time; faults ${summary(result.faults)}\n`,
    );
    for (const problem of problems) process.stdout.write(`  BROKEN: ${problem}\n`);
  }
  process.stdout.write(`faults by exchange: ${summary(sum)}\n${count - broken} seeds held, ${broken} broken\n`);
  return broken === 0 ? 0 : 1;
}

function summary(counts: FaultCounts): string {
  return EXCHANGES.map(
    (exchange) => `${exchange} ${FAULT_KINDS.map((kind) => `${kind} ${counts[exchange][kind]}`).join(' ')}`,
  ).join('; ');
}

process.exitCode = main(process.argv.slice(2));
