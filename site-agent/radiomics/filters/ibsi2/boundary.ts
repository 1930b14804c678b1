import { boxSize } from '../../../imaging/lines.js';
import type { Box } from '../../../imaging/roi.js';
import type { Samples, Vec3 } from '../../../imaging/volume.js';
import type { Boundary } from './settings.js';

/** Voxel of an axis of `count` voxels that stands for one that may lie outside; −1 where that is zero. */
export function voxelWithin(voxel: number, count: number, boundary: Boundary): number {
  if (voxel >= 0 && voxel < count) return voxel;
  switch (boundary) {
    case 'constant':
      return -1;
    case 'nearest':
      return voxel < 0 ? 0 : count - 1;
    case 'wrap':
      return ((voxel % count) + count) % count;
    case 'reflect': {
      const at = ((voxel % (2 * count)) + 2 * count) % (2 * count);
      return at < count ? at : 2 * count - 1 - at;
    }
  }
}

/** Samples of a part of an image: those of `box`, which lies within the image's `size`. */
export interface Part {
  readonly data: Samples;
  readonly box: Box;
  readonly size: Vec3;
}

/** The smallest box within the image that the boundary condition reaches for the voxels of `box`, which may lie outside. */
export function reached(box: Box, size: Vec3, boundary: Boundary): Box {
  const lower = [0, 0, 0];
  const upper = [0, 0, 0];
  for (let axis = 0; axis < 3; axis++) {
    let least = size[axis]! - 1;
    let most = 0;
    for (let voxel = box.lower[axis]!; voxel <= box.upper[axis]!; voxel++) {
      const at = voxelWithin(voxel, size[axis]!, boundary);
      if (at < 0) continue;
      least = Math.min(least, at);
      most = Math.max(most, at);
    }
    lower[axis] = Math.min(least, most);
    upper[axis] = Math.max(least, most);
  }
  return { lower: [lower[0]!, lower[1]!, lower[2]!], upper: [upper[0]!, upper[1]!, upper[2]!] };
}

/** The samples of `box`, which may lie outside the image, x fastest. */
export function extended(part: Part, box: Box, boundary: Boundary): Float64Array {
  const [nx, ny, nz] = boxSize(box);
  const [px, py] = boxSize(part.box);
  const out = new Float64Array(nx * ny * nz);
  const places = [0, 1, 2].map((axis) =>
    Int32Array.from({ length: [nx, ny, nz][axis]! }, (_, k) => {
      const at = voxelWithin(box.lower[axis]! + k, part.size[axis]!, boundary);
      return at < 0 ? -1 : at - part.box.lower[axis]!;
    }),
  );
  const [xs, ys, zs] = places as [Int32Array, Int32Array, Int32Array];
  for (let z = 0; z < nz; z++)
    for (let y = 0; y < ny; y++) {
      if (zs[z]! < 0 || ys[y]! < 0) continue;
      const row = px * (ys[y]! + py * zs[z]!);
      const at = nx * (y + ny * z);
      for (let x = 0; x < nx; x++) if (xs[x]! >= 0) out[at + x] = part.data[row + xs[x]!]!;
    }
  return out;
}

/** `box` grown on every side, beyond the image's edge too. */
export const grown = (box: Box, by: Vec3): Box => ({
  lower: [box.lower[0] - by[0], box.lower[1] - by[1], box.lower[2] - by[2]],
  upper: [box.upper[0] + by[0], box.upper[1] + by[1], box.upper[2] + by[2]],
});
