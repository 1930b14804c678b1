import { type Cohort, rowsOfFit, type SiteView } from '../../cohort.site.js';
import { assert } from '../../errors.js';
import type { Fit } from '../../fits.js';
import { calibrationSums } from '../../metrics/calibration.js';
import { probabilityBin } from '../../metrics/threshold.js';
import type { SiteHalf } from '../computation.js';
import type { ModelResult, ValidateSpec } from '../frame.js';
import { invalid } from '../received.js';
import { probabilitiesOf, scoreRows } from '../score.site.js';
import {
  CONFUSION_ENTRIES,
  countName,
  type Group,
  groupNamed,
  groupsOf,
  HORIZON_ENTRIES,
  histogramName,
  innerFitsOf,
  outersOf,
  PAIR_ENTRIES,
  poolsHorizon,
  sendsSites,
  sendsSums,
  siteTensorName,
  tensorName,
  thresholdKey,
  type Unit,
  type ValidateBroadcast,
  validateDeclaration,
} from './declaration.js';
import {
  evaluateBinary,
  evaluateSurvival,
  type ScoredRows,
  type SiteEvaluation,
  slopeSums,
} from './site-metrics.site.js';
import { sumsHideSites, withheldAt } from './withheld.site.js';

export const validateSite: SiteHalf<ValidateSpec, ValidateBroadcast> = {
  name: 'validate',
  contribute(spec, broadcast, view) {
    switch (broadcast.phase) {
      case 'count':
        return countRows(spec, view);
      case 'histogram':
        return histograms(spec, broadcast, view);
      case 'evaluate':
        return evaluate(spec, broadcast, view);
      case 'calibrate':
        return calibrationTerms(spec, broadcast, view);
    }
  },
};

function countRows(spec: ValidateSpec, view: SiteView): Map<string, Float64Array> {
  const { outcome } = view.cohort;
  const y = outcome.type === 'binary' ? outcome.y : outcome.event;
  const contribution = new Map<string, Float64Array>();
  for (const fit of outersOf(spec, spec.fits[0]!.arm)) {
    const rows = rowsOfFit(view.cohort, fit);
    const counts = new Float64Array(2);
    for (let row = 0; row < rows.length; row++)
      if (rows[row] === 1) {
        counts[0]!++;
        counts[1]! += y[row]!;
      }
    contribution.set(countName(fit), counts);
  }
  return contribution;
}

function histograms(
  spec: ValidateSpec,
  broadcast: ValidateBroadcast & { readonly phase: 'histogram' },
  view: SiteView,
): Map<string, Float64Array> {
  const y = binaryOutcome(view.cohort);
  const contribution = new Map<string, Float64Array>();
  for (const unit of broadcast.units)
    for (const fit of outersOf(spec, unit.arm)) {
      const bins = broadcast.bins[fit.outer];
      if (bins === undefined) continue;
      const probability = probabilitiesOf(outOfFoldScores(spec, unit, fit, view));
      const counts = new Float64Array(2 * bins);
      const rows = rowsOfFit(view.cohort, fit);
      for (let row = 0; row < rows.length; row++)
        if (rows[row] === 1) counts[y[row]! * bins + probabilityBin(probability[row]!, bins)]!++;
      contribution.set(histogramName(unit, fit), counts);
    }
  return contribution;
}

/** Every row scored by the inner fit that held its cell out; by the fit itself where the study has no inner folds. */
function outOfFoldScores(spec: ValidateSpec, unit: Unit, outer: Fit, view: SiteView): Float64Array {
  const inner = innerFitsOf(spec, outer);
  if (inner.length === 0) return scoresOf(spec, unit, outer, view);
  const scores = new Float64Array(view.cohort.n);
  for (const fit of inner) {
    const own = scoresOf(spec, unit, fit, view);
    for (let row = 0; row < scores.length; row++) if (view.cohort.cellOf[row] === fit.inner) scores[row] = own[row]!;
  }
  return scores;
}

function scoresOf(spec: ValidateSpec, unit: Unit, fit: Fit, view: SiteView): Float64Array {
  const key = `validate/${unit.model}/${fit.id}`;
  const kept = view.memo.get(key) as Float64Array | undefined;
  if (kept !== undefined) return kept;
  const model = (view.results.get(unit.model) as ModelResult | undefined)?.models[fit.id];
  if (model === undefined) throw invalid(`the result of ${unit.model}`, `has no fit ${fit.id}`);
  const { covariates } = spec.models.find((candidate) => candidate.name === unit.model)!;
  const scores = scoreRows(view, model, fit, covariates);
  view.memo.set(key, scores);
  return scores;
}

function evaluate(
  spec: ValidateSpec,
  broadcast: ValidateBroadcast & { readonly phase: 'evaluate' },
  view: SiteView,
): Map<string, Float64Array> {
  const contribution = new Map<string, Float64Array>();
  const binary = spec.frame.endpoint.type === 'binary';
  const sizes = new Map(validateDeclaration.leaves(spec, broadcast).map((leaf) => [leaf.name, leaf.shape[0]!]));
  for (const unit of broadcast.units)
    for (const group of groupsOf(spec, unit)) {
      const adds = sendsSums(spec, group) && sumsHideSites(spec, group, view);
      const sums = new Float64Array(sizes.get(tensorName('pairs', unit, group)) ?? 0);
      const brier = new Float64Array(1);
      const horizon = new Float64Array(HORIZON_ENTRIES.length);
      for (const part of presentParts(group, view.cohort)) {
        const result = evaluatePart(spec, broadcast, unit, group, part, view);
        if (sendsSites(spec, group)) contribution.set(siteTensorName(unit, group, part.site), result.metrics);
        if (!adds || !result.summable) continue;
        addSums(sums, result, binary);
        brier[0]! += result.brier;
        for (const [at, term] of (result.horizon ?? []).entries()) horizon[at]! += term;
      }
      if (!adds) continue;
      contribution.set(tensorName('pairs', unit, group), sums);
      if (binary) contribution.set(tensorName('brier', unit, group), brier);
      if (poolsHorizon(spec, group)) contribution.set(tensorName('horizon', unit, group), horizon);
    }
  return contribution;
}

function addSums(sums: Float64Array, result: SiteEvaluation, binary: boolean): void {
  const terms = { ...result.pairs, n: result.n, events: result.events, sites: 1 };
  for (const [at, name] of PAIR_ENTRIES.entries()) sums[at]! += terms[name];
  if (binary)
    for (const [at, name] of CONFUSION_ENTRIES.entries()) sums[PAIR_ENTRIES.length + at]! += result.confusion[name];
}

function presentParts(group: Group, cohort: Cohort): { site: string; fit: Fit }[] {
  return group.parts.filter(({ site }) => cohort.sites.includes(site));
}

function evaluatePart(
  spec: ValidateSpec,
  broadcast: ValidateBroadcast & { readonly phase: 'evaluate' },
  unit: Unit,
  group: Group,
  part: { readonly site: string; readonly fit: Fit },
  view: SiteView,
): SiteEvaluation {
  const rows = scoredRows(spec, unit, group, part, view);
  const { minimumCount } = spec.frame;
  const withheld = withheldAt(spec, group, part.site, view);
  if (rows.outcome.type === 'survival')
    return evaluateSurvival(
      rows,
      rows.outcome.time,
      rows.outcome.event,
      minimumCount,
      withheld,
      absoluteRisk(spec, unit, group, part.fit, view),
    );
  const threshold = broadcast.thresholds[thresholdKey(unit, part.fit.outer)];
  assert(threshold !== undefined, `no threshold for ${thresholdKey(unit, part.fit.outer)}`);
  return evaluateBinary(rows, rows.outcome.y, threshold, minimumCount, withheld);
}

/**
 * The horizon and the baseline hazard up to it, for scores of this fit; null where the study declares no horizon. The inner
 * fits behind out-of-fold scores have no baseline of their own.
 */
function absoluteRisk(spec: ValidateSpec, unit: Unit, group: Group, fit: Fit, view: SiteView) {
  const { endpoint } = spec.frame;
  if (endpoint.type !== 'survival' || endpoint.horizon === null) return null;
  const summary = (view.results.get(unit.model) as ModelResult).summaries[fit.id];
  const cumulativeHazard = group.rows === 'out-of-fold' ? null : (summary?.baseline?.hazardAtHorizon ?? null);
  return { horizon: endpoint.horizon, cumulativeHazard };
}

/** The part's patients and their scores. Calibration cases of a site that did not train are never scored. */
function scoredRows(
  spec: ValidateSpec,
  unit: Unit,
  group: Group,
  part: { readonly site: string; readonly fit: Fit },
  view: SiteView,
): ScoredRows {
  const { cohort } = view;
  const site = cohort.sites.indexOf(part.site);
  const chosen: number[] = [];
  for (let row = 0; row < cohort.n; row++) {
    if (cohort.siteOf[row] !== site) continue;
    const unseen = group.rows === 'held-out' || group.rows === 'external';
    const wanted = unseen ? cohort.calibration[row] === 0 : cohort.train[row] === (group.rows === 'test' ? 0 : 1);
    if (wanted) chosen.push(row);
  }
  const outOfFold = group.rows === 'out-of-fold';
  const scores = outOfFold ? outOfFoldScores(spec, unit, part.fit, view) : scoresOf(spec, unit, part.fit, view);
  // Scores of different inner fits are not comparable, so out-of-fold pairs stay within a cell.
  const stratumOf = (row: number) => {
    const stratum = cohort.outcome.type === 'survival' ? cohort.stratumOf[row]! : 0;
    return outOfFold ? stratum * spec.frame.cells + cohort.cellOf[row]! : stratum;
  };
  const { outcome } = cohort;
  return {
    score: Float64Array.from(chosen, (row) => scores[row]!),
    stratum: Int32Array.from(chosen, stratumOf),
    outcome:
      outcome.type === 'binary'
        ? { type: 'binary', y: Uint8Array.from(chosen, (row) => outcome.y[row]!) }
        : {
            type: 'survival',
            time: Float64Array.from(chosen, (row) => outcome.time[row]!),
            event: Uint8Array.from(chosen, (row) => outcome.event[row]!),
          },
  };
}

function calibrationTerms(
  spec: ValidateSpec,
  broadcast: ValidateBroadcast & { readonly phase: 'calibrate' },
  view: SiteView,
): Map<string, Float64Array> {
  const contribution = new Map<string, Float64Array>();
  const sizes = new Map(validateDeclaration.leaves(spec, broadcast).map((leaf) => [leaf.name, leaf.shape[0]!]));
  for (const entry of broadcast.active) {
    const unit = broadcast.units[entry.unit]!;
    const group = groupNamed(spec, unit, entry.group);
    const name = tensorName('calibration', unit, group);
    const sums = new Float64Array(sizes.get(name)!);
    const adding = sumsHideSites(spec, group, view) ? presentParts(group, view.cohort) : [];
    for (const part of adding) {
      const rows = scoredRows(spec, unit, group, part, view);
      const { minimumCount } = spec.frame;
      const withheld = withheldAt(spec, group, part.site, view);
      let terms: Float64Array;
      if (rows.outcome.type === 'binary') {
        if (!evaluateBinary(rows, rows.outcome.y, 0.5, minimumCount, withheld).summable) continue;
        terms = calibrationSums(rows.score, rows.outcome.y, entry.at);
      } else {
        const { time, event } = rows.outcome;
        if (!evaluateSurvival(rows, time, event, minimumCount, withheld).summable) continue;
        terms = slopeSums(rows, time, event, entry.at.slope);
      }
      for (let k = 0; k < sums.length; k++) sums[k]! += terms[k]!;
    }
    contribution.set(name, sums);
  }
  return contribution;
}

function binaryOutcome(cohort: Cohort): Uint8Array {
  assert(cohort.outcome.type === 'binary', 'thresholds need a binary endpoint');
  return cohort.outcome.y;
}
