import { describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../shared/errors.js';
import { compareGrids } from '../../site-agent/imaging/compare-grids.js';
import { countComponents } from '../../site-agent/imaging/components.js';
import { roiOf } from '../../site-agent/imaging/roi.js';
import { continuousIndex, physicalPoint, type Vec3, type Volume } from '../../site-agent/imaging/volume.js';
import { normalizeImage } from '../../site-agent/radiomics/normalize.js';
import { type Prepared, prepare } from '../../site-agent/radiomics/preprocessing.js';
import { parseSettings } from '../../site-agent/radiomics/settings.js';
import { radiomicsFolder, readImage, testGrid, testVolume } from '../support/images.js';
import { readGolden, readGoldenCase } from '../support/radiomics.js';

const root = radiomicsFolder();

const run = (source: { image: Volume; mask: Volume }, setting: string): Prepared =>
  prepare(source, parseSettings(`setting: {${setting}}`, 'params.yaml').settings.preprocessing);

/** An image whose intensity is 100 z + 10 y + x, and a mask that is 1 in a box, 3 in one corner voxel. */
function boxed(lower: Vec3, upper: Vec3, size: Vec3 = [8, 7, 6]): { image: Volume; mask: Volume } {
  const grid = testGrid(size, { spacingMm: [1, 1, 2], origin: [5, -3, 1] });
  const inside = (at: Vec3) => at.every((value, axis) => value >= lower[axis]! && value <= upper[axis]!);
  return {
    image: testVolume(grid, Int16Array, (x, y, z) => 100 * z + 10 * y + x),
    mask: testVolume(grid, Uint8Array, (x, y, z) => (inside([x, y, z]) ? 1 : x + y + z === 0 ? 3 : 0)),
  };
}

function refusal(work: () => unknown): { code: ErrorCode; message: string } {
  try {
    work();
  } catch (error) {
    return error as { code: ErrorCode; message: string };
  }
  throw new Error('nothing was refused');
}

describe.runIf(root !== null)('preprocessing against PyRadiomics', () => {
  // Normalisation and 3D resampling, linear, nearest in plane, resegmentation, preCrop and one slice, CT with both.
  it.each(['S02', 'S07', 'S08', 'S10', 'S11', 'S16', 'S19'])('%s: every diagnostic of image and mask', (id) => {
    const golden = readGolden(root!, id);
    const { settings } = parseSettings(golden.paramsText, id);
    const { diagnostics } = prepare(readGoldenCase(root!, golden.case), settings.preprocessing);
    let compared = 0;
    for (const [name, want] of Object.entries(golden.diagnostics)) {
      if (!/^diagnostics_(Image|Mask)-/.test(name)) continue;
      const got = [diagnostics[name.slice('diagnostics_'.length)]].flat();
      for (const [k, value] of [want].flat().entries()) {
        compared++;
        if (typeof value !== 'number') expect(got[k], name).toBe(value);
        else expect(Math.abs((got[k] as number) - value), name).toBeLessThanOrEqual(1e-6 * Math.abs(value) + 1e-10);
      }
    }
    expect(compared).toBeGreaterThan(30);
  });

  it('gives the resampled image itself, voxel for voxel', () => {
    const source = readGoldenCase(root!, 'brain1');
    const file = (name: string) => readImage(root!, `pyradiomics/intermediate/brain1_resampled_${name}.nrrd`);
    const bspline = run(source, 'resampledPixelSpacing: [2, 2, 2]');
    expect(bspline.image.data).toBeInstanceOf(Int16Array);
    expect(Array.from(bspline.image.data)).toEqual(Array.from(file('bspline').data));
    expect(compareGrids(bspline.image, file('bspline'))).toEqual([]);
    expect(roiOf(file('mask')).indices).toEqual(bspline.roi.indices);
    const linear = run(source, 'resampledPixelSpacing: [2, 2, 2], interpolator: sitkLinear');
    expect(Array.from(linear.image.data)).toEqual(Array.from(file('linear').data));
  });
});

describe('preprocessing', () => {
  it('normalises over the whole image, with n − 1 below, and cuts outliers before it scales', () => {
    const image = testVolume(testGrid([5, 1, 1]), Int16Array, (x) => [0, 0, 0, 0, 10][x]!);
    const z = normalizeImage(image, { normalizeScale: 1, removeOutliers: null });
    expect(z.data[4]).toBeCloseTo(8 / Math.sqrt(20), 14);
    const cut = normalizeImage(image, { normalizeScale: 100, removeOutliers: 1 });
    expect(Array.from(cut.data.map((value) => Math.round(value * 1000) / 1000))).toEqual([
      -44.721, -44.721, -44.721, -44.721, 100,
    ]);
    const flat = normalizeImage(
      testVolume(testGrid([3, 1, 1]), Int16Array, () => 4),
      { normalizeScale: 1, removeOutliers: null },
    );
    expect(Array.from(flat.data)).toEqual([Number.NaN, Number.NaN, Number.NaN]);
  });

  it('clips the whole image before it normalises', () => {
    const source = boxed([1, 1, 1], [4, 4, 4]);
    const { settings } = parseSettings('concordat: {clip: [100, 300]}', 'params.yaml');
    const { image } = prepare(source, settings.preprocessing);
    expect(image.data).toBeInstanceOf(Int16Array);
    expect([Math.min(...image.data), Math.max(...image.data), image.data[8 * 7 * 2 + 3]]).toEqual([100, 300, 203]);
    expect(source.image.data[0]).toBe(0);
    expect(refusal(() => parseSettings('concordat: {clip: [3, 3]}', 'params.yaml')).code).toBe(
      'IMAGE_SETTINGS_INVALID',
    );
  });

  it('does not resample an axis along which the region is one voxel thick, or whose new spacing is 0', () => {
    const flat = run(boxed([2, 2, 3], [5, 5, 3]), 'resampledPixelSpacing: [0.5, 0, 1], interpolator: sitkLinear');
    expect(flat.image.spacingMm).toEqual([0.5, 1, 2]);
  });

  it('only crops, with padDistance, where the new spacing is the image’s own', () => {
    const same = run(boxed([3, 2, 2], [4, 4, 3]), 'resampledPixelSpacing: [1, 1, 2], padDistance: 1');
    expect(same.image.size).toEqual([4, 5, 4]);
    expect(same.image.origin).toEqual([7, -2, 3]);
    expect(same.image.data[0]).toBe(112);
    const cropped = run(boxed([3, 2, 2], [4, 4, 3]), 'preCrop: true, padDistance: 1');
    expect(cropped.image).toEqual(same.image);
  });

  it('keeps the region of the shape classes whole, cut to the box of what resegmentation left', () => {
    const source = boxed([1, 1, 1], [4, 4, 4]);
    const prepared = run(source, 'resegmentRange: [233, 324]');
    const values = Array.from(prepared.roi.indices, (index) => source.image.data[index]!);
    expect(Math.min(...values)).toBeGreaterThanOrEqual(233);
    expect(Math.max(...values)).toBeLessThanOrEqual(324);
    expect(prepared.roi.box).toEqual({ lower: [1, 1, 2], upper: [4, 4, 3] });
    expect(prepared.shapeRoi.indices.length).toBe(4 * 4 * 2);
    const both = run(source, 'resegmentRange: [233, 324], resegmentShape: true');
    expect(both.shapeRoi.indices).toEqual(both.roi.indices);
    expect(run(source, 'resegmentRange: [324, 233]').roi.indices).toEqual(prepared.roi.indices);
  });

  it('refuses by name: an absent label, an empty mask, a region too small or gone, other grids, a region outside', () => {
    const small = boxed([2, 2, 2], [5, 2, 2]);
    const solid = boxed([1, 1, 1], [4, 4, 4]);
    const empty = { ...small, mask: testVolume(testGrid([8, 7, 6]), Uint8Array, () => 0) };
    expect(refusal(() => run(solid, 'label: 5'))).toMatchObject({
      code: 'IMAGE_MASK_EMPTY',
      message: 'the mask has no voxel with label 5; it has 1, 3',
    });
    expect(refusal(() => run(empty, '')).code).toBe('IMAGE_MASK_EMPTY');
    expect(refusal(() => run(small, ''))).toMatchObject({
      code: 'IMAGE_ROI_TOO_SMALL',
      message: 'the region has too few dimensions: 1, minimumROIDimensions is 2',
    });
    expect(run(small, 'minimumROIDimensions: 1').roi.indices.length).toBe(4);
    expect(refusal(() => run(solid, 'label: 3, minimumROIDimensions: 1')).message).toContain('single voxel');
    expect(refusal(() => run(solid, 'minimumROISize: 64')).code).toBe('IMAGE_ROI_TOO_SMALL');
    expect(run(solid, 'minimumROISize: 63').roi.indices.length).toBe(64);
    expect(refusal(() => run(solid, 'resegmentRange: [5000]')).code).toBe('IMAGE_ROI_TOO_SMALL');

    const moved = { ...solid, mask: { ...solid.mask, origin: [5, -3, 1.5] as const } };
    expect(refusal(() => run(moved, ''))).toMatchObject({
      code: 'IMAGE_GRID_MISMATCH',
      message: expect.stringContaining('along axis z the mask is shifted by 0.5 mm (0.25 voxels)'),
    });
    expect(refusal(() => run(moved, 'geometryTolerance: 0.4')).code).toBe('IMAGE_GRID_MISMATCH');
    expect(run(moved, 'geometryTolerance: 0.6').roi.indices.length).toBe(64);
    expect(run(moved, 'correctMask: true').roi.indices.length).toBe(64);
    const far = { ...solid, mask: { ...solid.mask, origin: [5, -3, 9] as const } };
    expect(refusal(() => run(far, 'correctMask: true')).code).toBe('IMAGE_ROI_OUTSIDE');
    expect(refusal(() => run(far, 'resampledPixelSpacing: [1, 1, 1]')).message).toMatch(
      /3\.0 voxels beyond the image along z/,
    );
  });
});

describe('grids and parts', () => {
  it('a position and its continuous index are each other’s inverse on an oblique grid', () => {
    const grid = testGrid([4, 4, 4], {
      spacingMm: [0.5, 2, 3],
      origin: [1, 2, 3],
      direction: [0.36, 0.48, -0.8, -0.8, 0.6, 0, 0.48, 0.64, 0.6],
    });
    const back = continuousIndex(grid, physicalPoint(grid, [0.25, -1.5, 2]));
    for (const [axis, want] of [0.25, -1.5, 2].entries()) expect(back[axis]).toBeCloseTo(want, 12);
  });

  it('parts that touch by a corner are one', () => {
    const mask = testVolume(testGrid([5, 5, 5]), Uint8Array, (x, y, z) =>
      Number((x === y && y === z && x !== 2) || (x === 4 && y === 0)),
    );
    expect(countComponents(roiOf(mask))).toBe(3);
  });
});
