import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { registerSimulate } from '../../cli/commands/simulate.js';
import { registerStudy } from '../../cli/commands/study.js';
import { parseCohortConfig } from '../../site-agent/cohort-config.js';
import { referenceFolder } from '../support/reference.js';
import { simulateCohort } from '../support/simulated-cohort.js';

/** examples/ is what a user starts from: every file there parses, and every command of its README prints what it says. */
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const README = readFileSync(path.join(ROOT, 'examples/README.md'), 'utf8');
const names = readdirSync(path.join(ROOT, 'examples'));
const studies = names.filter((name) => name.endsWith('.yaml') && !name.endsWith('.cohort.yaml'));
const data = referenceFolder('CONCORDAT_DATA', 'tcga_lihc_cdr') === null ? null : process.env['CONCORDAT_DATA']!;

/** One command line through the program's own commands; stdout, and the exit status they ask for. */
async function concordat(...args: string[]): Promise<{ stdout: string; exit: number }> {
  let stdout = '';
  const taken = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    stdout += String(text);
    return true;
  });
  const progress = vi.spyOn(process.stderr, 'write').mockImplementation(() => true);
  const before = process.exitCode;
  process.exitCode = 0;
  try {
    const program = new Command('concordat').option('--json').exitOverride();
    registerSimulate(program);
    registerStudy(program);
    await program.parseAsync(args, { from: 'user' });
    return { stdout, exit: Number(process.exitCode) };
  } finally {
    process.exitCode = before;
    taken.mockRestore();
    progress.mockRestore();
  }
}

describe('study files under examples/', () => {
  it('are all in the README, and the README names no other', () => {
    const named = [...README.matchAll(/\]\(([^)]+\.yaml)\)/g)].map((match) => match[1]!);
    expect(named.sort()).toEqual(names.filter((name) => name.endsWith('.yaml')).sort());
  });

  it.each(studies)('%s passes `study check`, unless it is for one holder of all rows and says so', async (name) => {
    const { stdout, exit } = await concordat('study', 'check', path.join(ROOT, 'examples', name));
    const forOneHolder = name.includes('one-holder');
    expect(stdout).toContain('is a valid study.');
    expect(stdout).not.toContain('Sites would refuse');
    expect([exit, stdout.includes('it runs in simulate only')]).toEqual(forOneHolder ? [3, true] : [0, false]);
  });

  it('cohort files parse', () => {
    for (const name of names.filter((entry) => entry.endsWith('.cohort.yaml')))
      expect(parseCohortConfig(readFileSync(path.join(ROOT, 'examples', name), 'utf8'), name).concordat).toBe(1);
  });
});

describe('commands of examples/README.md', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'concordat-examples-'));
  beforeAll(() => {
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, 'pooled.csv'), simulateCohort(7).pooledCsv);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const commands = [...README.matchAll(/```sh\nconcordat ([^\n]+)\n```\n```text\n([\s\S]*?)\n```/g)].map((match) => ({
    line: match[1]!,
    printed: match[2]!,
  }));

  it('are five', () => expect(commands).toHaveLength(5));

  for (const { line, printed } of commands)
    it.skipIf(line.includes('$CONCORDAT_DATA') && data === null)(line, async () => {
      const out = path.join(folder, 'out');
      const args = line.split(' ').map((word) => {
        if (word === 'result') return out;
        if (word.startsWith('examples/')) return path.join(ROOT, word);
        return word === 'pooled.csv' ? path.join(folder, word) : word.replace('$CONCORDAT_DATA', data ?? '');
      });
      const { stdout, exit } = await concordat(...args);
      expect(exit).toBe(0);
      // The first line has the study's hash, the bytes sent and the time it took.
      const below = (text: string) => text.trimEnd().replaceAll(out, 'result').split('\n').slice(1);
      expect(below(stdout)).toEqual(below(printed));
    });
});
