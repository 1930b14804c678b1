import { LOG_EPSILON } from './collect.js';
import { generalEigenvalues } from './general-eigen.js';
import { topOfTridiagonal } from './tridiagonal.js';

export interface Eigenvalue {
  readonly re: number;
  readonly im: number;
}

/**
 * The second largest eigenvalue (by real part) of Q(i, j) = Σ_k p(i, k) p(j, k) / (px(i) py(k) + ε); its root is the maximal correlation
 * coefficient. Levels that meet no other along the direction add only zero eigenvalues, which count where rounding makes the second
 * negative.
 * @param n grey levels of the matrix
 * @param all grey levels of the region, where the matrix is of a part of it
 */
export function maximalCorrelation(
  p: Float64Array,
  px: Float64Array,
  py: Float64Array,
  n: number,
  all = n,
): Eigenvalue {
  const rows = Int32Array.from(px.keys()).filter((i) => px[i] !== 0);
  if (rows.length < 2) return { re: 0, im: 0 };
  if (rows.length >= FEW_LEVELS) {
    const found = secondByLanczos(p, px, py, n, rows);
    if (found !== null) return { re: found, im: 0 };
  }
  const found = secondOfAll(p, px, py, n, rows);
  return all > rows.length && (found.re < 0 || (found.re === 0 && found.im < 0)) ? { re: 0, im: 0 } : found;
}

/** With fewer levels all eigenvalues are found as quickly as one. */
const FEW_LEVELS = 10;

/** By the definition: Q and all its eigenvalues. */
export function secondOfAll(
  p: Float64Array,
  px: Float64Array,
  py: Float64Array,
  n: number,
  rows: Int32Array,
): Eigenvalue {
  const m = rows.length;
  const q = new Float64Array(m * m);
  for (let a = 0; a < m; a++) {
    const i = rows[a]!;
    for (let k = 0; k < n; k++) {
      const pik = p[i * n + k]!;
      if (pik === 0) continue;
      const scaled = pik / (px[i]! * py[k]! + LOG_EPSILON);
      for (let b = 0; b < m; b++) q[a * m + b]! += scaled * p[rows[b]! * n + k]!;
    }
  }
  const values = generalEigenvalues(q, m);
  if (values === null) return { re: Number.NaN, im: 0 };
  const order = [...values.re.keys()].sort((a, b) => values.re[a]! - values.re[b]! || values.im[a]! - values.im[b]!);
  const second = order[m - 2]!;
  return { re: values.re[second]!, im: values.im[second]! };
}

/** Share of the eigenvalue that may be lost to an iteration that ends early. */
const TOLERANCE = 1e-13;
/** Bound of the share that may be lost to terms of second order in ε, which themselves are far smaller. */
const SECOND_ORDER = 1e-10;
/** An eigenvalue below it is made of rounding, of which every way has its own. */
const ROUNDING = 1e-10;
const STEPS_MAX = 80;

/**
 * The eigenvalue alone. Without ε, Q is similar to S S' with S(i, k) = p(i, k) / √(px(i) py(k)), whose largest eigenvalue is 1 with the
 * vector √px. What is left at a right angle to that vector is symmetric, and Lanczos' iteration (Golub and Van Loan, 10.1) finds its largest
 * eigenvalue, also one that is there twice. ε takes a share ε / (px py + ε) of each entry of the first factor; to first order that shifts the
 * eigenvalue by x'Ex.
 * @returns null where that is not enough: ε counts for more (levels of very few voxels that meet only each other), or the iteration does not end
 */
export function secondByLanczos(
  p: Float64Array,
  px: Float64Array,
  py: Float64Array,
  n: number,
  rows: Int32Array,
): number | null {
  const columns = Int32Array.from(py.keys()).filter((k) => py[k] !== 0);
  const s = scaled(p, px, py, n, rows, columns);
  const m = rows.length;
  const across = new Float64Array(columns.length);
  const limit = Math.min(STEPS_MAX, m - 1);
  // √px, and then the vectors of the iteration, one after another.
  const basis = new Float64Array((limit + 2) * m);
  for (let a = 0; a < m; a++) basis[a] = Math.sqrt(px[rows[a]!]!);
  const diagonal: number[] = [];
  const beside: number[] = [];
  const w = startVector(m);
  orthogonalize(w, basis, 1);
  let length = norm(w);
  for (let step = 1; step <= limit; step++) {
    for (let a = 0; a < m; a++) basis[step * m + a] = w[a]! / length;
    const x = basis.subarray(step * m, (step + 1) * m);
    timesTransposed(s, x, across);
    times(s, across, w);
    diagonal.push(dot(w, x));
    orthogonalize(w, basis, step + 1);
    length = norm(w);
    beside.push(length);
    const isLast = step === limit || length < 1e-14;
    if (!isLast && (step < 8 || step % 4 !== 0)) continue;
    const { first, second, vector } = topOfTridiagonal(diagonal, beside, step);
    const gap = Math.min(first - second, 1 - first);
    const residual = length * Math.abs(vector[step - 1]!);
    if (!isLast && !(residual * residual <= TOLERANCE * first * gap)) continue;
    if (step === limit && limit < m - 1 && length >= 1e-14) return null;
    const ritz = new Float64Array(m);
    for (let k = 0; k < step; k++) for (let a = 0; a < m; a++) ritz[a]! += vector[k]! * basis[(k + 1) * m + a]!;
    const shift = epsilonShift(s, ritz, px, py, rows, columns);
    return first > ROUNDING && shift.secondOrder <= SECOND_ORDER * first * gap ? first - shift.firstOrder : null;
  }
  return null;
}

/** p(i, k) / √(px(i) py(k)) over the levels that occur on either side, row-major. */
function scaled(
  p: Float64Array,
  px: Float64Array,
  py: Float64Array,
  n: number,
  rows: Int32Array,
  columns: Int32Array,
): Float64Array {
  const s = new Float64Array(rows.length * columns.length);
  for (let a = 0, at = 0; a < rows.length; a++)
    for (let b = 0; b < columns.length; b++, at++) {
      const both = p[rows[a]! * n + columns[b]!]!;
      if (both !== 0) s[at] = both / Math.sqrt(px[rows[a]!]! * py[columns[b]!]!);
    }
  return s;
}

/** How far ε moves the eigenvalue of the unit vector x downwards, and a bound of what that leaves out, times the gap between eigenvalues. */
function epsilonShift(
  s: Float64Array,
  x: Float64Array,
  px: Float64Array,
  py: Float64Array,
  rows: Int32Array,
  columns: Int32Array,
): { readonly firstOrder: number; readonly secondOrder: number } {
  const width = columns.length;
  const across = new Float64Array(width);
  timesTransposed(s, x, across);
  const left = new Float64Array(width);
  let firstOrder = 0;
  let right2 = 0;
  for (let a = 0; a < rows.length; a++) {
    let sum = 0;
    for (let b = 0; b < width; b++) {
      const part = s[a * width + b]! * (LOG_EPSILON / (px[rows[a]!]! * py[columns[b]!]! + LOG_EPSILON));
      sum += part * across[b]!;
      left[b]! += part * x[a]!;
    }
    firstOrder += x[a]! * sum;
    right2 += sum * sum;
  }
  const back = new Float64Array(rows.length);
  times(s, left, back);
  return { firstOrder, secondOrder: Math.sqrt(right2) * norm(back) };
}

/** Any vector that is not by chance at a right angle to the one sought: the fractions of multiples of the golden ratio. */
function startVector(m: number): Float64Array {
  const x = new Float64Array(m);
  for (let a = 0; a < m; a++) {
    const at = (a + 1) * 0.6180339887498949;
    x[a] = at - Math.floor(at) - 0.4;
  }
  return x;
}

/** Takes out of w what lies along the first `count` vectors of the basis, twice, since once leaves a trace by rounding. */
function orthogonalize(w: Float64Array, basis: Float64Array, count: number): void {
  const m = w.length;
  for (let round = 0; round < 2; round++)
    for (let k = 0; k < count; k++) {
      let along = 0;
      for (let a = 0; a < m; a++) along += basis[k * m + a]! * w[a]!;
      for (let a = 0; a < m; a++) w[a]! -= along * basis[k * m + a]!;
    }
}

function times(s: Float64Array, x: Float64Array, out: Float64Array): void {
  const width = x.length;
  for (let a = 0, at = 0; a < out.length; a++) {
    let even = 0;
    let odd = 0;
    let b = 0;
    for (; b + 1 < width; b += 2, at += 2) {
      even += s[at]! * x[b]!;
      odd += s[at + 1]! * x[b + 1]!;
    }
    if (b < width) even += s[at++]! * x[b]!;
    out[a] = even + odd;
  }
}

function timesTransposed(s: Float64Array, x: Float64Array, out: Float64Array): void {
  const width = out.length;
  out.fill(0);
  for (let a = 0, at = 0; a < x.length; a++) {
    const xa = x[a]!;
    for (let b = 0; b < width; b++, at++) out[b]! += s[at]! * xa;
  }
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let k = 0; k < a.length; k++) sum += a[k]! * b[k]!;
  return sum;
}

const norm = (a: Float64Array): number => Math.sqrt(dot(a, a));
