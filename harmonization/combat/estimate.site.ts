import { type Cohort, rowsOfFit, type SiteView } from '../../shared/cohort.site.js';
import type { CombatSpec } from '../../shared/computations/frame.js';
import type { Fit } from '../../shared/fits.js';
import { type Batch, batchesOf, centreInPlace, covariateTable, isConstant, observedRows } from './batches.site.js';
import type { CombatFitResult } from './declaration.js';

/** Location and scale of one batch under neuroCombat's names; arrays over p features. Never leaves the site. */
export interface BatchEstimate {
  readonly batch: string;
  /** Indices into cohort.sites and cohort.batchNames. */
  readonly site: number;
  readonly batchIndex: number;
  readonly n: number;
  /** Mean and sample variance (n - 1) of the standardized values; NaN where the feature takes no part. */
  readonly gammaHat: Float64Array;
  readonly deltaHat: Float64Array;
  /** Priors over features: normal(gammaBar, t2) for location, inverse gamma(aPrior, bPrior) for scale. */
  readonly gammaBar: number;
  readonly t2: number;
  readonly aPrior: number;
  readonly bPrior: number;
  /** Posterior estimates that harmonize; 0 and 1 where the feature takes no part. */
  readonly gammaStar: Float64Array;
  readonly deltaStar: Float64Array;
  readonly iterations: number;
}

/** Estimates of every batch that trains `fit`, from this holder's own rows and the public joint fit. Pure. */
export function estimateBatches(
  view: Pick<SiteView, 'cohort'>,
  fit: Fit,
  result: CombatFitResult,
  mode: CombatSpec['mode'],
): BatchEstimate[] {
  return estimateRows(view.cohort, rowsOfFit(view.cohort, fit), result, mode);
}

/**
 * Estimates of every batch among the rows with mask 1 against a frozen joint fit: training batches, or the calibration
 * cases of a site that took no part. A feature that has fewer than two distinct values in a batch takes no part there,
 * and a batch with fewer than two such features is left as it is.
 */
export function estimateRows(
  cohort: Cohort,
  mask: Uint8Array,
  result: CombatFitResult,
  mode: CombatSpec['mode'],
): BatchEstimate[] {
  const covariates = covariateTable(cohort, result.columns, result.covariateMean);
  return batchesOf(cohort, mask).map((batch) => estimateBatch(cohort, covariates, batch, result, mode));
}

function estimateBatch(
  cohort: Cohort,
  covariates: Float64Array,
  batch: Batch,
  result: CombatFitResult,
  mode: CombatSpec['mode'],
): BatchEstimate {
  const p = cohort.featureNames.length;
  const gammaHat = new Float64Array(p).fill(Number.NaN);
  const deltaHat = new Float64Array(p).fill(Number.NaN);
  const counts = new Float64Array(p);
  const taking: number[] = [];
  for (let j = 0; j < p; j++) {
    if (result.untouched[j] === 1) continue;
    const rows = observedRows(cohort.features, p, j, batch.rows);
    if (rows.length < 2 || isConstant(cohort.features, p, j, rows)) continue;
    const standardized = standardize(cohort, covariates, result, j, rows);
    const { mean, deviations } = centreInPlace(standardized);
    let squares = 0;
    for (const deviation of deviations) squares += deviation * deviation;
    if (!(squares > 0)) continue;
    gammaHat[j] = mean;
    deltaHat[j] = squares / (rows.length - 1);
    counts[j] = rows.length;
    taking.push(j);
  }
  const pick = (from: Float64Array) => Float64Array.from(taking, (j) => from[j]!);
  const { estimates, ...priors } = shrink(pick(gammaHat), pick(deltaHat), pick(counts), mode);
  const gammaStar = new Float64Array(p);
  const deltaStar = new Float64Array(p).fill(1);
  for (const [at, j] of taking.entries()) {
    gammaStar[j] = estimates.gamma[at]!;
    deltaStar[j] = estimates.delta[at]!;
  }
  return {
    batch: batch.label,
    site: batch.site,
    batchIndex: batch.batch,
    n: batch.rows.length,
    gammaHat,
    deltaHat,
    ...priors,
    gammaStar,
    deltaStar,
  };
}

/** (y - grand mean - covariate effects) / pooled sd of one feature. */
function standardize(
  cohort: Cohort,
  covariates: Float64Array,
  result: CombatFitResult,
  j: number,
  rows: readonly number[],
): Float64Array {
  const p = cohort.featureNames.length;
  const c = result.columns.length;
  const sd = Math.sqrt(result.pooledVariance[j]!);
  const grandMean = result.grandMean[j]!;
  const standardized = new Float64Array(rows.length);
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!;
    let value = cohort.features[row * p + j]! - grandMean;
    for (let k = 0; k < c; k++) value -= covariates[row * c + k]! * result.coefficients[k * p + j]!;
    standardized[i] = value / sd;
  }
  return standardized;
}

/**
 * Parametric empirical Bayes over the features of one batch (Johnson et al. 2007, section 3.2 and the appendix).
 * `reference` stops as the published code does: when no feature changes by more than 1e-4 of its former value, all
 * features together, with the SIGNED former gamma as divisor (so a negative one never holds the loop). `converged`
 * iterates to 1e-14.
 */
function shrink(gammaHat: Float64Array, deltaHat: Float64Array, n: Float64Array, mode: CombatSpec['mode']) {
  const none = { gammaBar: Number.NaN, t2: Number.NaN, aPrior: Number.NaN, bPrior: Number.NaN, iterations: 0 };
  if (gammaHat.length < 2)
    return { ...none, estimates: { gamma: gammaHat.map(() => 0), delta: gammaHat.map(() => 1) } };
  const { mean: gammaBar, variance: t2 } = sampleMoments(gammaHat);
  const { mean: m, variance: s2 } = sampleMoments(deltaHat);
  const aPrior = (2 * s2 + m * m) / s2;
  const bPrior = (m * s2 + m * m * m) / s2;
  let gamma: Float64Array = gammaHat;
  let delta: Float64Array = deltaHat;
  let iterations = 0;
  const most = mode === 'reference' ? 100_000 : 10_000;
  for (let going = true; going && iterations < most; ) {
    let change = 0;
    const nextGamma = new Float64Array(gamma.length);
    const nextDelta = new Float64Array(gamma.length);
    for (let j = 0; j < gamma.length; j++) {
      const weight = t2 * n[j]!;
      const g = (weight * gammaHat[j]! + delta[j]! * gammaBar) / (weight + delta[j]!);
      const offset = gammaHat[j]! - g;
      // The sum of squares about g, by way of the sum about the mean.
      const squares = (n[j]! - 1) * deltaHat[j]! + n[j]! * (offset * offset);
      // All variances equal: the prior is a point and nothing is left to shrink.
      const d = s2 > 0 && Number.isFinite(aPrior) ? (squares / 2 + bPrior) / (n[j]! / 2 + aPrior - 1) : m;
      const gammaChange = Math.abs(g - gamma[j]!) / (mode === 'reference' ? gamma[j]! : 1);
      const deltaChange = Math.abs(d - delta[j]!) / delta[j]!;
      if (gammaChange > change) change = gammaChange;
      if (deltaChange > change) change = deltaChange;
      nextGamma[j] = g;
      nextDelta[j] = d;
    }
    gamma = nextGamma;
    delta = nextDelta;
    iterations++;
    going = change > (mode === 'reference' ? 1e-4 : 1e-14);
  }
  return { gammaBar, t2, aPrior, bPrior, iterations, estimates: { gamma, delta } };
}

function sampleMoments(values: Float64Array): { mean: number; variance: number } {
  const { mean, deviations } = centreInPlace(Float64Array.from(values));
  let squares = 0;
  for (const deviation of deviations) squares += deviation * deviation;
  return { mean, variance: squares / (values.length - 1) };
}
