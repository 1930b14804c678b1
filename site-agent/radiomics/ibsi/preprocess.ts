import { resampleVolume } from '../../imaging/interpolate.js';
import { type Roi, roiOf, roiOfIndices } from '../../imaging/roi.js';
import { type Grid, gridOf, physicalPoint, type Samples, type Vec3, type Volume } from '../../imaging/volume.js';
import type { IbsiSettings } from './settings.js';
import { momentsOf } from './statistics.js';

/** An image after IBSI's processing scheme, with its two masks on one grid: morphology looks at the first, intensities at the second. */
export interface Processed {
  readonly image: Volume<Samples>;
  readonly morphological: Roi;
  readonly intensity: Roi;
  /** Intensity range of the re-segmentation, where one was asked for by range. */
  readonly range: readonly [number | null, number | null] | null;
}

/**
 * Interpolation, rounding, and re-segmentation. The new grid has ceil(n · spacing / new spacing) voxels along an axis, centred on the
 * centre of the old one; beyond the outermost voxel centres the nearest intensity is repeated.
 */
export function preprocess(image: Volume, mask: Volume, settings: IbsiSettings): Processed {
  const { interpolation, resegmentation, label } = settings;
  const region = interpolation
    ? { image: interpolated(image, interpolation), morphological: interpolatedRoi(mask, label, interpolation) }
    : { image, morphological: roiOf(mask, label) };
  const { range, sigma } = resegmentation;
  let low = range?.[0] ?? Number.NEGATIVE_INFINITY;
  let high = range?.[1] ?? Number.POSITIVE_INFINITY;
  if (sigma !== undefined) {
    // Both methods together keep what both keep; the deviation is that of the region before either.
    const { mean, variance } = momentsOf(Array.from(region.morphological.indices, (at) => region.image.data[at]!));
    const reach = sigma * Math.sqrt(variance);
    low = Math.max(low, mean - reach);
    high = Math.min(high, mean + reach);
  }
  const { data } = region.image;
  const kept = region.morphological.indices.filter((at) => data[at]! >= low && data[at]! <= high);
  const intensity =
    kept.length === region.morphological.indices.length ? region.morphological : roiOfIndices(region.image, kept);
  return { ...region, intensity, range: range ?? null };
}

type Interpolation = NonNullable<IbsiSettings['interpolation']>;

/** A spacing that differs from a whole divisor by rounding alone must not add a voxel. */
const SLACK_VOXELS = 1e-6;

/** The grid that IBSI interpolates to: as many voxels as it takes to cover the old one, the two centres in one place. */
export function ibsiGrid(grid: Grid, spacingMm: readonly [number, number, number | null]): Grid {
  const spacing = [0, 1, 2].map((axis) => spacingMm[axis] ?? grid.spacingMm[axis]!) as [number, number, number];
  const size = [0, 1, 2].map((axis) =>
    Math.max(1, Math.ceil((grid.size[axis]! * grid.spacingMm[axis]!) / spacing[axis]! - SLACK_VOXELS)),
  ) as [number, number, number];
  const first = [0, 1, 2].map(
    (axis) => 0.5 * (grid.size[axis]! - 1) - (0.5 * (size[axis]! - 1) * spacing[axis]!) / grid.spacingMm[axis]!,
  ) as [number, number, number];
  return { ...gridOf(grid), size, spacingMm: spacing, origin: physicalPoint(grid, first as Vec3) };
}

const KERNEL = { nearest: 'nearest', linear: 'linear', cubic: 'bspline' } as const;

function interpolated(image: Volume, { spacingMm, method, round }: Interpolation): Volume<Float64Array> {
  const target = ibsiGrid(image, spacingMm);
  const result = resampleVolume(image, target, KERNEL[method], {
    pixelType: new Float64Array(0),
  }) as Volume<Float64Array>;
  if (round) for (let k = 0; k < result.data.length; k++) result.data[k] = Math.round(result.data[k]!);
  return result;
}

function interpolatedRoi(mask: Volume, label: number, { spacingMm, roiMethod, roiThreshold }: Interpolation): Roi {
  const target = ibsiGrid(mask, spacingMm);
  const inside = { ...gridOf(mask), data: Float64Array.from(mask.data, (value: number) => (value === label ? 1 : 0)) };
  const part = resampleVolume(inside, target, KERNEL[roiMethod], { pixelType: new Float64Array(0) });
  // Half-way between two voxels is in, whichever way the sum was rounded.
  const data = Uint8Array.from(part.data, (value: number) => (value >= roiThreshold - 1e-6 ? 1 : 0));
  return roiOf({ ...gridOf(target), data });
}
