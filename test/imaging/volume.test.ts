import { describe, expect, it } from 'vitest';
import { ERROR_TABLE } from '../../shared/error-table.js';
import { roiOf, valuesIn } from '../../site-agent/imaging/roi.js';
import { physicalPoint, type Volume, volumeOf } from '../../site-agent/imaging/volume.js';
import { DEFAULT_CLASS_SETTINGS } from '../../site-agent/radiomics/class-input.js';
import type { FeatureSet } from '../../site-agent/radiomics/feature.js';

const volume: Volume<Int16Array> = {
  size: [3, 2, 2],
  spacingMm: [2, 3, 4],
  origin: [10, 20, 30],
  direction: [0, -1, 0, 1, 0, 0, 0, 0, 1],
  data: Int16Array.from([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
};

describe('a volume', () => {
  it('maps a voxel index to millimetres: column k of the direction is axis k', () => {
    expect(physicalPoint(volume, [1, 0, 0])).toEqual([10, 22, 30]);
    expect(physicalPoint(volume, [0, 1, 0])).toEqual([7, 20, 30]);
    expect(physicalPoint(volume, [0.5, 0.5, 0.5])).toEqual([8.5, 21, 32]);
  });

  it('gives the voxels of a label with their box and values', () => {
    const mask = { ...volume, data: Uint8Array.from([0, 0, 1, 0, 1, 2, 0, 0, 0, 0, 0, 1]) };
    const roi = roiOf(mask);
    expect([...roi.indices]).toEqual([2, 4, 11]);
    expect(roi.box).toEqual({ lower: [1, 0, 0], upper: [2, 1, 1] });
    expect([...valuesIn(volume, roi)]).toEqual([2, 4, 11]);
    expect(roiOf(mask, 9).box).toBeNull();
  });

  it('is refused with too few samples', () => {
    expect(() => volumeOf(volume, new Uint8Array(3))).toThrow(expect.objectContaining({ code: 'IMAGE_UNREADABLE' }));
    expect(volumeOf(volume, volume.data)).toEqual(volume);
  });

  it('is read under PyRadiomics defaults', () => {
    const features: FeatureSet = new Map([['original_firstorder_Mean', { value: null, reason: 'no voxel' }]]);
    expect(features.size).toBe(1);
    expect(DEFAULT_CLASS_SETTINGS.binWidth).toBe(25);
    expect(ERROR_TABLE.IMAGE_UNREADABLE.exit).toBe(2);
  });
});
