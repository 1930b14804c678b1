import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lockFolder } from '../../cli/lock.js';
import { openBlobStore } from '../../coordinator/blob-store.js';
import { openEventStore } from '../../coordinator/event-store.js';
import { sha256 } from '../../shared/memory-stores.js';
import { openSiteStore } from '../../site-agent/store.js';

/**
 * A real process appends and is killed with SIGKILL at a moment it does not choose: everything it acknowledged must be
 * there afterwards, whole, and the store must open again. (That the disk itself keeps its promises cannot be tested here.)
 */
const compiled = path.resolve('node_modules/.cache', `concordat-kill-${process.pid}`);
const place = mkdtempSync(path.join(tmpdir(), 'concordat-kill-'));

beforeAll(() => {
  mkdirSync(compiled, { recursive: true });
  writeFileSync(path.join(compiled, 'package.json'), '{"type":"module"}');
  const shared = readdirSync('shared').filter((file) => file.endsWith('.ts'));
  const files = ['coordinator/event-store.ts', 'coordinator/blob-store.ts', 'site-agent/store.ts', 'cli/lock.ts'];
  for (const file of [...files, ...shared.map((name) => `shared/${name}`)]) {
    const options = { module: ts.ModuleKind.ES2022, target: ts.ScriptTarget.ES2022 };
    const target = path.join(compiled, file.replace(/\.ts$/, '.js'));
    mkdirSync(path.dirname(target), { recursive: true });
    writeFileSync(target, ts.transpileModule(readFileSync(file, 'utf8'), { compilerOptions: options }).outputText);
  }
});

afterAll(() => {
  rmSync(compiled, { recursive: true, force: true });
  rmSync(place, { recursive: true, force: true });
});

/** Runs the writer until it has acknowledged `after` more, kills it, and returns the last number acknowledged. */
async function writeAndKill(module: string, exported: string, at: string, after: number): Promise<number> {
  const writer = path.resolve('test/contract/kill-writer.mjs');
  const child: ChildProcess = spawn(process.execPath, [writer, path.join(compiled, module), exported, at], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  await new Promise<void>((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', () => resolve());
    child.stdout!.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (output.split('\n').length > after) child.kill('SIGKILL');
    });
  });
  expect(child.signalCode).toBe('SIGKILL');
  return Number(output.split('\n').at(-2));
}

describe('the lock of a folder', () => {
  it('keeps a second process out until the first has ended, also by SIGKILL', async () => {
    const at = path.join(place, 'locked');
    const script = `const { lockFolder } = await import(${JSON.stringify(path.join(compiled, 'cli/lock.js'))});
      lockFolder(${JSON.stringify(at)}); process.stdout.write('held'); setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = new Promise((resolve) => child.on('exit', resolve));
    await new Promise((resolve) => child.stdout.once('data', resolve));
    expect(() => lockFolder(at)).toThrow(expect.objectContaining({ code: 'STORE_LOCKED' }));
    child.kill('SIGKILL');
    await ended;
    const lock = lockFolder(at);
    expect(() => lockFolder(at)).toThrow(expect.objectContaining({ code: 'STORE_LOCKED' }));
    lock.release();
    lockFolder(at).release();
  });
});

const payloadOf = (i: number) => Buffer.from(`record ${i} `.repeat(20));

describe('kill -9 while writing', () => {
  const logs = [
    { name: 'coordinator', module: 'coordinator/event-store.js', exported: 'openEventStore', open: openEventStore },
    { name: 'site', module: 'site-agent/store.js', exported: 'openSiteStore', open: openSiteStore },
  ];
  it.each(logs)(
    '$name log: nothing acknowledged is lost, and no batch is torn',
    async ({ name, module, exported, open }) => {
      const at = path.join(place, name);
      let before = 0;
      for (const after of [1, 7, 30, 2]) {
        const acknowledged = await writeAndKill(module, exported, at, after);
        const store = open(at);
        const stored = [...store.replay({ after: before })];
        expect(stored.length).toBeGreaterThanOrEqual(2 * (acknowledged + 1));
        expect(stored.length % 2).toBe(0);
        stored.forEach((event, i) => {
          expect(event.sequence).toBe(before + i + 1);
          expect(Buffer.from(event.payload).equals(payloadOf(Math.floor(i / 2)))).toBe(true);
        });
        before += stored.length;
        store.close();
      }
    },
  );

  it('coordinator blobs: what was acknowledged is there, what is there is whole', async () => {
    const at = path.join(place, 'blobs');
    const acknowledged = await writeAndKill('coordinator/blob-store.js', 'openBlobStore', at, 40);
    const store = openBlobStore(at);
    for (let i = 0; i <= acknowledged; i++)
      expect(Buffer.from(store.getBlob(sha256(payloadOf(i)))).equals(payloadOf(i))).toBe(true);
    const names = readdirSync(at)
      .filter((folder) => folder.length === 2)
      .flatMap((folder) => readdirSync(path.join(at, folder)));
    for (const name of names) expect(sha256(store.getBlob(name))).toBe(name);
  });
});
