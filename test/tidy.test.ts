import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

/** House rules as tests; each message says what to do. Sources are read as text, comments stripped where words count. */
const FOLDERS = ['cli', 'coordinator', 'site-agent', 'harmonization', 'shared', 'test', 'scripts'];
const FILES = FOLDERS.flatMap(filesBelow).filter((file) => file.endsWith('.ts'));
const PRODUCT = FILES.filter((file) => !file.startsWith('test/'));
const SOURCE = new Map(FILES.map((file) => [file, readFileSync(file, 'utf8')]));

function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const full = `${folder}/${entry.name}`;
    return entry.isDirectory() ? filesBelow(full) : [full];
  });
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|[^:'"`])\/\/.*$/gm, '$1');
}

interface Import {
  readonly target: string;
  readonly typeOnly: boolean;
  readonly dynamic: boolean;
}

/** Imports of one file; relative ones resolved to repository paths ending in .ts. */
function importsOf(file: string): Import[] {
  const text = withoutComments(SOURCE.get(file)!);
  const found: Import[] = [];
  for (const match of text.matchAll(/(?:^|\n)\s*(?:import|export)\s+(type\s+)?([^'";]*?\sfrom\s+)?['"]([^'"]+)['"]/g)) {
    const names = match[2] ?? '';
    const onlyTypes = match[1] !== undefined || /^\{\s*(type\s+\w+(\s+as\s+\w+)?\s*,?\s*)+\}\s*from\s+$/.test(names);
    found.push({ target: resolve(file, match[3]!), typeOnly: onlyTypes, dynamic: false });
  }
  for (const match of text.matchAll(/import\(\s*['"]([^'"]+)['"]\s*\)/g))
    found.push({ target: resolve(file, match[1]!), typeOnly: false, dynamic: true });
  // A thread is started by the URL of its file: what it loads, its starter has loaded.
  for (const match of text.matchAll(/new URL\(\s*['"](\.[^'"]+\.js)['"]/g))
    found.push({ target: resolve(file, match[1]!), typeOnly: false, dynamic: true });
  return found;
}

function resolve(from: string, target: string): string {
  if (!target.startsWith('.')) return target;
  return path.posix.join(path.posix.dirname(from), target).replace(/\.js$/, '.ts');
}

const IMPORTS = new Map(FILES.map((file) => [file, importsOf(file)]));

const layer = (file: string): string => file.split('/')[0]!;
/** a -> b: a may import b. */
const ARROWS: Record<string, readonly string[]> = {
  cli: ['cli', 'coordinator', 'site-agent', 'harmonization', 'shared'],
  coordinator: ['coordinator', 'harmonization', 'shared'],
  'site-agent': ['site-agent', 'harmonization', 'shared'],
  harmonization: ['harmonization', 'shared'],
  shared: ['shared', 'protos'],
  scripts: ['scripts', 'cli', 'coordinator', 'site-agent', 'harmonization', 'shared', 'protos'],
};
/** Shells: the only product files besides cli/ and scripts/ that may touch files, sockets, clocks or randomness. */
const SHELLS = new Set([
  'coordinator/blob-store.ts',
  'coordinator/enrollment.ts',
  'coordinator/event-store.ts',
  'coordinator/registry.ts',
  'coordinator/rpc.ts',
  'coordinator/service.ts',
  'coordinator/tls.ts',
  'coordinator/main.ts',
  'shared/durable-files.ts',
  'shared/key-folder.ts',
  'shared/sqlite.ts',
  'site-agent/agent.ts',
  'site-agent/cohort-files.ts',
  'site-agent/keys.ts',
  'site-agent/main.ts',
  'site-agent/rpc.ts',
  'site-agent/store.ts',
]);
const isShell = (file: string): boolean =>
  layer(file) === 'cli' ||
  layer(file) === 'scripts' ||
  SHELLS.has(file) ||
  /^(coordinator|site-agent)\/(rpc|shell)(-[a-z-]+)?\.ts$/.test(file) ||
  /^(coordinator|site-agent|site-agent\/imaging|site-agent\/radiomics)\/shell\//.test(file);
const PURE = PRODUCT.filter((file) => !isShell(file));
const IO =
  /^(node:)?(fs|fs\/promises|net|tls|http|https|http2|child_process|worker_threads|os|dgram|dns|readline|timers)(\/|$)|^@grpc\/|^libsql$|^onnxruntime-node$/;

describe('import arrows', () => {
  it('point down: test, cli -> coordinator, site-agent -> harmonization -> shared -> protos/gen', () => {
    const wrong: string[] = [];
    for (const file of PRODUCT)
      for (const { target } of IMPORTS.get(file)!) {
        if (!target.includes('/') || !FOLDERS.concat('protos').includes(layer(target))) continue;
        if (!ARROWS[layer(file)]!.includes(layer(target)))
          wrong.push(`${file} imports ${target}: move what both need to shared/`);
      }
    expect(wrong).toEqual([]);
  });

  it('only shared/wire reads generated protobuf types', () => {
    const wrong = PRODUCT.filter(
      (file) =>
        !file.startsWith('shared/wire/') && IMPORTS.get(file)!.some(({ target }) => target.startsWith('protos/gen')),
    );
    expect(wrong, 'decode wire types in shared/wire/ and import the domain types').toEqual([]);
  });

  it('every relative import exists', () => {
    const wrong = FILES.flatMap((file) =>
      IMPORTS.get(file)!
        .filter(({ target }) => FOLDERS.includes(layer(target)) && target.endsWith('.ts') && !existsSync(target))
        .map(({ target }) => `${file} imports ${target}, which does not exist`),
    );
    expect(wrong).toEqual([]);
  });
});

describe('the suffix is the privacy rule', () => {
  it('coordinator code reaches no *.site.ts, at any distance', () => {
    const roots = PRODUCT.filter((file) => layer(file) === 'coordinator' || file.endsWith('.coordinator.ts'));
    const wrong: string[] = [];
    for (const root of roots) {
      const path_ = reach(root, (file) => file.endsWith('.site.ts') || layer(file) === 'site-agent');
      if (path_ !== null)
        wrong.push(`${path_.join(' -> ')}: split the file, or import only types of it from a neutral file`);
    }
    expect(wrong).toEqual([]);
  });

  it('`coordinator start` loads none: neither the program’s static imports nor the coordinator’s process reach one', () => {
    const isPrivate = (file: string) => file.endsWith('.site.ts') || layer(file) === 'site-agent';
    expect(reach('cli/main.ts', isPrivate, { followDynamic: false })).toBeNull();
    expect(reach('cli/run-coordinator.ts', isPrivate)).toBeNull();
  });

  it('site-agent code reaches no *.coordinator.ts', () => {
    const roots = PRODUCT.filter((file) => layer(file) === 'site-agent' || file.endsWith('.site.ts'));
    const wrong = roots
      .map((root) => reach(root, (file) => file.endsWith('.coordinator.ts') || layer(file) === 'coordinator'))
      .filter((found) => found !== null)
      .map((found) => found.join(' -> '));
    expect(wrong).toEqual([]);
  });

  it('the product imports nothing of test/', () => {
    const wrong = PRODUCT.filter((file) => IMPORTS.get(file)!.some(({ target }) => target.startsWith('test/')));
    expect(wrong).toEqual([]);
  });
});

/** Shortest chain of run-time imports from `root` to a file that `matches`, or null. */
function reach(
  root: string,
  matches: (file: string) => boolean,
  { followDynamic = true }: { readonly followDynamic?: boolean } = {},
): string[] | null {
  const queue: string[][] = [[root]];
  const seen = new Set([root]);
  for (let chain = queue.shift(); chain !== undefined; chain = queue.shift()) {
    for (const { target, typeOnly, dynamic } of IMPORTS.get(chain.at(-1)!) ?? []) {
      if (typeOnly || (dynamic && !followDynamic) || seen.has(target) || !SOURCE.has(target)) continue;
      seen.add(target);
      if (matches(target)) return [...chain, target];
      queue.push([...chain, target]);
    }
  }
  return null;
}

describe('pure files', () => {
  it('import no file system, network, process or gRPC', () => {
    const wrong = PURE.flatMap((file) =>
      IMPORTS.get(file)!
        .filter(({ target, typeOnly }) => !typeOnly && IO.test(target))
        .map(({ target }) => `${file} imports ${target}: move the input and output into a shell`),
    );
    expect(wrong).toEqual([]);
  });

  it('use no clock, no unseeded randomness and no power that differs between Node majors', () => {
    const banned: [RegExp, string][] = [
      [/\bMath\.random\b/, 'use shared/rng.ts or bytes that arrive in an event'],
      [/\bDate\.now\b|\bnew Date\(\)|\bperformance\.now\b/, 'time arrives in events'],
      [/\brandomBytes\b|\brandomUUID\b|\bgetRandomValues\b|\bgenerateKeyPair/, 'random bytes arrive in events'],
      [/\bMath\.pow\b/, 'Math.pow differs between Node majors: multiply'],
      [
        /(?<![\d\s*/]\s?)(?<!\b2n?\s)\*\*(?!\/)/,
        '** differs between Node majors unless it is a power of two constant: multiply',
      ],
    ];
    const wrong = PURE.flatMap((file) => {
      const text = withoutComments(SOURCE.get(file)!);
      return banned.filter(([pattern]) => pattern.test(text)).map(([pattern, mend]) => `${file}: ${pattern}: ${mend}`);
    });
    expect(wrong).toEqual([]);
  });
});

describe('all files', () => {
  it('have at most 600 lines', () => {
    const long = [...SOURCE].filter(([, text]) => text.split('\n').length > 600).map(([file]) => file);
    expect(long, 'split the file: two things live together').toEqual([]);
    const growing = [...SOURCE].filter(([, text]) => text.split('\n').length > 400).map(([file]) => file);
    if (growing.length > 0) process.stderr.write(`over 400 lines, watch them: ${growing.join(', ')}\n`);
  });

  it('carry no any, no suppressed type error, no unfinished mark, no console in the product', () => {
    const banned: [RegExp, string, readonly string[]][] = [
      [/: any\b|\bas any\b|<any>/, 'give it a type, or unknown and a check', FILES],
      [/@ts-(ignore|nocheck)/, 'mend the type', FILES],
      [/\b(FIXME|XXX|HACK)\b/, 'do it or write it into docs/status.md', FILES],
      [/\bconsole\.(log|error|warn|info)\b/, 'write through cli/format.ts to stdout or stderr', PRODUCT],
      [
        /\.(only|skip|todo)\(/,
        'a test that never runs proves nothing; skip through test/support',
        FILES.filter((f) => f.endsWith('.test.ts')),
      ],
    ];
    const wrong = banned.flatMap(([pattern, mend, files]) =>
      files
        .filter((file) => file !== 'test/tidy.test.ts' && pattern.test(withoutComments(SOURCE.get(file)!)))
        .map((file) => `${file}: ${pattern}: ${mend}`),
    );
    expect(wrong).toEqual([]);
  });

  it('are used: every product file is reached from an entry point or a test', () => {
    const roots = FILES.filter(
      (file) => file.startsWith('test/') || layer(file) === 'scripts' || file === 'cli/main.ts',
    );
    const used = new Set<string>();
    const queue = [...roots];
    for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
      if (used.has(file)) continue;
      used.add(file);
      for (const { target } of IMPORTS.get(file) ?? []) if (SOURCE.has(target)) queue.push(target);
      // Workers are started by URL, which is no import.
      for (const match of SOURCE.get(file)!.matchAll(/new URL\(\s*['"](\.[^'"]+)['"]/g)) {
        const target = resolve(file, match[1]!);
        if (SOURCE.has(target)) queue.push(target);
      }
    }
    expect(
      PRODUCT.filter((file) => !used.has(file)),
      'remove it or use it',
    ).toEqual([]);
  });
});
