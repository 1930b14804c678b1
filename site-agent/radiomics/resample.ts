import { ConcordatError } from '../../shared/errors.js';
import { cropVolume, growBox } from '../imaging/crop.js';
import { type Interpolator as Kernel, resampleVolume } from '../imaging/interpolate.js';
import { type Box, roiOf } from '../imaging/roi.js';
import { continuousIndex, type Grid, type Mask, physicalPoint, type Vec3, type Volume } from '../imaging/volume.js';
import type { Interpolator } from './settings-schema.js';

export interface ImageAndMask {
  readonly image: Volume;
  readonly mask: Mask;
}

export interface ResampleSettings {
  /** In mm; 0 keeps the mask's spacing along that axis. */
  readonly resampledPixelSpacing: Vec3;
  readonly interpolator: Interpolator;
  /** Voxels of the new grid around the region's box. */
  readonly padDistance: number;
}

const KERNELS: Readonly<Record<Interpolator, Kernel>> = {
  sitkNearestNeighbor: 'nearest',
  sitkLinear: 'linear',
  sitkBSpline: 'bspline',
  sitkGaussian: 'gaussian',
  sitkHammingWindowedSinc: 'hammingSinc',
  sitkCosineWindowedSinc: 'cosineSinc',
  sitkWelchWindowedSinc: 'welchSinc',
  sitkLanczosWindowedSinc: 'lanczosSinc',
  sitkBlackmanWindowedSinc: 'blackmanSinc',
};

/**
 * Image and mask on a grid of another spacing around the region, aligned to the corner of the mask's grid: what lies
 * `padDistance` voxels around the region's box, within the mask's grid. The mask is taken by nearest neighbour, the image
 * keeps its pixel type. Along an axis on which the region is one voxel thick nothing is resampled. Where the spacing is
 * the image's own, both are only cropped.
 *
 * Source: PyRadiomics, imageoperations.resampleImage.
 *
 * @throws ConcordatError IMAGE_ROI_OUTSIDE where the region reaches beyond the image.
 */
export function resampleAround({ image, mask }: ImageAndMask, settings: ResampleSettings): ImageAndMask {
  const { lower, upper } = boxWithin(image, mask);
  const spacing = axes((axis) => {
    const asked = settings.resampledPixelSpacing[axis]!;
    return asked === 0 || lower[axis] === upper[axis] ? mask.spacingMm[axis]! : asked;
  });
  if (spacing.every((mm, axis) => isClose(image.spacingMm[axis]!, mm))) {
    const onImage = resampleMask(mask, image);
    const box = roiOf(onImage).box;
    if (box === null) throw lostRegion();
    return cropAround({ image, mask: onImage }, box, settings.padDistance);
  }
  const ratio = axes((axis) => mask.spacingMm[axis]! / spacing[axis]!);
  const pad = settings.padDistance;
  // Half a voxel more on each side, so that no part of a voxel of the region is lost.
  const first = axes((axis) => Math.max(0, Math.floor((lower[axis]! - 0.5) * ratio[axis]! - pad)));
  const last = axes((axis) =>
    Math.min(Math.ceil(mask.size[axis]! * ratio[axis]!) - 1, Math.ceil((upper[axis]! + 0.5) * ratio[axis]! + pad)),
  );
  // The new grid's first voxel begins where the mask's does: its centre lies half a difference of spacings farther in.
  const start = axes(
    (axis) => (0.5 * (spacing[axis]! - mask.spacingMm[axis]!)) / mask.spacingMm[axis]! + first[axis]! / ratio[axis]!,
  );
  const grid: Grid = {
    size: axes((axis) => last[axis]! - first[axis]! + 1),
    spacingMm: spacing,
    origin: itkPoint(mask, start),
    direction: mask.direction,
  };
  return {
    image: resampleVolume(image, grid, KERNELS[settings.interpolator]),
    mask: resampleVolume(mask, grid, 'nearest'),
  };
}

/** The mask on another grid, by nearest neighbour; 0 outside its own. */
export function resampleMask(mask: Mask, grid: Grid): Mask {
  return isSameGrid(mask, grid) ? mask : resampleVolume(mask, grid, 'nearest');
}

/** The box `pad` voxels around `box`, within the image. */
export function cropAround({ image, mask }: ImageAndMask, box: Box, pad: number): ImageAndMask {
  const around = growBox(box, pad, image.size);
  return { image: cropVolume(image, around), mask: cropVolume(mask, around) };
}

/**
 * The region's box in the mask's voxels.
 *
 * @throws ConcordatError IMAGE_ROI_OUTSIDE where it reaches more than a thousandth of a voxel beyond the image.
 */
export function boxWithin(image: Grid, mask: Mask): Box {
  const { box } = roiOf(mask);
  if (box === null) throw lostRegion();
  const corners = [axes((axis) => box.lower[axis]! - 0.5), axes((axis) => box.upper[axis]! + 0.5)].map((corner) =>
    continuousIndex(image, physicalPoint(mask, corner)),
  );
  const tolerance = 1e-3;
  for (const axis of [0, 1, 2] as const) {
    const [low, high] = [
      Math.min(corners[0]![axis], corners[1]![axis]),
      Math.max(corners[0]![axis], corners[1]![axis]),
    ];
    const beyond = Math.max(-0.5 - low, high - (image.size[axis] - 0.5));
    if (!(beyond <= tolerance))
      throw new ConcordatError(
        'IMAGE_ROI_OUTSIDE',
        `the region reaches ${beyond.toFixed(1)} voxels beyond the image along ${'xyz'[axis]}`,
      );
  }
  return box;
}

/** The position of a fractional index with ITK's order of sums: its last bit counts where a new voxel lies half-way between two. */
function itkPoint(grid: Grid, index: Vec3): Vec3 {
  return axes((row) => {
    let sum = 0;
    for (let axis = 0; axis < 3; axis++) sum += grid.direction[3 * row + axis]! * grid.spacingMm[axis]! * index[axis]!;
    return sum + grid.origin[row]!;
  });
}

function lostRegion(): ConcordatError {
  return new ConcordatError('IMAGE_MASK_EMPTY', 'no voxel of the region is left on the image');
}

function axes(of: (axis: 0 | 1 | 2) => number): Vec3 {
  return [of(0), of(1), of(2)];
}

/** numpy.isclose with its defaults. */
function isClose(a: number, b: number): boolean {
  return Math.abs(a - b) <= 1e-8 + 1e-5 * Math.abs(b);
}

function isSameGrid(a: Grid, b: Grid): boolean {
  const equal = (left: readonly number[], right: readonly number[]) => left.every((value, k) => value === right[k]);
  return (
    equal(a.size, b.size) &&
    equal(a.spacingMm, b.spacingMm) &&
    equal(a.origin, b.origin) &&
    equal(a.direction, b.direction)
  );
}
