import { type Cohort, rowsOfFit, type SiteView } from '../cohort.site.js';
import { assert } from '../errors.js';
import type { Fit } from '../fits.js';
import { type MomentsResult, type Predictor, predictorsOf } from './frame.js';

/** Standardized predictors of all rows as a model of one fit sees them. */
export interface Design {
  /** n x p row-major, (h - mean) / sd with the fit's moments, 0 where missing. */
  readonly z: Float64Array;
  readonly p: number;
  /** n: 1 where the row trains this fit. */
  readonly rows: Uint8Array;
}

/**
 * The design matrix of a fit: harmonized features and clinical covariates, centred and scaled by the moments of that
 * fit's own training rows. A missing value becomes 0, which is mean imputation after harmonization; a predictor that
 * does not vary (sd 0) is a column of zeros. Needs the result of `moments` in the view.
 */
export function designOf(view: SiteView, fit: Fit, withCovariates: boolean): Design {
  const key = `design:${fit.id}:${withCovariates}`;
  const kept = view.memo.get(key) as Design | undefined;
  if (kept !== undefined) return kept;
  const moments = (view.results.get('moments') as MomentsResult | undefined)?.fits[fit.id];
  assert(moments !== undefined, `the moments of fit ${fit.id} are needed before its design`);
  const { cohort } = view;
  // A cohort carries the study's columns in the study's order, so it can stand for the frame.
  const predictors = predictorsOf(
    { features: cohort.featureNames, covariates: cohort.covariateColumns },
    withCovariates,
  );
  const z = predictorTable(cohort, view.harmonized(fit), predictors);
  const p = predictors.length;
  for (let j = 0; j < p; j++) {
    const mean = moments.mean[j]!;
    const sd = moments.sd[j]!;
    for (let at = j; at < z.length; at += p) {
      const value = z[at]!;
      z[at] = sd > 0 && !Number.isNaN(value) ? (value - mean) / sd : 0;
    }
  }
  const design = { z, p, rows: rowsOfFit(cohort, fit) };
  view.memo.set(key, design);
  return design;
}

/** Predictors on their own scale, n x predictors row-major, NaN = missing; `features` are n x p as the fit sees them. */
export function predictorTable(cohort: Cohort, features: Float64Array, predictors: readonly Predictor[]): Float64Array {
  const p = cohort.featureNames.length;
  const c = cohort.covariateColumns.length;
  const width = predictors.length;
  const table = new Float64Array(cohort.n * width);
  for (const [j, predictor] of predictors.entries())
    for (let row = 0; row < cohort.n; row++) {
      let value: number;
      if (predictor.feature >= 0) value = features[row * p + predictor.feature]!;
      else {
        value = cohort.covariates[row * c + predictor.covariate]!;
        if (predictor.level >= 0 && !Number.isNaN(value)) value = value === predictor.level ? 1 : 0;
      }
      table[row * width + j] = value;
    }
  return table;
}
