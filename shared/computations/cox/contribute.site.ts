import { type Cohort, rowsOfFit, type SiteView } from '../../cohort.site.js';
import { assert, ConcordatError } from '../../errors.js';
import type { Fit } from '../../fits.js';
import type { SiteHalf } from '../computation.js';
import { designOf } from '../design.site.js';
import { netTensor } from '../elastic-net/broadcast.js';
import { trainsHere } from '../elastic-net/rows.site.js';
import type { CoxSpec } from '../frame.js';
import { baselineTensor } from './baseline.js';
import { baselineSums } from './baseline.site.js';
import type { CoxBroadcast } from './declaration.js';
import { partialLikelihood, type RiskOrder, riskOrder, saturatedLogLikelihood } from './partial-likelihood.site.js';

/**
 * Throws POLICY_RISK_SETS_POOLED where unstratified risk sets are asked of a holder that does not hold every site:
 * its own risk sets would not be those of the study, and the study's would give patients away.
 */
export const coxSite: SiteHalf<CoxSpec, CoxBroadcast> = {
  name: 'cox',
  contribute(spec, broadcast, view) {
    refuseSharedRiskSets(spec, view.cohort);
    const { time, event } = survivalOutcome(view.cohort);
    const efron = spec.ties === 'efron';
    const contribution = new Map<string, Float64Array>();
    for (const index of broadcast.counts) {
      const fit = spec.fits[index]!;
      if (!trainsHere(view, fit)) continue;
      const order = orderOf(spec, view, fit);
      const events = order.rows.reduce((sum, row) => sum + event[row]!, 0);
      contribution.set(netTensor.counts(fit), Float64Array.of(order.rows.length, events));
      contribution.set(netTensor.saturated(fit), Float64Array.of(saturatedLogLikelihood(order, event)));
    }
    for (const point of broadcast.points) {
      const fit = spec.fits[point.fit]!;
      if (!trainsHere(view, fit)) continue;
      const { z, p } = designOf(view, fit, spec.covariates);
      const eta = linearPredictor(z, p, view.cohort.n, point.columns, point.beta);
      const order = orderOf(spec, view, fit);
      const { logLikelihood, gradient, information } = partialLikelihood(order, event, z, p, eta, point.columns, efron);
      const score = new Float64Array(p + 1);
      score.set(gradient);
      score[p] = logLikelihood;
      contribution.set(netTensor.score(fit, point.slot), score);
      if (point.columns.length > 0) contribution.set(netTensor.hessian(fit, point.slot), information);
    }
    for (const point of broadcast.heldOut) {
      const fit = spec.fits[point.fit]!;
      if (!trainsHere(view, { ...fit, id: `${fit.id}:with-held-out`, inner: null })) continue;
      const { z, p } = designOf(view, fit, spec.covariates);
      const order = orderOf(spec, view, { ...fit, inner: null });
      const columns = Int32Array.from({ length: p }, (_, j) => j);
      const values = point.intercept.map((_, k) => {
        const eta = linearPredictor(z, p, view.cohort.n, columns, point.beta.subarray(k * p, (k + 1) * p));
        return partialLikelihood(order, event, z, p, eta, null, efron).logLikelihood;
      });
      contribution.set(netTensor.heldOut(fit), values);
    }
    const { endpoint } = spec.frame;
    const horizon = endpoint.type === 'survival' ? endpoint.horizon : null;
    for (const point of broadcast.baseline) {
      const fit = spec.fits[point.fit]!;
      if (horizon === null || !trainsHere(view, fit)) continue;
      const { z, p, rows } = designOf(view, fit, spec.covariates);
      const columns = Int32Array.from({ length: p }, (_, j) => j);
      const eta = linearPredictor(z, p, view.cohort.n, columns, point.beta);
      contribution.set(baselineTensor(spec, point), baselineSums(rows, time, event, eta, horizon, point.intervals));
    }
    return contribution;
  },
};

function refuseSharedRiskSets(spec: CoxSpec, cohort: Cohort): void {
  if (spec.strata === 'stratified') return;
  const missing = spec.frame.training.filter((site) => !cohort.sites.includes(site));
  if (missing.length > 0)
    throw new ConcordatError(
      'POLICY_RISK_SETS_POOLED',
      `model "${spec.model}" asks for risk sets over the patients of all sites (strata: none)`,
    );
}

function survivalOutcome(cohort: Cohort): { time: Float64Array; event: Uint8Array } {
  assert(cohort.outcome.type === 'survival', 'Cox regression needs a survival outcome');
  return cohort.outcome;
}

/** Rows of the fit ordered for risk sets, sorted once. A stratum never spans two sites, whoever holds them. */
function orderOf(spec: CoxSpec, view: SiteView, fit: Fit): RiskOrder {
  const { cohort, memo } = view;
  const key = `cox:order:${spec.strata}:${fit.outer}:${fit.inner}`;
  const kept = memo.get(key) as RiskOrder | undefined;
  if (kept !== undefined) return kept;
  const { time } = survivalOutcome(cohort);
  const sites = cohort.sites.length;
  const stratum = Int32Array.from({ length: cohort.n }, (_, row) =>
    spec.strata === 'none' ? 0 : cohort.stratumOf[row]! * sites + cohort.siteOf[row]!,
  );
  const order = riskOrder(rowsOfFit(cohort, fit), stratum, time);
  memo.set(key, order);
  return order;
}

function linearPredictor(z: Float64Array, p: number, n: number, columns: Int32Array, beta: Float64Array): Float64Array {
  const eta = new Float64Array(n);
  for (let row = 0; row < n; row++) {
    let sum = 0;
    for (let a = 0; a < columns.length; a++) sum += z[row * p + columns[a]!]! * beta[a]!;
    eta[row] = sum;
  }
  return eta;
}
