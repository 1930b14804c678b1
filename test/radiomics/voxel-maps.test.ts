import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { IntensityClass } from '../../site-agent/radiomics/features/texture.js';
import { DEFAULT_VOXEL_SETTINGS, voxelMaps } from '../../site-agent/radiomics/voxel-maps.js';
import { radiomicsFolder, readImage } from '../support/images.js';
import { readJson } from '../support/reference.js';
import { Comparison, inputOf, type Parameters } from './pyradiomics-cases.js';

const folder = radiomicsFolder();
const below = (...path: string[]): string => join(folder!, 'pyradiomics', ...path);

describe.skipIf(folder === null)('voxel maps are those of PyRadiomics', () => {
  const sets = folder === null ? [] : readdirSync(below('voxel')).filter((name) => name.endsWith('.json'));
  it.each(sets)('%s', (file) => {
    const { case: name, params, maps } = readJson(below('voxel', file)) as VoxelSet;
    const image = readImage(below('images', `${name}_image.nrrd`));
    const mask = readImage(below('images', `${name}_label.nrrd`));
    const wanted = new Map(Object.entries(params.featureClass)) as Map<IntensityClass, string[]>;
    const got = voxelMaps(inputOf(image, mask, params.setting), wanted, {
      ...DEFAULT_VOXEL_SETTINGS,
      ...params.voxelSetting,
    });
    const comparison = new Comparison();
    for (const [key, { file: mapFile }] of Object.entries(maps)) {
      const want = readImage(below('voxel', mapFile));
      const map = got.get(key.replace(/^original_/, ''))!;
      expect(map.size).toEqual(want.size);
      for (let axis = 0; axis < 3; axis++) expect(map.origin[axis]).toBeCloseTo(want.origin[axis]!, 6);
      for (let k = 0; k < want.data.length; k++)
        comparison.add(`${key} ${k}`, Number.isNaN(map.data[k]) ? null : map.data[k]!, want.data[k]!);
    }
    expect(comparison.off.slice(0, 10)).toEqual([]);
    expect(comparison.compared).toBeGreaterThan(100_000);
  });
});

interface VoxelSet {
  case: string;
  params: { featureClass: Record<string, string[]>; setting: Parameters; voxelSetting: object };
  maps: Record<string, { file: string }>;
}
