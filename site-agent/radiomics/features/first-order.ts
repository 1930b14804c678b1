import type { ClassInput } from '../class-input.js';
import type { FeatureSet } from '../feature.js';
import { collect, LOG_EPSILON, type Wanted } from './collect.js';
import { type Discretized, discretize } from './discretize.js';
import { numpySum } from './numpy-sum.js';
import { orderStatistics } from './order-statistics.js';

/** First-order features as PyRadiomics defines them: of the intensities, Entropy and Uniformity of the grey levels. */
export function firstOrder(
  input: ClassInput,
  wanted: Wanted = null,
  binned: Discretized = discretize(input),
): FeatureSet {
  const [dx, dy, dz] = input.image.spacingMm;
  const { grid } = binned;
  const values = input.withGaps === true ? binned.values.filter((value) => !Number.isNaN(value)) : binned.values;
  const measures = intensityMeasures(values, input.settings.voxelArrayShift, dx * dy * dz);
  return collect('firstorder', { ...measures, ...histogramMeasures(grid.voxelsPerLevel) }, wanted);
}

/** @param voxels how many voxels each grey level has */
export function histogramMeasures(voxels: Float64Array): { Entropy: number; Uniformity: number } {
  let total = 0;
  for (let i = 0; i < voxels.length; i++) total += voxels[i]!;
  let entropy = 0;
  let uniformity = 0;
  for (let i = 0; i < voxels.length; i++) {
    const p = voxels[i]! / total;
    entropy -= p * Math.log2(p + LOG_EPSILON);
    uniformity += p * p;
  }
  return { Entropy: entropy, Uniformity: uniformity };
}

/** @param shift added before Energy, TotalEnergy and RootMeanSquared */
export function intensityMeasures(values: Float64Array, shift: number, voxelVolumeMm3: number): Record<string, number> {
  const n = values.length;
  const energy = energyOf(values, shift);
  const mean = numpySum(values) / n;
  const { m2, m3, m4, deviation } = centralMoments(values, mean);
  // A flat region divides by 1, so that both come out 0.
  const spread = m2 === 0 ? 1 : m2;
  const [p10, p25, p50, p75, p90, lowest, highest] = percentiles(values, [10, 25, 50, 75, 90, 0, 100]) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  return {
    '10Percentile': p10,
    '90Percentile': p90,
    Energy: energy,
    InterquartileRange: p75 - p25,
    Kurtosis: m4 / (spread * spread),
    Maximum: highest,
    MeanAbsoluteDeviation: deviation,
    Mean: mean,
    Median: p50,
    Minimum: lowest,
    Range: highest - lowest,
    RobustMeanAbsoluteDeviation: robustDeviation(values, p10, p90),
    RootMeanSquared: Math.sqrt(energy / n),
    Skewness: m3 / (spread * Math.sqrt(spread)),
    StandardDeviation: Math.sqrt(m2),
    TotalEnergy: energy * voxelVolumeMm3,
    Variance: m2,
  };
}

// Each loop is a function of its own, so that it is compiled once and for all and not anew from where an earlier loop ended.

function energyOf(values: Float64Array, shift: number): number {
  let energy = 0;
  for (let k = 0; k < values.length; k++) energy += (values[k]! + shift) * (values[k]! + shift);
  return energy;
}

/** Over the count; and the mean absolute deviation. */
function centralMoments(values: Float64Array, mean: number) {
  const n = values.length;
  let m2 = 0;
  let m3 = 0;
  let m4 = 0;
  let deviation = 0;
  for (let k = 0; k < n; k++) {
    const off = values[k]! - mean;
    const off2 = off * off;
    m2 += off2;
    m3 += off2 * off;
    m4 += off2 * off2;
    deviation += Math.abs(off);
  }
  return { m2: m2 / n, m3: m3 / n, m4: m4 / n, deviation: deviation / n };
}

/** Mean absolute deviation from their own mean of the values between two bounds, both counted in; NaN where there is none. */
function robustDeviation(values: Float64Array, from: number, to: number): number {
  let sum = 0;
  let count = 0;
  for (let k = 0; k < values.length; k++)
    if (values[k]! >= from && values[k]! <= to) {
      sum += values[k]!;
      count++;
    }
  const mean = sum / count;
  let deviation = 0;
  for (let k = 0; k < values.length; k++)
    if (values[k]! >= from && values[k]! <= to) deviation += Math.abs(values[k]! - mean);
  return deviation / count;
}

/** Percentiles with linear interpolation between ranks, as numpy's default. */
export function percentiles(values: Float64Array, percents: readonly number[]): number[] {
  const last = values.length - 1;
  const ranks = percents.flatMap((percent) => {
    const at = (percent / 100) * last;
    return [Math.floor(at), Math.min(last, Math.floor(at) + 1)];
  });
  const found = orderStatistics(values, ranks);
  return percents.map((percent, k) => {
    const at = (percent / 100) * last;
    const share = at - Math.floor(at);
    const low = found[2 * k]!;
    const high = found[2 * k + 1]!;
    // numpy interpolates from the nearer end.
    return share < 0.5 ? low + (high - low) * share : high - (high - low) * (1 - share);
  });
}
