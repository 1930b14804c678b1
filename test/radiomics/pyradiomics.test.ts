import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { roiOf } from '../../site-agent/imaging/roi.js';
import type { Volume } from '../../site-agent/imaging/volume.js';
import type { FeatureSet } from '../../site-agent/radiomics/feature.js';
import { CATALOGUE, type FeatureClass } from '../../site-agent/radiomics/features/catalogue.js';
import { meshDiameters } from '../../site-agent/radiomics/features/diameter.js';
import { meshMeasures, paddedRegion } from '../../site-agent/radiomics/features/mesh.js';
import { radiomicsFolder, readImage, testGrid, testVolume } from '../support/images.js';
import { readJson, readRows } from '../support/reference.js';
import { Comparison, featuresOf, inputOf, needsPreprocessing, type Parameters } from './pyradiomics-cases.js';

/** Feature classes against PyRadiomics 8ed5793: every case in the reference folder that needs no preprocessing. */
const folder = radiomicsFolder();
const below = (...path: string[]): string => join(folder!, 'pyradiomics', ...path);

/** "original_glcm_Contrast" → class and name. */
function named(key: string): { featureClass: FeatureClass; name: string } {
  const [, featureClass, name] = key.split('_') as [string, FeatureClass, string];
  return { featureClass, name };
}

function compareAll(comparison: Comparison, where: string, want: Record<string, number>, input: Case): void {
  const sets = new Map<FeatureClass, FeatureSet>();
  for (const [key, value] of Object.entries(want)) {
    const { featureClass, name } = named(key);
    if (!sets.has(featureClass)) sets.set(featureClass, featuresOf(featureClass, inputOf(...input)));
    comparison.add(`${where} ${key}`, sets.get(featureClass)!.get(name)?.value, value);
  }
}
/** What one case is computed from. */
type Case = [image: Volume, mask: Volume, settings: Parameters];

describe.skipIf(folder === null)('feature classes are those of PyRadiomics', () => {
  const tables = folder === null ? [] : Object.entries(baselines());
  it.each(tables)('baseline %s', (key, { settings, labelFile, cases }) => {
    const comparison = new Comparison();
    const [one] = cases;
    const { case: name, feature_class: featureClass } = one as { case: string; feature_class: FeatureClass };
    const flat = (volume: Volume): Volume => (featureClass === 'shape2D' ? slice(volume, SLICES[name]!) : volume);
    const label = existsSync(below('images', labelFile)) ? labelFile : `${name}_label.nrrd`;
    const mask = flat(readImage(below('images', label)));
    const imageFile = below('images', `${name}_image.nrrd`);
    const image = existsSync(imageFile) ? flat(readImage(imageFile)) : mask;
    const features = featuresOf(featureClass, inputOf(image, mask, settings));
    for (const row of cases)
      comparison.add(`${key} ${row.feature}`, features.get(row.feature!)?.value, Number(row.want));
    expect(comparison.off).toEqual([]);
    expect(comparison.compared).toBeGreaterThan(4);
  });

  it('synthetic edge cases', () => {
    const comparison = new Comparison();
    for (const one of readJson(below('synthetic', 'expected.json')) as SyntheticCase[]) {
      if (one.error !== undefined || needsPreprocessing(one.setting)) continue;
      const image = readImage(below('synthetic', `${one.case}_image.nrrd`));
      const mask = readImage(below('synthetic', `${one.case}_mask.nrrd`));
      const want = { ...one.features };
      for (const key of one.nonfinite ?? []) want[key] = Number.NaN;
      compareAll(comparison, one.case, want, [image, mask, one.setting]);
    }
    expect(comparison.off).toEqual([]);
    expect(comparison.compared).toBeGreaterThan(1000);
  });

  it('golden extractions of the original image', () => {
    const comparison = new Comparison();
    let sets = 0;
    for (const file of readdirSync(below('golden')).filter((name) => name.endsWith('.json'))) {
      const { params, features, ...golden } = readJson(below('golden', file)) as GoldenSet;
      const files = IMAGES[golden.case];
      if (Object.keys(params.imageType).join() !== 'Original' || needsPreprocessing(params.setting) || !files) continue;
      sets++;
      const [image, mask] = files.map((name) => readImage(folder!, name)) as [Volume, Volume];
      compareAll(comparison, file, features, [image, mask, params.setting]);
    }
    expect(comparison.off).toEqual([]);
    expect(sets).toBeGreaterThan(3);
  });

  it('surface, volume and diameters of all 255 masks of 2 × 2 × 2 voxels', () => {
    const comparison = new Comparison();
    const { cases } = readJson(below('mesh_256_configs.json')) as { cases: MeshCase[] };
    for (const one of cases) {
      const [z, y, x] = one.spacing_zyx;
      const grid = testGrid([2, 2, 2], { spacingMm: [x, y, z] });
      const mask = testVolume(grid, Uint8Array, (i, j, k) => (one.config >> (i + 2 * j + 4 * k)) & 1);
      // The whole grid, as these were computed: where the surface is open, its volume depends on the box.
      const region = paddedRegion(roiOf(mask), { lower: [0, 0, 0], upper: [1, 1, 1] });
      const { areaMm2, volumeMm3 } = meshMeasures(region, grid.spacingMm);
      const { any, slice, column, row } = meshDiameters(region, grid.spacingMm);
      const want = [one.surfaceArea, one.meshVolume, one.max3D, one.max2DSlice, one.max2DColumn, one.max2DRow];
      for (const [k, got] of [areaMm2, volumeMm3, any, slice, column, row].entries())
        comparison.add(`${one.config} ${grid.spacingMm} ${k}`, got, want[k]!);
    }
    expect(comparison.off).toEqual([]);
    expect(comparison.compared).toBe(6 * cases.length);
  });

  it('names, codes and what is deprecated', () => {
    const rows = readRows(folder!, 'feature_tables', 'pyradiomics_features.csv');
    const got = Object.entries(CATALOGUE).flatMap(([featureClass, entries]) =>
      entries.map(({ name, code, deprecated }) => [featureClass, name, code ?? '', deprecated ? 'yes' : 'no'].join()),
    );
    expect(got.sort()).toEqual(
      rows.map((row) => [row.feature_class, row.feature, row.ibsi_code, row.deprecated].join()).sort(),
    );
  });
});

interface SyntheticCase {
  case: string;
  setting: Parameters;
  error?: string;
  features: Record<string, number>;
  nonfinite?: string[];
}
interface GoldenSet {
  case: string;
  params: { imageType: object; setting: Parameters };
  features: Record<string, number>;
}
interface MeshCase {
  config: number;
  spacing_zyx: [number, number, number];
  surfaceArea: number;
  meshVolume: number;
  max3D: number;
  max2DSlice: number;
  max2DColumn: number;
  max2DRow: number;
}
const IMAGES: Record<string, [string, string]> = {
  brain1: ['pyradiomics/images/brain1_image.nrrd', 'pyradiomics/images/brain1_label.nrrd'],
  ibsi_ct_phantom: ['ibsi1/ct_phantom/phantom.nii.gz', 'ibsi1/ct_phantom/mask.nii.gz'],
  ibsi_digital_phantom: ['ibsi1/digital_phantom/phantom.nii.gz', 'ibsi1/digital_phantom/mask.nii.gz'],
};
/** The slice of each label on which shape2D was computed. */
const SLICES: Record<string, number> = { brain1: 16, lung1: 33 };

interface Baseline {
  settings: Parameters;
  labelFile: string;
  cases: Record<string, string>[];
}

/** Rows of the baseline table by "test/class", without those that need preprocessing or an image that is not there. */
function baselines(): Record<string, Baseline> {
  const settings = readJson(below('baseline', 'pyradiomics_baseline_settings.json')) as Record<string, never>;
  const found: Record<string, Baseline> = {};
  for (const row of readRows(below('baseline', 'pyradiomics_baseline.csv'))) {
    const key = `${row.test}/${row.feature_class}`;
    const entry = settings[key] as { settings: Parameters; labelFile: string; imageTypes: object } | undefined;
    // Shipped values where the reference could not be run again: the outline in 2D, which needs the label alone.
    row.want = row.reproduced_8ed5793 || (row.mask_only === 'yes' ? row.value! : '');
    if (entry === undefined || row.want === '' || row.image_type !== 'original') continue;
    if (needsPreprocessing(entry.settings)) continue;
    found[key] ??= { settings: entry.settings, labelFile: entry.labelFile, cases: [] };
    found[key].cases.push(row);
  }
  return found;
}

/** One axial slice as a volume. */
function slice(volume: Volume, z: number): Volume {
  const [nx, ny] = volume.size;
  return { ...volume, size: [nx, ny, 1], data: volume.data.slice(z * nx * ny, (z + 1) * nx * ny) };
}
