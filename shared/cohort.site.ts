import type { CovariateColumn } from './computations/frame.js';
import type { Fit } from './fits.js';

/**
 * A site's patients, typed and checked: with Case rows the only type that holds patient data. A holder is usually one
 * site; `simulate` and tests may hold several sites' rows in one cohort, so every row names its site. Rows are sorted
 * by (site, id), so the order of a table never reaches a sum.
 */
export interface Cohort {
  readonly holder: string;
  /** Site labels present, sorted; `siteOf[row]` indexes them. */
  readonly sites: readonly string[];
  readonly siteOf: Int32Array;
  readonly n: number;
  /** Local case identifiers. Never leave, never appear in an error or a log. */
  readonly ids: readonly string[];
  readonly featureNames: readonly string[];
  /** n x p row-major, NaN = missing. */
  readonly features: Float64Array;
  /** Clinical covariates: numeric value, or level index for a categorical one; n x c row-major, NaN = missing. */
  readonly covariateColumns: readonly CovariateColumn[];
  readonly covariates: Float64Array;
  readonly outcome: Outcome;
  /** ComBat batch per row (index into batchNames); by default the row's site. */
  readonly batchNames: readonly string[];
  readonly batchOf: Int32Array;
  /** Cox stratum per row (index into stratumNames); by default the row's site. */
  readonly stratumNames: readonly string[];
  readonly stratumOf: Int32Array;
  /** Inner-fold cell per row, 0 .. innerFolds - 1. */
  readonly cellOf: Int32Array;
  /** 1 where the row belongs to the seeded calibration subset of its site (used unscored when the site is held out). */
  readonly calibration: Uint8Array;
  /** 1 = train, 0 = test, for tables that bring a split; all 1 otherwise. */
  readonly train: Uint8Array;
  /** Repeated measurements: n x count x p row-major, NaN = missing; only for studies that judge stability. */
  readonly repeats?: { readonly count: number; readonly values: Float64Array };
  /** What the images of the cases give a study that learns from them; a case without it does not contribute. */
  readonly learned?: LearnedFromImages;
  /** Cases left out before anything was computed, counted by site and reason. */
  readonly exclusions: readonly { readonly site: string; readonly reason: string; readonly count: number }[];
}

export interface LearnedFromImages {
  /** Landmarks on the standard scale: n x phases x LANDMARK_PERCENTILES row-major, NaN = none. */
  readonly landmarks?: Float64Array;
  /** Voxels of each patient's lesion, intensity and local entropy from 0 to 1; a patient without any does not contribute. */
  readonly points?: readonly Float64Array[];
}

export type Outcome =
  | { readonly type: 'binary'; readonly y: Uint8Array }
  | { readonly type: 'survival'; readonly time: Float64Array; readonly event: Uint8Array };

/**
 * What a computation's site half sees: the rows, the public results of earlier computations, and a way to get the
 * features as this arm harmonizes them. `memo` keeps derived arrays between rounds; losing it changes nothing but time.
 */
export interface SiteView {
  readonly cohort: Cohort;
  /** Public results of finished computations, by computation name. */
  readonly results: ReadonlyMap<string, unknown>;
  /**
   * All rows' features as `fit` sees them, n x p row-major, NaN = missing: training rows with the site's own estimates
   * of that fit, held-out sites from their calibration subset, held-out patients of a training site with the site's estimates.
   */
  harmonized(fit: Fit): Float64Array;
  readonly memo: Map<string, unknown>;
}

/** 1 where the row is fitted by `fit`: its site takes part, its cell is not held out, and it is a training row. */
export function rowsOfFit(cohort: Cohort, fit: Fit): Uint8Array {
  const member = cohort.sites.map((site) => fit.sites.includes(site));
  const rows = new Uint8Array(cohort.n);
  for (let row = 0; row < cohort.n; row++) {
    rows[row] = member[cohort.siteOf[row]!] && cohort.cellOf[row] !== fit.inner && cohort.train[row] === 1 ? 1 : 0;
  }
  return rows;
}
