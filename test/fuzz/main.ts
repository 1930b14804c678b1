import { Worker } from 'node:worker_threads';
import { type Finding, inputOf, type KindReport, kindOf, shares } from './runner.js';
import type { FuzzJob } from './worker.js';

/**
 * `npm run fuzz -- --runs N --seed K --only KIND`: broken inputs of every form that Concordat reads. Prints a table; exit 1
 * where an input crashed or stopped a reader, made it ask for memory out of proportion, or met an error without a name.
 */
/** Processor time, not time of day: on a busy machine a case may have to wait long for its turn. */
const HANG_CPU_MS = 60_000;
const LOOK_MS = 2_000;
const HANGS_MAX = 3;

async function main(args: readonly string[]): Promise<number> {
  const values = new Map<string, string>();
  for (let i = 0; i < args.length; i += 2) {
    const name = args[i]!;
    const value = args[i + 1];
    const number = name === '--runs' || name === '--seed';
    const known = number || name === '--only';
    if (!known || value === undefined || (number && !/^\d{1,9}$/.test(value))) {
      process.stderr.write('usage: npm run fuzz -- [--runs N] [--seed K] [--only KIND]\n');
      return 2;
    }
    values.set(name, value);
  }
  const only = values.get('--only') ?? null;
  if (only !== null) kindOf(only);
  const runs = Number(values.get('--runs') ?? 10_000);
  const seed = Number(values.get('--seed') ?? 1);
  const reports: KindReport[] = [];
  for (const [kind, count] of shares(runs, only)) reports.push(await fuzz(kind, seed, count));
  process.stdout.write(`${table(reports)}\n`);
  const findings = reports.flatMap((report) => report.findings);
  for (const finding of findings) process.stdout.write(`${shown(finding)}\n`);
  const total = reports.reduce((sum, report) => sum + report.runs, 0);
  process.stdout.write(`${total} runs with seed ${seed}, ${findings.length} findings\n`);
  return findings.length === 0 ? 0 : 1;
}

/** One kind in a thread of its own. A case that does not end is a finding, and the thread goes on after it. */
async function fuzz(kind: string, seed: number, count: number): Promise<KindReport> {
  let report: KindReport | null = null;
  let from = 0;
  for (let hangs = 0; from < count && hangs < HANGS_MAX; hangs++) {
    const part = await share(kind, seed, from, count);
    report = report === null ? part.report : added(report, part.report);
    from = part.hungAt === null ? count : part.hungAt + 1;
  }
  return report!;
}

function share(
  kind: string,
  seed: number,
  from: number,
  to: number,
): Promise<{ readonly report: KindReport; readonly hungAt: number | null }> {
  const place = new SharedArrayBuffer(4);
  const view = new Int32Array(place);
  view[0] = from - 1;
  const job: FuzzJob = { seed, kind, from, to, place };
  const worker = new Worker(new URL('./worker.js', import.meta.url), {
    workerData: job,
    resourceLimits: { maxOldGenerationSizeMb: 1024 },
  });
  return new Promise((resolve) => {
    let seen = view[0]!;
    const failed = (what: string) => {
      clearInterval(watch);
      void worker.terminate();
      const index = Math.max(from, Atomics.load(view, 0));
      const finding: Finding = { kind, index, what, input: inputOf(kindOf(kind), seed, index) };
      const report = { kind, runs: index - from + 1, accepted: 0, refused: new Map(), findings: [finding], asked: 0 };
      resolve({ report, hungAt: index });
    };
    let since = process.cpuUsage();
    const watch = setInterval(() => {
      const now = Atomics.load(view, 0);
      if (now !== seen) since = process.cpuUsage();
      seen = now;
      const { user, system } = process.cpuUsage(since);
      if (user + system > HANG_CPU_MS * 1000) failed(`did not end within ${HANG_CPU_MS / 1000} s of processor time`);
    }, LOOK_MS);
    worker.once('message', (report: KindReport) => {
      clearInterval(watch);
      resolve({ report, hungAt: null });
    });
    worker.once('error', (error) => failed(`ended its thread: ${String(error).slice(0, 200)}`));
  });
}

function added(a: KindReport, b: KindReport): KindReport {
  const refused = new Map(a.refused);
  for (const [code, count] of b.refused) refused.set(code, (refused.get(code) ?? 0) + count);
  return {
    kind: a.kind,
    runs: a.runs + b.runs,
    accepted: a.accepted + b.accepted,
    refused,
    findings: [...a.findings, ...b.findings],
    asked: Math.max(a.asked, b.asked),
  };
}

function table(reports: readonly KindReport[]): string {
  const rows = reports.map((report) => [
    report.kind,
    String(report.runs),
    String(report.accepted),
    String([...report.refused.values()].reduce((sum, count) => sum + count, 0)),
    String(report.findings.length),
    `${(report.asked / 1e6).toFixed(1)} MB`,
    [...report.refused]
      .sort((a, b) => b[1] - a[1])
      .map(([code, count]) => `${code} ${count}`)
      .join(', '),
  ]);
  const heading = ['kind', 'runs', 'accepted', 'refused', 'findings', 'most asked', 'refused by'];
  const widths = heading.map((cell, at) =>
    at === 6 ? 0 : Math.max(cell.length, ...rows.map((row) => row[at]!.length)),
  );
  const line = (cells: readonly string[]) =>
    cells.map((cell, at) => (at === 0 ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!))).join('  ');
  return [heading, ...rows].map(line).join('\n');
}

function shown(finding: Finding): string {
  const bytes = Buffer.from(finding.input);
  const text = bytes.length > 3000 ? `${bytes.length} bytes` : bytes.toString('base64');
  return `FINDING ${finding.kind} ${finding.index}: ${finding.what}\n  ${text}`;
}

process.exitCode = await main(process.argv.slice(2));
