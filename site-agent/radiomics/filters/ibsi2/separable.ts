import { boxSize, filterLines, type LineFilter, withAxis } from '../../../imaging/lines.js';
import type { Box } from '../../../imaging/roi.js';
import type { Vec3 } from '../../../imaging/volume.js';
import { extended, grown, type Part } from './boundary.js';
import type { Boundary, Pooling } from './settings.js';

/** Kernels along x, y, z, each of odd length with its centre in the middle; an axis that is not filtered has null. */
export type Kernels = readonly [Kernel, Kernel, Kernel];
export type Kernel = readonly number[] | null;

const half = (kernel: Kernel): number => (kernel === null ? 0 : (kernel.length - 1) / 2);
export const reachOf = (kernels: Kernels): Vec3 => [half(kernels[0]), half(kernels[1]), half(kernels[2])];

/** Voxels around a region that any of the kernels reads. */
export const reachOfAll = (all: readonly Kernels[]): Vec3 => {
  const most = (axis: 0 | 1 | 2) => Math.max(...all.map((kernels) => half(kernels[axis])));
  return [most(0), most(1), most(2)];
};

/** An even kernel gets a zero behind, so that its centre is the later of its two middle taps. */
export const oddKernel = (taps: readonly number[]): readonly number[] => (taps.length % 2 === 0 ? [...taps, 0] : taps);

/** The kernel with a zero between any two taps. */
export const withHoles = (kernel: Kernel): Kernel =>
  kernel === null ? null : kernel.flatMap((tap, k) => (k === 0 ? [tap] : [0, tap]));

/**
 * Convolution (the kernel flipped) of each of several separable filters, all pooled into one response on `region`. Filters that begin
 * with the same kernels share those passes.
 */
export function pooledResponse(
  part: Part,
  region: Box,
  filters: readonly Kernels[],
  boundary: Boundary,
  pooling: Pooling,
): Float64Array {
  const reach = reachOfAll(filters);
  const box = grown(region, reach);
  const source = extended(part, box, boundary);
  const [nx, ny, nz] = boxSize(region);
  const pooled = new Float64Array(nx * ny * nz);
  let count = 0;
  const pool = (response: Float64Array): void => {
    count++;
    if (count === 1) pooled.set(response);
    else if (pooling === 'mean') for (let i = 0; i < pooled.length; i++) pooled[i] = pooled[i]! + response[i]!;
    else if (pooling === 'max') for (let i = 0; i < pooled.length; i++) pooled[i] = Math.max(pooled[i]!, response[i]!);
    else for (let i = 0; i < pooled.length; i++) pooled[i] = Math.min(pooled[i]!, response[i]!);
  };
  along(0, source, boxSize(box), distinct(filters), reach, pool);
  if (pooling === 'mean' && count > 1) for (let i = 0; i < pooled.length; i++) pooled[i] = pooled[i]! / count;
  return pooled;
}

function along(
  axis: 0 | 1 | 2 | 3,
  data: Float64Array,
  size: Vec3,
  filters: readonly Kernels[],
  reach: Vec3,
  pool: (response: Float64Array) => void,
): void {
  if (axis === 3) {
    pool(data);
    return;
  }
  const groups = new Map<string, Kernels[]>();
  for (const kernels of filters) {
    const key = String(kernels[axis]);
    groups.set(key, [...(groups.get(key) ?? []), kernels]);
  }
  const range = [reach[axis], size[axis] - reach[axis]] as const;
  const nextSize = withAxis(size, axis, range[1] - range[0]);
  for (const group of groups.values()) {
    const kernel = group[0]![axis];
    let next = data;
    if (kernel !== null || reach[axis] > 0) {
      next = new Float64Array(nextSize[0] * nextSize[1] * nextSize[2]);
      filterLines(data, size, axis, range, [next], [convolution(kernel ?? [1], range)]);
    }
    along((axis + 1) as 1 | 2 | 3, next, nextSize, group, reach, pool);
  }
}

/** Rotated filters may coincide; each of those that differ then stands for equally many. */
function distinct(filters: readonly Kernels[]): Kernels[] {
  return [...new Map(filters.map((kernels) => [kernels.map(String).join(';'), kernels])).values()];
}

function convolution(kernel: readonly number[], [from, to]: readonly [number, number]): LineFilter {
  const middle = (kernel.length - 1) / 2;
  return (x, out, _length, lanes) => {
    for (let i = from; i < to; i++) {
      const at = i * lanes;
      for (let b = 0; b < lanes; b++) out[at + b] = 0;
      for (let k = 0; k < kernel.length; k++) {
        const tap = kernel[k]!;
        if (tap === 0) continue;
        const source = (i + middle - k) * lanes;
        for (let b = 0; b < lanes; b++) out[at + b] = out[at + b]! + tap * x[source + b]!;
      }
    }
  };
}

/** A right-angle rotation: axis a takes the kernel of `from[a]`, backwards where `flips[a]`. */
export interface Rotation {
  readonly from: Vec3;
  readonly flips: readonly [boolean, boolean, boolean];
}

const ORDERS: readonly (readonly [Vec3, 1 | -1])[] = [
  [[0, 1, 2], 1],
  [[1, 2, 0], 1],
  [[2, 0, 1], 1],
  [[1, 0, 2], -1],
  [[0, 2, 1], -1],
  [[2, 1, 0], -1],
];

/** The 24 rotations of space, or the 4 in the axial plane: permutations of axes with flips whose determinant is one. */
export function rotations(dimension: '2D' | '3D'): Rotation[] {
  return ORDERS.filter(([from]) => dimension === '3D' || from[2] === 2).flatMap(([from, sign]) =>
    [0, 1, 2, 3, 4, 5, 6, 7]
      .map((bits) => [(bits & 1) === 1, (bits & 2) === 2, (bits & 4) === 4] as const)
      .filter((flips) => flips.filter(Boolean).length % 2 === (sign === 1 ? 0 : 1))
      .filter((flips) => dimension === '3D' || !flips[2])
      .map((flips) => ({ from, flips })),
  );
}

/** The filter turned by a rotation. */
export function rotated(kernels: Kernels, { from, flips }: Rotation): Kernels {
  const turned = (axis: 0 | 1 | 2): Kernel => {
    const kernel = kernels[from[axis] as 0 | 1 | 2];
    return kernel !== null && flips[axis] ? [...kernel].reverse() : kernel;
  };
  return [turned(0), turned(1), turned(2)];
}
