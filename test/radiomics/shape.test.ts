import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../shared/rng.js';
import { DEFAULT_CLASS_SETTINGS } from '../../site-agent/radiomics/class-input.js';
import { largestDistance } from '../../site-agent/radiomics/features/diameter.js';
import { firstOrder, percentiles } from '../../site-agent/radiomics/features/first-order.js';
import { generalEigenvalues } from '../../site-agent/radiomics/features/general-eigen.js';
import { shape } from '../../site-agent/radiomics/features/shape.js';
import { shape2D } from '../../site-agent/radiomics/features/shape-2d.js';
import { intensityFeatures } from '../../site-agent/radiomics/features/texture.js';
import { REGION_CASES, regionOf } from './region-cases.js';

/** Every point of the surface: halfway between a voxel inside and a neighbour outside. */
function surfacePoints(levels: ReadonlyMap<string, number>): number[][] {
  return [...levels.keys()].flatMap((key) => {
    const at = key.split(',').map(Number);
    return [0, 1, 2].flatMap((axis) =>
      [-1, 1]
        .filter((way) => !levels.has(at.map((x, k) => (k === axis ? x + way : x)).join()))
        .map((way) => at.map((x, k) => (k === axis ? x + way / 2 : x))),
    );
  });
}

describe('shape', () => {
  it.each(REGION_CASES)('diameters of $name are the largest distances between any two points of its surface', (one) => {
    const { roi, mask, region } = regionOf(one);
    const features = shape({ image: mask, roi, settings: DEFAULT_CLASS_SETTINGS });
    const points = surfacePoints(region.levels);
    const want = { any: 0, slice: 0, column: 0, row: 0 };
    for (const a of points)
      for (const b of points) {
        const far = Math.hypot(...a.map((x, k) => (x - b[k]!) * one.spacingMm[k]!));
        want.any = Math.max(want.any, far);
        if (a[2] === b[2]) want.slice = Math.max(want.slice, far);
        if (a[1] === b[1]) want.column = Math.max(want.column, far);
        if (a[0] === b[0]) want.row = Math.max(want.row, far);
      }
    expect(features.get('Maximum3DDiameter')!.value).toBeCloseTo(want.any, 9);
    expect(features.get('Maximum2DDiameterSlice')!.value).toBeCloseTo(want.slice, 9);
    expect(features.get('Maximum2DDiameterColumn')!.value).toBeCloseTo(want.column, 9);
    expect(features.get('Maximum2DDiameterRow')!.value).toBeCloseTo(want.row, 9);
  });

  it('the search for the largest distance ends no earlier than it may', () => {
    const random = seededRandom('points on a sphere');
    for (let round = 0; round < 30; round++) {
      const points = Float64Array.from({ length: 120 }, () => random.normal());
      for (let k = 0; k < points.length; k += 3) {
        const length = Math.hypot(points[k]!, points[k + 1]!, points[k + 2]!) * (1 + 0.05 * random.uniform());
        for (let axis = 0; axis < 3; axis++) points[k + axis]! /= length;
      }
      let want = 0;
      for (let a = 0; a < points.length; a += 3)
        for (let b = 0; b < a; b += 3)
          want = Math.max(want, Math.hypot(...[0, 1, 2].map((k) => points[a + k]! - points[b + k]!)));
      expect(largestDistance(points)).toBeCloseTo(want, 12);
    }
  });

  it('computes deprecated features by name only, with codes, and 2D only in one slice', () => {
    const { roi, mask } = regionOf(REGION_CASES[0]!);
    const input = { image: mask, roi, settings: DEFAULT_CLASS_SETTINGS };
    expect(shape(input).has('Compactness1')).toBe(false);
    expect(shape(input).size).toBe(14);
    const [asked] = shape(input, ['Compactness1']).values();
    const { value: area } = shape(input).get('SurfaceArea')!;
    const { value: volume } = shape(input).get('MeshVolume')!;
    expect(asked!.code).toBe('SKGS');
    expect(asked!.value).toBeCloseTo(volume! / Math.sqrt(Math.PI * area! * area! * area!), 12);
    expect(shape2D(input).get('Perimeter')!.value).toBeNull();
    expect(shape2D(input).get('Perimeter')!.reason).toContain('force2D is off');
    const slice = regionOf(REGION_CASES.find(({ name }) => name === 'slice')!);
    const flat = { image: slice.mask, roi: slice.roi, settings: { ...DEFAULT_CLASS_SETTINGS, force2D: true } };
    // 7 × 7 pixels of 0.9 mm: the outline cuts half a pixel off each corner's diagonal.
    expect(shape2D(flat).get('MeshSurface')!.value).toBeCloseTo((49 - 4 / 8) * 0.81, 12);
    expect(shape2D(flat).get('Perimeter')!.value).toBeCloseTo(0.9 * (24 + 4 * Math.SQRT1_2), 12);
    expect(shape2D({ ...flat, roi }).get('Perimeter')!.reason).toContain('more than one slice');
  });
});

describe('numbers under the features', () => {
  it('percentiles are those of the sorted values, whole or not, many equal or none', () => {
    const random = seededRandom('percentiles');
    for (const make of [
      () => random.normal(),
      () => Math.round(40 * random.normal()),
      () => random.integer(3) / 3,
      () => 7.5,
    ])
      for (const n of [1, 2, 31, 500, 3001]) {
        const values = Float64Array.from({ length: n }, make);
        const sorted = values.slice().sort();
        for (const [k, got] of percentiles(values, [0, 10, 25, 50, 75, 90, 100]).entries()) {
          const at = ([0, 10, 25, 50, 75, 90, 100][k]! / 100) * (n - 1);
          const low = sorted[Math.floor(at)]!;
          const high = sorted[Math.ceil(at)]!;
          expect(got).toBeCloseTo(low + (high - low) * (at - Math.floor(at)), 12);
        }
      }
  });

  it('eigenvalues of a matrix made from known ones, a complex pair among them', () => {
    // Companion matrix of (x − 1)(x − 2)(x + 3)(x² + 2x + 5) = x⁵ + 2x⁴ − 2x³ − 8x² − 23x + 30.
    const n = 5;
    const matrix = new Float64Array(n * n);
    for (const [j, coefficient] of [2, -2, -8, -23, 30].entries()) {
      matrix[j] = -coefficient;
      if (j > 0) matrix[j * n + j - 1] = 1;
    }
    const { re, im } = generalEigenvalues(matrix, n)!;
    const found = [...re.keys()].map((k) => [re[k]!, im[k]!]).sort(([a, b], [c, d]) => a! - c! || b! - d!);
    [
      [-3, 0],
      [-1, -2],
      [-1, 2],
      [1, 0],
      [2, 0],
    ].forEach(([x, y], k) => {
      expect(found[k]![0]).toBeCloseTo(x!, 9);
      expect(found[k]![1]).toBeCloseTo(y!, 9);
    });
  });

  it('a class alone gives what all classes together give', () => {
    const { roi, levels, mask } = regionOf(REGION_CASES[2]!);
    const data = new Float64Array(mask.data.length);
    roi.indices.forEach((index, k) => {
      data[index] = levels[k]!;
    });
    const input = { image: { ...mask, data }, roi, settings: DEFAULT_CLASS_SETTINGS };
    const both = intensityFeatures(
      input,
      new Map([
        ['glcm', null],
        ['firstorder', null],
      ]),
    );
    expect(both.get('firstorder')).toEqual(firstOrder(input));
    expect(both.get('glcm')).toEqual(intensityFeatures(input, new Map([['glcm', null]])).get('glcm'));
  });
});
