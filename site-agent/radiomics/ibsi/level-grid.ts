import type { Roi } from '../../imaging/roi.js';
import type { IbsiSettings } from './settings.js';

/** Grey levels within the box of a region, x fastest; 0 outside the intensity mask. */
export interface LevelGrid {
  readonly size: readonly [number, number, number];
  readonly levels: Int32Array;
  /** Highest grey level that the discretisation gives the region: IBSI's N_g. */
  readonly levelCount: number;
  /** Steps of one face to the nearest voxel outside the morphological mask, within the slice and in space; 0 outside it. */
  readonly border: { readonly inSlice: Int32Array; readonly inSpace: Int32Array };
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
    const scale = high > low ? mode.bins / (high - low) : 0;
    const levels = Int32Array.from(values, (value) => Math.min(mode.bins, Math.floor((value - low) * scale) + 1));
    return { levels, levelCount: high > low ? mode.bins : 1 };
  }
  const origin = rangeLow ?? low;
  const level = (value: number): number => Math.floor((value - origin) / mode.width) + 1;
  if (level(high) > MOST_LEVELS) return TOO_MANY;
  return { levels: Int32Array.from(values, level), levelCount: level(high) };
}

const MOST_LEVELS = 20_000;
const TOO_MANY = `the discretisation gives more than ${MOST_LEVELS} grey levels`;

/** Both regions cropped to the morphological one's box. `levels` are those of the intensity region's voxels in its order. */
export function levelGrid(morphological: Roi, intensity: Roi, levels: Int32Array, levelCount: number): LevelGrid {
  const { lower, upper } = morphological.box!;
  const size = [0, 1, 2].map((axis) => upper[axis]! - lower[axis]! + 1) as [number, number, number];
  const [nx, ny] = morphological.grid.size;
  const place = (index: number): number => {
    const x = (index % nx) - lower[0];
    const y = (Math.floor(index / nx) % ny) - lower[1];
    const z = Math.floor(index / (nx * ny)) - lower[2];
    return x + size[0] * (y + size[1] * z);
  };
  const grid = new Int32Array(size[0] * size[1] * size[2]);
  intensity.indices.forEach((index, k) => {
    grid[place(index)] = levels[k]!;
  });
  const inside = new Uint8Array(grid.length);
  for (const index of morphological.indices) inside[place(index)] = 1;
  return {
    size,
    levels: grid,
    levelCount,
    border: { inSlice: borderDistance(inside, size, 2), inSpace: borderDistance(inside, size, 3) },
  };
}

/** Steps to the nearest voxel outside over faces along the first `axes` axes, by breadth-first search inwards; the box's edge is outside. */
function borderDistance(inside: Uint8Array, size: readonly [number, number, number], axes: 2 | 3): Int32Array {
  const [nx, ny, nz] = size;
  const strides = [1, nx, nx * ny].slice(0, axes);
  const distance = new Int32Array(inside.length);
  const queue = new Int32Array(inside.length);
  let filled = 0;
  for (let z = 0, at = 0; z < nz; z++)
    for (let y = 0; y < ny; y++)
      for (let x = 0; x < nx; x++, at++) {
        if (inside[at] === 0) continue;
        const edge =
          x === 0 ||
          x === nx - 1 ||
          y === 0 ||
          y === ny - 1 ||
          (axes === 3 && (z === 0 || z === nz - 1)) ||
          strides.some((stride) => inside[at - stride] === 0 || inside[at + stride] === 0);
        if (edge) {
          distance[at] = 1;
          queue[filled++] = at;
        }
      }
  // No voxel in the queue's tail touches the box's edge, where all are at distance 1, so neighbours stay within the row and slice.
  for (let next = 0; next < filled; next++) {
    const at = queue[next]!;
    for (const stride of strides)
      for (const other of [at - stride, at + stride]) {
        if (other < 0 || other >= inside.length || inside[other] === 0 || distance[other] !== 0) continue;
        distance[other] = distance[at]! + 1;
        queue[filled++] = other;
      }
  }
  return distance;
}
