import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { type PredictOptions, predictionsCsv, predictTable } from '../../cli/predict.js';
import { twinScore } from '../twins/graph.js';
import { bundleFiles, modelInput } from './bundle-folder.js';
import { compiledWorker } from './compiled-worker.js';

const root = mkdtempSync(join(tmpdir(), 'concordat-predict-'));
const workerUrl = compiledWorker();
afterAll(() => {
  rmSync(root, { recursive: true });
  rmSync(workerUrl);
});

function write(path: string, content: string | Uint8Array): string {
  const file = join(root, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
  return file;
}

function writeBundle(name: string, files: ReadonlyMap<string, Uint8Array>): string {
  for (const [path, bytes] of files) write(join(name, path), bytes);
  return join(root, name);
}

const bundle = writeBundle('bundle', bundleFiles());
const table = (text: string) => write('table.csv', text);
const run = (path: string, options: PredictOptions = {}) => predictTable(bundle, path, { workerUrl, ...options });

const GOOD = `age,case,f1,f0,sex,extra
61,A1,4.5,1.25,M,x
,B2,NA,0.75,,y
48.5,"C,3",7e0,-1,F,z
`;

describe('predict', () => {
  it('scores raw rows with gaps as the twin does, whatever the order of columns', async () => {
    const { rows } = await run(table(GOOD), { idColumn: 'case' });
    const patients = [
      { f0: 1.25, f1: 4.5, sex: 1, age: 61 },
      { f0: 0.75, f1: null, sex: null, age: null },
      { f0: -1, f1: 7, sex: 0, age: 48.5 },
    ];
    expect(rows.map((row) => row.id)).toEqual(['A1', 'B2', 'C,3']);
    for (const [i, patient] of patients.entries()) {
      const want = twinScore(modelInput, patient, [0, 0, 0, 0], [1, 1, 1, 1]);
      expect(Math.abs(rows[i]!.score! - want.score)).toBeLessThan(1e-12);
      expect(Math.abs(rows[i]!.probability! - want.probability)).toBeLessThan(1e-12);
      expect(rows[i]!.class).toBe(want.probability >= 0.42 ? 1 : 0);
    }
    expect(new Set(rows.map((row) => row.class)).size).toBe(2);
  });

  it('uses the site’s calibration', async () => {
    const calibration = {
      method: 'combat',
      inputs: ['f0', 'f1', 'sex', 'age'],
      gamma: [0.4, -0.2, 0, 0],
      delta: [1.5, 0.7, 1, 1],
    };
    const calibrationPath = write('harmonization.json', JSON.stringify(calibration));
    const { rows } = await run(table(GOOD), { calibrationPath });
    const want = twinScore(modelInput, { f0: 1.25, f1: 4.5, sex: 1, age: 61 }, calibration.gamma, calibration.delta);
    expect(Math.abs(rows[0]!.score! - want.score)).toBeLessThan(1e-12);
    expect(rows[0]!.score).not.toBeCloseTo((await run(table(GOOD))).rows[0]!.score!, 3);
  });

  it('an unusable row has a problem and no score; the others are scored', async () => {
    const path = table('id,f0,f1,sex,age\n1,1,2,M,60\n2,one,2,W,60\n3,1e999,2,F,60\n4,1,2,F,60\n');
    const outPath = join(root, 'out.csv');
    const { rows } = await run(path, { outPath });
    expect(rows.map((row) => row.score === null)).toEqual([false, true, true, false]);
    expect(rows[1]!.problem).toBe('f0: "one" is no number; sex: "W" is no level of the study (F, M)');
    expect(readFileSync(outPath, 'utf8')).toBe(predictionsCsv(rows));
    const lines = readFileSync(outPath, 'utf8').split('\n');
    expect(lines[0]).toBe('id,score,probability,class,problem');
    expect(lines[2]).toBe('2,,,,"f0: ""one"" is no number; sex: ""W"" is no level of the study (F, M)"');
    expect(lines[4]).toMatch(/^4,-?\d/);
  });

  it('a table of unusable rows alone needs no model', async () => {
    const { rows } = await run(table('id,f0,f1,sex,age\n1,x,2,M,60\n'));
    expect(rows).toHaveLength(1);
  });

  const failing: [string, string, string, PredictOptions][] = [
    ['a missing column, with a guess', 'id,f0,f2,sex,age\n', 'BUNDLE_TABLE_INVALID', {}],
    ['a column twice', 'id,f0,f1,f1,sex,age\n', 'BUNDLE_TABLE_INVALID', {}],
    ['no such id column', 'id,f0,f1,sex,age\n', 'BUNDLE_TABLE_INVALID', { idColumn: 'case' }],
    ['ragged rows', 'id,f0,f1,sex,age\n1,2\n', 'BUNDLE_TABLE_INVALID', {}],
    ['an empty table', '', 'BUNDLE_TABLE_INVALID', {}],
    ['a calibration that is not there', GOOD, 'BUNDLE_CALIBRATION_INVALID', { calibrationPath: join(root, 'no.json') }],
  ];
  it.each(failing)('refuses %s', async (_, text, code, options) => {
    await expect(run(table(text), options)).rejects.toMatchObject({ code });
  });

  it.each([
    ['another method', { method: 'zscore' }],
    ['other inputs', { inputs: ['f1', 'f0', 'sex', 'age'] }],
    ['a variance of 0', { delta: [0, 1, 1, 1] }],
    ['too few values', { gamma: [0] }],
  ])('refuses a calibration with %s', async (_, change) => {
    const good = { method: 'combat', inputs: ['f0', 'f1', 'sex', 'age'], gamma: [0, 0, 0, 0], delta: [1, 1, 1, 1] };
    const calibrationPath = write('bad.json', JSON.stringify({ ...good, ...change }));
    await expect(run(table(GOOD), { calibrationPath })).rejects.toMatchObject({ code: 'BUNDLE_CALIBRATION_INVALID' });
  });

  it('refuses a changed model, a folder that is no bundle, and z-scores without their site', async () => {
    const files = bundleFiles();
    files.set('model.onnx', Uint8Array.from(files.get('model.onnx')!).fill(0, 40, 41));
    const changed = writeBundle('changed', files);
    await expect(predictTable(changed, table(GOOD), { workerUrl })).rejects.toMatchObject({ code: 'BUNDLE_CHANGED' });
    await expect(predictTable(root, table(GOOD), { workerUrl })).rejects.toMatchObject({ code: 'BUNDLE_UNREADABLE' });
    const zscore = writeBundle(
      'zscore',
      bundleFiles({ model: { ...modelInput, harmonization: { method: 'zscore' } } }),
    );
    await expect(predictTable(zscore, table(GOOD), { workerUrl })).rejects.toMatchObject({
      code: 'BUNDLE_CALIBRATION_INVALID',
    });
  });
});
