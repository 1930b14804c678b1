import { LOG_EPSILON } from './collect.js';

/** Features of one co-occurrence matrix, under PyRadiomics' names. */
export interface AngleFeatures {
  readonly Autocorrelation: number;
  readonly ClusterProminence: number;
  readonly ClusterShade: number;
  readonly ClusterTendency: number;
  readonly Contrast: number;
  readonly Correlation: number;
  readonly DifferenceAverage: number;
  readonly DifferenceEntropy: number;
  readonly DifferenceVariance: number;
  readonly Id: number;
  readonly Idm: number;
  readonly Idmn: number;
  readonly Idn: number;
  readonly Imc1: number;
  readonly Imc2: number;
  readonly InverseVariance: number;
  readonly JointAverage: number;
  readonly JointEnergy: number;
  readonly JointEntropy: number;
  readonly MaximumProbability: number;
  readonly SumAverage: number;
  readonly SumEntropy: number;
  readonly SumSquares: number;
}

/**
 * @param p joint probabilities, row-major over the grey levels, sum 1
 * @param highest number of grey levels by which Idmn and Idn are normalised
 */
export function angleFeatures(
  p: Float64Array,
  greyLevels: Int32Array,
  highest: number,
): { features: AngleFeatures; px: Float64Array; py: Float64Array } {
  const n = greyLevels.length;
  const px = new Float64Array(n);
  const py = new Float64Array(n);
  // The means are summed cell by cell, as numpy does: whether a margin of one level has any spread is a matter of the last bit.
  let ux = 0;
  let uy = 0;
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++) {
      const pij = p[i * n + j]!;
      px[i]! += pij;
      py[j]! += pij;
      ux += greyLevels[i]! * pij;
      uy += greyLevels[j]! * pij;
    }
  const top = greyLevels[n - 1] ?? 1;
  const bySum = new Float64Array(2 * top + 1);
  const byDifference = new Float64Array(top);
  let autocorrelation = 0;
  let prominence = 0;
  let shade = 0;
  let tendency = 0;
  let contrast = 0;
  let covariance = 0;
  let energy = 0;
  let entropy = 0;
  let maximum = 0;
  let hxy1 = 0;
  let hxy2 = 0;
  for (let i = 0; i < n; i++) {
    const gi = greyLevels[i]!;
    if (px[i] === 0) continue;
    for (let j = 0; j < n; j++) {
      const independent = px[i]! * py[j]!;
      if (independent === 0) continue;
      const logarithm = Math.log2(independent + LOG_EPSILON);
      hxy2 -= independent * logarithm;
      const pij = p[i * n + j]!;
      if (pij === 0) continue;
      const gj = greyLevels[j]!;
      const off = gi + gj - ux - uy;
      const off2 = off * off;
      autocorrelation += pij * gi * gj;
      tendency += pij * off2;
      shade += pij * off2 * off;
      prominence += pij * off2 * off2;
      contrast += pij * (gi - gj) * (gi - gj);
      covariance += pij * (gi - ux) * (gj - uy);
      energy += pij * pij;
      entropy -= pij * Math.log2(pij + LOG_EPSILON);
      hxy1 -= pij * logarithm;
      if (pij > maximum) maximum = pij;
      bySum[gi + gj]! += pij;
      byDifference[Math.abs(gi - gj)]! += pij;
    }
  }
  let variance = 0;
  let varianceY = 0;
  for (let i = 0; i < n; i++) {
    variance += px[i]! * (greyLevels[i]! - ux) * (greyLevels[i]! - ux);
    varianceY += py[i]! * (greyLevels[i]! - uy) * (greyLevels[i]! - uy);
  }
  const deviations = Math.sqrt(variance) * Math.sqrt(varianceY);
  let sumAverage = 0;
  let sumEntropy = 0;
  for (let k = 2; k < bySum.length; k++) {
    sumAverage += k * bySum[k]!;
    if (bySum[k] !== 0) sumEntropy -= bySum[k]! * Math.log2(bySum[k]! + LOG_EPSILON);
  }
  const features = {
    Autocorrelation: autocorrelation,
    ClusterProminence: prominence,
    ClusterShade: shade,
    ClusterTendency: tendency,
    Contrast: contrast,
    Correlation: deviations === 0 ? 1 : covariance / (deviations + LOG_EPSILON),
    ...differenceFeatures(byDifference, highest),
    ...informationFeatures(px, py, entropy, hxy1, hxy2),
    JointAverage: ux,
    JointEnergy: energy,
    JointEntropy: entropy,
    MaximumProbability: maximum,
    SumAverage: sumAverage,
    SumEntropy: sumEntropy,
    SumSquares: variance,
  };
  return { features, px, py };
}

/** What depends on |i − j| alone. */
function differenceFeatures(p: Float64Array, highest: number) {
  let average = 0;
  let entropy = 0;
  let id = 0;
  let idm = 0;
  let idmn = 0;
  let idn = 0;
  let inverse = 0;
  for (let k = 0; k < p.length; k++) {
    const pk = p[k]!;
    if (pk === 0) continue;
    average += k * pk;
    entropy -= pk * Math.log2(pk + LOG_EPSILON);
    id += pk / (1 + k);
    idm += pk / (1 + k * k);
    idmn += pk / (1 + (k * k) / (highest * highest));
    idn += pk / (1 + k / highest);
    if (k > 0) inverse += pk / (k * k);
  }
  let variance = 0;
  for (let k = 0; k < p.length; k++) variance += p[k]! * (k - average) * (k - average);
  return {
    DifferenceAverage: average,
    DifferenceEntropy: entropy,
    DifferenceVariance: variance,
    Id: id,
    Idm: idm,
    Idmn: idmn,
    Idn: idn,
    InverseVariance: inverse,
  };
}

/**
 * Informational measures of correlation. Imc2 is NaN where rounding makes the joint entropy the larger one, which numpy's mean over the
 * directions then leaves out.
 */
function informationFeatures(px: Float64Array, py: Float64Array, hxy: number, hxy1: number, hxy2: number) {
  let hx = 0;
  let hy = 0;
  for (let i = 0; i < px.length; i++) {
    const pi = px[i]!;
    hx -= pi * Math.log2(pi + LOG_EPSILON);
    hy -= py[i]! * Math.log2(py[i]! + LOG_EPSILON);
  }
  const larger = Math.max(hx, hy);
  return {
    Imc1: larger === 0 ? 0 : (hxy - hxy1) / larger,
    Imc2: hxy2 === hxy ? 0 : Math.sqrt(1 - Math.exp(-2 * (hxy2 - hxy))),
  };
}
