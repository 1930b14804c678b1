import type { Counts } from './counts.js';

/** A feature's value by the end of its tag, or the reason why this matrix gives none. */
export type MatrixFeatures = ReadonlyMap<string, number | string>;

const FLAT = 'the matrix has a single grey level';

/** p log2 p, 0 at 0. */
const entropyTerm = (p: number): number => (p > 0 ? p * Math.log2(p) : 0);

/** IBSI's 25 features of a symmetric grey level co-occurrence matrix (family LFYI); null where no voxel of the region has a neighbour. */
export function glcmFeatures(counts: Counts, levelCount: number): MatrixFeatures | null {
  const { i, j, n } = counts;
  let total = 0;
  for (const count of n) total += count;
  if (total === 0) return null;
  const marginal = new Float64Array(levelCount + 1);
  const difference = new Float64Array(levelCount);
  const sum = new Float64Array(2 * levelCount + 1);
  let mean = 0;
  let [largest, jointEntropy, energy, product] = [0, 0, 0, 0];
  for (let k = 0; k < n.length; k++) {
    const p = n[k]! / total;
    marginal[i[k]!]! += p;
    difference[Math.abs(i[k]! - j[k]!)]! += p;
    sum[i[k]! + j[k]!]! += p;
    mean += i[k]! * p;
    largest = Math.max(largest, p);
    jointEntropy -= entropyTerm(p);
    energy += p * p;
    product += i[k]! * j[k]! * p;
  }
  let [variance, levelEntropy] = [0, 0];
  for (let level = 1; level <= levelCount; level++) {
    const d = level - mean;
    variance += d * d * marginal[level]!;
    levelEntropy -= entropyTerm(marginal[level]!);
  }
  let [tendency, shade, prominence] = [0, 0, 0];
  let sumEntropy = 0;
  for (let k = 2; k <= 2 * levelCount; k++) {
    const d = k - 2 * mean;
    tendency += d * d * sum[k]!;
    shade += d * d * d * sum[k]!;
    prominence += d * d * d * d * sum[k]!;
    sumEntropy -= entropyTerm(sum[k]!);
  }
  let [differenceAverage, contrast, differenceEntropy] = [0, 0, 0];
  let [inverse, inverseNorm, moment, momentNorm, inverseVariance] = [0, 0, 0, 0, 0];
  for (let k = 0; k < levelCount; k++) {
    const p = difference[k]!;
    const share = k / levelCount;
    differenceAverage += k * p;
    contrast += k * k * p;
    differenceEntropy -= entropyTerm(p);
    inverse += p / (1 + k);
    inverseNorm += p / (1 + share);
    moment += p / (1 + k * k);
    momentNorm += p / (1 + share * share);
    if (k > 0) inverseVariance += p / (k * k);
  }
  let differenceVariance = 0;
  for (let k = 0; k < levelCount; k++) {
    const d = k - differenceAverage;
    differenceVariance += d * d * difference[k]!;
  }
  // In a symmetric matrix both cross entropies of the joint with the product of the marginals are twice the marginal entropy.
  const independentEntropy = 2 * levelEntropy;
  const flat = n.length === 1;
  return new Map<string, number | string>([
    ['joint_max', largest],
    ['joint_avg', mean],
    ['joint_var', variance],
    ['joint_entr', jointEntropy],
    ['diff_avg', differenceAverage],
    ['diff_var', differenceVariance],
    ['diff_entr', differenceEntropy],
    ['sum_avg', 2 * mean],
    ['sum_var', tendency],
    ['sum_entr', sumEntropy],
    ['energy', energy],
    ['contrast', contrast],
    ['dissimilarity', differenceAverage],
    ['inv_diff', inverse],
    ['inv_diff_norm', inverseNorm],
    ['inv_diff_mom', moment],
    ['inv_diff_mom_norm', momentNorm],
    ['inv_var', inverseVariance],
    ['corr', flat ? FLAT : (product - mean * mean) / variance],
    ['auto_corr', product],
    ['clust_tend', tendency],
    ['clust_shade', shade],
    ['clust_prom', prominence],
    ['info_corr1', flat ? FLAT : (jointEntropy - independentEntropy) / levelEntropy],
    ['info_corr2', Math.sqrt(Math.max(0, 1 - Math.exp(-2 * (independentEntropy - jointEntropy))))],
  ]);
}
