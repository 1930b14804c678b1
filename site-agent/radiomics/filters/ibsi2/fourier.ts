import { boxSize } from '../../../imaging/lines.js';
import type { Box } from '../../../imaging/roi.js';
import type { Vec3 } from '../../../imaging/volume.js';
import { Fft, goodLength, transform3d } from '../../ibsi/fft.js';
import { extended, type Part } from './boundary.js';
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
 * on either side under its boundary condition, and on to a length that transforms fast; a periodic image is transformed as it is. In
 * 2D every axial slice is transformed by itself.
 */
export function transferResponse(
  part: Part,
  region: Box,
  transfer: Transfer,
  paddingVoxels: (count: number) => number,
  { boundary, dimension }: { readonly boundary: Boundary; readonly dimension: '2D' | '3D' },
): Float64Array {
  const { size } = part;
  const isPadded = (axis: number): boolean => boundary !== 'wrap' && (dimension === '3D' || axis < 2);
  const padding = size.map((count, axis) => (isPadded(axis) ? paddingVoxels(count) : 0));
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
    multiplied(re, im, boxSize(box), transfer);
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

/** Transform, multiply, transform back; unscaled. */
function multiplied(re: Float64Array, im: Float64Array, size: Vec3, transfer: Transfer): void {
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
  transformed(im, re, size);
}

/** In the transform's order; the one at Nyquist counts as negative. */
const exactFrequencies = (count: number): Float64Array =>
  Float64Array.from({ length: count }, (_, k) => (k < count / 2 ? k : k - count) / (count / 2));

function centredFrequencies(count: number): Float64Array {
  const middle = (count - 1) / 2;
  const shift = Math.floor(count / 2);
  return Float64Array.from({ length: count }, (_, k) => (count === 1 ? 0 : (((k + shift) % count) - middle) / middle));
}

const isFast = (length: number): boolean => goodLength(length) === length;

/** Forward transform in place, of any lengths; the inverse, unscaled, is the same with both arrays exchanged. */
export function transformed(re: Float64Array, im: Float64Array, size: Vec3): void {
  if (size.every(isFast)) {
    transform3d(re, im, size);
    return;
  }
  const strides = [1, size[0], size[0] * size[1]];
  for (let axis = 0; axis < 3; axis++) {
    const length = size[axis]!;
    if (length === 1) continue;
    const line = new AnyLength(length);
    const stride = strides[axis]!;
    for (let base = 0; base < re.length; base += stride * length)
      for (let inner = 0; inner < stride; inner++) line.transform(re, im, base + inner, stride);
  }
}

/** A transform of any length as a convolution with a chirp: L. Bluestein, IEEE Trans. Audio Electroacoust. 18 (1970) 451-455. */
class AnyLength {
  readonly #length: number;
  readonly #fft: Fft;
  readonly #cos: Float64Array;
  readonly #sin: Float64Array;
  readonly #chirpRe: Float64Array;
  readonly #chirpIm: Float64Array;
  readonly #re: Float64Array;
  readonly #im: Float64Array;

  constructor(length: number) {
    this.#length = length;
    const padded = goodLength(2 * length - 1);
    this.#fft = new Fft(padded);
    // k² modulo 2n keeps the angle exact for long lines.
    const angle = (k: number) => (Math.PI * ((k * k) % (2 * length))) / length;
    this.#cos = Float64Array.from({ length }, (_, k) => Math.cos(angle(k)));
    this.#sin = Float64Array.from({ length }, (_, k) => Math.sin(angle(k)));
    this.#chirpRe = new Float64Array(padded);
    this.#chirpIm = new Float64Array(padded);
    for (let k = 0; k < length; k++)
      for (const at of k === 0 ? [0] : [k, padded - k]) {
        this.#chirpRe[at] = this.#cos[k]!;
        this.#chirpIm[at] = this.#sin[k]!;
      }
    this.#fft.transform(this.#chirpRe, this.#chirpIm);
    this.#re = new Float64Array(padded);
    this.#im = new Float64Array(padded);
  }

  transform(re: Float64Array, im: Float64Array, start: number, stride: number): void {
    const [a, b, cos, sin] = [this.#re, this.#im, this.#cos, this.#sin];
    a.fill(0);
    b.fill(0);
    for (let k = 0, at = start; k < this.#length; k++, at += stride) {
      a[k] = re[at]! * cos[k]! + im[at]! * sin[k]!;
      b[k] = im[at]! * cos[k]! - re[at]! * sin[k]!;
    }
    this.#fft.transform(a, b);
    for (let k = 0; k < a.length; k++) {
      const [x, y] = [a[k]!, b[k]!];
      a[k] = x * this.#chirpRe[k]! - y * this.#chirpIm[k]!;
      b[k] = x * this.#chirpIm[k]! + y * this.#chirpRe[k]!;
    }
    this.#fft.transform(b, a);
    for (let k = 0, at = start; k < this.#length; k++, at += stride) {
      const [x, y] = [a[k]! / a.length, b[k]! / a.length];
      re[at] = x * cos[k]! + y * sin[k]!;
      im[at] = y * cos[k]! - x * sin[k]!;
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
