import type { FeatureSet } from '../feature.js';
import { coded } from './codes.js';
import { fixedBin } from './region-levels.js';

/**
 * How the intensities of an intensity-volume histogram are stepped. `discrete`: calibrated whole units, as CT in HU. `fbs`: calibrated
 * continuous, in bins of `width` shown by their centres. `fbn`: arbitrary units, in `bins` bins numbered from 1.
 */
export type IvhMode =
  | { readonly method: 'discrete' }
  | { readonly method: 'fbs'; readonly width: number }
  | { readonly method: 'fbn'; readonly bins: number };

/** Intensities from low to high in equal steps, each with the fraction of the volume that has at least that intensity. */
interface Ivh {
  readonly first: number;
  readonly step: number;
  readonly volume: Float64Array;
}

/** More steps than this would be a curve finer than any float image is: continuous intensities read as discrete ones, say. */
const MOST_STEPS = 10_000_000;

/**
 * IBSI's intensity-volume histogram features (family P88C).
 * @param values Intensities of the intensity mask. @param range The re-segmentation range where there is one: with calibrated intensities
 * it bounds the intensity fraction; an open end is the region's own extreme.
 */
export function ivhFeatures(
  values: Float64Array,
  mode: IvhMode,
  range: readonly [number | null, number | null] | null,
): FeatureSet {
  const features: FeatureSet = new Map();
  const built = histogramOf(values, mode, range);
  const reason = typeof built === 'string' ? built : 'the intensity-volume histogram has a single intensity';
  const put = (tag: string, value: number): void => {
    features.set(tag, coded(tag, value, reason));
  };
  if (typeof built === 'string') {
    for (const tag of ['v10', 'v90', 'i10', 'i90', 'diff_v10_v90', 'diff_i10_i90', 'auc'])
      put(`ivh_${tag}`, Number.NaN);
    return features;
  }
  const { first, step, volume } = built;
  const last = volume.length - 1;
  /** Largest volume fraction among intensity fractions of at least `percent`: the curve falls, so that is at the first of them. */
  const volumeAt = (percent: number): number => {
    if (last === 0) return Number.NaN;
    return volume[Math.ceil((percent * last) / 100)]!;
  };
  /** Smallest intensity whose volume fraction is at most `percent`; one step past the last where there is none. */
  const intensityAt = (percent: number): number => {
    let k = volume.findIndex((fraction) => fraction <= percent / 100);
    if (k < 0) k = volume.length;
    return first + k * step;
  };
  const [v10, v90, i10, i90] = [volumeAt(10), volumeAt(90), intensityAt(10), intensityAt(90)];
  put('ivh_v10', v10);
  put('ivh_v90', v90);
  put('ivh_i10', i10);
  put('ivh_i90', i90);
  put('ivh_diff_v10_v90', v10 - v90);
  put('ivh_diff_i10_i90', i10 - i90);
  let area = 0;
  for (let k = 0; k < last; k++) area += (volume[k]! + volume[k + 1]!) / 2;
  // IBSI sets the area to 0 where the region has one grey level, whatever the range.
  put('ivh_auc', values.every((value) => value === values[0]) ? 0 : area / last);
  return features;
}

function histogramOf(
  values: Float64Array,
  mode: IvhMode,
  range: readonly [number | null, number | null] | null,
): Ivh | string {
  if (values.length === 0) return 'the region is empty';
  let lowest = Number.POSITIVE_INFINITY;
  let highest = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    if (value < lowest) lowest = value;
    if (value > highest) highest = value;
  }
  const low = mode.method === 'fbn' ? lowest : (range?.[0] ?? lowest);
  const high = mode.method === 'fbn' ? highest : (range?.[1] ?? highest);
  if (mode.method === 'fbn') {
    const { bins } = mode;
    return { first: 1, step: 1, volume: fractions(values, bins, (value) => fixedBin(value, low, high, bins)) };
  }
  const width = mode.method === 'fbs' ? mode.width : 1;
  const steps = mode.method === 'fbs' ? Math.max(1, Math.ceil((high - low) / width)) : Math.floor(high - low) + 1;
  if (steps > MOST_STEPS) return 'the intensity range has too many steps for this intensity-volume histogram';
  if (mode.method === 'discrete' && values.some((value) => !Number.isInteger(value)))
    return 'the intensities are not whole numbers: choose fbs or fbn for the intensity-volume histogram';
  const first = mode.method === 'fbs' ? low + width / 2 : low;
  return { first, step: width, volume: fractions(values, steps, (value) => Math.floor((value - low) / width)) };
}

/** Fraction of values in bin k or above, for each of `bins` bins; what lies beyond the ends counts in the end bins. */
function fractions(values: Float64Array, bins: number, binOf: (value: number) => number): Float64Array {
  const counts = new Float64Array(bins);
  for (const value of values) counts[Math.min(bins - 1, Math.max(0, binOf(value)))]!++;
  let above = 0;
  for (let k = bins - 1; k >= 0; k--) {
    above += counts[k]!;
    counts[k] = above / values.length;
  }
  return counts;
}
