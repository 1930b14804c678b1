import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parse } from 'csv-parse/sync';
import { afterAll, describe, expect, it } from 'vitest';
import { radiomicsFolder } from '../support/images.js';

const root = radiomicsFolder();
const folder = mkdtempSync(path.join(os.tmpdir(), 'concordat-conformance-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(...args: string[]): { status: number | null; last: string; rows: Record<string, string>[] } {
  const out = path.join(folder, 'out');
  const program = 'dist/test/conformance-radiomics/main.js';
  const { status, stdout } = spawnSync(process.execPath, [program, ...args, '--out', out], { encoding: 'utf8' });
  const rows = parse(readFileSync(path.join(out, 'conformance.csv')), { columns: true }) as Record<string, string>[];
  return { status, last: stdout.trim().split('\n').at(-1)!, rows };
}

describe.runIf(root !== null)('npm run conformance:radiomics', () => {
  it('passes everything of the reference folder that is compared in little time', () => {
    const parts = 'matrices,synthetic,mesh,wavelets,icc';
    const { status, last, rows } = run('--reference', path.dirname(root!), '--only', parts);
    expect(rows.filter((row) => row['status'] === 'fail')).toEqual([]);
    expect(last).toMatch(/^PASS \d{3} FAIL 0 UNSUPPORTED \d+$/);
    expect(status).toBe(0);
    expect(new Set(rows.map((row) => row['group']))).toEqual(new Set(parts.split(',')));
  });

  it('takes another folder of the same layout with whatever it holds, and finds a wrong value in it', () => {
    const other = path.join(folder, 'other');
    const place = (...parts: string[]) => path.join(other, 'pyradiomics', ...parts);
    mkdirSync(place('synthetic'), { recursive: true });
    for (const file of ['label7_image.nrrd', 'label7_mask.nrrd'])
      cpSync(path.join(root!, 'pyradiomics', 'synthetic', file), place('synthetic', file));
    const all = JSON.parse(readFileSync(path.join(root!, 'pyradiomics', 'synthetic', 'expected.json'), 'utf8')) as {
      case: string;
      features: Record<string, number>;
    }[];
    const one = all.find((entry) => entry.case === 'label7')!;
    const write = () => writeFileSync(place('synthetic', 'more.json'), JSON.stringify([one]));
    write();
    const right = run('--reference', other);
    expect([right.status, right.last]).toEqual([0, 'PASS 8 FAIL 0 UNSUPPORTED 0']);
    one.features['original_glcm_Contrast']! *= 1 + 2e-6;
    write();
    const wrong = run('--reference', other);
    expect([wrong.status, wrong.last]).toEqual([1, 'PASS 7 FAIL 1 UNSUPPORTED 0']);
    expect(wrong.rows.find((row) => row['status'] === 'fail')!['reason']).toMatch(
      /1 of 24 off: original_glcm_Contrast/,
    );
  });

  it('takes the images and settings that another folder lacks from the usual one', () => {
    const maps = path.join(folder, 'maps', 'ibsi2', 'response_maps');
    mkdirSync(maps, { recursive: true });
    cpSync(path.join(root!, 'ibsi2', 'response_maps', '1_b_1.nii.gz'), path.join(maps, '1_b_1-ValidCRM.nii.gz'));
    expect(run('--reference', path.join(folder, 'maps'))).toMatchObject({
      status: 0,
      last: 'PASS 1 FAIL 0 UNSUPPORTED 0',
    });
  });

  it('ends with status 2 where there is no reference, an unknown part, or one that cannot be read', () => {
    const empty = path.join(folder, 'empty');
    mkdirSync(path.join(empty, 'icc'), { recursive: true });
    expect(run('--reference', empty)).toMatchObject({ status: 2, last: 'PASS 0 FAIL 0 UNSUPPORTED 0' });
    expect(run('--reference', empty, '--only', 'goldne').status).toBe(2);
    writeFileSync(path.join(empty, 'icc', 'broken.json'), '{');
    expect(run('--reference', empty)).toMatchObject({ status: 2, last: 'PASS 0 FAIL 1 UNSUPPORTED 0' });
  });

  it('compares the rest of a folder in which a file is broken, and cases whose names have underscores', () => {
    const other = path.join(folder, 'mixed');
    const place = (...parts: string[]) => path.join(other, 'pyradiomics', ...parts);
    for (const part of ['images', 'intermediate', 'golden']) mkdirSync(place(part), { recursive: true });
    const from = (kind: string) => path.join(root!, 'pyradiomics', 'synthetic', `label7_${kind}.nrrd`);
    cpSync(from('image'), place('images', 'a_b_image.nrrd'));
    cpSync(from('mask'), place('images', 'a_b_label.nrrd'));
    cpSync(from('image'), place('intermediate', 'a_b_original_crop.nrrd'));
    writeFileSync(place('intermediate', 'a_b_square_crop.nrrd'), 'no image');
    writeFileSync(place('golden', 'A.json'), '{');
    const refused = {
      case: 'a_b',
      params: { setting: { label: 9 } },
      error: 'ValueError: Label (9) not present in mask.',
    };
    writeFileSync(place('golden', 'B.json'), JSON.stringify(refused));
    const { status, rows } = run('--reference', other);
    expect(status).toBe(2);
    expect(rows.map((row) => [row['group'], row['case'], row['quantity'], row['status']].join(' '))).toEqual([
      'golden A.json extraction fail',
      'golden B refusal pass',
      'preprocessing A diagnostics fail',
      'intermediate a_b original_crop pass',
      'intermediate a_b square_crop fail',
    ]);
  });
});
