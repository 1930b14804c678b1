/** (x - mean) / sd with divisor n, column by column. */
export function standardize(x: readonly (readonly number[])[]): { z: number[][]; mean: number[]; sd: number[] } {
  const n = x.length;
  const mean = x[0]!.map((_, j) => x.reduce((sum, row) => sum + row[j]!, 0) / n);
  const sd = mean.map((m, j) => Math.sqrt(x.reduce((sum, row) => sum + (row[j]! - m) * (row[j]! - m), 0) / n));
  return { z: x.map((row) => row.map((value, j) => (value - mean[j]!) / sd[j]!)), mean, sd };
}

/**
 * Largest violation of the Karush-Kuhn-Tucker conditions of -loglik/n + lambda (alpha |b|_1 + (1 - alpha)/2 |b|^2), from the
 * mean gradient over penalised coefficients: g_j = lambda (alpha s_j + (1 - alpha) b_j) with s_j in the sign of b_j.
 */
export function kktOf(gradient: readonly number[], beta: readonly number[], lambda: number, alpha: number): number {
  return Math.max(
    ...gradient.map((g, j) => {
      const rest = g - lambda * (1 - alpha) * beta[j]!;
      return beta[j] === 0
        ? Math.max(0, Math.abs(rest) - lambda * alpha)
        : Math.abs(rest - lambda * alpha * Math.sign(beta[j]!));
    }),
  );
}
