import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  rmSync,
  statfsSync,
  statSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { ConcordatError } from '../../shared/errors.js';
import { isProtected } from '../../shared/key-folder.js';

/** One thing a doctor looked at. `fix` is what to do, in a sentence; it is there unless the state is ok or skipped. */
export interface Check {
  readonly name: string;
  readonly state: 'ok' | 'warning' | 'problem' | 'skipped';
  readonly detail: string;
  readonly fix?: string;
}

export const ok = (name: string, detail: string): Check => ({ name, state: 'ok', detail });
export const skipped = (name: string, detail: string): Check => ({ name, state: 'skipped', detail });
export const warning = (name: string, detail: string, fix: string): Check => ({ name, state: 'warning', detail, fix });
export const problem = (name: string, detail: string, fix: string): Check => ({ name, state: 'problem', detail, fix });

/** Runs one look; what it throws is a problem with the error's own hint. */
export async function look(name: string, action: () => Check | Promise<Check>): Promise<Check> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof ConcordatError) return problem(name, `${error.message} (${error.code})`, error.hint);
    const message = error instanceof Error ? error.message : String(error);
    return problem(name, message, 'Check that the folder is complete and belongs to the account that runs Concordat.');
  }
}

/** What a doctor found so far, in order; begins with the program that runs it. */
export class Checkup {
  readonly checks: Check[] = [nodeCheck(process.version)];

  /** One look more. Gives what it found. */
  async add(name: string, action: () => Check | Promise<Check>): Promise<Check> {
    const found = await look(name, action);
    this.checks.push(found);
    return found;
  }
}

const MARK = { ok: 'ok', warning: 'warn', problem: 'PROBLEM', skipped: '–' } as const;

/** A line a check, what to do indented below it, and a count at the end. */
export function doctorText(checks: readonly Check[]): string {
  const width = Math.max(...checks.map(({ name }) => name.length));
  const indent = ' '.repeat(9 + width + 2);
  const lines = checks.flatMap(({ name, state, detail, fix }) => [
    `${MARK[state].padEnd(9)}${name.padEnd(width)}  ${detail}`,
    ...(fix === undefined ? [] : [`${indent}→ ${fix}`]),
  ]);
  const problems = checks.filter(({ state }) => state === 'problem').length;
  const warnings = checks.filter(({ state }) => state === 'warning').length;
  const word = (count: number, what: string) => `${count} ${what}${count === 1 ? '' : 's'}`;
  return [...lines, '', `${word(problems, 'problem')}, ${word(warnings, 'warning')}`].join('\n');
}

/** Oldest Node.js that Concordat is tested on. */
const NODE_MINIMUM = [20, 19] as const;

export function nodeCheck(version: string): Check {
  const [major, minor] = version.replace(/^v/, '').split('.').map(Number);
  const enough = major! > NODE_MINIMUM[0] || (major === NODE_MINIMUM[0] && minor! >= NODE_MINIMUM[1]);
  return enough
    ? ok('Node.js', version)
    : problem('Node.js', version, `Install Node.js ${NODE_MINIMUM.join('.')} or newer.`);
}

const WARN_FREE_BYTES = 2e9;
const LEAST_FREE_BYTES = 2e8;

/** Room for masked inputs and logs, and how long the disk takes to make a write durable (every acknowledgement waits for it). */
export function diskCheck(folder: string): Check {
  const { bavail, bsize } = statfsSync(folder);
  const free = bavail * bsize;
  const file = path.join(folder, `.doctor-${process.pid}`);
  const block = Buffer.alloc(4096, 1);
  const times: number[] = [];
  const handle = openSync(file, 'w', 0o600);
  try {
    for (let round = 0; round < 9; round++) {
      const from = performance.now();
      writeSync(handle, block, 0, block.length, 0);
      fsyncSync(handle);
      times.push(performance.now() - from);
    }
  } finally {
    closeSync(handle);
    rmSync(file, { force: true });
  }
  const syncMs = times.sort((a, b) => a - b)[4]!;
  const detail = `${(free / 1e9).toFixed(1)} GB free, ${syncMs.toFixed(1)} ms to make a write durable`;
  if (free < LEAST_FREE_BYTES)
    return problem(
      'disk',
      detail,
      'Free some space: without it studies stop, and go on by themselves once there is room.',
    );
  if (free < WARN_FREE_BYTES) return warning('disk', detail, 'Plan for more space; see docs/operations.md.');
  if (syncMs > 50)
    return warning('disk', detail, 'Put the folder on a local disk: every exchange waits for several such writes.');
  return ok('disk', detail);
}

/** Files that hold private keys must be readable by their owner only. */
export function keyFilesCheck(files: readonly string[]): Check {
  if (process.platform === 'win32') return skipped('key files', 'permissions are not checked on this system');
  const present = files.filter((file) => existsSync(file));
  const loose = present.filter((file) => (statSync(file).mode & 0o077) !== 0);
  const own = process.getuid?.();
  const foreign = present.filter((file) => own !== undefined && statSync(file).uid !== own);
  if (loose.length > 0)
    return problem(
      'key files',
      `others on this host may read ${loose.map((file) => path.basename(file)).join(', ')}`,
      `chmod 600 ${loose.join(' ')}`,
    );
  if (foreign.length > 0)
    return warning(
      'key files',
      `${foreign.map((file) => path.basename(file)).join(', ')} belongs to another account`,
      'Run Concordat, and this command, under the account that owns the folder.',
    );
  const sealed = present.some((file) => isProtected(path.dirname(file)));
  return ok(
    'key files',
    `${present.length} files, readable by their owner only${sealed ? ', sealed' : '; not sealed (concordat keys protect)'}`,
  );
}

/** Files of a folder whose names end in `.key`. */
export function keyFilesIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith('.key'))
    .map((name) => path.join(folder, name));
}

const DAY_MS = 86_400_000;

export function certificateCheck(name: string, endsMs: number, nowMs: number, renew: string): Check {
  const days = Math.floor((endsMs - nowMs) / DAY_MS);
  const date = new Date(endsMs).toISOString().slice(0, 10);
  if (days < 0) return problem(name, `ended ${date}`, renew);
  if (days < 30) return warning(name, `ends ${date}, in ${days} days`, renew);
  return ok(name, `valid until ${date}`);
}
