import type { LineFilter } from '../../imaging/lines.js';

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
export function smoothing(sigmaVoxels: number): LineFilter {
  const d = denominator(sigmaVoxels);
  const { n, sum } = numerator(sigmaVoxels, FIT.smooth);
  return recursive(symmetric(n, 1 / ((2 * sum) / d.sum - n[0]), d.n));
}

/** Convolution with a Gaussian's second derivative per voxel², times `scale`. */
export function secondDerivative(sigmaVoxels: number, scale: number): LineFilter {
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

/** Both passes over interleaved lines of at least four samples; outside, the edge value goes on for ever. */
function recursive({ n, m, d }: Recursion): LineFilter {
  const [n0, n1, n2, n3] = n;
  const [m1, m2, m3, m4] = m;
  const [d1, d2, d3, d4] = d;
  const sumD = 1 + d1 + d2 + d3 + d4;
  const sumN = n0 + n1 + n2 + n3;
  const sumM = m1 + m2 + m3 + m4;
  // What the recursion has settled to on the constant outside, times each output coefficient.
  const [bn1, bn2, bn3, bn4] = [(d1 * sumN) / sumD, (d2 * sumN) / sumD, (d3 * sumN) / sumD, (d4 * sumN) / sumD];
  const [bm1, bm2, bm3, bm4] = [(d1 * sumM) / sumD, (d2 * sumM) / sumD, (d3 * sumM) / sumD, (d4 * sumM) / sumD];
  let back = new Float64Array(0);
  return (x, out, length, lanes) => {
    if (back.length < length * lanes) back = new Float64Array(length * lanes);
    const end = (length - 1) * lanes;
    for (let b = 0; b < lanes; b++) {
      const v = x[b]!;
      const [i1, i2, i3] = [b + lanes, b + 2 * lanes, b + 3 * lanes];
      out[b] = v * n0 + v * n1 + v * n2 + v * n3 - (v * bn1 + v * bn2 + v * bn3 + v * bn4);
      out[i1] = x[i1]! * n0 + v * n1 + v * n2 + v * n3 - (out[b]! * d1 + v * bn2 + v * bn3 + v * bn4);
      out[i2] = x[i2]! * n0 + x[i1]! * n1 + v * n2 + v * n3 - (out[i1]! * d1 + out[b]! * d2 + v * bn3 + v * bn4);
      out[i3] =
        x[i3]! * n0 + x[i2]! * n1 + x[i1]! * n2 + v * n3 - (out[i2]! * d1 + out[i1]! * d2 + out[b]! * d3 + v * bn4);
      const w = x[end + b]!;
      const [e0, e1, e2, e3] = [end + b, end - lanes + b, end - 2 * lanes + b, end - 3 * lanes + b];
      back[e0] = w * m1 + w * m2 + w * m3 + w * m4 - (w * bm1 + w * bm2 + w * bm3 + w * bm4);
      back[e1] = x[e0]! * m1 + w * m2 + w * m3 + w * m4 - (back[e0]! * d1 + w * bm2 + w * bm3 + w * bm4);
      back[e2] = x[e1]! * m1 + x[e0]! * m2 + w * m3 + w * m4 - (back[e1]! * d1 + back[e0]! * d2 + w * bm3 + w * bm4);
      back[e3] =
        x[e2]! * m1 + x[e1]! * m2 + x[e0]! * m3 + w * m4 - (back[e2]! * d1 + back[e1]! * d2 + back[e0]! * d3 + w * bm4);
    }
    // Two lines at a time: what the recursion carries along stays in registers, and one line's sums fill the other's waiting.
    for (let b = 0; b < lanes; b += 2) {
      const c = b + 1 < lanes ? b + 1 : b;
      forward(x, out, lanes, end, b, c);
      backward(x, out, back, lanes, end, b, c);
    }
  };

  function forward(x: Float64Array, out: Float64Array, lanes: number, end: number, b: number, c: number): void {
    let [x1, x2, x3] = [x[b + 3 * lanes]!, x[b + 2 * lanes]!, x[b + lanes]!];
    let [y1, y2, y3, y4] = [out[b + 3 * lanes]!, out[b + 2 * lanes]!, out[b + lanes]!, out[b]!];
    let [u1, u2, u3] = [x[c + 3 * lanes]!, x[c + 2 * lanes]!, x[c + lanes]!];
    let [v1, v2, v3, v4] = [out[c + 3 * lanes]!, out[c + 2 * lanes]!, out[c + lanes]!, out[c]!];
    for (let k = 4 * lanes; k <= end; k += lanes) {
      const x0 = x[k + b]!;
      const u0 = x[k + c]!;
      const y0 = x0 * n0 + x1 * n1 + x2 * n2 + x3 * n3 - (y1 * d1 + y2 * d2 + y3 * d3 + y4 * d4);
      const v0 = u0 * n0 + u1 * n1 + u2 * n2 + u3 * n3 - (v1 * d1 + v2 * d2 + v3 * d3 + v4 * d4);
      out[k + b] = y0;
      out[k + c] = v0;
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

  /** Adds the anti-causal part, whose last four samples `back` holds, to the causal one. */
  function backward(
    x: Float64Array,
    out: Float64Array,
    back: Float64Array,
    lanes: number,
    end: number,
    b: number,
    c: number,
  ): void {
    const [e1, e2, e3] = [end - lanes, end - 2 * lanes, end - 3 * lanes];
    for (const lane of b === c ? [b] : [b, c])
      for (const e of [end, e1, e2, e3]) out[e + lane] = out[e + lane]! + back[e + lane]!;
    let [x1, x2, x3, x4] = [x[e3 + b]!, x[e2 + b]!, x[e1 + b]!, x[end + b]!];
    let [y1, y2, y3, y4] = [back[e3 + b]!, back[e2 + b]!, back[e1 + b]!, back[end + b]!];
    let [u1, u2, u3, u4] = [x[e3 + c]!, x[e2 + c]!, x[e1 + c]!, x[end + c]!];
    let [v1, v2, v3, v4] = [back[e3 + c]!, back[e2 + c]!, back[e1 + c]!, back[end + c]!];
    for (let k = e3 - lanes; k >= 0; k -= lanes) {
      const y0 = x1 * m1 + x2 * m2 + x3 * m3 + x4 * m4 - (y1 * d1 + y2 * d2 + y3 * d3 + y4 * d4);
      const v0 = u1 * m1 + u2 * m2 + u3 * m3 + u4 * m4 - (v1 * d1 + v2 * d2 + v3 * d3 + v4 * d4);
      out[k + b] = out[k + b]! + y0;
      if (c !== b) out[k + c] = out[k + c]! + v0;
      x4 = x3;
      x3 = x2;
      x2 = x1;
      x1 = x[k + b]!;
      y4 = y3;
      y3 = y2;
      y2 = y1;
      y1 = y0;
      u4 = u3;
      u3 = u2;
      u2 = u1;
      u1 = x[k + c]!;
      v4 = v3;
      v3 = v2;
      v2 = v1;
      v1 = v0;
    }
  }
}
