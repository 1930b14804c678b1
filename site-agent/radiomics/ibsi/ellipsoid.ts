import { EigenvalueDecomposition, inverse, Matrix } from 'ml-matrix';

/** Semi-axis lengths in mm, longest first. */
export type SemiAxes = readonly [number, number, number];

export const ellipsoidVolume = ([a, b, c]: SemiAxes): number => (4 / 3) * Math.PI * a * b * c;

const HIGHEST_DEGREE = 20;

/**
 * IBSI's ellipsoid area: 4πab Σ (αβ)^ν / (1 − 4ν²) · P_ν((α² + β²) / 2αβ) with α² = 1 − b²/a² and β² = 1 − c²/a², as its manual
 * defines it and its reference values have it. It is the area of a sphere, and a few percent below that of other ellipsoids, whose series
 * has 1 − c²/a² and 1 − c²/b² instead.
 *
 * (αβ)^ν P_ν goes by one recurrence without dividing by αβ, so that a sphere and spheroids need no case of their own; summed up to
 * ν = 20, where the manual stops: the rest is below 1e-4 for a compact region and 2 % for one forty times as long as wide.
 */
export function ellipsoidArea([a, b, c]: SemiAxes): number {
  const alpha2 = 1 - (b * b) / (a * a);
  const beta2 = 1 - (c * c) / (a * a);
  const half = (alpha2 + beta2) / 2;
  const product2 = alpha2 * beta2;
  let [before, term] = [1, half];
  let sum = 1;
  for (let nu = 1; nu <= HIGHEST_DEGREE; nu++) {
    sum += term / (1 - 4 * nu * nu);
    [before, term] = [term, ((2 * nu + 1) * half * term - nu * product2 * before) / (nu + 1)];
  }
  return 4 * Math.PI * a * b * sum;
}

/** An ellipsoid {x : (x − c)' A (x − c) ≤ 1} with the weight of each point in its certificate of optimality. */
export interface MinimumEllipsoid {
  readonly centre: readonly [number, number, number];
  /** Row-major 3 × 3. */
  readonly shape: readonly number[];
  readonly semiAxes: SemiAxes;
  readonly weights: Float64Array;
}

/**
 * The ellipsoid of least volume around points in mm, by Khachiyan's ascent with away steps (Todd and Yıldırım 2007), until its volume
 * is within 1 + 1e-7 of the least. Points must span three dimensions.
 */
export function minimumEllipsoid(points: Float64Array, tolerance = 1e-7): MinimumEllipsoid {
  const n = points.length / 3;
  const d = 3;
  const weights = new Float64Array(n).fill(1 / n);
  // Centred and scaled to unit size: the ascent squares coordinates.
  const [mid, size] = unitFrame(points, n);
  const q = new Float64Array(4 * n);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < 3; k++) q[4 * i + k] = (points[3 * i + k]! - mid[k]!) / size;
    q[4 * i + 3] = 1;
  }
  // The inverse of Σ u q q' is updated by rank one and computed afresh now and then, so that rounding does not gather.
  let inverseMoment = inverseMomentOf(q, weights, n);
  const kappa = new Float64Array(n);
  for (let step = 1; step <= 200_000; step++) {
    let [most, least] = [-1, -1];
    for (let i = 0; i < n; i++) {
      kappa[i] = quadratic(inverseMoment, q, i);
      if (most < 0 || kappa[i]! > kappa[most]!) most = i;
      if (weights[i]! > 0 && (least < 0 || kappa[i]! < kappa[least]!)) least = i;
    }
    const over = kappa[most]! / (d + 1) - 1;
    const under = 1 - kappa[least]! / (d + 1);
    if (over <= tolerance && under <= tolerance) break;
    const towards = over >= under;
    const j = towards ? most : least;
    const k = kappa[j]!;
    let move = (k - d - 1) / ((d + 1) * (k - 1));
    if (!towards) move = Math.max(move, -weights[j]! / (1 - weights[j]!));
    for (let i = 0; i < n; i++) weights[i]! *= 1 - move;
    weights[j] = Math.max(0, weights[j]! + move);
    inverseMoment = step % 50 === 0 ? inverseMomentOf(q, weights, n) : rankOne(inverseMoment, q, j, move);
  }
  const centre = [0, 0, 0];
  for (let i = 0; i < n; i++) for (let k = 0; k < 3; k++) centre[k]! += weights[i]! * q[4 * i + k]!;
  const scatter = Matrix.zeros(3, 3);
  for (let i = 0; i < n; i++)
    for (let r = 0; r < 3; r++)
      for (let c = 0; c < 3; c++)
        scatter.set(
          r,
          c,
          scatter.get(r, c) + weights[i]! * (q[4 * i + r]! - centre[r]!) * (q[4 * i + c]! - centre[c]!),
        );
  const form = inverse(scatter).mul(1 / d);
  // The ascent ends a hair before every point is inside; the last hair is a scaling.
  let reach = 0;
  for (let i = 0; i < n; i++) reach = Math.max(reach, distance2(form, q, i, centre));
  const shape = form.mul(1 / (reach * size * size));
  const axes = new EigenvalueDecomposition(shape, { assumeSymmetric: true }).realEigenvalues
    .map((value) => 1 / Math.sqrt(value))
    .sort((one, other) => other - one);
  return {
    centre: [centre[0]! * size + mid[0]!, centre[1]! * size + mid[1]!, centre[2]! * size + mid[2]!],
    shape: shape.to1DArray(),
    semiAxes: [axes[0]!, axes[1]!, axes[2]!],
    weights,
  };
}

function unitFrame(points: Float64Array, n: number): [number[], number] {
  const mid = [0, 0, 0];
  for (let i = 0; i < n; i++) for (let k = 0; k < 3; k++) mid[k]! += points[3 * i + k]! / n;
  let size = 0;
  for (let i = 0; i < n; i++) for (let k = 0; k < 3; k++) size = Math.max(size, Math.abs(points[3 * i + k]! - mid[k]!));
  return [mid, size];
}

function inverseMomentOf(q: Float64Array, weights: Float64Array, n: number): Float64Array {
  const moment = Matrix.zeros(4, 4);
  for (let i = 0; i < n; i++)
    for (let r = 0; r < 4; r++)
      for (let c = 0; c < 4; c++) moment.set(r, c, moment.get(r, c) + weights[i]! * q[4 * i + r]! * q[4 * i + c]!);
  return Float64Array.from(inverse(moment).to1DArray());
}

function quadratic(m: Float64Array, q: Float64Array, i: number): number {
  let sum = 0;
  for (let r = 0; r < 4; r++) {
    const row = m[4 * r]! * q[4 * i]! + m[4 * r + 1]! * q[4 * i + 1]! + m[4 * r + 2]! * q[4 * i + 2]! + m[4 * r + 3]!;
    sum += row * q[4 * i + r]!;
  }
  return sum;
}

/** Inverse of (1 − t) M + t q q' from the inverse of M, by Sherman and Morrison. */
function rankOne(m: Float64Array, q: Float64Array, j: number, t: number): Float64Array {
  const v = [0, 1, 2, 3].map((r) => [0, 1, 2, 3].reduce((sum, c) => sum + m[4 * r + c]! * q[4 * j + c]!, 0));
  const kappa = [0, 1, 2, 3].reduce((sum, r) => sum + v[r]! * q[4 * j + r]!, 0);
  const factor = t / (1 - t + t * kappa);
  return m.map((value, at) => (value - factor * v[at >> 2]! * v[at & 3]!) / (1 - t));
}

function distance2(form: Matrix, q: Float64Array, i: number, centre: readonly number[]): number {
  const x = [0, 1, 2].map((k) => q[4 * i + k]! - centre[k]!);
  let sum = 0;
  for (let r = 0; r < 3; r++) for (let c = 0; c < 3; c++) sum += x[r]! * form.get(r, c) * x[c]!;
  return sum;
}
