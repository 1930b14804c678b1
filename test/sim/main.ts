import { addFaults, canHappen, FAULT_KINDS, type FaultCounts, noFaults, PLACES } from './faults.js';
import { simulateFederation } from './federation.js';
import { optionsForSeed } from './options.js';

/**
 * `npm run sim -- --seeds N --first-seed K --sites S`: whole federations from seeds, with every kind of fault. A seed that fails is
 * printed with the command that repeats it. `--verbose` prints a line for every seed, `--trace` every message of the first one.
 * Exit 1 where a promise was broken, or where over 200 seeds or more some kind of fault never happened in some exchange.
 */
async function main(args: readonly string[]): Promise<number> {
  const values = new Map<string, number>();
  const flags = new Set<string>(args.filter((arg) => arg === '--verbose' || arg === '--trace'));
  const rest = args.filter((arg) => !flags.has(arg));
  for (let i = 0; i < rest.length; i += 2) {
    const name = rest[i]!;
    const value = Number(rest[i + 1]);
    if (!['--seeds', '--first-seed', '--sites'].includes(name) || !Number.isInteger(value) || value < 0) {
      process.stderr.write('usage: npm run sim -- [--seeds N] [--first-seed K] [--sites S] [--verbose] [--trace]\n');
      return 2;
    }
    values.set(name, value);
  }
  const first = values.get('--first-seed') ?? 1;
  const count = values.get('--seeds') ?? 50;
  const siteCount = values.get('--sites');
  const sum = noFaults();
  const restarts = new Map<string, number>();
  const broken: number[] = [];
  let [attempts, rounds, writes, finished, could] = [0, 0, 0, 0, 0];
  const began = Date.now();
  for (let seed = first; seed < first + count; seed++) {
    const options = optionsForSeed(seed, siteCount);
    const trace = flags.has('--trace') && seed === first ? (line: string) => process.stdout.write(`${line}\n`) : null;
    const result = await simulateFederation(trace === null ? options : { ...options, trace });
    addFaults(sum, result.faults);
    for (const [fate, times] of Object.entries(result.restarts)) restarts.set(fate, (restarts.get(fate) ?? 0) + times);
    attempts += result.attempts;
    rounds += result.totals.length;
    writes += result.writes;
    finished += result.finished ? 1 : 0;
    could += result.couldFinish ? 1 : 0;
    const problems = [...new Set(result.violations)];
    if (result.couldFinish && !result.finished)
      problems.push(`could finish and did not (${result.failure ?? 'stuck'})`);
    if (problems.length > 0) broken.push(seed);
    if (flags.has('--verbose') || problems.length > 0) {
      const { terms } = options;
      process.stdout.write(
        `seed ${seed}: ${options.sites} sites, ${terms.mode}, ${terms.coordinator}, ${terms.onMissingSite}: ` +
          `${result.finished ? 'finished' : 'not finished'}${result.couldFinish ? '' : ' (could not)'}, ` +
          `${result.totals.length} rounds in ${result.attempts} attempts, ${result.writes} writes, ` +
          `${(result.virtualMs / 1000).toFixed(1)} s of virtual time\n`,
      );
    }
    for (const problem of problems.slice(0, 5)) process.stdout.write(`  BROKEN: ${problem}\n`);
    if (problems.length > 0) {
      const sites = siteCount === undefined ? '' : ` --sites ${siteCount}`;
      process.stdout.write(`  again: npm run sim -- --seeds 1 --first-seed ${seed}${sites} --trace\n`);
    }
    const done = seed - first + 1;
    if (done % 100 === 0 && done < count)
      process.stderr.write(`${done} of ${count} seeds, ${broken.length} broken, ${seconds(began)} s\n`);
  }
  process.stdout.write(`${table(sum)}\n`);
  const fates = [...restarts].map(([fate, times]) => `${times} ${fate}`).join(' · ');
  process.stdout.write(`disks found by restarted sites: ${fates}\n`);
  process.stdout.write(
    `${finished} studies finished of ${could} that could, of ${count}; ` +
      `${rounds} rounds in ${attempts} attempts, ${writes} durable writes, ${seconds(began)} s\n`,
  );
  const never = PLACES.flatMap((place) =>
    FAULT_KINDS.filter((kind) => canHappen(place, kind) && sum[place][kind] === 0).map((kind) => `${kind} in ${place}`),
  );
  if (never.length > 0 && count >= 200) process.stdout.write(`never happened: ${never.join(', ')}\n`);
  process.stdout.write(`${count - broken.length} seeds held, ${broken.length} broken`);
  process.stdout.write(broken.length === 0 ? '\n' : `: ${broken.join(' ')}\n`);
  return broken.length === 0 && (never.length === 0 || count < 200) ? 0 : 1;
}

const seconds = (began: number) => ((Date.now() - began) / 1000).toFixed(0);

/** Faults by exchange and kind; `-` where that kind cannot happen there. */
function table(counts: FaultCounts): string {
  const cell = (text: string | number, width: number) => String(text).padStart(width);
  const width = (kind: string) => Math.max(kind.length, 7) + 1;
  const head = ` ${'faults'.padEnd(12)}${FAULT_KINDS.map((kind) => cell(kind, width(kind))).join('')}`;
  const rows = PLACES.map((place) => {
    const cells = FAULT_KINDS.map((kind) => {
      const value = counts[place][kind];
      return cell(value === 0 && !canHappen(place, kind) ? '-' : value, width(kind));
    });
    return ` ${place.padEnd(12)}${cells.join('')}`;
  });
  return [head, ...rows].join('\n');
}

process.exitCode = await main(process.argv.slice(2));
