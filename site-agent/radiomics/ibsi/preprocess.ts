import { roundHalfEven } from '../../../shared/fixed-point.js';
import { cropGrid, cropVolume, growBox } from '../../imaging/crop.js';
import { resampleVolume } from '../../imaging/interpolate.js';
import { wholeBox } from '../../imaging/lines.js';
import { type Box, type Roi, roiOf, roiOfIndices } from '../../imaging/roi.js';
import {
  continuousIndex,
  type Grid,
  gridOf,
  physicalPoint,
  type Samples,
  type Vec3,
  type Volume,
} from '../../imaging/volume.js';
import { extended } from '../filters/ibsi2/boundary.js';
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
    ? interpolated(image, mask, label, interpolation, settings.filter !== undefined)
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
  // What is no number is kept here, so that it is an error later instead of a hole in the region.
  const kept = region.morphological.indices.filter((at) => !(data[at]! < low || data[at]! > high));
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

/** Room around the region for the 1 cm³ sphere of the local intensity peak, whose radius is 6.2 mm. */
const ROOM_MM = 7;
/** Voxels around the region's box that interpolation can carry it to. */
const SPREAD_VOXELS = 3;

/** Image and region on the part of the new grid that features look at; on all of it where a filter follows, whose boundary is the image's. */
function interpolated(
  image: Volume,
  mask: Volume,
  label: number,
  interpolation: Interpolation,
  isWhole: boolean,
): { image: Volume<Float64Array>; morphological: Roi } {
  const { box } = roiOf(mask, label);
  const grid = ibsiGrid(image, interpolation.spacingMm);
  const room: Box = box === null ? { lower: [0, 0, 0], upper: [0, 0, 0] } : boxOn(grid, mask, box);
  const part = cropGrid(grid, room);
  const target = isWhole ? grid : part;
  const data = interpolatedImage(image, target, interpolation);
  if (box === null) return { image: data, morphological: roiOfIndices(target, new Int32Array(0)) };
  // Of the mask only the surroundings of the region are looked at; beyond them it is 0 as it is at their edge.
  const around = cropVolume(mask, growBox(box, SPREAD_VOXELS, mask.size));
  const inside = {
    ...gridOf(around),
    data: Uint8Array.from(around.data, (value: number) => (value === label ? 1 : 0)),
  };
  const shares = resampleVolume(inside, part, KERNEL[interpolation.roiMethod], { pixelType: new Float64Array(0) });
  const covered = new Uint8Array(shares.data.length);
  // Half-way between two voxels is in, whichever way the sum was rounded.
  const threshold = interpolation.roiThreshold - 1e-6;
  for (let k = 0; k < covered.length; k++) covered[k] = shares.data[k]! >= threshold ? 1 : 0;
  const region = roiOf({ ...gridOf(part), data: covered });
  return { image: data, morphological: isWhole ? placedOn(grid, region, room) : region };
}

/** A region of the part of a grid inside `box`, as one of the grid. */
function placedOn(grid: Grid, { grid: part, indices }: Roi, box: Box): Roi {
  const [nx, ny] = part.size;
  const placed = indices.map((index) => {
    const row = Math.floor(index / nx);
    const [x, y, z] = [index - row * nx, row % ny, Math.floor(row / ny)];
    return x + box.lower[0] + grid.size[0] * (y + box.lower[1] + grid.size[1] * (z + box.lower[2]));
  });
  return roiOfIndices(grid, placed);
}

/** An image on a grid, in float64, rounded where asked. */
export function interpolatedImage(
  image: Volume,
  target: Grid,
  { method, round }: Pick<Interpolation, 'method' | 'round'>,
): Volume<Float64Array> {
  const source = method === 'cubic' ? edgePadded(image, target) : image;
  const result = resampleVolume(source, target, KERNEL[method], {
    pixelType: new Float64Array(0),
  }) as Volume<Float64Array>;
  // A mean of two whole numbers is often half-way: to the even one, so that rounding moves no mean up.
  if (round) for (let k = 0; k < result.data.length; k++) result.data[k] = roundHalfEven(result.data[k]!);
  return result;
}

/** Beyond this many voxels a spline's boundary is not felt in float32, nor beyond `FAR_VOXELS` in float64. */
const EDGE_VOXELS = 12;
const FAR_VOXELS = 64;

/**
 * The part of an image that a spline on `target` looks at, the intensities at the image's boundary repeated beyond it as IBSI recommends
 * (manual, interpolation grid dimensions); a spline would mirror the image there.
 */
function edgePadded(image: Volume, target: Grid): Volume<Float64Array> {
  const first = continuousIndex(image, target.origin);
  const last = continuousIndex(image, physicalPoint(target, target.size.map((count) => count - 1) as unknown as Vec3));
  const along = (at: (axis: 0 | 1 | 2) => number): Vec3 => [at(0), at(1), at(2)];
  const box: Box = {
    lower: along((axis) => Math.max(-EDGE_VOXELS, Math.floor(first[axis]) - FAR_VOXELS)),
    upper: along((axis) => Math.min(image.size[axis] - 1 + EDGE_VOXELS, Math.ceil(last[axis]) + FAR_VOXELS)),
  };
  const part = { data: image.data, box: wholeBox(image.size), size: image.size };
  return { ...cropGrid(image, box), data: extended(part, box, 'nearest') };
}

/** The voxels of the new grid that the region can reach, and room around them. The two grids share their centre and axes. */
function boxOn(grid: Grid, old: Grid, box: Box): Box {
  const corner = (end: readonly number[], sign: 1 | -1): Vec3 => {
    const at = [0, 1, 2].map((axis) => {
      const mm =
        (end[axis]! + sign * SPREAD_VOXELS - (old.size[axis]! - 1) / 2) * old.spacingMm[axis]! + sign * ROOM_MM;
      const voxel = mm / grid.spacingMm[axis]! + (grid.size[axis]! - 1) / 2;
      return Math.min(grid.size[axis]! - 1, Math.max(0, sign < 0 ? Math.floor(voxel) : Math.ceil(voxel)));
    });
    return [at[0]!, at[1]!, at[2]!];
  };
  return { lower: corner(box.lower, -1), upper: corner(box.upper, 1) };
}
