import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import path from 'node:path';
import { play } from '../play.js';

/**
 * `npm run bench:peers [-- --quick] [--rounds N] [--out FILE]`: the same task in the same run for Concordat (plain and secure),
 * Flower and NVIDIA FLARE: five sites send a vector, the server averages it. Seconds a round, and the ratio.
 *
 * CONCORDAT_PEERS names Python interpreters, separated by commas, in whose environments `flwr` or `nvflare` is installed.
 * What is not installed is skipped, and said so. `--quick` asks SecAgg+, which takes minutes, for one round at 10^5 only.
 */
const SITES = 5;
const LENGTHS = [100_000, 1_000_000];
const PEER_TIMEOUT_MS = 240_000;
const option = (name: string) =>
  process.argv.includes(name) ? process.argv[process.argv.indexOf(name) + 1] : undefined;
const ROUNDS = Number(option('--rounds') ?? 5);
const OUT = option('--out');
const QUICK = process.argv.includes('--quick');
const INTERPRETERS = (process.env['CONCORDAT_PEERS'] ?? '').split(',').filter((entry) => entry !== '');

interface Peer {
  readonly name: string;
  readonly module: string;
  readonly script: string;
  readonly options: readonly string[];
  readonly slow: boolean;
}

const PEERS: readonly Peer[] = [
  { name: 'Flower, FedAvg', module: 'flwr', script: 'flower/run.py', options: [], slow: false },
  { name: 'Flower, SecAgg+', module: 'flwr', script: 'flower/run.py', options: ['secure'], slow: true },
  { name: 'NVIDIA FLARE', module: 'nvflare', script: 'flare/run.py', options: [], slow: false },
];

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A Python process with everything that it started, ended together where it takes too long. */
function run(command: string, args: readonly string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' },
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (part: Buffer) => {
      stdout += part.toString();
    });
    child.stderr.on('data', (part: Buffer) => {
      stderr += part.toString();
    });
    // Its own handler ends the processes that it started.
    const timer = setTimeout(() => child.kill('SIGTERM'), PEER_TIMEOUT_MS);
    const end = (status: number | null) => {
      clearTimeout(timer);
      resolve({ status, stdout, stderr });
    };
    child.on('error', () => end(null));
    child.on('close', end);
  });
}

async function interpreterWith(module: string): Promise<string | null> {
  for (const python of INTERPRETERS) if ((await run(python, ['-c', `import ${module}`])).status === 0) return python;
  return null;
}

interface Row {
  readonly length: number;
  readonly what: string;
  /** Median over the rounds that count; null where it was not measured, with the reason. */
  readonly seconds: number | null;
  readonly reason: string;
  readonly load: number;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

async function peerRow(peer: Peer, length: number): Promise<Row> {
  const row = { length, what: peer.name, seconds: null, load: loadavg()[0]! };
  if (QUICK && peer.slow && length > LENGTHS[0]!) return { ...row, reason: 'SKIPPED: --quick' };
  const python = await interpreterWith(peer.module);
  if (python === null)
    return { ...row, reason: `SKIPPED: ${peer.module} is in no environment that CONCORDAT_PEERS names` };
  const folder = mkdtempSync(path.join(tmpdir(), 'concordat-peers-'));
  // The scripts are not compiled: they stand beside the source of this file.
  const script = path.resolve('test/bench/peers', peer.script);
  try {
    const given = [
      script,
      String(length),
      String(SITES),
      String(QUICK && peer.slow ? 1 : ROUNDS),
      folder,
      ...peer.options,
    ];
    const { status, stdout, stderr } = await run(python, given);
    const line = stdout.trim().split('\n').at(-1) ?? '';
    if (status !== 0 || !line.startsWith('{'))
      return { ...row, reason: `FAILED (${status}): ${(stderr || stdout).trim().split('\n').at(-1) ?? ''}` };
    const { version, secondsPerRound } = JSON.parse(line) as { version: string; secondsPerRound: number[] };
    const sorted = [...secondsPerRound].sort((a, b) => a - b);
    return { ...row, what: `${peer.name} ${version}`, seconds: sorted[sorted.length >> 1]!, reason: '' };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function ownRow(mode: 'plain' | 'secure', length: number): Promise<Row> {
  const load = loadavg()[0]!;
  const { roundsPerSecond } = await play({ length, sites: SITES, mode, rounds: ROUNDS });
  return { length, what: `Concordat, ${mode}`, seconds: 1 / roundsPerSecond, reason: '', load };
}

if (!existsSync('test/bench/peers/flower/run.py')) throw new Error('run this in the folder of the source');
if (!(ROUNDS >= 1)) throw new Error('--rounds takes a count');
say(`${SITES} sites, ${ROUNDS} rounds after one that does not count; median seconds a round (Concordat: mean)\n`);
say(
  `${'vector'.padEnd(8)}${'program'.padEnd(28)}${'s/round'.padStart(9)}${'/ plain'.padStart(10)}${'/ secure'.padStart(10)}${'load'.padStart(7)}`,
);
const rows: Row[] = [];
for (const length of LENGTHS) {
  const plain = await ownRow('plain', length);
  const secure = await ownRow('secure', length);
  const others: Row[] = [];
  for (const peer of PEERS) others.push(await peerRow(peer, length));
  for (const row of [plain, secure, ...others]) {
    rows.push(row);
    const cells =
      row.seconds === null
        ? `  ${row.reason}`
        : [
            row.seconds.toFixed(3).padStart(9),
            (row.seconds / plain.seconds!).toFixed(1).padStart(10),
            (row.seconds / secure.seconds!).toFixed(1).padStart(10),
            row.load.toFixed(1).padStart(7),
          ].join('');
    say(`10^${Math.log10(length)}`.padEnd(8) + row.what.padEnd(28) + cells);
  }
}
if (OUT !== undefined) writeFileSync(OUT, `${JSON.stringify(rows, null, 2)}\n`);
