import { Matrix, SingularValueDecomposition } from 'ml-matrix';

/** Rank by singular values: the floating-point twin of the guard's integer elimination. */
export function rankOf(rows: readonly (readonly number[])[]): number {
  if (rows.length === 0 || rows[0]!.length === 0) return 0;
  const values = new SingularValueDecomposition(new Matrix(rows.map((row) => [...row])), {
    autoTranspose: true,
  }).diagonal;
  const largest = Math.max(...values);
  return largest === 0 ? 0 : values.filter((value) => value > 1e-9 * largest).length;
}

/** Dimension of the vectors of the row space that vanish outside `inside`. */
export function dimensionInside(rows: readonly (readonly number[])[], inside: readonly boolean[]): number {
  return rankOf(rows) - rankOf(rows.map((row) => row.filter((_, at) => !inside[at])));
}
