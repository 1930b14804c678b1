import { describe, expect, it } from 'vitest';
import { roiOf } from '../../site-agent/imaging/roi.js';
import { DEFAULT_CLASS_SETTINGS } from '../../site-agent/radiomics/class-input.js';
import { binned, discretize } from '../../site-agent/radiomics/features/discretize.js';
import { testGrid, testVolume } from '../support/images.js';

/** Values on, just below and above edges; the wanted levels are numpy's (arange or histogram, then digitize). */
const VALUES = Float64Array.of(-3, -2.5, 0, 0.1, 0.2, 0.3, 0.6, 0.7, 1.1, 1.2, 2.3999999, 2.4);

describe('grey levels', () => {
  it.each([
    [0.1, [1, 5, 30, 31, 32, 33, 36, 37, 41, 42, 54, 54]],
    [0.6, [1, 2, 6, 7, 7, 7, 7, 8, 8, 8, 10, 10]],
    [7.3, [1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2]],
  ])('of fixed width %d are those of numpy', (binWidth, want) => {
    expect([...binned(VALUES, { binWidth, binCount: null })]).toEqual(want);
  });

  it('of fixed count are those of numpy, the maximum in the last', () => {
    expect([...binned(VALUES, { binWidth: 25, binCount: 6 })]).toEqual([1, 1, 4, 4, 4, 4, 4, 5, 5, 5, 6, 6]);
    expect([...binned(Float64Array.from(VALUES, Math.fround), { binWidth: 25, binCount: 12 }, true)]).toEqual([
      1, 2, 7, 7, 8, 8, 8, 9, 10, 10, 12, 12,
    ]);
  });

  it('of one value are one level', () => {
    expect([...binned(Float64Array.of(7, 7, 7), { binWidth: 25, binCount: null })]).toEqual([1, 1, 1]);
    expect([...binned(Float64Array.of(7, 7, 7), { binWidth: 25, binCount: 5 })]).toEqual([3, 3, 3]);
  });

  it('lie on a grid with room for the longest distance, numbered without gaps', () => {
    const grid = testGrid([4, 3, 2]);
    const image = testVolume(grid, Int16Array, (x, y) => 100 * x + y);
    const mask = testVolume(grid, Uint8Array, (x) => (x === 0 || x === 3 ? 1 : 0));
    const settings = { ...DEFAULT_CLASS_SETTINGS, distances: [1, 9] };
    const { levels, grid: cells } = discretize({ image, roi: roiOf(mask), settings });
    expect(new Set(levels)).toEqual(new Set([1, 13]));
    expect([...cells.greyLevels]).toEqual([1, 13]);
    expect([...cells.voxelsPerLevel]).toEqual([6, 6]);
    expect(cells.margin).toBe(3);
  });
});
