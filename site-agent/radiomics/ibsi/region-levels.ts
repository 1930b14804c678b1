import { type Roi, roiOfIndices } from '../../imaging/roi.js';
import { type LevelGrid, levelGridOf } from '../features/level-grid.js';
import type { IbsiSettings } from './settings.js';

/** A part of a region that matrices are counted in: a slice or all of it. */
export interface Part {
  readonly grid: LevelGrid;
  /** For each of `grid.voxels`, steps over faces (in a slice: over edges) to the nearest voxel outside the morphological mask. */
  readonly border: Int32Array;
}

/** The grey levels of a region, whole and slice by slice; slices without a voxel of it are left out. */
export interface RegionLevels {
  /** Highest grey level that the discretisation gives the region: IBSI's N_g. */
  readonly levelCount: number;
  readonly whole: Part;
  readonly slices: readonly Part[];
}

/**
 * The grey level of each of `values`, from 1.
 * @returns A sentence instead, where the intensities cannot be grey levels as they are or make too many of them.
 */
export function discretise(
  values: Float64Array,
  mode: IbsiSettings['discretisation'],
  rangeLow: number | null,
): { levels: Int32Array; levelCount: number } | string {
  if (values.length === 0) return 'the region is empty';
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (mode.method === 'none') {
    if (values.some((value) => !Number.isInteger(value) || value < 1))
      return 'the intensities are not whole numbers from 1: a discretisation is needed';
    return high <= MOST_LEVELS ? { levels: Int32Array.from(values), levelCount: high } : TOO_MANY;
  }
  if (mode.method === 'fbn') {
    const levels = Int32Array.from(values, (value) => fixedBin(value, low, high, mode.bins) + 1);
    return { levels, levelCount: high > low ? mode.bins : 1 };
  }
  const origin = rangeLow ?? low;
  const level = (value: number): number => Math.floor((value - origin) / mode.width) + 1;
  if (level(high) > MOST_LEVELS) return TOO_MANY;
  return { levels: Int32Array.from(values, level), levelCount: level(high) };
}

/**
 * Bin from 0 of a value in the range low to high, cut into `bins` of equal width; the highest value is in the last. The product comes
 * before the division: multiplied by bins / (high − low), rounded, a value on an edge can fall short of it (49 of 0 to 98, two bins).
 */
export function fixedBin(value: number, low: number, high: number, bins: number): number {
  return high > low ? Math.min(bins - 1, Math.floor((bins * (value - low)) / (high - low))) : 0;
}

const MOST_LEVELS = 8192;
const TOO_MANY = `the discretisation gives more than ${MOST_LEVELS} grey levels`;

/** @param levels grey level of each voxel of the intensity region, in its order, which is by slices. */
export function regionLevels(morphological: Roi, intensity: Roi, levels: Int32Array, levelCount: number): RegionLevels {
  const perSlice = intensity.grid.size[0] * intensity.grid.size[1];
  const slices: Part[] = [];
  const [inSlice, inSpace] = ([2, 3] as const).map((axes) => borderDistances(morphological, intensity, axes)) as [
    Int32Array,
    Int32Array,
  ];
  for (let from = 0; from < levels.length; ) {
    const z = Math.floor(intensity.indices[from]! / perSlice);
    let to = from;
    while (to < levels.length && intensity.indices[to]! < (z + 1) * perSlice) to++;
    const roi = roiOfIndices(intensity.grid, intensity.indices.subarray(from, to));
    slices.push({ grid: levelGridOf(roi, levels.subarray(from, to)), border: inSlice.subarray(from, to) });
    from = to;
  }
  return { levelCount, whole: { grid: levelGridOf(intensity, levels), border: inSpace }, slices };
}

/**
 * For each voxel of the intensity region, the steps along the first `axes` axes to the nearest voxel outside the morphological one, by
 * breadth-first search inwards from the border. What lies outside the image is outside the region.
 */
function borderDistances(morphological: Roi, intensity: Roi, axes: 2 | 3): Int32Array {
  const { lower, upper } = morphological.box!;
  // One voxel of outside around the box, so that no step needs to ask where it leads.
  const [ex, ey, ez] = [0, 1, 2].map((axis) => upper[axis]! - lower[axis]! + 3) as [number, number, number];
  const [nx, ny] = morphological.grid.size;
  const place = (index: number): number =>
    (index % nx) -
    lower[0] +
    1 +
    ex * ((Math.floor(index / nx) % ny) - lower[1] + 1 + ey * (Math.floor(index / (nx * ny)) - lower[2] + 1));
  const strides = [1, ex, ex * ey].slice(0, axes);
  const inside = new Uint8Array(ex * ey * ez);
  const distance = new Int32Array(inside.length);
  const queue = Int32Array.from(morphological.indices, place);
  for (const at of queue) inside[at] = 1;
  let filled = 0;
  for (const at of queue.slice())
    if (strides.some((stride) => inside[at - stride] === 0 || inside[at + stride] === 0)) {
      distance[at] = 1;
      queue[filled++] = at;
    }
  for (let next = 0; next < filled; next++) {
    const at = queue[next]!;
    for (const stride of strides)
      for (const other of [at - stride, at + stride]) {
        if (inside[other] === 0 || distance[other] !== 0) continue;
        distance[other] = distance[at]! + 1;
        queue[filled++] = other;
      }
  }
  return Int32Array.from(intensity.indices, (index) => distance[place(index)]!);
}
