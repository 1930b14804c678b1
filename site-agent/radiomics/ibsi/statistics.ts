import type { FeatureSet } from '../feature.js';
import { coded } from './codes.js';

/** Mean and central moments over the count (not count − 1), as IBSI defines variance, skewness and kurtosis. */
export interface Moments {
  readonly mean: number;
  readonly variance: number;
  readonly skewness: number;
  readonly kurtosis: number;
}

export function momentsOf(values: ArrayLike<number>): Moments {
  const n = values.length;
  let sum = 0;
  for (let i = 0; i < n; i++) sum += values[i]!;
  const mean = sum / n;
  let second = 0;
  let third = 0;
  let fourth = 0;
  for (let i = 0; i < n; i++) {
    const d = values[i]! - mean;
    const dd = d * d;
    second += dd;
    third += dd * d;
    fourth += dd * dd;
  }
  const variance = second / n;
  return {
    mean,
    variance,
    skewness: third / n / (variance * Math.sqrt(variance)),
    kurtosis: fourth / n / (variance * variance) - 3,
  };
}

/** Percentile of sorted values, linear between the two nearest ranks (numpy's default, R's type 7). */
export function percentile(sorted: ArrayLike<number>, percent: number): number {
  const at = ((sorted.length - 1) * percent) / 100;
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below]! + (at - below) * (sorted[above]! - sorted[below]!);
}

const EMPTY = 'the region is empty';

/**
 * The 16 features that intensity statistics and the intensity histogram share, in IBSI's order, under `prefix` ('stat' or 'ih').
 * Skewness and kurtosis are 0 where all values are equal, as IBSI sets them; the two quotients have no value where their denominator is 0.
 */
export function distributionFeatures(prefix: 'stat' | 'ih', values: Float64Array): FeatureSet {
  const features: FeatureSet = new Map();
  const put = (name: string, value: number, reason = EMPTY): void => {
    const tag = `${prefix}_${name}`;
    features.set(tag, coded(tag, value, values.length === 0 ? EMPTY : reason));
  };
  const sorted = values.slice().sort();
  const { mean, variance, skewness, kurtosis } = momentsOf(values);
  const at = (percent: number): number => (sorted.length === 0 ? Number.NaN : percentile(sorted, percent));
  const [min, p10, p25, median, p75, p90, max] = [0, 10, 25, 50, 75, 90, 100].map(at) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const flat = min === max;
  put('mean', mean);
  put('var', variance);
  put('skew', flat ? 0 : skewness);
  put('kurt', flat ? 0 : kurtosis);
  put('median', median);
  put('min', min);
  put('p10', p10);
  put('p90', p90);
  put('max', max);
  put('iqr', p75 - p25);
  put('range', max - min);
  put('mad', meanDistance(values, mean));
  const robust = values.filter((value) => value >= p10 && value <= p90);
  put('rmad', meanDistance(robust, momentsOf(robust).mean));
  put('medad', meanDistance(values, median));
  put('cov', mean === 0 ? Number.NaN : Math.sqrt(variance) / mean, 'the mean is 0');
  put('qcod', p75 + p25 === 0 ? Number.NaN : (p75 - p25) / (p75 + p25), 'the sum of the quartiles is 0');
  return features;
}

function meanDistance(values: ArrayLike<number>, from: number): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += Math.abs(values[i]! - from);
  return sum / values.length;
}

/** IBSI's intensity-based statistics (family UHIW) of the intensities in a region; also what IBSI 2 computes on a filter's response. */
export function intensityStatistics(values: Float64Array): FeatureSet {
  const features = distributionFeatures('stat', values);
  let energy = 0;
  for (const value of values) energy += value * value;
  features.set('stat_energy', coded('stat_energy', values.length === 0 ? Number.NaN : energy, EMPTY));
  features.set('stat_rms', coded('stat_rms', Math.sqrt(energy / values.length), EMPTY));
  return features;
}
