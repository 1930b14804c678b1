import { boxSize } from './lines.js';
import type { Box } from './roi.js';
import type { Samples, Vec3 } from './volume.js';

/** A separable interpolation kernel of an even or odd number of taps. */
export interface Kernel {
  readonly taps: number;
  /** First voxel of the support of a position, before the boundary is applied. */
  first(position: number): number;
  weigh(position: number, first: number, weights: Float64Array, count: number): void;
  /** Voxel within `count` voxels that stands for one outside. */
  inside(voxel: number, count: number): number;
}

/** Writes the interpolated values of the target's row (y, z); what lies outside the image comes out as any number. */
export type RowSampler = (y: number, z: number, row: Float64Array) => void;

/**
 * Where the voxel centres of a target lie whose axes are the image's: along each axis in voxels of the image, and whether they are
 * within it. A position along one axis does not depend on the others.
 */
export interface AlignedPositions {
  readonly at: readonly [Float64Array, Float64Array, Float64Array];
  readonly isInside: readonly [Uint8Array, Uint8Array, Uint8Array];
}

export function nearestRows(data: Samples, [nx, ny]: Vec3, { at, isInside }: AlignedPositions): RowSampler {
  const voxels = at.map((axis, a) => Int32Array.from(axis, (p, k) => (isInside[a]![k] ? Math.floor(p + 0.5) : 0)));
  const [xs, ys, zs] = voxels as [Int32Array, Int32Array, Int32Array];
  return (y, z, row) => {
    const base = nx * (ys[y]! + ny * zs[z]!);
    for (let x = 0; x < xs.length; x++) row[x] = data[base + xs[x]!]!;
  };
}

/**
 * A kernel of four taps, whose weights along each axis are found once. The 64 terms of a voxel are (wx · wy) · wz · value, added by
 * ascending x, then y, then z, as the sampler of single positions adds them; neighbours along x take turns, so that no sum waits for
 * its own last term.
 * @param data samples of the image's voxels in `box`
 */
export function fourTapRows(
  kernel: Kernel,
  data: Samples,
  box: Box,
  size: Vec3,
  positions: AlignedPositions,
): RowSampler {
  const [bx, by] = boxSize(box);
  const [x, y, z] = ([0, 1, 2] as const).map((axis) => tapsOf(kernel, positions, axis, size[axis], box)) as [
    Taps,
    Taps,
    Taps,
  ];
  // wx · wy of the four rows along y, which the rows of one y share.
  const planar = [0, 1, 2, 3].map(() => new Float64Array(x.weights.length));
  let planarOf = -1;
  return (atY, atZ, row) => {
    if (atY !== planarOf) {
      planarOf = atY;
      for (const [j, products] of planar.entries()) multiply(products, x.weights, y.weights[4 * atY + j]!);
    }
    row.fill(0);
    const first = y.voxels.subarray(4 * atY, 4 * atY + 4);
    for (let l = 4 * atZ; l < 4 * atZ + 4; l++)
      addTerms(row, data, x.voxels, planar, first, bx, bx * by * z.voxels[l]!, z.weights[l]!);
  };
}

function multiply(products: Float64Array, weights: Float64Array, by: number): void {
  for (let k = 0; k < products.length; k++) products[k] = weights[k]! * by;
}

interface Taps {
  /** Four a position: the voxel within the box. */
  readonly voxels: Int32Array;
  readonly weights: Float64Array;
}

function tapsOf(kernel: Kernel, { at, isInside }: AlignedPositions, axis: 0 | 1 | 2, count: number, box: Box): Taps {
  const voxels = new Int32Array(4 * at[axis].length);
  const weights = new Float64Array(4 * at[axis].length);
  const some = new Float64Array(4);
  for (let k = 0; k < at[axis].length; k++) {
    if (isInside[axis][k] === 0) continue;
    const position = at[axis][k]!;
    const first = kernel.first(position);
    kernel.weigh(position, first, some, count);
    weights.set(some, 4 * k);
    for (let tap = 0; tap < 4; tap++) voxels[4 * k + tap] = kernel.inside(first + tap, count) - box.lower[axis];
  }
  return { voxels, weights };
}

/** The terms of the four rows of one plane of the image that a row of the target lies between. */
function addTerms(
  row: Float64Array,
  data: Samples,
  voxels: Int32Array,
  planar: readonly Float64Array[],
  rows: Int32Array,
  rowLength: number,
  plane: number,
  wz: number,
): void {
  const p = planar[0]!;
  const q = planar[1]!;
  const r = planar[2]!;
  const s = planar[3]!;
  const a = plane + rowLength * rows[0]!;
  const b = plane + rowLength * rows[1]!;
  const c = plane + rowLength * rows[2]!;
  const d = plane + rowLength * rows[3]!;
  for (let x = 0, k = 0; x < row.length; x++, k += 4) {
    const v0 = voxels[k]!;
    const v1 = voxels[k + 1]!;
    const v2 = voxels[k + 2]!;
    const v3 = voxels[k + 3]!;
    row[x] =
      row[x]! +
      p[k]! * wz * data[a + v0]! +
      p[k + 1]! * wz * data[a + v1]! +
      p[k + 2]! * wz * data[a + v2]! +
      p[k + 3]! * wz * data[a + v3]! +
      q[k]! * wz * data[b + v0]! +
      q[k + 1]! * wz * data[b + v1]! +
      q[k + 2]! * wz * data[b + v2]! +
      q[k + 3]! * wz * data[b + v3]! +
      r[k]! * wz * data[c + v0]! +
      r[k + 1]! * wz * data[c + v1]! +
      r[k + 2]! * wz * data[c + v2]! +
      r[k + 3]! * wz * data[c + v3]! +
      s[k]! * wz * data[d + v0]! +
      s[k + 1]! * wz * data[d + v1]! +
      s[k + 2]! * wz * data[d + v2]! +
      s[k + 3]! * wz * data[d + v3]!;
  }
}
