import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { seededRandom } from '../../shared/rng.js';
import type { Volume } from '../../site-agent/imaging/volume.js';
import type { FeatureSet } from '../../site-agent/radiomics/feature.js';
import { IBSI_CODES } from '../../site-agent/radiomics/ibsi/codes.js';
import { extractIbsi } from '../../site-agent/radiomics/ibsi/extract.js';
import { ibsiSettingsSchema } from '../../site-agent/radiomics/ibsi/settings.js';
import { type Configuration, settingsOf, withinTolerance } from '../support/ibsi.js';
import { radiomicsFolder, readImage, testGrid, testVolume } from '../support/images.js';
import { readJson, readRows } from '../support/reference.js';

const folder = radiomicsFolder();
const ALL = ibsiSettingsSchema.parse({ dimensions: ['2D', '2.5D', '3D'] });

/** Features whose value misses the published one, and those published without a value. */
function compare(table: string, features: FeatureSet): { missed: string[]; compared: number; withoutValue: string[] } {
  const missed: string[] = [];
  const withoutValue: string[] = [];
  let compared = 0;
  for (const row of readRows(folder!, 'ibsi1', `reference_values_${table}.csv`)) {
    const tag = row.tag!;
    if (row.reference_value === '') {
      expect(features.get(tag)?.value, `${tag} is computed all the same`).toEqual(expect.any(Number));
      withoutValue.push(tag);
      continue;
    }
    compared++;
    const got = features.get(tag)?.value ?? Number.NaN;
    if (!withinTolerance(got, Number(row.reference_value), Number(row.tolerance)))
      missed.push(`${tag}: ${got}, published ${row.reference_value} ± ${row.tolerance}`);
    if (row.ibsi_code !== '') expect(features.get(tag)?.code, tag).toBe(row.ibsi_code);
  }
  return { missed, compared, withoutValue };
}

describe.skipIf(folder === null)('IBSI 1 reference values', () => {
  it('of the digital phantom, in all aggregations', () => {
    const image = readImage(folder!, 'ibsi1/digital_phantom/phantom.nii.gz');
    const mask = readImage(folder!, 'ibsi1/digital_phantom/mask.nii.gz');
    const { missed, compared, withoutValue } = compare('digital_phantom', extractIbsi(image, mask, ALL));
    expect(missed).toEqual([]);
    expect(compared).toBe(482);
    expect(withoutValue.sort()).toEqual([
      'ivh_auc',
      'morph_area_dens_mvee',
      'morph_area_dens_ombb',
      'morph_vol_dens_mvee',
      'morph_vol_dens_ombb',
    ]);
  });

  it('of configuration B on the CT phantom (the others: npm run conformance:radiomics)', { timeout: 60_000 }, () => {
    const { configurations } = readJson(folder!, 'ibsi1/configurations.json') as {
      configurations: Record<string, Configuration>;
    };
    const image = readImage(folder!, 'ibsi1/ct_phantom/phantom.nii.gz');
    const mask = readImage(folder!, 'ibsi1/ct_phantom/mask.nii.gz');
    const { missed, compared } = compare('config_B', extractIbsi(image, mask, settingsOf(configurations.B!)));
    expect(missed).toEqual([]);
    expect(compared).toBe(406);
  });

  it('are of the configurations as the documentation writes them', () => {
    const { configurations } = readJson(folder!, 'ibsi1/configurations.json') as {
      configurations: Record<string, Configuration>;
    };
    const written = readFileSync('docs/ibsi.md', 'utf8').matchAll(/\n([A-E]):\n```yaml\n([^`]*)```/g);
    const names: string[] = [];
    for (const [, name, yaml] of written) {
      names.push(name!);
      const settings = ibsiSettingsSchema.parse(parse(yaml!));
      expect({ ...settings, diagnostics: true }, name).toEqual(settingsOf(configurations[name!]!));
    }
    expect(names).toEqual(Object.keys(configurations));
  });

  it('have the codes of IBSI’s list of features', () => {
    const rows = readRows(folder!, 'feature_tables/ibsi1_features.csv');
    expect(Object.fromEntries(rows.map((row) => [row.tag, row.ibsi_code]))).toEqual(IBSI_CODES);
  });
});

/** A random image of four grey levels and a blob-like mask on it, with `pad` voxels of nothing before it on every axis. */
function randomCase(seed: number, pad = 0, order: readonly [number, number, number] = [0, 1, 2]): [Volume, Volume] {
  const random = seededRandom('ibsi features', seed);
  const size = [7, 6, 5] as const;
  const levels = Array.from({ length: 210 }, () => 1 + random.integer(4));
  const inside = Array.from({ length: 210 }, () => random.uniform() < 0.8);
  const spacing = [1.5, 1.5, 1.5] as const;
  const at = (p: readonly number[]): number => {
    const q = [0, 0, 0];
    order.forEach((from, to) => {
      q[from] = p[to]! - pad;
    });
    const outside = q.some((value, axis) => value < 0 || value >= size[axis]!);
    return outside ? -1 : q[0]! + size[0] * (q[1]! + size[1] * q[2]!);
  };
  const turned = order.map((axis) => size[axis]! + 2 * pad) as unknown as readonly [number, number, number];
  const grid = testGrid(turned, { spacingMm: spacing });
  const value = (of: readonly (number | boolean)[], none: number) => (x: number, y: number, z: number) => {
    const k = at([x, y, z]);
    return k < 0 ? none : Number(of[k]);
  };
  return [testVolume(grid, Float64Array, value(levels, 3)), testVolume(grid, Uint8Array, value(inside, 0))];
}

function expectEqualFeatures(got: FeatureSet, want: FeatureSet, only: (tag: string) => boolean): void {
  let compared = 0;
  for (const [tag, { value }] of want) {
    if (!only(tag)) continue;
    compared++;
    const other = got.get(tag)!.value!;
    expect(Math.abs(other - value!), tag).toBeLessThanOrEqual(1e-6 * Math.abs(value!) + 1e-9);
  }
  expect(compared).toBeGreaterThan(100);
}

describe('IBSI features', () => {
  it('do not change when the region moves within the image', () => {
    const want = extractIbsi(...randomCase(1), ALL);
    // The 1 cm³ sphere sees what lies around the region, which is another image here.
    expectEqualFeatures(extractIbsi(...randomCase(1, 2), ALL), want, (tag) => !tag.startsWith('loc_'));
  });

  it('in 3D do not change when axes are exchanged', () => {
    const settings = ibsiSettingsSchema.parse({});
    const want = extractIbsi(...randomCase(2), settings);
    for (const order of [
      [1, 0, 2],
      [2, 1, 0],
      [1, 2, 0],
    ] as const)
      expectEqualFeatures(extractIbsi(...randomCase(2, 0, order), settings), want, () => true);
  });

  it('scale with the voxel as lengths, areas and volumes do', () => {
    const [image, mask] = randomCase(3);
    const settings = ibsiSettingsSchema.parse({ families: ['morphology'] });
    const one = extractIbsi(image, mask, settings);
    const spacingMm = [3, 3, 3] as const;
    const two = extractIbsi({ ...image, spacingMm }, { ...mask, spacingMm }, settings);
    const ratio = (tag: string): number => two.get(tag)!.value! / one.get(tag)!.value!;
    for (const tag of ['morph_volume', 'morph_vol_approx', 'morph_integ_int']) expect(ratio(tag)).toBeCloseTo(8, 9);
    expect(ratio('morph_area_mesh')).toBeCloseTo(4, 9);
    for (const tag of ['morph_com', 'morph_diam', 'morph_pca_maj_axis', 'morph_pca_least_axis'])
      expect(ratio(tag)).toBeCloseTo(2, 9);
    for (const tag of one.keys())
      if (/dens|moran|geary|comp|spher|elong|flat/.test(tag)) expect(ratio(tag), tag).toBeCloseTo(1, 6);
  });

  it('are null with a reason where the definition gives nothing', () => {
    const grid = testGrid([4, 4, 3]);
    const flat = testVolume(grid, Float64Array, () => 2);
    const whole = testVolume(grid, Uint8Array, () => 1);
    const one = extractIbsi(flat, whole, ALL);
    for (const tag of ['cm_corr_3D_avg', 'cm_info_corr1_2D_comb', 'morph_moran_i', 'ivh_v10'])
      expect(one.get(tag), tag).toMatchObject({ value: null, reason: expect.any(String) });
    // IBSI reference manual, sections 3.3.3, 3.3.4, 3.4.3, 3.4.4 and 3.5.6: 0 where the variance is 0, and for one grey level.
    for (const tag of ['stat_skew', 'stat_kurt', 'ih_skew', 'ih_kurt', 'ivh_auc'])
      expect(one.get(tag)!.value, tag).toBe(0);
    expect(one.get('ngt_coarseness_3D')!.value).toBe(1e6);
    expect(one.get('ngt_busyness_2D')!.value).toBe(0);
    expect(one.get('stat_var')!.value).toBe(0);

    const nothing = extractIbsi(
      flat,
      testVolume(grid, Uint8Array, () => 0),
      ALL,
    );
    const left = extractIbsi(flat, whole, ibsiSettingsSchema.parse({ ...ALL, resegmentation: { range: [5, 9] } }));
    expect([...nothing.keys()]).toEqual([...one.keys()]);
    expect([...left.keys()]).toEqual([...one.keys()]);
    for (const [tag, { value, reason }] of nothing) {
      expect(value, tag).toBeNull();
      expect(reason, tag).toMatch(/empty/);
    }
    expect(left.get('morph_volume')!.value).toBeGreaterThan(0);
    expect(left.get('morph_com')).toMatchObject({ value: null });
    expect(left.get('cm_contrast_3D_avg')).toMatchObject({ value: null });

    const single = extractIbsi(
      flat,
      testVolume(grid, Uint8Array, (x, y, z) => (x === 1 && y === 1 && z === 1 ? 1 : 0)),
      ALL,
    );
    for (const tag of ['cm_contrast_3D_avg', 'ngt_contrast_3D', 'morph_pca_maj_axis', 'morph_geary_c'])
      expect(single.get(tag), tag).toMatchObject({ value: null, reason: expect.any(String) });
    expect(single.get('morph_volume')!.value).toBeCloseTo(1 / 6, 12);
    expect(single.get('rlm_sre_3D_avg')!.value).toBe(1);
    for (const { value } of single.values()) expect(value === null || Number.isFinite(value)).toBe(true);
  });

  it('say so where intensities are not grey levels and no discretisation is asked for', () => {
    const grid = testGrid([3, 3, 3]);
    const image = testVolume(grid, Float64Array, (x) => x + 0.5);
    const features = extractIbsi(
      image,
      testVolume(grid, Uint8Array, () => 1),
      ALL,
    );
    expect(features.get('cm_contrast_3D_avg')!.reason).toMatch(/discretisation/);
    expect(features.get('ih_mean')!.reason).toMatch(/discretisation/);
    expect(features.get('stat_mean')!.value).toBe(1.5);
  });
});
