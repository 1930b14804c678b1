import type { Frame, MomentsResult } from '../shared/computations/frame.js';
import { assert } from '../shared/errors.js';

/** How much of the features' variance lies between sites under one harmonization (eta squared). */
export interface VarianceBetweenSites {
  /** p: share of each feature, NaN where it does not vary. */
  readonly shares: Float64Array;
  /** Median over the features that vary, NaN if none does. */
  readonly median: number;
}

/**
 * Share of variance that site explains, of the features as one fit sees them: 1 - (sum of squares within sites) / (total
 * sum of squares), both sums over all sites, so that no site's mean is told. Compare `none:all` with `combat:all`.
 */
export function varianceBetweenSites(moments: MomentsResult, frame: Frame, fitId: string): VarianceBetweenSites {
  const between = moments.fits[fitId]?.betweenSites;
  assert(between !== undefined, `moments hold no share of variance for fit ${fitId}`);
  const shares = between.slice(0, frame.features.length);
  const sorted = shares.filter((share) => !Number.isNaN(share)).sort();
  const middle = sorted.length >> 1;
  const median =
    sorted.length === 0
      ? Number.NaN
      : sorted.length % 2 === 1
        ? sorted[middle]!
        : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { shares, median };
}
