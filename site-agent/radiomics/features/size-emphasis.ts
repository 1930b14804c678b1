import { LOG_EPSILON } from './collect.js';
import type { SizeCounts } from './counts.js';

/**
 * What GLRLM, GLSZM and GLDM have in common: a matrix over grey level i and size j (run length, zone size, number of dependent voxels)
 * and sixteen numbers of it. Names are by size; the classes give them their own.
 */
export interface SizeFeatures {
  readonly small: number;
  readonly large: number;
  readonly levelNonUniformity: number;
  readonly levelNonUniformityNormalized: number;
  readonly sizeNonUniformity: number;
  readonly sizeNonUniformityNormalized: number;
  readonly percentage: number;
  readonly levelVariance: number;
  readonly sizeVariance: number;
  readonly entropy: number;
  readonly low: number;
  readonly high: number;
  readonly smallLow: number;
  readonly smallHigh: number;
  readonly largeLow: number;
  readonly largeHigh: number;
}

/** @param matrix may be weighted; NaN everywhere where it is empty */
export function sizeFeatures({ level, size, count }: SizeCounts, greyLevels: Int32Array): SizeFeatures {
  const perLevel = new Float64Array(greyLevels.length);
  let total = 0;
  let voxels = 0;
  let largest = 0;
  for (let k = 0; k < count.length; k++) {
    perLevel[level[k]!]! += count[k]!;
    total += count[k]!;
    voxels += count[k]! * size[k]!;
    if (size[k]! > largest) largest = size[k]!;
  }
  const sums = { small: 0, large: 0, smallLow: 0, smallHigh: 0, largeLow: 0, largeHigh: 0, entropy: 0 };
  for (let k = 0; k < count.length; k++) {
    const c = count[k]!;
    const i2 = greyLevels[level[k]!]! * greyLevels[level[k]!]!;
    const j2 = size[k]! * size[k]!;
    sums.small += c / j2;
    sums.large += c * j2;
    sums.smallLow += c / (i2 * j2);
    sums.smallHigh += (c * i2) / j2;
    sums.largeLow += (c * j2) / i2;
    sums.largeHigh += c * i2 * j2;
    const p = c / total;
    sums.entropy -= p * Math.log2(p + LOG_EPSILON);
  }
  const byLevel = moments(perLevel, (k) => greyLevels[k]!, total);
  const bySize = sizeMoments(size, count, total, largest);
  return {
    small: sums.small / total,
    large: sums.large / total,
    levelNonUniformity: byLevel.squares / total,
    levelNonUniformityNormalized: byLevel.squares / (total * total),
    sizeNonUniformity: bySize.squares / total,
    sizeNonUniformityNormalized: bySize.squares / (total * total),
    percentage: total / voxels,
    levelVariance: byLevel.variance,
    sizeVariance: total === 0 ? Number.NaN : bySize.variance,
    entropy: total === 0 ? Number.NaN : sums.entropy,
    low: byLevel.low / total,
    high: byLevel.high / total,
    smallLow: sums.smallLow / total,
    smallHigh: sums.smallHigh / total,
    largeLow: sums.largeLow / total,
    largeHigh: sums.largeHigh / total,
  };
}

interface Moments {
  readonly squares: number;
  readonly variance: number;
  readonly low: number;
  readonly high: number;
}

/** Sums over a margin of the matrix whose entry k stands for `value(k)`. */
function moments(margin: Float64Array, value: (k: number) => number, total: number): Moments {
  let squares = 0;
  let mean = 0;
  let low = 0;
  let high = 0;
  for (let k = 0; k < margin.length; k++) {
    const m = margin[k]!;
    const v = value(k);
    squares += m * m;
    mean += (m / total) * v;
    if (m !== 0) low += m / (v * v);
    high += m * v * v;
  }
  let variance = 0;
  for (let k = 0; k < margin.length; k++) variance += (margin[k]! / total) * (value(k) - mean) * (value(k) - mean);
  return { squares, variance, low, high };
}

/** Zones can be as large as the region, so their margin is summed by sorted size rather than in an array of that length. */
function sizeMoments(size: Int32Array, count: Float64Array, total: number, largest: number): Moments {
  if (largest <= 65_536) {
    const margin = new Float64Array(largest);
    for (let k = 0; k < count.length; k++) margin[size[k]! - 1]! += count[k]!;
    return moments(margin, (k) => k + 1, total);
  }
  const perSize = new Map<number, number>();
  for (let k = 0; k < count.length; k++) perSize.set(size[k]!, (perSize.get(size[k]!) ?? 0) + count[k]!);
  const sizes = Float64Array.from(perSize.keys()).sort();
  const margin = Float64Array.from(sizes, (one) => perSize.get(one)!);
  return moments(margin, (k) => sizes[k]!, total);
}

/** The non-zero cells of a dense matrix of n rows; column j stands for size j + 1. */
export function sizeCountsOf(dense: ArrayLike<number>, n: number, width: number, at = 0): SizeCounts {
  let filled = 0;
  for (let k = at; k < at + n * width; k++) if (dense[k] !== 0) filled++;
  const level = new Int32Array(filled);
  const size = new Int32Array(filled);
  const count = new Float64Array(filled);
  let next = 0;
  for (let i = 0; i < n; i++)
    for (let j = 0; j < width; j++) {
      const c = dense[at + i * width + j]!;
      if (c === 0) continue;
      level[next] = i;
      size[next] = j + 1;
      count[next++] = c;
    }
  return { level, size, count };
}
