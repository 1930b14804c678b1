import type { Vec3 } from '../../imaging/volume.js';

/**
 * The recursive approximation of a Gaussian and its second derivative: R. Deriche, Recursively implementing the Gaussian and its
 * derivatives, INRIA RR-1893 (1993), with the normalisation by G. Farnebäck and C.-F. Westin, Improving Deriche-style recursive
 * Gaussian filters, J. Math. Imaging Vis. 26 (2006) 293-299, which ITK's RecursiveGaussianImageFilter follows. Edge values are repeated.
 */
interface Recursion {
  /** Of the input, causal pass: n0 to n3. */
  readonly n: readonly [number, number, number, number];
  /** Of the input, anti-causal pass: m1 to m4. */
  readonly m: readonly [number, number, number, number];
  /** Of the output, both passes: d1 to d4. */
  readonly d: readonly [number, number, number, number];
}

/** Deriche's fits of the zeroth and the second derivative by two damped waves of these frequencies and decays. */
const FIT = {
  frequency: [0.6681, 2.0787],
  decay: [-1.3932, -1.3732],
  smooth: { a: [1.353, -0.3531], b: [1.8151, 0.0902] },
  second: { a: [-1.3563, 0.3446], b: [5.2318, -2.2355] },
} as const;

interface Moments {
  readonly n: [number, number, number, number];
  readonly sum: number;
  readonly first: number;
  readonly second: number;
}

function waves(sigmaVoxels: number) {
  const [w1, w2] = FIT.frequency;
  const [l1, l2] = FIT.decay;
  return {
    sin1: Math.sin(w1 / sigmaVoxels),
    sin2: Math.sin(w2 / sigmaVoxels),
    cos1: Math.cos(w1 / sigmaVoxels),
    cos2: Math.cos(w2 / sigmaVoxels),
    exp1: Math.exp(l1 / sigmaVoxels),
    exp2: Math.exp(l2 / sigmaVoxels),
  };
}

function numerator(
  sigmaVoxels: number,
  fit: { readonly a: readonly number[]; readonly b: readonly number[] },
): Moments {
  const { sin1, sin2, cos1, cos2, exp1, exp2 } = waves(sigmaVoxels);
  const [a1, a2] = fit.a as readonly [number, number];
  const [b1, b2] = fit.b as readonly [number, number];
  const n0 = a1 + a2;
  const n1 = exp2 * (b2 * sin2 - (a2 + 2 * a1) * cos2) + exp1 * (b1 * sin1 - (a1 + 2 * a2) * cos1);
  const cross = ((a1 + a2) * cos2 * cos1 - (b1 * cos2 * sin1 + b2 * cos1 * sin2)) * (2 * exp1 * exp2);
  const n2 = cross + (a2 * exp1 * exp1 + a1 * exp2 * exp2);
  const n3 = exp2 * exp1 * exp1 * (b2 * sin2 - a2 * cos2) + exp1 * exp2 * exp2 * (b1 * sin1 - a1 * cos1);
  return {
    n: [n0, n1, n2, n3],
    sum: n0 + n1 + n2 + n3,
    first: n1 + 2 * n2 + 3 * n3,
    second: n1 + 4 * n2 + 9 * n3,
  };
}

function denominator(sigmaVoxels: number): Moments {
  const { cos1, cos2, exp1, exp2 } = waves(sigmaVoxels);
  const d4 = exp1 * exp1 * exp2 * exp2;
  const d3 = -2 * cos1 * exp1 * exp2 * exp2 + -2 * cos2 * exp2 * exp1 * exp1;
  const d2 = 4 * cos2 * cos1 * exp1 * exp2 + (exp1 * exp1 + exp2 * exp2);
  const d1 = -2 * (exp2 * cos2 + exp1 * cos1);
  return {
    n: [d1, d2, d3, d4],
    sum: 1 + d1 + d2 + d3 + d4,
    first: d1 + 2 * d2 + 3 * d3 + 4 * d4,
    second: d1 + 4 * d2 + 9 * d3 + 16 * d4,
  };
}

function symmetric(n: readonly number[], scale: number, d: Recursion['d']): Recursion {
  const [n0, n1, n2, n3] = n.map((entry) => entry * scale) as [number, number, number, number];
  return { n: [n0, n1, n2, n3], m: [n1 - d[0] * n0, n2 - d[1] * n0, n3 - d[2] * n0, -d[3] * n0], d };
}

/** Convolution with a Gaussian of unit sum. */
export function smoothing(sigmaVoxels: number): RecursiveFilter {
  const d = denominator(sigmaVoxels);
  const { n, sum } = numerator(sigmaVoxels, FIT.smooth);
  return recursive(symmetric(n, 1 / ((2 * sum) / d.sum - n[0]), d.n));
}

/** Convolution with a Gaussian's second derivative per voxel², times `scale`. */
export function secondDerivative(sigmaVoxels: number, scale: number): RecursiveFilter {
  const d = denominator(sigmaVoxels);
  const zeroth = numerator(sigmaVoxels, FIT.smooth);
  const plain = numerator(sigmaVoxels, FIT.second);
  // The blend of both fits whose response to a constant is zero.
  const beta = -(2 * plain.sum - d.sum * plain.n[0]) / (2 * zeroth.sum - d.sum * zeroth.n[0]);
  const n = plain.n.map((entry, k) => entry + beta * zeroth.n[k]!);
  const sum = plain.sum + beta * zeroth.sum;
  const first = plain.first + beta * zeroth.first;
  const second = plain.second + beta * zeroth.second;
  const bend =
    second * d.sum * d.sum - d.second * sum * d.sum - 2 * first * d.first * d.sum + 2 * d.first * d.first * sum;
  return recursive(symmetric(n, scale / (bend / (d.sum * d.sum * d.sum)), d.n));
}

/** Filters every line of a volume along an axis, of which the samples `from` to `to` (exclusive) are wanted. */
export type RecursiveFilter = (pass: LinePass) => void;

export interface LinePass {
  readonly data: Float32Array | Float64Array;
  readonly size: Vec3;
  readonly axis: 0 | 1 | 2;
  readonly keep: readonly [from: number, to: number];
  /** Of the source's size with that axis shortened to what is kept. */
  readonly out: Float32Array;
}

/**
 * Both passes over lines of at least four samples, in float64, read and written where they lie; outside, the edge value goes on for
 * ever. Each pass ends where no wanted sample lies ahead.
 */
function recursive(recursion: Recursion): RecursiveFilter {
  const coefficients = coefficientsOf(recursion);
  return ({ data, size, axis, keep: [from, to], out }) => {
    const length = size[axis];
    const step = axis === 0 ? 1 : axis === 1 ? size[0] : size[0] * size[1];
    const rows = (size[0] * size[1] * size[2]) / (step * length);
    const causal = new Float64Array(2 * length);
    const edge = new Float64Array(8);
    // Two lines at a time: what the recursion carries along stays in registers, and one line's sums fill the other's waiting.
    const lines = axis === 0 ? rows : step;
    const apart = axis === 0 ? length : 1;
    const outApart = axis === 0 ? to - from : 1;
    for (let row = 0; row < (axis === 0 ? 1 : rows); row++) {
      const at = row * length * step;
      const outAt = row * (to - from) * step;
      for (let line = 0; line < lines; line += 2) {
        // An odd line out is computed twice.
        const second = line + 1 < lines ? 1 : 0;
        const b = at + line * apart;
        const c = b + second * apart;
        forward(coefficients, data, b, c, step, length, to, causal);
        const p = outAt + line * outApart;
        backward(coefficients, data, b, c, step, length, causal, edge, out, p, p + second * outApart, from, to);
      }
    }
  };
}

/** n0 to n3, m1 to m4, d1 to d4, and the d times what the recursion has settled to on a constant 1, causal and anti-causal. */
function coefficientsOf({ n, m, d }: Recursion): Float64Array {
  const sumD = 1 + d[0] + d[1] + d[2] + d[3];
  const sumN = n[0] + n[1] + n[2] + n[3];
  const sumM = m[0] + m[1] + m[2] + m[3];
  return Float64Array.of(...n, ...m, ...d, ...d.map((e) => (e * sumN) / sumD), ...d.map((e) => (e * sumM) / sumD));
}

/** The causal part of the lines that begin at b and c, up to sample `to`, into even and odd places of `causal`. */
function forward(
  coefficients: Float64Array,
  x: Float32Array | Float64Array,
  b: number,
  c: number,
  step: number,
  length: number,
  to: number,
  causal: Float64Array,
): void {
  startForward(coefficients, x, b, step, causal, 0);
  startForward(coefficients, x, c, step, causal, 1);
  const n0 = coefficients[0]!;
  const n1 = coefficients[1]!;
  const n2 = coefficients[2]!;
  const n3 = coefficients[3]!;
  const d1 = coefficients[8]!;
  const d2 = coefficients[9]!;
  const d3 = coefficients[10]!;
  const d4 = coefficients[11]!;
  // One by one and from typed arrays: what comes out of a destructured array is a boxed number, and so is every sum that follows it.
  let x1 = x[b + 3 * step]!;
  let x2 = x[b + 2 * step]!;
  let x3 = x[b + step]!;
  let y1 = causal[6]!;
  let y2 = causal[4]!;
  let y3 = causal[2]!;
  let y4 = causal[0]!;
  let u1 = x[c + 3 * step]!;
  let u2 = x[c + 2 * step]!;
  let u3 = x[c + step]!;
  let v1 = causal[7]!;
  let v2 = causal[5]!;
  let v3 = causal[3]!;
  let v4 = causal[1]!;
  const end = Math.min(to, length);
  for (let k = 4, i = b + 4 * step, j = c + 4 * step; k < end; k++, i += step, j += step) {
    const x0 = x[i]!;
    const u0 = x[j]!;
    const y0 = x0 * n0 + x1 * n1 + x2 * n2 + x3 * n3 - (y1 * d1 + y2 * d2 + y3 * d3 + y4 * d4);
    const v0 = u0 * n0 + u1 * n1 + u2 * n2 + u3 * n3 - (v1 * d1 + v2 * d2 + v3 * d3 + v4 * d4);
    causal[2 * k] = y0;
    causal[2 * k + 1] = v0;
    x3 = x2;
    x2 = x1;
    x1 = x0;
    y4 = y3;
    y3 = y2;
    y2 = y1;
    y1 = y0;
    u3 = u2;
    u2 = u1;
    u1 = u0;
    v4 = v3;
    v3 = v2;
    v2 = v1;
    v1 = v0;
  }
}

/** The first four samples of the causal part. */
function startForward(
  coefficients: Float64Array,
  x: Float32Array | Float64Array,
  b: number,
  step: number,
  causal: Float64Array,
  lane: number,
): void {
  const n0 = coefficients[0]!;
  const n1 = coefficients[1]!;
  const n2 = coefficients[2]!;
  const n3 = coefficients[3]!;
  const d1 = coefficients[8]!;
  const d2 = coefficients[9]!;
  const d3 = coefficients[10]!;
  const b1 = coefficients[12]!;
  const b2 = coefficients[13]!;
  const b3 = coefficients[14]!;
  const b4 = coefficients[15]!;
  const v = x[b]!;
  const x1 = x[b + step]!;
  const x2 = x[b + 2 * step]!;
  const x3 = x[b + 3 * step]!;
  const y0 = v * n0 + v * n1 + v * n2 + v * n3 - (v * b1 + v * b2 + v * b3 + v * b4);
  const y1 = x1 * n0 + v * n1 + v * n2 + v * n3 - (y0 * d1 + v * b2 + v * b3 + v * b4);
  const y2 = x2 * n0 + x1 * n1 + v * n2 + v * n3 - (y1 * d1 + y0 * d2 + v * b3 + v * b4);
  causal[lane] = y0;
  causal[2 + lane] = y1;
  causal[4 + lane] = y2;
  causal[6 + lane] = x3 * n0 + x2 * n1 + x1 * n2 + v * n3 - (y2 * d1 + y1 * d2 + y0 * d3 + v * b4);
}

/** The last four samples of the anti-causal part, the last first, into even or odd places of `edge`. */
function startBackward(
  coefficients: Float64Array,
  x: Float32Array | Float64Array,
  last: number,
  step: number,
  edge: Float64Array,
  lane: number,
): void {
  const m1 = coefficients[4]!;
  const m2 = coefficients[5]!;
  const m3 = coefficients[6]!;
  const m4 = coefficients[7]!;
  const d1 = coefficients[8]!;
  const d2 = coefficients[9]!;
  const d3 = coefficients[10]!;
  const b1 = coefficients[16]!;
  const b2 = coefficients[17]!;
  const b3 = coefficients[18]!;
  const b4 = coefficients[19]!;
  const w = x[last]!;
  const x1 = x[last - step]!;
  const x2 = x[last - 2 * step]!;
  const y0 = w * m1 + w * m2 + w * m3 + w * m4 - (w * b1 + w * b2 + w * b3 + w * b4);
  const y1 = w * m1 + w * m2 + w * m3 + w * m4 - (y0 * d1 + w * b2 + w * b3 + w * b4);
  const y2 = x1 * m1 + w * m2 + w * m3 + w * m4 - (y1 * d1 + y0 * d2 + w * b3 + w * b4);
  edge[lane] = y0;
  edge[2 + lane] = y1;
  edge[4 + lane] = y2;
  edge[6 + lane] = x2 * m1 + x1 * m2 + w * m3 + w * m4 - (y2 * d1 + y1 * d2 + y0 * d3 + w * b4);
}

/** Writes the sum of both parts of two lines, samples `from` to `to`, to the lines that begin at p and q. */
function backward(
  coefficients: Float64Array,
  x: Float32Array | Float64Array,
  b: number,
  c: number,
  step: number,
  length: number,
  causal: Float64Array,
  edge: Float64Array,
  out: Float32Array,
  p: number,
  q: number,
  from: number,
  to: number,
): void {
  const m1 = coefficients[4]!;
  const m2 = coefficients[5]!;
  const m3 = coefficients[6]!;
  const m4 = coefficients[7]!;
  const d1 = coefficients[8]!;
  const d2 = coefficients[9]!;
  const d3 = coefficients[10]!;
  const d4 = coefficients[11]!;
  const lastB = b + (length - 1) * step;
  const lastC = c + (length - 1) * step;
  startBackward(coefficients, x, lastB, step, edge, 0);
  startBackward(coefficients, x, lastC, step, edge, 1);
  for (let e = 0, k = length - 1; e < 4; e++, k--)
    if (k >= from && k < to) {
      out[p + (k - from) * step] = causal[2 * k]! + edge[2 * e]!;
      out[q + (k - from) * step] = causal[2 * k + 1]! + edge[2 * e + 1]!;
    }
  let y4 = edge[0]!;
  let y3 = edge[2]!;
  let y2 = edge[4]!;
  let y1 = edge[6]!;
  let v4 = edge[1]!;
  let v3 = edge[3]!;
  let v2 = edge[5]!;
  let v1 = edge[7]!;
  let x4 = x[lastB]!;
  let x3 = x[lastB - step]!;
  let x2 = x[lastB - 2 * step]!;
  let x1 = x[lastB - 3 * step]!;
  let u4 = x[lastC]!;
  let u3 = x[lastC - step]!;
  let u2 = x[lastC - 2 * step]!;
  let u1 = x[lastC - 3 * step]!;
  let i = lastB - 4 * step;
  let j = lastC - 4 * step;
  let r = p + (length - 5 - from) * step;
  let s = q + (length - 5 - from) * step;
  for (let k = length - 5; k >= from; k--) {
    const y0 = x1 * m1 + x2 * m2 + x3 * m3 + x4 * m4 - (y1 * d1 + y2 * d2 + y3 * d3 + y4 * d4);
    const v0 = u1 * m1 + u2 * m2 + u3 * m3 + u4 * m4 - (v1 * d1 + v2 * d2 + v3 * d3 + v4 * d4);
    if (k < to) {
      out[r] = causal[2 * k]! + y0;
      out[s] = causal[2 * k + 1]! + v0;
    }
    x4 = x3;
    x3 = x2;
    x2 = x1;
    x1 = x[i]!;
    y4 = y3;
    y3 = y2;
    y2 = y1;
    y1 = y0;
    u4 = u3;
    u3 = u2;
    u2 = u1;
    u1 = x[j]!;
    v4 = v3;
    v3 = v2;
    v2 = v1;
    v1 = v0;
    i -= step;
    j -= step;
    r -= step;
    s -= step;
  }
}
