import type { ClassInput } from '../class-input.js';
import type { FeatureSet } from '../feature.js';
import { collect, type Wanted } from './collect.js';
import { glszmCounts } from './counts.js';
import { type Discretized, discretize } from './discretize.js';
import { directions } from './neighbourhood.js';
import { sizeFeatures } from './size-emphasis.js';

/** Grey-level size-zone features as PyRadiomics defines them: zones touch by face, edge or corner. */
export function glszm(input: ClassInput, wanted: Wanted = null, binned: Discretized = discretize(input)): FeatureSet {
  const { grid } = binned;
  const zones = glszmCounts(grid, directions(grid.extent, [1], input.settings));
  const f = sizeFeatures(zones, grid.greyLevels);
  return collect(
    'glszm',
    {
      GrayLevelNonUniformity: f.levelNonUniformity,
      GrayLevelNonUniformityNormalized: f.levelNonUniformityNormalized,
      GrayLevelVariance: f.levelVariance,
      HighGrayLevelZoneEmphasis: f.high,
      LargeAreaEmphasis: f.large,
      LargeAreaHighGrayLevelEmphasis: f.largeHigh,
      LargeAreaLowGrayLevelEmphasis: f.largeLow,
      LowGrayLevelZoneEmphasis: f.low,
      SizeZoneNonUniformity: f.sizeNonUniformity,
      SizeZoneNonUniformityNormalized: f.sizeNonUniformityNormalized,
      SmallAreaEmphasis: f.small,
      SmallAreaHighGrayLevelEmphasis: f.smallHigh,
      SmallAreaLowGrayLevelEmphasis: f.smallLow,
      ZoneEntropy: f.entropy,
      ZonePercentage: f.percentage,
      ZoneVariance: f.sizeVariance,
    },
    wanted,
  );
}
