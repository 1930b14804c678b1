import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { phantomCohort, writePhantomSite } from '../../cli/phantom-cohort.js';
import { cohortMeasurements, parsePerturbation, tableMeasurements } from '../../cli/stability.js';
import { anovaSums, icc } from '../../shared/metrics/icc.js';
import { stabilityCsv, stabilityTable } from '../../site-agent/radiomics/stability-table.js';

const root = mkdtempSync(path.join(tmpdir(), 'concordat-stability-command-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const JUDGE = { kind: 'ICC(1,1)', judge: 'value', minimum: 0.75 } as const;
const file = (text: string): string => {
  const at = path.join(root, 'repeats.csv');
  writeFileSync(at, text);
  return at;
};

describe('stability of a table of readings', () => {
  it('is that of the lesions with every reading, whatever the order of rows; words are no features', () => {
    const lines = ['1,b,1.1,2,X', '1,a,1,5,X', '2,a,2,3,X', '2,b,2.2,4,X', '3,b,2.9,,X', '3,a,3,4,X', '4,a,7,7,X'];
    const rows = stabilityTable(
      tableMeasurements(file(`case,reading,one,two,scanner\n${lines.join('\n')}\n`), 'case'),
      JUDGE,
    );
    expect(rows.map(({ feature, n, k }) => [feature, n, k])).toEqual([
      ['one', 3, 2],
      ['two', 2, 2],
    ]);
    const want = icc('ICC(1,1)', anovaSums(Float64Array.of(1, 1.1, 2, 2.2, 3, 2.9), 2), 2);
    expect(rows[0]!.icc['ICC(1,1)'].value).toBeCloseTo(want.value!, 12);
    expect(rows.map(({ kept }) => kept)).toEqual([true, false]);
    expect(
      stabilityTable(tableMeasurements(path.join(root, 'repeats.csv'), 'case'), {
        ...JUDGE,
        judge: 'low',
        minimum: 0.95,
      })[0]!.kept,
    ).toBe(false);
    const csv = stabilityCsv(rows).split('\n');
    expect(csv[0]).toBe(
      'feature,n,k,"ICC(1,1)","ICC(1,1) low","ICC(1,1) high","ICC(2,1)","ICC(2,1) low","ICC(2,1) high","ICC(3,1)","ICC(3,1) low","ICC(3,1) high",kept',
    );
    expect(csv[1]).toMatch(/^one,3,2,0\.9/);
    expect(stabilityCsv(rows)).not.toContain('NaN');
  });

  it('is refused without its columns, and with a reading twice', () => {
    const refused = expect.objectContaining({ code: 'COHORT_INVALID' });
    expect(() => tableMeasurements(file('id,reading,one\n1,a,1\n'), 'case')).toThrow(refused);
    expect(() => tableMeasurements(file('case,reading,one\n1,a,1\n1,a,2\n'), 'case')).toThrow(refused);
  });
});

describe('amounts on the command line', () => {
  it('are those of a study', () => {
    expect(parsePerturbation('translateMm=1, volume=0.1,moves=mask')).toMatchObject({
      translateMm: 1,
      volume: 0.1,
      moves: 'mask',
    });
    for (const wrong of ['translate=1', 'translateMm', 'noise=9', 'moves=mask', ''])
      expect(() => parsePerturbation(wrong), wrong).toThrow(expect.objectContaining({ code: 'CLI_USAGE' }));
  });
});

describe('stability of a cohort’s images', () => {
  it('is refused where two lesions of a case go by one name: they would be taken for one', async () => {
    const folder = path.join(root, 'twins');
    mkdirSync(folder);
    writeFileSync(
      path.join(folder, 'cohort.yaml'),
      'concordat: 1\ntable: c.csv\nid: id\nimages: {table: images.csv}\n',
    );
    const lines = [
      'p1,a.nii,left.nii,',
      'p1,a.nii,right.nii,',
      'p1,a.nii,left-2.nii,second',
      'p1,a.nii,right-2.nii,second',
    ];
    writeFileSync(path.join(folder, 'images.csv'), `case,image,mask,reader\n${lines.join('\n')}\n`);
    const readers = { perturbation: null, repeats: 2, seed: 1, threads: 1, onReading: () => undefined };
    const asked = cohortMeasurements({ cohort: path.join(folder, 'cohort.yaml'), ...readers });
    await expect(asked).rejects.toMatchObject({
      code: 'COHORT_INVALID',
      hint: expect.stringMatching(/column `lesion`/),
    });
  });

  it('is measured on as many perturbations of each lesion, phase by phase', async () => {
    const [made] = phantomCohort({ seed: 6, sites: ['alder'], casesPerSite: 4, modality: 'CT' });
    const folder = path.join(root, 'alder');
    writePhantomSite(made!, 6, folder);
    const params = path.join(folder, 'params.yaml');
    writeFileSync(params, 'imageType: {Original: {}}\nfeatureClass: {shape: [MeshVolume], firstorder: [Minimum]}\n');
    const seen: number[] = [];
    const { measurements, failed } = await cohortMeasurements({
      cohort: path.join(folder, 'cohort.yaml'),
      params,
      perturbation: parsePerturbation('contourMm=0.5,noise=1'),
      repeats: 2,
      seed: 1,
      threads: 1,
      threadFile: pathToFileURL(path.resolve('dist/site-agent/radiomics/shell/region-thread.js')),
      onReading: (done) => seen.push(done),
    });
    expect([failed, seen.length]).toEqual([0, 2 * 2 * 4]);
    const rows = stabilityTable(measurements, JUDGE);
    const of = (feature: string) => rows.find((row) => row.feature === feature)!;
    expect(rows.map(({ n, k }) => [n, k])).toEqual(rows.map(() => [4, 2]));
    expect(of('arterial_original_shape_MeshVolume').icc['ICC(1,1)'].value).toBeGreaterThan(0.9);
    // One mask, two phases: the same outlines.
    expect(of('portal-venous_original_shape_MeshVolume').icc).toEqual(of('arterial_original_shape_MeshVolume').icc);
    expect(of('portal-venous_original_firstorder_Minimum').icc).not.toEqual(
      of('arterial_original_firstorder_Minimum').icc,
    );
  }, 180_000);
});
