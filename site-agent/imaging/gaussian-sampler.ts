import type { Volume } from './volume.js';

const SIGMA_VOXELS = 0.8;
const CUT_SIGMAS = 4;

/**
 * The value at a position, in voxels, by ITK's GaussianInterpolateImageFunction with what SimpleITK sets: σ of 0.8 voxels, cut at 4 σ. A
 * voxel weighs as much as the Gaussian's integral over it; voxels outside the image take no part, and the sum is divided by that of the
 * weights. Sums are in ITK's order: where it gives 147.99… for a constant 148, an integer image has 147.
 */
export function gaussianSampler({ data, size, spacingMm }: Volume): (position: Float64Array) => number {
  const [nx, ny] = size;
  const scales = spacingMm.map((mm) => 1 / ((Math.SQRT2 * (mm * SIGMA_VOXELS)) / mm));
  const cuts = spacingMm.map((mm) => (mm * SIGMA_VOXELS * CUT_SIGMAS) / mm);
  const last = new Float64Array(3).fill(Number.NaN);
  const begin = new Int32Array(3);
  const weights: Float64Array[] = [new Float64Array(0), new Float64Array(0), new Float64Array(0)];
  return (position) => {
    for (let axis = 0; axis < 3; axis++) {
      const p = position[axis]!;
      if (p === last[axis]) continue;
      last[axis] = p;
      begin[axis] = Math.max(0, Math.floor(p + 0.5 - cuts[axis]!));
      const end = Math.min(size[axis]!, Math.ceil(p + 0.5 + cuts[axis]!));
      weights[axis] = integrals(-0.5 - p + begin[axis]!, scales[axis]!, end - begin[axis]!);
    }
    const [wx, wy, wz] = weights as [Float64Array, Float64Array, Float64Array];
    let sum = 0;
    let total = 0;
    for (let z = 0; z < wz.length; z++)
      for (let y = 0; y < wy.length; y++) {
        const row = begin[0]! + nx * (begin[1]! + y + ny * (begin[2]! + z));
        for (let x = 0; x < wx.length; x++) {
          const weight = wx[x]! * wy[y]! * wz[z]!;
          sum += data[row + x]! * weight;
          total += weight;
        }
      }
    return sum / total;
  };
}

/** Twice the Gaussian's integral over each of `count` voxels, the first of which begins at `start`. */
function integrals(start: number, scale: number, count: number): Float64Array {
  const out = new Float64Array(count);
  let t = start * scale;
  let before = errorFunction(t);
  for (let k = 0; k < count; k++) {
    t += scale;
    const now = errorFunction(t);
    out[k] = now - before;
    before = now;
  }
  return out;
}

/**
 * The error function to about 1e-7, as vnl computes it for ITK: the incomplete gamma function P(1/2, x²), by its series below 3/2 and by a
 * continued fraction (Lentz) above, both ended where a term changes less than 3e-7. A better one gives other voxels.
 */
function errorFunction(x: number): number {
  const square = x * x;
  const value = square < 1.5 ? series(square) : 1 - continuedFraction(square);
  return x < 0 ? -value : value;
}

const ENOUGH = 3e-7;
const STEPS_MAX = 100;
const TINY = 1e-30;

const front = (x: number): number => Math.exp(-x + 0.5 * Math.log(x) - LOG_GAMMA_HALF);

function series(x: number): number {
  if (x <= 0) return 0;
  let a = 0.5;
  let term = 2;
  let sum = term;
  for (let k = 1; k <= STEPS_MAX; k++) {
    a += 1;
    term *= x / a;
    sum += term;
    if (Math.abs(term) < Math.abs(sum) * ENOUGH) break;
  }
  return sum * front(x);
}

function continuedFraction(x: number): number {
  const atLeast = (value: number): number => (Math.abs(value) < TINY ? TINY : value);
  let b = x + 1 - 0.5;
  let c = 1 / TINY;
  let d = 1 / b;
  let fraction = d;
  for (let k = 1; k <= STEPS_MAX; k++) {
    const a = k * (0.5 - k);
    b += 2;
    d = 1 / atLeast(a * d + b);
    c = atLeast(b + a / c);
    const change = d * c;
    fraction *= change;
    if (Math.abs(change - 1) < ENOUGH) break;
  }
  return front(x) * fraction;
}

/** log Γ(1/2) by the six-term Lanczos approximation that vnl takes: log √π to 3e-11. */
const LOG_GAMMA_HALF = logGamma(0.5);

function logGamma(x: number): number {
  let sum = 2.506628275634795;
  sum += 225.52558461917522 / x;
  sum -= 268.29597384130494 / (x + 1);
  sum += 80.90308069346226 / (x + 2);
  sum -= 5.007578639705176 / (x + 3);
  sum += 0.011468489543478146 / (x + 4);
  const shifted = x + 4.65;
  return Math.log(sum) + (x - 0.5) * Math.log(shifted) - shifted;
}
