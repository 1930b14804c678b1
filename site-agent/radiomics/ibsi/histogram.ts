import type { FeatureSet } from '../feature.js';
import { coded } from './codes.js';
import { distributionFeatures } from './statistics.js';

const EMPTY = 'the region is empty';
const ONE_BIN = 'the histogram has one bin';

/**
 * IBSI's intensity histogram features (family ZVCW).
 * @param levels The grey level, from 1, of each voxel of the intensity mask. @param levelCount Bins of the histogram.
 */
export function histogramFeatures(levels: Int32Array, levelCount: number): FeatureSet {
  const values = Float64Array.from(levels);
  const features = distributionFeatures('ih', values);
  const put = (tag: string, value: number, reason = EMPTY): void => {
    features.set(tag, coded(tag, value, levels.length === 0 ? EMPTY : reason));
  };
  const counts = new Float64Array(levelCount);
  for (const level of levels) counts[level - 1]!++;
  const mean = features.get('ih_mean')!.value ?? 0;
  let entropy = 0;
  let uniformity = 0;
  for (const count of counts) {
    if (count === 0) continue;
    const p = count / levels.length;
    entropy -= p * Math.log2(p);
    uniformity += p * p;
  }
  const mode = levels.length === 0 ? Number.NaN : modeOf(counts, mean);
  const gradient = gradientOf(counts);
  const steepest = indexOfBest(gradient, (a, b) => a > b);
  const shallowest = indexOfBest(gradient, (a, b) => a < b);
  const graded = levels.length > 0 && levelCount > 1;

  // The table's order has the mode after the maximum.
  const ordered: FeatureSet = new Map();
  for (const [tag, value] of features) {
    ordered.set(tag, value);
    if (tag === 'ih_max') ordered.set('ih_mode', coded('ih_mode', mode, EMPTY));
  }
  features.clear();
  for (const [tag, value] of ordered) features.set(tag, value);
  put('ih_entropy', levels.length === 0 ? Number.NaN : entropy);
  put('ih_uniformity', levels.length === 0 ? Number.NaN : uniformity);
  put('ih_max_grad', graded ? gradient[steepest]! : Number.NaN, ONE_BIN);
  put('ih_max_grad_g', graded ? steepest + 1 : Number.NaN, ONE_BIN);
  put('ih_min_grad', graded ? gradient[shallowest]! : Number.NaN, ONE_BIN);
  put('ih_min_grad_g', graded ? shallowest + 1 : Number.NaN, ONE_BIN);
  return features;
}

/** The fullest bin; among several the one closest to the mean, and of two equally close ones the lower. */
function modeOf(counts: Float64Array, mean: number): number {
  const most = counts[indexOfBest(counts, (a, b) => a > b)];
  let mode = Number.NaN;
  counts.forEach((count, bin) => {
    if (count === most && !(Math.abs(bin + 1 - mean) >= Math.abs(mode - mean))) mode = bin + 1;
  });
  return mode;
}

/** Central differences, one-sided at both ends. */
function gradientOf(counts: Float64Array): number[] {
  const last = counts.length - 1;
  return Array.from(counts, (_, i) => {
    const [low, high] = [Math.max(i - 1, 0), Math.min(i + 1, last)];
    return (counts[high]! - counts[low]!) / (high - low);
  });
}

/** The first value that no other one beats. */
function indexOfBest(values: ArrayLike<number>, better: (a: number, b: number) => boolean): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (better(values[i]!, values[best]!)) best = i;
  return best;
}
