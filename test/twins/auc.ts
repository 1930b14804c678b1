/**
 * DeLong's AUC and variance by the definition: the kernel over all pairs, then sample variances of the structural
 * components (DeLong, DeLong and Clarke-Pearson 1988, eq. 3 to 5). O(n^2), for comparison only.
 */
export function delongBySquare(score: readonly number[], y: readonly number[]): { auc: number; variance: number } {
  const xs = score.filter((_, i) => y[i] === 1);
  const zs = score.filter((_, i) => y[i] === 0);
  const kernel = (x: number, z: number) => (x > z ? 1 : x === z ? 0.5 : 0);
  const v10 = xs.map((x) => zs.reduce((sum, z) => sum + kernel(x, z), 0) / zs.length);
  const v01 = zs.map((z) => xs.reduce((sum, x) => sum + kernel(x, z), 0) / xs.length);
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = (values: number[]) =>
    values.reduce((sum, value) => sum + (value - mean(values)) * (value - mean(values)), 0) / (values.length - 1);
  return { auc: mean(v10), variance: variance(v10) / xs.length + variance(v01) / zs.length };
}
