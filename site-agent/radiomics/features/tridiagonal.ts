/**
 * The two largest eigenvalues of a symmetric tridiagonal matrix, by bisection on the count of eigenvalues above a point (Sylvester's law of
 * inertia; Golub and Van Loan, 8.4), and the unit eigenvector of the largest one, by inverse iteration.
 * @param diagonal of length n
 * @param beside entry k is at (k, k + 1) and (k + 1, k)
 */
export function topOfTridiagonal(
  diagonal: ArrayLike<number>,
  beside: ArrayLike<number>,
  n: number,
): { readonly first: number; readonly second: number; readonly vector: Float64Array } {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let k = 0; k < n; k++) {
    const reach = (k > 0 ? Math.abs(beside[k - 1]!) : 0) + (k < n - 1 ? Math.abs(beside[k]!) : 0);
    low = Math.min(low, diagonal[k]! - reach);
    high = Math.max(high, diagonal[k]! + reach);
  }
  const first = bisect(diagonal, beside, n, 1, low, high);
  const second = n > 1 ? bisect(diagonal, beside, n, 2, low, first) : Number.NEGATIVE_INFINITY;
  return { first, second, vector: vectorAt(diagonal, beside, n, first) };
}

/** The eigenvalue of that rank from above, to the last bits of the interval's scale. */
function bisect(
  diagonal: ArrayLike<number>,
  beside: ArrayLike<number>,
  n: number,
  rank: number,
  from: number,
  to: number,
): number {
  let low = from;
  let high = to;
  for (let step = 0; step < 64; step++) {
    const middle = (low + high) / 2;
    if (!(middle > low && middle < high)) break;
    if (countAbove(diagonal, beside, n, middle) >= rank) low = middle;
    else high = middle;
  }
  return high;
}

function countAbove(diagonal: ArrayLike<number>, beside: ArrayLike<number>, n: number, point: number): number {
  let above = 0;
  let pivot = 1;
  for (let k = 0; k < n; k++) {
    const b = k > 0 ? beside[k - 1]! : 0;
    pivot = diagonal[k]! - point - (b * b) / pivot;
    if (pivot === 0) pivot = TINY;
    if (pivot > 0) above++;
  }
  return above;
}

const TINY = 1e-300;
const EPSILON = 2.220446049250313e-16;

/** A hair above the largest eigenvalue the matrix less the shift is negative definite, so that it is solved without pivots. */
function vectorAt(diagonal: ArrayLike<number>, beside: ArrayLike<number>, n: number, eigenvalue: number): Float64Array {
  const pivots = new Float64Array(n);
  const hair = 4 * EPSILON * Math.max(Math.abs(eigenvalue), TINY);
  const shift = eigenvalue + hair;
  for (let k = 0; k < n; k++) {
    const b = k > 0 ? beside[k - 1]! : 0;
    const pivot = diagonal[k]! - shift - (k > 0 ? (b * b) / pivots[k - 1]! : 0);
    pivots[k] = Math.min(pivot, -hair);
  }
  const x = new Float64Array(n).fill(1);
  for (let round = 0; round < 3; round++) {
    for (let k = 1; k < n; k++) x[k]! -= (beside[k - 1]! / pivots[k - 1]!) * x[k - 1]!;
    x[n - 1]! /= pivots[n - 1]!;
    for (let k = n - 2; k >= 0; k--) x[k] = (x[k]! - beside[k]! * x[k + 1]!) / pivots[k]!;
    let largest = 0;
    for (let k = 0; k < n; k++) largest = Math.max(largest, Math.abs(x[k]!));
    let squares = 0;
    for (let k = 0; k < n; k++) {
      x[k]! /= largest;
      squares += x[k]! * x[k]!;
    }
    const length = Math.sqrt(squares);
    for (let k = 0; k < n; k++) x[k]! /= length;
  }
  return x;
}
