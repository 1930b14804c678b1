import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { STUDY_TRANSITIONS } from '../coordinator/study-transitions.js';
import { simulateCohort } from './support/simulated-cohort.js';

/** What the documents say can be typed is typed here, and what they point to must exist. Needs `npm run build` before. */
const root = fileURLToPath(new URL('..', import.meta.url));
const main = path.join(root, 'dist', 'cli', 'main.js');
const readme = readFileSync(path.join(root, 'README.md'), 'utf8');
const documents = ['README.md', 'CHANGELOG.md', 'shared/README.md', ...markdownIn('docs'), ...markdownIn('examples')];

/** Commands that need no second process and no network, so they can be run as they stand. */
const RUN_AS_IT_STANDS = [
  'study check',
  'simulate',
  'predict',
  'consortium init',
  'coordinator init',
  'coordinator invite',
  'site init',
  'site studies',
  'site egress',
  'study status',
  'model list',
];

const lines = blocks(readme, 'sh')
  .flatMap((block) => block.split('\n'))
  .map((line) => line.replace(/#.*$/, '').trim())
  .filter((line) => line !== '');
const commands = lines
  .map((line) => line.replace(/^npx /, ''))
  .filter((line) => line.startsWith('concordat '))
  .map((line) => line.split(/\s+/).slice(1));

let folder: string;
beforeAll(() => {
  if (!existsSync(main)) throw new Error('dist/cli/main.js is missing: run `npm run build` first');
  folder = mkdtempSync(path.join(tmpdir(), 'concordat-readme-'));
  writeFileSync(path.join(folder, 'study.yaml'), blocks(readme, 'yaml')[0]!);
  writeFileSync(path.join(folder, 'cases.csv'), simulateCohort(7).pooledCsv);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('commands in README', () => {
  it('are there, one for each part of the journey', () => {
    const named = commands.map((words) => nameOf(words));
    for (const name of [
      ...RUN_AS_IT_STANDS,
      'coordinator start',
      'site enroll',
      'site start',
      'consortium sign-roster',
    ])
      expect(named).toContain(name);
    expect(named).toEqual(expect.arrayContaining(['study propose', 'site approve', 'model get', 'model verify']));
  });

  it.each(commands.map((words) => [words.join(' '), words] as const))('%s: fits its --help', (_, words) => {
    const name = nameOf(words);
    const help = helpOf(name);
    expect(help.status).toBe(0);
    const usage = /Usage: concordat ([^\n]+)/.exec(help.stdout)![1]!;
    expect(usage.startsWith(`${name} [options]`)).toBe(true);
    const { flags, positional } = argumentsOf(words.slice(name.split(' ').length), help.stdout);
    for (const flag of flags) expect(help.stdout, `${flag} is an option`).toContain(`  ${flag}`);
    const needed = [...usage.matchAll(/<[^>]+>/g)].length;
    const atMost = needed + [...usage.matchAll(/\[(?!options\])[^\]]+\]/g)].length;
    expect(positional.length).toBeGreaterThanOrEqual(needed);
    expect(positional.length).toBeLessThanOrEqual(atMost);
  });

  it.each(
    commands
      .filter((words) => RUN_AS_IT_STANDS.includes(nameOf(words)))
      .map((words) => [words.join(' '), words] as const),
  )(
    '%s: runs',
    (_, words) => {
      const run = concordat(words);
      expect(run.stderr + run.stdout).not.toMatch(/^error:/m);
      expect(run.status).toBe(0);
    },
    60_000,
  );

  it('leave what the text says they leave', () => {
    for (const name of ['result/result.json', 'result/run.json', 'result/bundle/model.onnx', 'invitation-alder.json'])
      expect(existsSync(path.join(folder, name)), name).toBe(true);
    const alder = readFileSync(path.join(folder, 'alder.csv'), 'utf8');
    const raw = readFileSync(path.join(folder, 'predictions.csv'), 'utf8');
    expect(alder.split('\n')[0]).toBe('id,score,probability,class,problem');
    expect(alder).not.toBe(raw);
    // An unsigned bundle must not verify, as the text says.
    expect(concordat(['model', 'verify', 'result/bundle']).status).toBe(1);
  });

  it('npm scripts exist', () => {
    const { scripts } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>;
    };
    for (const document of documents)
      for (const [, name] of textOf(document).matchAll(/npm run ([\w:-]+)/g))
        expect(scripts, document).toHaveProperty(name!);
  });
});

describe('docs/decisions.md', () => {
  it('speaks of every dependency at its version', () => {
    const { dependencies } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>;
    };
    for (const [name, version] of Object.entries(dependencies))
      expect(textOf('docs/decisions.md')).toContain(`${name} ${version}`);
  });
});

describe.each(documents)('%s', (document) => {
  it('has links that lead somewhere', () => {
    const text = textOf(document);
    for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target!)) continue;
      const [file, anchor] = target!.split('#') as [string, string | undefined];
      const absolute = file === '' ? path.join(root, document) : path.join(root, path.dirname(document), file);
      expect(existsSync(absolute), `${document} -> ${target}`).toBe(true);
      if (anchor !== undefined)
        expect(anchorsOf(readFileSync(absolute, 'utf8')), `${document} -> ${target}`).toContain(anchor);
    }
  });

  it('names files that exist', () => {
    const named =
      /`((?:cli|coordinator|docs|examples|harmonization|protos|scripts|shared|site-agent|test)\/[\w./-]+)`/g;
    for (const [, file] of textOf(document).matchAll(named))
      expect(existsSync(path.join(root, file!)), `${document} names ${file}`).toBe(true);
  });

  it('names no place of one machine', () => {
    expect(textOf(document)).not.toMatch(/(^|[\s`("'])\/(work|tmp|home|root|Users)\//m);
  });
});

describe('commands named in other documents', () => {
  const named = new Map<string, Set<string>>();
  for (const document of documents.filter((name) =>
    /^docs\/(operations|security|dpia-template|radiomics.*)\.md$/.test(name),
  ))
    for (const [, command] of textOf(document).matchAll(/(?:^|`|sudo -u concordat )concordat ([a-z-]+ [^`#\n]*)/gm)) {
      const words = command!.trim().split(/\s+/);
      const flags = words.filter((word) => word.startsWith('--')).map((word) => word.replace(/[^a-z-].*$/, ''));
      const found = named.get(nameOf(words)) ?? new Set();
      for (const flag of flags) found.add(flag);
      named.set(nameOf(words), found);
    }

  it.each([...named].map(([name, flags]) => ({ name, flags: [...flags] })))(
    '$name exists, with $flags',
    ({ name, flags }) => {
      const { status, stdout } = helpOf(name);
      expect(status).toBe(0);
      expect(stdout).toContain(`Usage: concordat ${name}`);
      for (const flag of flags) expect(stdout, flag).toContain(flag);
    },
  );
});

describe('docs/architecture.md', () => {
  it('draws the life of a study as the program has it', () => {
    const drawn = [...textOf('docs/architecture.md').matchAll(/^ {2}(\w+) --> (\w+)/gm)].map(([, a, b]) => `${a} ${b}`);
    const real = Object.entries(STUDY_TRANSITIONS).flatMap(([from, events]) =>
      Object.values(events)
        .filter((to) => to !== from)
        .map((to) => `${from} ${to}`),
    );
    expect(new Set(drawn)).toEqual(new Set(real));
  });
});

function concordat(args: readonly string[]): { status: number | null; stdout: string; stderr: string } {
  const run = spawnSync(process.execPath, [main, ...args], { cwd: folder, encoding: 'utf8' });
  return { status: run.status, stdout: run.stdout, stderr: run.stderr };
}

const helps = new Map<string, ReturnType<typeof concordat>>();

/** `--help` of a command; a process each, so once is enough. */
function helpOf(name: string): ReturnType<typeof concordat> {
  const known = helps.get(name) ?? concordat([...name.split(' '), '--help']);
  helps.set(name, known);
  return known;
}

function nameOf(words: readonly string[]): string {
  // What follows the name of a single command is an option or a file.
  if (!/^[a-z][a-z-]*$/.test(words[1] ?? '')) return words[0]!;
  // These are themselves groups of commands.
  return words.slice(0, ['cohort', 'approver'].includes(words[1]!) ? 3 : 2).join(' ');
}

function argumentsOf(words: readonly string[], help: string): { flags: string[]; positional: string[] } {
  const flags: string[] = [];
  const positional: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    if (!word.startsWith('--')) positional.push(word);
    else {
      flags.push(word);
      if (new RegExp(`^  ${word} <`, 'm').test(help)) at++;
    }
  }
  return { flags, positional };
}

function blocks(text: string, language: string): string[] {
  return [...text.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map((match) => match[1]!);
}

function textOf(document: string): string {
  return readFileSync(path.join(root, document), 'utf8');
}

function markdownIn(name: string): string[] {
  return readdirSync(path.join(root, name))
    .filter((file) => file.endsWith('.md'))
    .map((file) => `${name}/${file}`);
}

/** Anchors as GitHub makes them from headings. */
function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, title]) =>
    title!
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s-]/gu, '')
      .replaceAll(' ', '-'),
  );
}
