/**
 * Symmetric matrices and the LDL' Cholesky decomposition with a pivot tolerance, as R's survival package uses it: a
 * column that earlier columns explain is named as aliased and left out, never divided by. Pure and deterministic: the
 * order of every sum is fixed.
 *
 * Matrices are full p x p row-major Float64Array, or packed: the lower triangle row by row, p(p+1)/2 entries.
 */

/** Entries of a packed symmetric p x p matrix. */
export function packedSize(p: number): number {
  return (p * (p + 1)) / 2;
}

/** Where entry (i, j) = (j, i) stands in a packed symmetric matrix. */
export function packedIndex(i: number, j: number): number {
  return i >= j ? (i * (i + 1)) / 2 + j : (j * (j + 1)) / 2 + i;
}

/** Lower triangle of a full p x p matrix. */
export function packSymmetric(full: Float64Array, p: number): Float64Array {
  const packed = new Float64Array(packedSize(p));
  for (let i = 0; i < p; i++) for (let j = 0; j <= i; j++) packed[packedIndex(i, j)] = full[i * p + j]!;
  return packed;
}

/** Full p x p matrix of a packed one. */
export function unpackSymmetric(packed: Float64Array, p: number): Float64Array {
  const full = new Float64Array(p * p);
  for (let i = 0; i < p; i++)
    for (let j = 0; j <= i; j++) {
      const value = packed[packedIndex(i, j)]!;
      full[i * p + j] = value;
      full[j * p + i] = value;
    }
  return full;
}

/** A = L D L' with unit lower triangular L, over the columns that are not aliased. */
export interface CholeskyFactor {
  readonly p: number;
  /** p x p row-major: L strictly below the diagonal, D on it (0 where aliased), zeros above. */
  readonly factor: Float64Array;
  readonly rank: number;
  /** 1 where the column is a combination of earlier columns within the tolerance; its solution is 0. */
  readonly aliased: Uint8Array;
  /** False where a pivot is clearly negative, below -8 * tolerance * largest diagonal: the matrix is no Gram matrix. */
  readonly nonnegative: boolean;
}

/**
 * LDL' of a symmetric positive semidefinite matrix (packed or full). A pivot below tolerance * largest diagonal entry
 * marks its column as aliased (cholesky2.c of R's survival; there coxph uses tolerance 1.8e-12). Unlike cholesky2.c the
 * entries below an aliased pivot are set to exactly 0, so that solutions equal those with the column left out.
 */
export function cholesky(matrix: Float64Array, p: number, tolerance: number): CholeskyFactor {
  const factor = new Float64Array(p * p);
  const isFull = matrix.length === p * p;
  let largest = 0;
  for (let i = 0; i < p; i++) {
    for (let j = 0; j <= i; j++) factor[i * p + j] = isFull ? matrix[i * p + j]! : matrix[packedIndex(i, j)]!;
    if (factor[i * p + i]! > largest) largest = factor[i * p + i]!;
  }
  const smallest = largest === 0 ? tolerance : largest * tolerance;
  const aliased = new Uint8Array(p);
  let rank = 0;
  let nonnegative = true;
  for (let i = 0; i < p; i++) {
    const pivot = factor[i * p + i]!;
    if (!Number.isFinite(pivot) || pivot < smallest) {
      if (pivot < -8 * smallest) nonnegative = false;
      aliased[i] = 1;
      factor[i * p + i] = 0;
      for (let j = i + 1; j < p; j++) factor[j * p + i] = 0;
      continue;
    }
    rank++;
    for (let j = i + 1; j < p; j++) {
      const multiplier = factor[j * p + i]! / pivot;
      if (multiplier === 0) continue;
      // Column i still holds the undivided entries below row j, so row k >= j uses them before they are divided.
      for (let k = j; k < p; k++) factor[k * p + j]! -= multiplier * factor[k * p + i]!;
    }
    for (let j = i + 1; j < p; j++) factor[j * p + i]! /= pivot;
  }
  return { p, factor, rank, aliased, nonnegative };
}

/** Solution of A x = rhs, 0 in aliased columns (chsolve2.c of R's survival). */
export function choleskySolve(decomposition: CholeskyFactor, rhs: Float64Array): Float64Array {
  const { p, factor, aliased } = decomposition;
  const x = new Float64Array(p);
  for (let i = 0; i < p; i++) {
    if (aliased[i] === 1) continue;
    let value = rhs[i]!;
    for (let j = 0; j < i; j++) value -= factor[i * p + j]! * x[j]!;
    x[i] = value;
  }
  for (let i = p - 1; i >= 0; i--) {
    if (aliased[i] === 1) continue;
    let value = x[i]! / factor[i * p + i]!;
    for (let j = i + 1; j < p; j++) value -= factor[j * p + i]! * x[j]!;
    x[i] = value;
  }
  return x;
}

/** Inverse over the columns that are not aliased, p x p row-major, zeros in the rows and columns of aliased ones. */
export function choleskyInverse(decomposition: CholeskyFactor): Float64Array {
  const { p, aliased } = decomposition;
  const inverse = new Float64Array(p * p);
  const unit = new Float64Array(p);
  for (let column = 0; column < p; column++) {
    if (aliased[column] === 1) continue;
    unit.fill(0);
    unit[column] = 1;
    const solution = choleskySolve(decomposition, unit);
    for (let row = 0; row < p; row++) inverse[row * p + column] = solution[row]!;
  }
  // Rounding differs by an ulp between the triangles; callers rely on a symmetric inverse.
  for (let i = 0; i < p; i++)
    for (let j = 0; j < i; j++) {
      const mean = (inverse[i * p + j]! + inverse[j * p + i]!) / 2;
      inverse[i * p + j] = mean;
      inverse[j * p + i] = mean;
    }
  return inverse;
}
