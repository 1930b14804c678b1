import { cholesky, choleskySolve } from '../../linalg.js';

/**
 * One proximal Newton step: minimise over x
 *
 *   -c'(x - x0) + (x - x0)'Q(x - x0)/2 + sum_j (l1_j |x_j| + l2_j x_j^2 / 2)
 *
 * by cyclic coordinate descent (Friedman, Hastie, Tibshirani 2010, J Stat Softw 33(1), eq. 5) with an exact solve of the
 * stationarity equations whenever the signs have settled: descent finds the support, the solve gives the digits.
 */
export interface PenalizedQuadratic {
  readonly size: number;
  /** Hessian, size x size row-major, symmetric positive semidefinite. */
  readonly q: Float64Array;
  /** Negative gradient of the smooth part at x0. */
  readonly c: Float64Array;
  readonly x0: Float64Array;
  readonly l1: Float64Array;
  readonly l2: Float64Array;
}

const MAX_SWEEPS = 20000;
const TOLERANCE = 1e-15;
/** Relative pivot below which an exact solve is not trusted and coordinate descent goes on alone. */
const PIVOT = 1e-13;

export function solvePenalizedQuadratic(problem: PenalizedQuadratic): Float64Array {
  const { size, q, c, x0, l1, l2 } = problem;
  const smooth = l1.every((weight) => weight === 0);
  if (smooth) {
    const direct = solveOnSupport(problem, allOf(size), new Float64Array(size));
    if (direct !== null) return direct;
  }
  const x = Float64Array.from(x0);
  const residual = Float64Array.from(c);
  let signs = signsOf(x);
  for (let sweep = 0; sweep < MAX_SWEEPS; sweep++) {
    let largest = 0;
    for (let j = 0; j < size; j++) {
      const curvature = q[j * size + j]!;
      const denominator = curvature + l2[j]!;
      if (!(denominator > 0)) continue;
      const next = softThreshold(residual[j]! + curvature * x[j]!, l1[j]!) / denominator;
      const change = next - x[j]!;
      if (change === 0) continue;
      x[j] = next;
      for (let k = 0; k < size; k++) residual[k]! -= q[k * size + j]! * change;
      const gain = change * change * denominator;
      if (gain > largest) largest = gain;
    }
    const settled = largest <= TOLERANCE * TOLERANCE;
    const now = signsOf(x);
    if (settled || sameSigns(signs, now)) {
      const exact = polish(problem, x, now);
      if (exact !== null) return exact;
    }
    if (settled) return x;
    signs = now;
  }
  return x;
}

/** The exact minimiser under these signs, or null where it breaks them: then descent has not found the support yet. */
function polish(problem: PenalizedQuadratic, x: Float64Array, signs: Int8Array): Float64Array | null {
  const { size, q, c, x0, l1 } = problem;
  const support: number[] = [];
  for (let j = 0; j < size; j++) if (l1[j] === 0 || signs[j] !== 0) support.push(j);
  const weights = new Float64Array(size);
  for (let j = 0; j < size; j++) weights[j] = l1[j]! * signs[j]!;
  const exact = solveOnSupport(problem, support, weights);
  if (exact === null) return null;
  for (const j of support) if (l1[j]! > 0 && exact[j]! * signs[j]! < 0) return null;
  for (let j = 0; j < size; j++) {
    if (l1[j] === 0 || signs[j] !== 0 || x[j] !== 0) continue;
    let residual = c[j]!;
    for (let k = 0; k < size; k++) residual -= q[j * size + k]! * (exact[k]! - x0[k]!);
    if (Math.abs(residual) > l1[j]! + 1e-13 + 1e-13 * Math.abs(c[j]!)) return null;
  }
  return exact;
}

/** Solves (Q + diag l2) x = c + Q x0 - weights over `support`, 0 elsewhere; null where the matrix is singular. */
function solveOnSupport(
  problem: PenalizedQuadratic,
  support: readonly number[],
  weights: Float64Array,
): Float64Array | null {
  const { size, q, c, x0, l2 } = problem;
  const m = support.length;
  const result = new Float64Array(size);
  if (m === 0) return result;
  const matrix = new Float64Array(m * m);
  const right = new Float64Array(m);
  // Rows and columns are scaled to a unit diagonal, so that the pivot tolerance means the same for every column.
  const inside = new Uint8Array(size);
  for (const j of support) inside[j] = 1;
  const scale = support.map((j) => Math.sqrt(q[j * size + j]! + l2[j]!));
  if (scale.some((value) => !(value > 0))) return null;
  for (let a = 0; a < m; a++) {
    const j = support[a]!;
    // Written for the change x - x0, which keeps the digits when the change is small.
    let value = c[j]! - weights[j]! - l2[j]! * x0[j]!;
    for (let k = 0; k < size; k++) if (inside[k] === 0) value += q[j * size + k]! * x0[k]!;
    right[a] = value / scale[a]!;
    for (let b = 0; b < m; b++) {
      const k = support[b]!;
      const entry = q[j * size + k]! + (a === b ? l2[j]! : 0);
      matrix[a * m + b] = entry / (scale[a]! * scale[b]!);
    }
  }
  const factor = cholesky(matrix, m, PIVOT);
  if (factor.rank < m) return null;
  const change = choleskySolve(factor, right);
  for (let a = 0; a < m; a++) {
    const j = support[a]!;
    result[j] = x0[j]! + change[a]! / scale[a]!;
  }
  return result;
}

export function softThreshold(value: number, threshold: number): number {
  if (value > threshold) return value - threshold;
  if (value < -threshold) return value + threshold;
  return 0;
}

function allOf(size: number): number[] {
  return Array.from({ length: size }, (_, j) => j);
}

function signsOf(x: Float64Array): Int8Array {
  return Int8Array.from(x, Math.sign);
}

function sameSigns(a: Int8Array, b: Int8Array): boolean {
  for (let j = 0; j < a.length; j++) if (a[j] !== b[j]) return false;
  return true;
}
