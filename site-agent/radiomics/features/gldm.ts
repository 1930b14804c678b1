import type { ClassInput } from '../class-input.js';
import type { FeatureSet } from '../feature.js';
import { collect, type Wanted } from './collect.js';
import { gldmCounts } from './counts.js';
import { type Discretized, discretize } from './discretize.js';
import { directions } from './neighbourhood.js';
import { sizeCountsOf, sizeFeatures } from './size-emphasis.js';

/** Grey-level dependence features as PyRadiomics defines them; a voxel's dependence counts the voxel itself. */
export function gldm(input: ClassInput, wanted: Wanted = null, binned: Discretized = discretize(input)): FeatureSet {
  const { grid } = binned;
  const { settings } = input;
  const steps = directions(grid.extent, settings.distances, settings);
  return gldmFeatures(gldmCounts(grid, steps, settings.gldmA), 2 * steps.length + 1, grid.greyLevels, wanted);
}

/** @param width columns of the matrix, the most dependent neighbours a voxel can have plus one */
export function gldmFeatures(
  counts: Uint32Array,
  width: number,
  greyLevels: Int32Array,
  wanted: Wanted = null,
): FeatureSet {
  const f = sizeFeatures(sizeCountsOf(counts, greyLevels.length, width), greyLevels);
  return collect(
    'gldm',
    {
      DependenceEntropy: f.entropy,
      DependenceNonUniformity: f.sizeNonUniformity,
      DependenceNonUniformityNormalized: f.sizeNonUniformityNormalized,
      DependenceVariance: f.sizeVariance,
      GrayLevelNonUniformity: f.levelNonUniformity,
      GrayLevelVariance: f.levelVariance,
      HighGrayLevelEmphasis: f.high,
      LargeDependenceEmphasis: f.large,
      LargeDependenceHighGrayLevelEmphasis: f.largeHigh,
      LargeDependenceLowGrayLevelEmphasis: f.largeLow,
      LowGrayLevelEmphasis: f.low,
      SmallDependenceEmphasis: f.small,
      SmallDependenceHighGrayLevelEmphasis: f.smallHigh,
      SmallDependenceLowGrayLevelEmphasis: f.smallLow,
    },
    wanted,
  );
}
