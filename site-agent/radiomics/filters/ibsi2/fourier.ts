import { boxSize } from '../../../imaging/lines.js';
import type { Box } from '../../../imaging/roi.js';
import type { Vec3 } from '../../../imaging/volume.js';
import { extended, type Part } from './boundary.js';
import { goodLength, LANES, lineTransform } from './lane-fft.js';
import type { Boundary } from './settings.js';

/** A frequency along three axes, in units of Nyquist's. */
export interface Frequency {
  /** As the transform has it: k / (n/2), from −1 to 1. */
  readonly exact: Float64Array;
  /**
   * (k − (n − 1)/2) / ((n − 1)/2), the grid on which the consensus maps of IBSI 2's Simoncelli wavelets were computed: for even n it is
   * half a step off, so that no frequency is zero.
   */
  readonly centred: Float64Array;
}

/** Real and imaginary part of a transfer function. */
export type Transfer = (at: Frequency, into: Float64Array) => void;

/**
 * The real part of a filter's response on `region`, the filter given by its transfer function. The image is extended by `paddingVoxels`
 * on either side under its boundary condition, and on to a length that transforms fast; a periodic image, and any image where no
 * padding is given, is transformed as it is. In 2D every axial slice is transformed by itself.
 */
export function transferResponse(
  part: Part,
  region: Box,
  transfer: Transfer,
  paddingVoxels: ((count: number) => number) | null,
  { boundary, dimension }: { readonly boundary: Boundary; readonly dimension: '2D' | '3D' },
): Float64Array {
  const { size } = part;
  const isPeriodic = paddingVoxels === null || boundary === 'wrap';
  const isPadded = (axis: number): boolean => !isPeriodic && (dimension === '3D' || axis < 2);
  const padding = size.map((count, axis) => (isPadded(axis) ? paddingVoxels!(count) : 0));
  const lengths = size.map((count, axis) => (isPadded(axis) ? goodLength(count + 2 * padding[axis]!) : count));
  const slices = dimension === '2D' ? region.upper[2] - region.lower[2] + 1 : 1;
  const [nx, ny, nz] = boxSize(region);
  const out = new Float64Array(nx * ny * nz);
  for (let slice = 0; slice < slices; slice++) {
    const z0 = dimension === '2D' ? region.lower[2] + slice : -padding[2]!;
    const lower = [-padding[0]!, -padding[1]!, z0] as const;
    const depth = dimension === '2D' ? 1 : lengths[2]!;
    const box: Box = { lower, upper: [lower[0] + lengths[0]! - 1, lower[1] + lengths[1]! - 1, z0 + depth - 1] };
    const re = extended(part, box, boundary);
    const im = new Float64Array(re.length);
    const inBox = (corner: Vec3, more: number): Vec3 => [
      corner[0] - lower[0] + more,
      corner[1] - lower[1] + more,
      dimension === '2D' ? more : corner[2] - z0 + more,
    ];
    const window = { lower: inBox(region.lower, 0), upper: inBox(region.upper, 1) };
    multiplied(re, im, boxSize(box), transfer, window);
    const scale = 1 / re.length;
    const [bx, by] = boxSize(box);
    const [from, to] = dimension === '2D' ? [slice, slice + 1] : [0, nz];
    for (let z = from; z < to; z++)
      for (let y = 0; y < ny; y++) {
        const row =
          region.lower[0] - lower[0] + bx * (region.lower[1] + y - lower[1] + by * (region.lower[2] + z - z0));
        for (let x = 0; x < nx; x++) out[x + nx * (y + ny * z)] = re[row + x]! * scale;
      }
  }
  return out;
}

/** Transform, multiply, transform back; unscaled, right in the window. */
function multiplied(re: Float64Array, im: Float64Array, size: Vec3, transfer: Transfer, window: Window): void {
  transformed(re, im, size);
  const h = new Float64Array(2);
  const at = { exact: new Float64Array(3), centred: new Float64Array(3) };
  const exact = size.map(exactFrequencies) as [Float64Array, Float64Array, Float64Array];
  const centred = size.map(centredFrequencies) as [Float64Array, Float64Array, Float64Array];
  const move = (axis: number, k: number): void => {
    at.exact[axis] = exact[axis]![k]!;
    at.centred[axis] = centred[axis]![k]!;
  };
  for (let z = 0, i = 0; z < size[2]; z++) {
    move(2, z);
    for (let y = 0; y < size[1]; y++) {
      move(1, y);
      for (let x = 0; x < size[0]; x++, i++) {
        move(0, x);
        transfer(at, h);
        const [a, b] = [re[i]!, im[i]!];
        re[i] = a * h[0]! - b * h[1]!;
        im[i] = a * h[1]! + b * h[0]!;
      }
    }
  }
  restored(re, im, size, window);
}

/** In the transform's order; the one at Nyquist counts as negative. */
const exactFrequencies = (count: number): Float64Array =>
  Float64Array.from({ length: count }, (_, k) => (k < count / 2 ? k : k - count) / (count / 2));

function centredFrequencies(count: number): Float64Array {
  const middle = (count - 1) / 2;
  const shift = Math.floor(count / 2);
  return Float64Array.from({ length: count }, (_, k) => (count === 1 ? 0 : (((k + shift) % count) - middle) / middle));
}

/** Which lines along an axis are transformed: those between these corners of the other axes. */
export interface Window {
  readonly lower: Vec3;
  /** Exclusive. */
  readonly upper: Vec3;
}

/**
 * Forward transform in place of a grid with x fastest; the inverse, unscaled, is the same with both arrays exchanged.
 * @param filled beyond it along each axis there are zeros only
 */
export function transformed(re: Float64Array, im: Float64Array, size: Vec3, filled: Vec3 = size): void {
  alongAxis(re, im, size, 0, { lower: [0, 0, 0], upper: [size[0], filled[1], filled[2]] });
  alongAxis(re, im, size, 1, { lower: [0, 0, 0], upper: [size[0], size[1], filled[2]] });
  alongAxis(re, im, size, 2, { lower: [0, 0, 0], upper: size });
}

/** The inverse of what `transformed` gave, unscaled, right in the window alone: lines that no voxel of it needs are left as they are. */
export function restored(re: Float64Array, im: Float64Array, size: Vec3, { lower, upper }: Window): void {
  alongAxis(im, re, size, 2, { lower: [0, 0, 0], upper: size });
  alongAxis(im, re, size, 1, { lower: [0, 0, lower[2]], upper: [size[0], size[1], upper[2]] });
  alongAxis(im, re, size, 0, { lower: [0, lower[1], lower[2]], upper: [size[0], upper[1], upper[2]] });
}

function alongAxis(re: Float64Array, im: Float64Array, size: Vec3, axis: 0 | 1 | 2, { lower, upper }: Window): void {
  const length = size[axis];
  if (length === 1) return;
  const line = lineTransform(length);
  const steps = [1, size[0], size[0] * size[1]] as const;
  // Lanes lie along x, or along y for lines that lie along x themselves.
  const across = axis === 0 ? 1 : 0;
  const other = axis === 2 ? 1 : 2;
  const [step, laneStep] = [steps[axis], steps[across]];
  const blockRe = new Float64Array(length * LANES);
  const blockIm = new Float64Array(length * LANES);
  for (let o = lower[other]; o < upper[other]; o++)
    for (let first = lower[across]; first < upper[across]; first += LANES) {
      const lanes = Math.min(LANES, upper[across] - first);
      const start = o * steps[other] + first * laneStep;
      for (let k = 0, i = 0; k < length; k++)
        for (let lane = 0, at = start + k * step; lane < lanes; lane++, i++, at += laneStep) {
          blockRe[i] = re[at]!;
          blockIm[i] = im[at]!;
        }
      line.transform(blockRe, blockIm, lanes);
      for (let k = 0, i = 0; k < length; k++)
        for (let lane = 0, at = start + k * step; lane < lanes; lane++, i++, at += laneStep) {
          re[at] = blockRe[i]!;
          im[at] = blockIm[i]!;
        }
    }
}

/**
 * The Riesz transform of orders l1, l2, l3: (−i)^L √(L! / Πl!) Π ν^l / |ν|^L, zero at zero frequency, times a real transfer function.
 * No orders leave that as it is.
 */
export function rieszTransfer(orders: readonly number[], base: (at: Frequency) => number): Transfer {
  const total = orders.reduce((sum, order) => sum + order, 0);
  const factor = Math.sqrt(factorial(total) / orders.reduce((product, order) => product * factorial(order), 1));
  const unit = (
    [
      [1, 0],
      [0, -1],
      [-1, 0],
      [0, 1],
    ] as const
  )[total % 4]!;
  return (at, into) => {
    const [x, y, z] = at.exact as unknown as Vec3;
    const norm = Math.sqrt(x * x + y * y + z * z);
    let value = norm === 0 && total > 0 ? 0 : base(at) * factor;
    if (norm > 0)
      for (let axis = 0; axis < orders.length; axis++)
        for (let k = 0; k < orders[axis]!; k++) value *= at.exact[axis]! / norm;
    into[0] = value * unit[0];
    into[1] = value * unit[1];
  };
}

function factorial(n: number): number {
  let product = 1;
  for (let k = 2; k <= n; k++) product *= k;
  return product;
}

/** The separable kernel's transfer function at a frequency, for a kernel symmetric about its centre. */
export function symmetricTransfer(kernel: readonly number[], frequency: number): number {
  const middle = (kernel.length - 1) / 2;
  let sum = kernel[middle]!;
  for (let k = 1; k <= middle; k++) sum += 2 * kernel[middle + k]! * Math.cos(Math.PI * frequency * k);
  return sum;
}
