import { describe, expect, it } from 'vitest';
import { compareGrids, requireSameGrid } from '../../site-agent/imaging/compare-grids.js';
import { labelsOf, requireLabel } from '../../site-agent/imaging/labels.js';
import { testGrid, testVolume } from '../support/images.js';
import { codeOf } from './codes.js';

const GRID = testGrid([100, 80, 60], { spacingMm: [0.7, 0.7, 3], origin: [-35, 10, -500] });
const messages = (mask: typeof GRID, image = GRID): string[] => compareGrids(image, mask).map(({ message }) => message);

describe('the grids of mask and image', () => {
  it('are the same within a hundredth of a voxel', () => {
    expect(messages(GRID)).toEqual([]);
    expect(messages({ ...GRID, spacingMm: [0.7, 0.7, 2.9999999999998486] })).toEqual([]);
    expect(messages({ ...GRID, origin: GRID.origin.map(Math.fround) as unknown as typeof GRID.origin })).toEqual([]);
    expect(messages({ ...GRID, origin: [-35 + 0.0069, 10, -500] })).toEqual([]);
    expect(messages({ ...GRID, origin: [-35 + 0.0071, 10, -500] })).toHaveLength(1);
  });

  it('differ by axis and amount', () => {
    expect(messages({ ...GRID, origin: [-35, 50, -500] })).toEqual([
      'along axis y the mask is shifted by 40 mm (57.14 voxels)',
    ]);
    expect(messages({ ...GRID, origin: [-35, 10, -506] })).toEqual([
      'along axis z the mask is shifted by -6 mm (-2 voxels)',
    ]);
    expect(messages({ ...GRID, size: [100, 81, 60] })).toEqual([
      'along axis y the mask has 81 voxels and the image 80',
    ]);
    expect(messages({ ...GRID, spacingMm: [0.7, 0.7, 2.5] })).toEqual([
      'along axis z the mask’s spacing is 2.5 mm and the image’s 3 mm',
    ]);
    const angle = 0.02;
    const turned = [Math.cos(angle), -Math.sin(angle), 0, Math.sin(angle), Math.cos(angle), 0, 0, 0, 1];
    expect(messages({ ...GRID, direction: turned })).toEqual([
      'along axis x the mask is turned by up to -1.12 mm (-1.6 voxels)',
      'along axis y the mask is turned by up to 1.386 mm (1.98 voxels)',
    ]);
    expect(codeOf(() => requireSameGrid(GRID, { ...GRID, size: [100, 81, 60] }))).toBe('IMAGE_GRID_MISMATCH');
  });

  it('that run the other way are told as such', () => {
    const flipped = { ...GRID, direction: [-1, 0, 0, 0, 1, 0, 0, 0, 1] };
    expect(messages(flipped)).toEqual(['the mask’s axis x runs against the image’s x']);
    const exchanged = { ...GRID, direction: [0, 1, 0, 1, 0, 0, 0, 0, 1] };
    expect(messages(exchanged)).toEqual([
      'the mask’s axis x runs along the image’s y, the mask’s axis y runs along the image’s x',
    ]);
    // In an oblique image too, measured along its own axes.
    const [c, s] = [Math.cos(0.5), Math.sin(0.5)];
    const oblique = { ...GRID, direction: [c, -s, 0, s, c, 0, 0, 0, 1] };
    expect(
      messages({ ...oblique, origin: [GRID.origin[0] + c * 7, GRID.origin[1] + s * 7, GRID.origin[2]] }, oblique),
    ).toEqual(['along axis x the mask is shifted by 7 mm (10 voxels)']);
  });
});

describe('labels', () => {
  const mask = testVolume(testGrid([4, 2, 1]), Float32Array, (x, y) => (y === 0 ? x : 2));
  it('are counted by value', () => {
    expect([...labelsOf(mask)]).toEqual([
      [1, 1],
      [2, 5],
      [3, 1],
    ]);
    expect(requireLabel(mask, 2)).toBe(5);
  });

  it('that are not there, are none, or no whole numbers are named errors', () => {
    expect(() => requireLabel(mask, 7)).toThrow('the mask has no voxel with label 7; it has 1, 2, 3');
    expect(codeOf(() => requireLabel(mask, 7))).toBe('IMAGE_MASK_EMPTY');
    expect(codeOf(() => requireLabel({ ...mask, data: new Uint8Array(8) }, 1))).toBe('IMAGE_MASK_EMPTY');
    expect(codeOf(() => labelsOf({ ...mask, data: Float32Array.of(0, 0.37, 1, 0, 0, 0, 0, 0) }))).toBe(
      'IMAGE_MASK_NOT_LABELS',
    );
    expect(codeOf(() => labelsOf({ ...mask, data: Float32Array.of(0, Number.NaN, 1, 0, 0, 0, 0, 0) }))).toBe(
      'IMAGE_MASK_NOT_LABELS',
    );
    const image = testVolume(testGrid([100, 100, 1]), Int16Array, (x, y) => x + 100 * y);
    expect(codeOf(() => labelsOf(image))).toBe('IMAGE_MASK_NOT_LABELS');
  });
});
