import { type Cohort, rowsOfFit } from '../shared/cohort.site.js';
import type { CombatSpec, Frame } from '../shared/computations/frame.js';
import { assert } from '../shared/errors.js';
import type { Fit } from '../shared/fits.js';
import { applyCombat } from './combat/apply.site.js';
import { centre, observedRows } from './combat/batches.site.js';
import type { CombatFitResult, CombatResult } from './combat/declaration.js';
import { type BatchEstimate, estimateRows } from './combat/estimate.site.js';

/** How a site is harmonized that a fit was not trained on. */
export type HeldOutMode = 'calibration' | 'none' | 'transductive';

export interface HarmonizationInput {
  readonly cohort: Cohort;
  readonly results: ReadonlyMap<string, unknown>;
  readonly frame: Frame;
  /** Null where the study has no ComBat arm. */
  readonly combatSpec: CombatSpec | null;
  readonly heldOut: HeldOutMode;
  readonly memo: Map<string, unknown>;
}

/** Location and spread of one site for the z-score arm; arrays over p features. Never leaves the site. */
interface SiteScale {
  readonly site: number;
  readonly n: number;
  readonly mean: Float64Array;
  /** Sample standard deviation (n - 1); 1 where the feature does not vary, so that it becomes 0. */
  readonly sd: Float64Array;
}

/**
 * All rows' features as `fit` sees them, n x p row-major, NaN = missing. Arm `none`: as they are. Arm `zscore`: per
 * site. Arm `combat`: per batch. The estimates of a site that trains the fit come from its training rows of that fit;
 * those of any other site from its calibration cases (`calibration`), from all its cases (`transductive`), or there are
 * none and the values stay raw (`none`).
 */
export function harmonizedFeatures(input: HarmonizationInput, fit: Fit): Float64Array {
  const { cohort, memo } = input;
  if (fit.arm === 'none') return cohort.features;
  const key = `harmonized:${fit.id}:${input.heldOut}`;
  const kept = memo.get(key) as Float64Array | undefined;
  if (kept !== undefined) return kept;
  const features =
    fit.arm === 'combat'
      ? applyCombat(cohort, combatFit(input, fit), combatEstimates(input, fit))
      : applyScales(cohort, siteScales(input, fit));
  memo.set(key, features);
  return features;
}

/** Estimates of the batches of training sites and, as `heldOut` has it, of the other sites. */
export function combatEstimates(input: HarmonizationInput, fit: Fit): BatchEstimate[] {
  assert(input.combatSpec !== null, 'an arm with ComBat needs the specification of ComBat');
  return estimateRows(input.cohort, estimationRows(input, fit), combatFit(input, fit), input.combatSpec.mode);
}

function combatFit(input: HarmonizationInput, fit: Fit): CombatFitResult {
  const result = (input.results.get('combat') as CombatResult | undefined)?.fits[fit.id];
  assert(result !== undefined, `the ComBat fit ${fit.id} is needed before its features`);
  return result;
}

/** Rows that a row's own site is harmonized by: the fit's rows at its sites, calibration or all rows elsewhere. */
function estimationRows(input: HarmonizationInput, fit: Fit): Uint8Array {
  const { cohort, heldOut } = input;
  const training = cohort.sites.map((site) => fit.sites.includes(site));
  return rowsOfFit(cohort, fit).map((fitted, row) => {
    if (training[cohort.siteOf[row]!] || heldOut === 'none') return fitted;
    return heldOut === 'transductive' ? 1 : cohort.calibration[row]!;
  });
}

function siteScales(input: HarmonizationInput, fit: Fit): SiteScale[] {
  const { cohort } = input;
  const mask = estimationRows(input, fit);
  const p = cohort.featureNames.length;
  return cohort.sites.flatMap((_, site): SiteScale[] => {
    const rows = [...mask.keys()].filter((row) => mask[row] === 1 && cohort.siteOf[row] === site);
    if (rows.length === 0) return [];
    const mean = new Float64Array(p);
    const sd = new Float64Array(p).fill(1);
    for (let j = 0; j < p; j++) {
      const observed = observedRows(cohort.features, p, j, rows);
      if (observed.length === 0) continue;
      const column = centre(cohort.features, p, j, observed);
      mean[j] = column.mean;
      let squares = 0;
      for (const deviation of column.deviations) squares += deviation * deviation;
      if (squares > 0) sd[j] = Math.sqrt(squares / (observed.length - 1));
    }
    return [{ site, n: rows.length, mean, sd }];
  });
}

function applyScales(cohort: Cohort, scales: readonly SiteScale[]): Float64Array {
  const p = cohort.featureNames.length;
  const output = Float64Array.from(cohort.features);
  for (const { site, mean, sd } of scales)
    for (let row = 0; row < cohort.n; row++)
      if (cohort.siteOf[row] === site)
        for (let j = 0; j < p; j++) output[row * p + j] = (output[row * p + j]! - mean[j]!) / sd[j]!;
  return output;
}

/** One batch in local/<site>/harmonization.json, under neuroCombat's names; null where a feature takes no part. */
export interface LocalBatch {
  readonly batch: string;
  readonly n: number;
  readonly 'gamma.hat': readonly (number | null)[];
  readonly 'delta.hat': readonly (number | null)[];
  readonly 'gamma.bar': number | null;
  readonly t2: number | null;
  readonly 'a.prior': number | null;
  readonly 'b.prior': number | null;
  readonly 'gamma.star': readonly number[];
  readonly 'delta.star': readonly number[];
  readonly iterations: number;
  /** ONNX inputs of the bundle, one per input; 0 and 1 where not harmonized. */
  readonly gamma: readonly number[];
  readonly delta: readonly number[];
}

/** What a site needs to score its own patients with the bundle. It never leaves the site. */
export interface LocalHarmonization {
  readonly format: 'concordat-harmonization/1';
  readonly site: string;
  readonly fit: string;
  readonly method: Fit['arm'];
  readonly mode: string | null;
  /** `training`, or how this site was calibrated. */
  readonly estimatedFrom: 'training' | HeldOutMode;
  readonly features: readonly string[];
  /** Names of the bundle's inputs: features, then covariates. */
  readonly inputs: readonly string[];
  readonly batches: readonly LocalBatch[];
  /** The first batch's arrays (a site is one batch unless the study names a batch column). */
  readonly gamma: readonly number[];
  readonly delta: readonly number[];
}

/**
 * The scoring file of one site label. A reader applies h = ((x - grand - cov)/sqrt(vp) - gamma)/sqrt(delta)*sqrt(vp) +
 * grand + cov with the public grand mean, covariate effects and pooled variance; for the z-score arm those are 0, 0 and
 * 1, gamma is the site's mean and delta its variance.
 */
export function localHarmonization(input: HarmonizationInput, fit: Fit, siteName: string): LocalHarmonization {
  const { cohort } = input;
  const site = cohort.sites.indexOf(siteName);
  const inputs = [...cohort.featureNames, ...cohort.covariateColumns.map((column) => column.name)];
  const widen = (values: Float64Array, rest: number) => [...values, ...cohort.covariateColumns.map(() => rest)];
  const batches: LocalBatch[] = [];
  if (fit.arm === 'combat')
    for (const estimate of combatEstimates(input, fit).filter((entry) => entry.site === site))
      batches.push({
        ...neuroCombatNames(estimate),
        gamma: widen(estimate.gammaStar, 0),
        delta: widen(estimate.deltaStar, 1),
      });
  if (fit.arm === 'zscore')
    for (const scale of siteScales(input, fit).filter((entry) => entry.site === site)) {
      const variance = scale.sd.map((sd) => sd * sd);
      const estimate = {
        batch: siteName,
        n: scale.n,
        gammaHat: scale.mean,
        deltaHat: variance,
        gammaBar: Number.NaN,
        t2: Number.NaN,
        aPrior: Number.NaN,
        bPrior: Number.NaN,
        gammaStar: scale.mean,
        deltaStar: variance,
        iterations: 0,
      };
      batches.push({ ...neuroCombatNames(estimate), gamma: widen(scale.mean, 0), delta: widen(variance, 1) });
    }
  const p = cohort.featureNames.length;
  return {
    format: 'concordat-harmonization/1',
    site: siteName,
    fit: fit.id,
    method: fit.arm,
    mode: fit.arm === 'combat' ? (input.combatSpec?.mode ?? null) : null,
    estimatedFrom: fit.sites.includes(siteName) ? 'training' : input.heldOut,
    features: cohort.featureNames,
    inputs,
    batches,
    gamma: batches[0]?.gamma ?? widen(new Float64Array(p), 0),
    delta: batches[0]?.delta ?? widen(new Float64Array(p).fill(1), 1),
  };
}

function neuroCombatNames(estimate: Omit<BatchEstimate, 'site' | 'batchIndex'>): Omit<LocalBatch, 'gamma' | 'delta'> {
  const finite = (value: number) => (Number.isFinite(value) ? value : null);
  return {
    batch: estimate.batch,
    n: estimate.n,
    'gamma.hat': [...estimate.gammaHat].map(finite),
    'delta.hat': [...estimate.deltaHat].map(finite),
    'gamma.bar': finite(estimate.gammaBar),
    t2: finite(estimate.t2),
    'a.prior': finite(estimate.aPrior),
    'b.prior': finite(estimate.bPrior),
    'gamma.star': [...estimate.gammaStar],
    'delta.star': [...estimate.deltaStar],
    iterations: estimate.iterations,
  };
}
