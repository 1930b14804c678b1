import type { Vec3 } from '../../imaging/volume.js';
import type { ClassInput, WeightingNorm } from '../class-input.js';
import type { FeatureSet } from '../feature.js';
import { collect, MeanOf, type Wanted } from './collect.js';
import { type Discretized, discretize } from './discretize.js';
import { type Direction, directions } from './neighbourhood.js';
import { glrlmCounts } from './run-counts.js';
import { type SizeFeatures, sizeCountsOf, sizeFeatures } from './size-emphasis.js';

/**
 * Grey-level run-length features as PyRadiomics defines them: one matrix per direction and the mean of each feature over them, or with
 * a weighting norm one matrix that is their weighted sum. A direction along which no line meets two voxels of the region counts nothing.
 * @param ofKernel the region is the neighbourhood of a voxel and not all there is
 */
export function glrlm(
  input: ClassInput,
  wanted: Wanted = null,
  binned: Discretized = discretize(input),
  ofKernel = false,
): FeatureSet {
  const { grid } = binned;
  const { settings } = input;
  const n = grid.greyLevels.length;
  const steps = directions(grid.extent, [1], settings);
  const longest = Math.max(1, ...grid.extent);
  const merged = settings.weightingNorm === null ? null : new Float64Array(n * longest);
  const found: SizeFeatures[] = [];
  for (let from = 0; from < steps.length; ) {
    // As many directions at a time as fit a moderate table: with very many grey levels that is one.
    const some = steps.slice(from, from + Math.max(1, Math.floor(TABLE_CELLS / (n * longest))));
    const { counts, meets } = glrlmCounts(grid, some);
    for (let a = 0; a < some.length; a++) {
      if (meets[a] === 0) continue;
      const at = a * n * longest;
      if (merged === null) found.push(sizeFeatures(sizeCountsOf(counts, n, longest, at), grid.greyLevels));
      else {
        const weight = runWeight(some[a]!, input.image.spacingMm, settings.weightingNorm!);
        for (let k = 0; k < merged.length; k++) merged[k]! += weight * counts[at + k]!;
      }
    }
    from += some.length;
  }
  if (merged !== null) found.push(sizeFeatures(sizeCountsOf(merged, n, longest), grid.greyLevels));
  // PyRadiomics keeps an empty matrix where it is the only one: without run lengths, over which these two are sums.
  const isOnly = merged !== null || steps.length === 1;
  if (!ofKernel && isOnly && found.every(({ large }) => Number.isNaN(large)))
    found.splice(0, 1, { ...sizeFeatures(sizeCountsOf([], n, 0), grid.greyLevels), entropy: 0, sizeVariance: 0 });
  const mean = (of: keyof SizeFeatures): number => {
    const over = new MeanOf();
    for (const one of found) over.add(one[of]);
    return over.value;
  };
  return collect(
    'glrlm',
    {
      GrayLevelNonUniformity: mean('levelNonUniformity'),
      GrayLevelNonUniformityNormalized: mean('levelNonUniformityNormalized'),
      GrayLevelVariance: mean('levelVariance'),
      HighGrayLevelRunEmphasis: mean('high'),
      LongRunEmphasis: mean('large'),
      LongRunHighGrayLevelEmphasis: mean('largeHigh'),
      LongRunLowGrayLevelEmphasis: mean('largeLow'),
      LowGrayLevelRunEmphasis: mean('low'),
      RunEntropy: mean('entropy'),
      RunLengthNonUniformity: mean('sizeNonUniformity'),
      RunLengthNonUniformityNormalized: mean('sizeNonUniformityNormalized'),
      RunPercentage: mean('percentage'),
      RunVariance: mean('sizeVariance'),
      ShortRunEmphasis: mean('small'),
      ShortRunHighGrayLevelEmphasis: mean('smallHigh'),
      ShortRunLowGrayLevelEmphasis: mean('smallLow'),
    },
    wanted,
    'no line along any direction meets two voxels of the region',
  );
}

/** Cells of the tables that are filled at a time, over all directions. */
export const TABLE_CELLS = 1 << 23;

/** Length of a step in mm in the norm, or 1. */
function runWeight(step: Direction, spacingMm: Vec3, norm: WeightingNorm): number {
  return norm === 'no_weighting' ? 1 : stepLengthMm(step, spacingMm, norm);
}

/** Length of a step in mm in one of the norms. */
export function stepLengthMm(step: Direction, spacingMm: Vec3, norm: Exclude<WeightingNorm, 'no_weighting'>): number {
  const [x, y, z] = [0, 1, 2].map((axis) => Math.abs(step[axis]!) * spacingMm[axis]!) as [number, number, number];
  if (norm === 'infinity') return Math.max(x, y, z);
  if (norm === 'euclidean') return Math.sqrt(x * x + y * y + z * z);
  return x + y + z;
}
