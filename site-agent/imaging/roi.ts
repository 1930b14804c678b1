import type { Grid, Samples, Vec3, Volume } from './volume.js';
import { gridOf } from './volume.js';

/** The voxels of a region of interest on a grid. */
export interface Roi {
  readonly grid: Grid;
  /** Linear voxel indices, ascending. */
  readonly indices: Int32Array;
  /** Smallest box that holds the region, both corners inside it; null where the region is empty. */
  readonly box: Box | null;
}

export interface Box {
  readonly lower: Vec3;
  readonly upper: Vec3;
}

/** The voxels of `mask` whose value is `label`. */
export function roiOf(mask: Volume, label = 1): Roi {
  const [nx, ny, nz] = mask.size;
  const { data } = mask;
  let count = 0;
  for (let i = 0; i < data.length; i++) if (data[i] === label) count++;
  const indices = new Int32Array(count);
  const lower = [nx, ny, nz];
  const upper = [-1, -1, -1];
  let next = 0;
  for (let z = 0, i = 0; z < nz; z++)
    for (let y = 0; y < ny; y++)
      for (let x = 0; x < nx; x++, i++) {
        if (data[i] !== label) continue;
        indices[next++] = i;
        if (x < lower[0]!) lower[0] = x;
        if (y < lower[1]!) lower[1] = y;
        if (z < lower[2]!) lower[2] = z;
        if (x > upper[0]!) upper[0] = x;
        if (y > upper[1]!) upper[1] = y;
        if (z > upper[2]!) upper[2] = z;
      }
  const box =
    count === 0
      ? null
      : { lower: [lower[0]!, lower[1]!, lower[2]!] as const, upper: [upper[0]!, upper[1]!, upper[2]!] as const };
  return { grid: gridOf(mask), indices, box };
}

/** The region of the voxels with these linear indices, ascending. */
export function roiOfIndices(grid: Grid, indices: Int32Array): Roi {
  const [nx, ny] = grid.size;
  const lower = [nx, ny, grid.size[2]] as [number, number, number];
  const upper = [-1, -1, -1] as [number, number, number];
  for (const index of indices) {
    const row = Math.floor(index / nx);
    const at = [index - row * nx, row % ny, Math.floor(row / ny)];
    for (let axis = 0; axis < 3; axis++) {
      lower[axis] = Math.min(lower[axis]!, at[axis]!);
      upper[axis] = Math.max(upper[axis]!, at[axis]!);
    }
  }
  return { grid: gridOf(grid), indices, box: indices.length === 0 ? null : { lower, upper } };
}

/** The image's values at the region's voxels, in the order of `roi.indices`. */
export function valuesIn(image: Volume<Samples>, roi: Roi): Float64Array {
  const values = new Float64Array(roi.indices.length);
  for (let k = 0; k < values.length; k++) values[k] = image.data[roi.indices[k]!]!;
  return values;
}
