import { boxSize } from './lines.js';
import type { Box } from './roi.js';
import { type Grid, gridOf, physicalPoint, type Samples, type Vec3, type Volume } from './volume.js';

/** An array of the same class as `like`, zeros. */
export function emptyLike<T extends Samples>(like: T, length: number): T {
  return new (like.constructor as new (n: number) => T)(length);
}

/** The part of a grid inside a box; its origin is the centre of the box's first voxel. */
export function cropGrid(grid: Grid, box: Box): Grid {
  return { ...gridOf(grid), size: boxSize(box), origin: physicalPoint(grid, box.lower) };
}

/** The voxels of a volume inside a box. */
export function cropVolume<T extends Samples>(volume: Volume<T>, box: Box): Volume<T> {
  return { ...cropGrid(volume, box), data: cropSamples(volume.data, volume.size, box) };
}

/** The samples inside a box of an array of `size` voxels. */
export function cropSamples<T extends Samples>(data: T, size: Vec3, box: Box): T {
  const [nx, ny, nz] = boxSize(box);
  const out = emptyLike(data, nx * ny * nz);
  for (let z = 0, at = 0; z < nz; z++)
    for (let y = 0; y < ny; y++, at += nx) {
      const row = box.lower[0] + size[0] * (box.lower[1] + y + size[1] * (box.lower[2] + z));
      out.set(data.subarray(row, row + nx), at);
    }
  return out;
}

/** `box` grown by `margin` voxels on every side and clipped to a grid of `size`. */
export function growBox(box: Box, margin: number | Vec3, size: Vec3): Box {
  const by = typeof margin === 'number' ? [margin, margin, margin] : margin;
  const lower = (axis: number) => Math.max(0, box.lower[axis]! - by[axis]!);
  const upper = (axis: number) => Math.min(size[axis]! - 1, box.upper[axis]! + by[axis]!);
  return { lower: [lower(0), lower(1), lower(2)], upper: [upper(0), upper(1), upper(2)] };
}
