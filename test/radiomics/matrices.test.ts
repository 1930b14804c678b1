import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { glcmCounts, gldmCounts, glszmCounts, ngtdmSums } from '../../site-agent/radiomics/features/counts.js';
import { discretize } from '../../site-agent/radiomics/features/discretize.js';
import { directions } from '../../site-agent/radiomics/features/neighbourhood.js';
import { glrlmCounts } from '../../site-agent/radiomics/features/run-counts.js';
import { sizeCountsOf } from '../../site-agent/radiomics/features/size-emphasis.js';
import { radiomicsFolder, readImage } from '../support/images.js';
import { readNpy } from '../support/npy.js';
import { Comparison, inputOf } from './pyradiomics-cases.js';

/** The texture matrices that PyRadiomics ships for brain1 with its default settings; columns of sizes that do not occur are left out. */
const folder = radiomicsFolder();
const matrix = (name: string): string => join(folder!, 'pyradiomics/baseline/matrices', `brain1_${name}.npy`);
const there = folder !== null && existsSync(matrix('glcm'));

describe.skipIf(!there)('texture matrices of brain1 are those of PyRadiomics', () => {
  const image = there ? readImage(folder!, 'pyradiomics/images/brain1_image.nrrd') : null;
  const mask = there ? readImage(folder!, 'pyradiomics/images/brain1_label.nrrd') : null;
  const input = there ? inputOf(image!, mask!, {}) : null;
  const grid = there ? discretize(input!).grid : null;
  const steps = there ? directions(grid!.extent, [1], input!.settings) : [];
  const n = grid?.greyLevels.length ?? 0;

  /** By level and size, as the reference has it: rows all levels, columns the sizes that occur. */
  function compare(
    name: string,
    layers: readonly { level: Int32Array; size: Int32Array; count: Float64Array }[],
  ): void {
    const want = readNpy(matrix(name));
    const sizes = [...new Set(layers.flatMap(({ size }) => [...size]))].sort((a, b) => a - b);
    expect(want.shape.slice(0, 2)).toEqual([n, sizes.length]);
    const comparison = new Comparison();
    for (const [a, { level, size, count }] of layers.entries()) {
      const got = new Float64Array(n * sizes.length);
      for (let k = 0; k < count.length; k++) got[level[k]! * sizes.length + sizes.indexOf(size[k]!)] = count[k]!;
      for (let i = 0; i < n; i++)
        for (let j = 0; j < sizes.length; j++) {
          const index = layers.length === 1 ? [i, j] : [i, j, a];
          comparison.add(`${name} ${index}`, got[i * sizes.length + j], want.at(...index));
        }
    }
    expect(comparison.off).toEqual([]);
  }

  it('glcm, with its transpose and normalised', () => {
    const want = readNpy(matrix('glcm'));
    expect(want.shape).toEqual([n, n, steps.length]);
    const counts = glcmCounts(grid!, steps);
    const comparison = new Comparison();
    for (let a = 0; a < steps.length; a++) {
      const one = counts.subarray(a * n * n, (a + 1) * n * n);
      const pairs = one.reduce((sum, count) => sum + count, 0);
      for (let i = 0; i < n; i++)
        for (let j = 0; j < n; j++)
          comparison.add(`${i} ${j} ${a}`, (one[i * n + j]! + one[j * n + i]!) / (2 * pairs), want.at(i, j, a));
    }
    expect(comparison.off).toEqual([]);
  });

  it('glrlm', () => {
    const { counts, longest } = glrlmCounts(grid!, steps);
    compare(
      'glrlm',
      steps.map((_, a) => sizeCountsOf(counts, n, longest, a * n * longest)),
    );
  });

  it('glszm', () => compare('glszm', [glszmCounts(grid!, steps)]));

  it('gldm', () => compare('gldm', [sizeCountsOf(gldmCounts(grid!, steps), n, 2 * steps.length + 1)]));

  it('ngtdm', () => {
    const want = readNpy(matrix('ngtdm'));
    const { count, difference } = ngtdmSums(grid!, steps);
    const comparison = new Comparison();
    for (let i = 0; i < n; i++)
      for (const [k, got] of [count[i]!, difference[i]!, grid!.greyLevels[i]!].entries())
        comparison.add(`${i} ${k}`, got, want.at(i, k));
    expect(want.shape).toEqual([n, 3]);
    expect(comparison.off).toEqual([]);
  });
});
