import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, existsSync, type WriteStream } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { ConcordatError } from '../../shared/errors.js';

/** The compiled program that processes are started from; a test that runs from source finds it in dist/. */
export function programFile(): string {
  const here = import.meta.url;
  const main = fileURLToPath(new URL(here.endsWith('.ts') ? '../../dist/cli/main.js' : '../main.js', here));
  if (existsSync(main)) return main;
  throw new ConcordatError('CLI_FILE_MISSING', `${main} does not exist`, { hint: 'Make it with `npm run build`.' });
}

/** One operating-system process of the demo: started from this program, its lines watched and kept in a log file. */
export class DemoProcess {
  private child: ChildProcess | undefined;
  private log: WriteStream | undefined;
  private readonly watchers = new Set<(line: string) => void>();
  readonly lines: string[] = [];

  constructor(
    readonly name: string,
    private readonly args: readonly string[],
    private readonly folder: string,
  ) {}

  start(): void {
    const main = programFile();
    this.log ??= createWriteStream(path.join(this.folder, `${this.name}.log`), { flags: 'a' });
    this.child = spawn(process.execPath, [main, ...this.args], { stdio: ['ignore', 'ignore', 'pipe'] });
    createInterface({ input: this.child.stderr! }).on('line', (line) => {
      this.lines.push(line);
      this.log?.write(`${line}\n`);
      for (const watch of [...this.watchers]) watch(line);
    });
  }

  get running(): boolean {
    return this.child !== undefined && this.child.exitCode === null && this.child.signalCode === null;
  }

  get pid(): number | undefined {
    return this.running ? this.child!.pid : undefined;
  }

  get exitText(): string {
    return this.lines.slice(-5).join('\n');
  }

  signal(name: NodeJS.Signals): void {
    if (this.running) this.child!.kill(name);
  }

  watch(act: (line: string) => void): () => void {
    this.watchers.add(act);
    return () => this.watchers.delete(act);
  }

  async stop(): Promise<void> {
    if (this.running) {
      const ended = new Promise((resolve) => this.child!.once('exit', resolve));
      this.child!.kill('SIGTERM');
      const forced = setTimeout(() => this.child!.kill('SIGKILL'), 3000);
      await ended;
      clearTimeout(forced);
    }
    this.log?.end();
  }

  async ended(): Promise<void> {
    if (this.running) await new Promise((resolve) => this.child!.once('exit', resolve));
  }
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Waits for what `probe` gives; undefined means not yet. Throws what `failed` says after the deadline. */
export async function until<T>(probe: () => T | undefined, failed: () => Error, deadlineMs: number): Promise<T> {
  for (const end = Date.now() + deadlineMs; Date.now() < end; ) {
    const found = probe();
    if (found !== undefined) return found;
    await pause(25);
  }
  throw failed();
}
