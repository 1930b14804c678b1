import { describe, expect, it } from 'vitest';
import type { Samples } from '../../site-agent/imaging/volume.js';
import { type Extraction, extract, extractMaps, type Source } from '../../site-agent/radiomics/extract.js';
import { numpySum } from '../../site-agent/radiomics/features/numpy-sum.js';
import { parseSettings } from '../../site-agent/radiomics/settings.js';
import { testGrid } from '../support/images.js';

/**
 * Cases at the edges of what PyRadiomics defines. Numbers are those of PyRadiomics 3.0.1 with numpy 1.24.2, SciPy 1.10.1 and SimpleITK
 * 2.1.1, on the same arrays.
 */
const settings = (params: unknown) => parseSettings(JSON.stringify(params), 'params.json').settings;
const run = (source: Source, params: unknown): Extraction => extract(source, settings(params));

/** The image, with the region where `inside` is 1; arrays are in (z, y, x) order, x fastest. */
function sourceOf(size: [number, number, number], data: Samples, inside: ArrayLike<number>): Source {
  const grid = testGrid(size, { spacingMm: [1, 1, 1] });
  return { image: { ...grid, data }, mask: { ...grid, data: Uint8Array.from(inside) } };
}

function valuesOf(got: Extraction): Record<string, number | null> {
  if (got.status !== 'ok') throw new Error(got.reason.message);
  return Object.fromEntries([...got.features].map(([name, { value }]) => [name, value]));
}

describe('where PyRadiomics’ arithmetic decides', () => {
  it('adds in numpy’s order, so that the mean of equal values is that value as often as there', () => {
    const flat = sourceOf(
      [5, 4, 3],
      new Float64Array(60).fill(0.1),
      Array.from({ length: 60 }, (_, k) => (k < 10 || k === 20 ? 1 : 0)),
    );
    expect(valuesOf(run(flat, { featureClass: { firstorder: ['Mean', 'Skewness', 'Kurtosis'] } }))).toEqual({
      original_firstorder_Mean: 0.1,
      original_firstorder_Skewness: 0,
      original_firstorder_Kurtosis: 0,
    });
    // The sum of n times 0.1, divided by n: numpy 1.24.2 gives 0.1 for all of these but 27.
    const means = [5, 11, 27, 121].map((n) => numpySum(new Float64Array(n).fill(0.1)) / n === 0.1);
    expect(means).toEqual([true, true, false, true]);
  });

  it('compares a float32 image with thresholds in float32', () => {
    const values = Float32Array.from([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]);
    const source = sourceOf([6, 1, 2], values, [1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 0]);
    const range = (setting: object): (number | null)[] =>
      Object.values(
        valuesOf(
          run(source, {
            featureClass: { firstorder: ['Minimum', 'Maximum'] },
            setting: { binWidth: 0.05, ...setting },
          }),
        ),
      );
    const [two, three, four] = [0.20000000298023224, 0.30000001192092896, 0.4000000059604645];
    expect(range({ resegmentRange: [0.2, 0.4] })).toEqual([two, four]);
    expect(range({ resegmentRange: [0.5, 0.8], resegmentMode: 'relative' })).toEqual([three, four]);
    expect(range({ resegmentRange: [-1, 1], resegmentMode: 'sigma' })).toEqual([two, four]);
  });

  it('calls the samples of a sphere equal in float32 where SciPy does', () => {
    const at = (k: number) => (k % 5) + (Math.floor(k / 5) % 5) + Math.floor(k / 25);
    const middle = Array.from({ length: 125 }, (_, k) =>
      [k % 5, Math.floor(k / 5) % 5, Math.floor(k / 25)].every((x) => x > 0 && x < 4) ? 1 : 0,
    );
    const waves = (base: number, step: number): Source =>
      sourceOf(
        [5, 5, 5],
        Float32Array.from({ length: 125 }, (_, k) => base + (at(k) % 3) * step),
        middle,
      );
    const params = {
      imageType: { LBP3D: {} },
      featureClass: { firstorder: ['Mean'] },
      setting: { binWidth: 0.1 },
    };
    const got = valuesOf(run(waves(10, 3.3), params));
    expect(got['lbp-3D-m1_firstorder_Mean']).toBeCloseTo(10.830140129008544, 12);
    expect(got['lbp-3D-m2_firstorder_Mean']).toBeCloseTo(9.405102217973736, 12);
    expect(got['lbp-3D-k_firstorder_Mean']).toBeCloseTo(-1.2070841480184484, 6);
    // Steps of float32's rounding: no kurtosis anywhere, which ends PyRadiomics' extraction.
    expect(run(waves(1000, 6.2e-5), params)).toMatchObject({ status: 'failed', reason: { code: 'IMAGE_NOT_FINITE' } });
  });
});

describe('where PyRadiomics stops or leaves out', () => {
  it('has no z-scores of an image of one intensity, and the shape of its region all the same', () => {
    const flat = sourceOf(
      [5, 4, 3],
      new Int16Array(60).fill(7),
      Array.from({ length: 60 }, (_, k) => (k < 10 || k === 20 ? 1 : 0)),
    );
    for (const imageType of [{ Original: {} }, { Square: {} }])
      expect(run(flat, { imageType, featureClass: { firstorder: [] }, setting: { normalize: true } })).toMatchObject({
        status: 'failed',
        reason: { code: 'IMAGE_NOT_FINITE' },
      });
    const shape = run(flat, { featureClass: { shape: ['VoxelVolume'] }, setting: { normalize: true } });
    expect(valuesOf(shape)).toEqual({ original_shape_VoxelVolume: 11 });
  });

  it('takes force2Ddimension for x, y, z where it looks whether shape2D can be', () => {
    const box = (x: [number, number], y: [number, number], z: [number, number]): Source =>
      sourceOf(
        [5, 4, 3],
        Int16Array.from({ length: 60 }, (_, k) => k),
        Array.from({ length: 60 }, (_, k) => {
          const at = [k % 5, Math.floor(k / 5) % 4, Math.floor(k / 20)] as const;
          return [x, y, z].every(([from, to], axis) => at[axis]! >= from && at[axis]! <= to) ? 1 : 0;
        }),
      );
    const surface = (force2Ddimension: number, source: Source) =>
      valuesOf(
        run(source, {
          featureClass: { shape2D: ['PixelSurface'] },
          setting: { force2D: true, force2Ddimension, minimumROIDimensions: 1 },
        }),
      );
    expect(surface(0, box([1, 3], [0, 2], [1, 1]))).toEqual({ original_shape2D_PixelSurface: 9 });
    expect(surface(1, box([1, 3], [2, 2], [0, 2]))).toEqual({});
    expect(surface(2, box([2, 2], [0, 2], [0, 2]))).toEqual({ original_shape2D_PixelSurface: 9 });
    expect(surface(0, box([2, 2], [0, 2], [1, 1]))).toEqual({});
    expect(surface(2, box([2, 2], [0, 2], [1, 1]))).toEqual({});
  });

  it('gives shape before shape2D, whatever the order of the file', () => {
    const slab = sourceOf(
      [3, 3, 1],
      Int16Array.from({ length: 9 }, (_, k) => k),
      new Array(9).fill(1),
    );
    const got = run(slab, {
      featureClass: { firstorder: ['Mean'], shape2D: ['PixelSurface'], shape: ['VoxelVolume'] },
      setting: { force2D: true },
    });
    expect(Object.keys(valuesOf(got))).toEqual([
      'original_shape_VoxelVolume',
      'original_shape2D_PixelSurface',
      'original_firstorder_Mean',
    ]);
  });

  it('has no least axis of voxels in a slanting plane, and no minor one of voxels on a slanting line', () => {
    const axes = (of: (x: number, y: number, z: number) => boolean) => {
      const inside = Array.from({ length: 343 }, (_, k) =>
        of(k % 7, Math.floor(k / 7) % 7, Math.floor(k / 49)) ? 1 : 0,
      );
      const source = sourceOf([7, 7, 7], new Int16Array(343), inside);
      const image = { ...source.image, spacingMm: [0.7, 1.3, 2.9] as const };
      const params = {
        featureClass: { shape: ['LeastAxisLength', 'MinorAxisLength', 'Flatness'] },
        setting: { minimumROIDimensions: 1 },
      };
      return Object.values(valuesOf(run({ image, mask: { ...source.mask, spacingMm: image.spacingMm } }, params)));
    };
    expect(axes((x, y, z) => x === y && y === z)).toEqual([0, 0, 0]);
    const plane = axes((x, y, z) => x + y === 2 * z);
    expect([plane[0], plane[2]]).toEqual([0, 0]);
    expect(plane[1]).toBeGreaterThan(1);
  });

  it('marks a last co-occurrence matrix without a pair, and sums no differences of one level', () => {
    const two = sourceOf([4, 1, 1], new Int16Array(4).fill(7), [1, 0, 1, 0]);
    const got = run(two, {
      featureClass: { glcm: ['MCC', 'InverseVariance', 'Contrast'] },
      setting: { weightingNorm: 'euclidean', minimumROIDimensions: 1 },
    });
    expect(valuesOf(got)).toEqual({
      original_glcm_MCC: null,
      original_glcm_InverseVariance: 0,
      original_glcm_Contrast: null,
    });
  });
});

describe('a run-length matrix that is empty', () => {
  const names = ['RunEntropy', 'RunVariance', 'LongRunEmphasis'];
  const of = (source: Source, setting: object): (number | null)[] =>
    Object.values(valuesOf(run(source, { featureClass: { glrlm: names }, setting: { binWidth: 1, ...setting } })));

  it('has no entropy and no variance of its lengths where it is the only one, and nothing beside others', () => {
    const apart = sourceOf([4, 2, 1], Int16Array.from([7, 1, 1, 1, 1, 1, 9, 1]), [1, 0, 0, 0, 0, 0, 1, 0]);
    expect(of(apart, {})).toEqual([null, null, null]);
    expect(of(apart, { weightingNorm: 'euclidean' })).toEqual([0, 0, null]);
    const oneDirection = sourceOf([2, 3, 1], Int16Array.from([7, 1, 1, 1, 1, 9]), [1, 0, 0, 0, 0, 1]);
    expect(of(oneDirection, { force2D: true, force2Ddimension: 2 })).toEqual([0, 0, null]);
  });
});

describe('a filtered image with voxels that hold no number', () => {
  // Where all samples around a pixel are equal their variance is NaN: LBP2D's `var`, in the flat half of this image.
  const values = Array.from({ length: 72 }, (_, k) => (k % 36 < 18 ? 9 : (k * 7) % 23));
  const inside = values.map((_, k) => (k === 1 ? 0 : 1));
  const featureClass = {
    firstorder: ['Mean', 'Entropy', 'Skewness'],
    glcm: ['JointAverage'],
    gldm: ['HighGrayLevelEmphasis'],
  };
  const imageType = { LBP2D: { lbp2DMethod: 'var' } };
  const of = (data: Samples, setting: object) =>
    Object.values(valuesOf(run(sourceOf([6, 6, 2], data, inside), { imageType, featureClass, setting })));

  it('passes them by in statistics, and gives them the highest grey level where bins have a width', () => {
    const want = [22.280686295174082, 3.2118701317436202, 0.49944936562511727, 5.712320966376031, 42.267605633802816];
    const got = of(Float64Array.from(values), { binWidth: 5 });
    for (const [k, value] of want.entries()) expect(got[k]).toBeCloseTo(value, 10);
    expect(of(Float64Array.from(values), { binCount: 5 })).toEqual([null, null, null, null, null]);
  });

  it('makes of them in 32-bit integers what the processor makes of NaN', () => {
    const [mean, entropy, skewness, average] = of(Int32Array.from(values), { binWidth: 1e9 });
    expect(mean).toBeCloseTo(-241969969.18309858, 6);
    expect(entropy).toBeCloseTo(0.5079353563991217, 12);
    expect(skewness).toBeCloseTo(-2.4498947175305563, 10);
    expect(average).toBeCloseTo(3.5712199274800507, 12);
  });
});

describe('voxel maps in batches', () => {
  const image = Int16Array.from([1, 1, 4, 2, 3, 1, 1, 2, 1, 5, 1, 1, 2, 2, 1, 1, 1, 3, 1, 4, 1, 1, 1, 6]);
  const inside = [1, 1, 1, 0, 0, 1, 1, 0, 1, 0, 0, 1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 0, 0, 1];

  function maps(setting: object, voxelSetting: object): Record<string, number[]> {
    const params = {
      featureClass: { glcm: ['MCC', 'JointAverage', 'InverseVariance'] },
      setting,
      voxelSetting: { initValue: -1, ...voxelSetting },
    };
    const got = extractMaps(sourceOf([4, 3, 2], image, inside), settings(params));
    if (got.status !== 'ok') throw new Error(got.reason.message);
    const rounded = (value: number) => Number(value.toFixed(10));
    return Object.fromEntries(
      got.maps.map(({ name, volume }) => [
        name.replace('original_glcm_', ''),
        Array.from(volume.data, rounded).filter((_, k) => inside[k] === 1),
      ]),
    );
  }

  it('leaves MCC at the initial value and JointAverage NaN where a direction is empty in a part of the batch', () => {
    const together = maps({ binWidth: 1 }, {});
    expect(together['MCC']).toEqual(new Array(14).fill(-1));
    const none = Number.NaN;
    expect(together['JointAverage']).toEqual([
      none,
      1.6423076923,
      2.0897435897,
      1.5884615385,
      2.1698717949,
      none,
      none,
      1.6423076923,
      2.0897435897,
      none,
      1.5884615385,
      none,
      none,
      none,
    ]);
    const alone = maps({ binWidth: 1 }, { voxelBatch: 1 });
    expect(alone['MCC']).toEqual([
      0.6060606061, 0.6483516484, 0.6538461538, 0.6073260073, 0.7333333333, 0.3333333333, 0.8333333333, 0.6483516484,
      0.6538461538, 0.5, 0.6073260073, 0.7777777778, 0.3333333333, 0.8333333333,
    ]);
    expect(alone['JointAverage']).toEqual([
      1.4545454545, 1.6423076923, 2.0897435897, 1.5884615385, 2.1698717949, 1.375, 3, 1.6423076923, 2.0897435897,
      1.4375, 1.5884615385, 2.75, 1.375, 3,
    ]);
  });

  it('merges weighted directions before it looks for empty ones, and takes one grey level for what it is', () => {
    expect(maps({ binWidth: 1, weightingNorm: 'euclidean' }, { voxelBatch: 4 })['MCC']).toEqual([
      0.3055034811, 0.2837414576, 0.3432955997, 0.2444970733, 0.3362855762, 0.2787183598, 0.5378620674, 0.2837414576,
      0.3432955997, 0.2879554315, 0.2444970733, 0.4734645317, 0.2787183598, 0.5378620674,
    ]);
    expect(maps({ binCount: 1, weightingNorm: 'no_weighting' }, {})).toEqual({
      MCC: new Array(14).fill(1),
      JointAverage: new Array(14).fill(1),
      InverseVariance: new Array(14).fill(0),
    });
  });
});
