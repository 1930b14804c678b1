import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { growBox } from '../../site-agent/imaging/crop.js';
import { type Interpolator, resampleVolume } from '../../site-agent/imaging/interpolate.js';
import { readNrrd } from '../../site-agent/imaging/nrrd.js';
import { roiOf } from '../../site-agent/imaging/roi.js';
import type { Samples, Volume } from '../../site-agent/imaging/volume.js';
import type { FilterSettings } from '../../site-agent/radiomics/filters/filter.js';
import { IMAGE_TYPE_FILTERS } from '../../site-agent/radiomics/filters/pyradiomics.js';
import { referenceFolder } from '../support/reference.js';

const folder = referenceFolder('CONCORDAT_REFERENCE', 'radiomics/pyradiomics');
const read = (path: string): Volume => readNrrd(readFileSync(join(folder!, path)));

/** Largest difference of two volumes of one size, and the number of samples that differ. */
function differences(got: Samples, want: Samples): { readonly largest: number; readonly count: number } {
  expect(got.length).toBe(want.length);
  let largest = 0;
  let count = 0;
  for (let i = 0; i < want.length; i++) {
    if (got[i] === want[i]) continue;
    count++;
    largest = Math.max(largest, Math.abs(got[i]! - want[i]!));
  }
  return { largest, count };
}

describe.skipIf(folder === null)('brain1 as PyRadiomics filters it', () => {
  const image = folder === null ? null : read('images/brain1_image.nrrd');
  const types: [keyof typeof IMAGE_TYPE_FILTERS, FilterSettings][] = [
    ['LoG', { sigma: [1, 3, 5] }],
    ['Wavelet', {}],
    ['Square', {}],
    ['SquareRoot', {}],
    ['Logarithm', {}],
    ['Exponential', {}],
    ['Gradient', {}],
    ['LBP2D', {}],
  ];

  /**
   * Where log, exp, sin and cos enter, whose last bit differs between machines, a sample in ten thousand may round to the neighbouring
   * float32: of values below 256 for LoG, below 4096 for the others.
   */
  const NEIGHBOUR: Partial<Record<keyof typeof IMAGE_TYPE_FILTERS, number>> = {
    LoG: 2 ** -16,
    Logarithm: 2 ** -12,
    Exponential: 2 ** -12,
  };

  it.each(types)('%s around the region of interest: equal after rounding to the file’s float32', (type, settings) => {
    const roi = roiOf(read('images/brain1_label.nrrd'));
    const region = growBox(roi.box!, 3, image!.size);
    let compared = 0;
    for (const { name, volume } of IMAGE_TYPE_FILTERS[type]({ image: image!, region }, settings)) {
      const file = `intermediate/brain1_${name}_crop.nrrd`;
      if (!existsSync(join(folder!, file))) continue;
      const want = read(file);
      expect(volume.size).toEqual(want.size);
      for (const axis of [0, 1, 2]) expect(volume.origin[axis]).toBeCloseTo(want.origin[axis]!, 9);
      const { largest, count } = differences(Float32Array.from(volume.data), want.data);
      expect(largest, `${name}: ${count} differ`).toBeLessThanOrEqual(NEIGHBOUR[type] ?? 0);
      expect(count).toBeLessThan(want.data.length / 10000);
      compared++;
    }
    expect(compared).toBeGreaterThan(0);
  });

  it.each([
    ['bspline', 'brain1_resampled_bspline', false],
    ['bspline', 'brain1_resampled_bspline_float', true],
    ['linear', 'brain1_resampled_linear', false],
    ['nearest', 'brain1_resampled_mask', false],
  ] as [Interpolator, string, boolean][])('resampled to 2 mm, %s: every voxel of %s', (interpolator, name, asFloat) => {
    const want = read(`intermediate/${name}.nrrd`);
    const source = name.endsWith('mask') ? read('images/brain1_label.nrrd') : image!;
    const pixelType = asFloat ? new Float32Array() : source.data;
    const got = resampleVolume(source, want, interpolator, { pixelType });
    expect(differences(got.data, want.data)).toEqual({ largest: 0, count: 0 });
  });
});
