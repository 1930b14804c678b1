import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';

/** Every command, given what is not there or makes no sense: an error with hint, code and exit status, never a stack trace. */
const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));

const NONSENSE = [
  'study check bad.yaml',
  'study check nope.yaml',
  'study propose bad.yaml --dir nope',
  'study status --dir nope',
  'study abort abc --dir nope --reason x',
  'site init Bad/Name --dir q',
  'site enroll nope.json --dir nope',
  'site start --dir nope',
  'site status --dir nope',
  'site studies --dir nope',
  'site approve abc --dir nope',
  'site decline abc --dir nope --reason x',
  'site egress --dir nope',
  'coordinator init --dir c --consortium zz',
  'coordinator invite a --dir nope --address host:1',
  'coordinator start --dir nope',
  'consortium sign-roster --dir nope --coordinator nope',
  'model get x --dir nope --out o',
  'model verify nope',
  'predict nope --table t.csv --out o.csv',
  'simulate nope.yaml --table t.csv --site-column s --out o',
  'simulate bad.yaml --table t.csv --site-column s --out o',
  'extract --image nope.nii --mask nope.nii',
  'extract --cohort .',
  'inspect nope.nii nope-mask.nii',
  'phantom --out bad.yaml --sites a',
  'scores --cohort nope.yaml --out s.csv',
  'segment --image nope.nii --model nope.onnx --settings nope.yaml --out m.nii.gz',
  'compare-masks nope.nii nope.nii',
  'quality --cohort bad.yaml --out quality',
  'stability --table nope.csv --out s.csv',
  'frobnicate',
  'site approve',
];

let folder: string;
beforeAll(() => {
  if (!existsSync(main)) throw new Error('dist/cli/main.js is missing: run `npm run build` first');
  folder = mkdtempSync(path.join(tmpdir(), 'concordat-errors-'));
  writeFileSync(path.join(folder, 'bad.yaml'), 'junk: [');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const run = (args: string[]) =>
  new Promise<{ status: number | null; stdout: string; stderr: string }>((resolve) => {
    const child = execFile(process.execPath, [main, ...args], { cwd: folder }, (_, stdout, stderr) =>
      resolve({ status: child.exitCode, stdout, stderr }),
    );
  });

it.each(NONSENSE)(
  '%s',
  async (line) => {
    const words = line.split(' ');
    const [forPeople, forPrograms] = await Promise.all([run(words), run(['--json', ...words])]);
    expect(forPeople.status).toBe(2);
    expect(forPeople.stdout).toBe('');
    expect(forPeople.stderr).toMatch(/^error: /);
    expect(forPeople.stderr).not.toMatch(/^\s+at .+[:)]\d*/m);
    expect(forPrograms.status).toBe(2);
    const { error } = JSON.parse(forPrograms.stdout) as { error: Record<string, unknown> };
    expect(error['code']).toMatch(/^[A-Z]+_[A-Z_]+$/);
    expect(error['hint']).toMatch(/\.$/);
    expect(error['problems']).toBeInstanceOf(Array);
    expect(forPrograms.stdout + forPrograms.stderr).not.toContain('node:internal');
  },
  30_000,
);

it('a reader that leaves early is no error', async () => {
  const child = spawn(process.execPath, [main, '--help'], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.destroy();
  let said = '';
  child.stderr.on('data', (data: Buffer) => {
    said += data.toString();
  });
  const status = await new Promise((resolve) => child.once('close', resolve));
  expect(said).toBe('');
  expect(status).toBe(0);
}, 30_000);
