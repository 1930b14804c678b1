import { type Cohort, rowsOfFit } from '../../cohort.site.js';
import { assert } from '../../errors.js';
import { packedIndex, packedSize } from '../../linalg.js';
import type { SiteHalf } from '../computation.js';
import { type Design, designOf } from '../design.site.js';
import { type HeldOutPoint, type NetBroadcast, type NetPoint, netTensor } from '../elastic-net/broadcast.js';
import { trainsHere } from '../elastic-net/rows.site.js';
import type { LogisticSpec } from '../frame.js';

/** glmnet bounds probabilities to [1e-5, 1 - 1e-5] before it takes a held-out deviance; this is the bound as a logit. */
const LOGIT_BOUND = Math.log((1 - 1e-5) / 1e-5);

export const logisticSite: SiteHalf<LogisticSpec, NetBroadcast> = {
  name: 'logistic',
  contribute(spec, broadcast, view) {
    const y = binaryOutcome(view.cohort);
    const contribution = new Map<string, Float64Array>();
    for (const index of broadcast.counts) {
      const fit = spec.fits[index]!;
      if (!trainsHere(view, fit)) continue;
      contribution.set(netTensor.counts(fit), countsOf(rowsOfFit(view.cohort, fit), y));
    }
    for (const point of broadcast.points) {
      const fit = spec.fits[point.fit]!;
      if (!trainsHere(view, fit)) continue;
      const { score, information } = derivatives(designOf(view, fit, spec.covariates), y, point);
      contribution.set(netTensor.score(fit, point.slot), score);
      contribution.set(netTensor.hessian(fit, point.slot), information);
    }
    for (const point of broadcast.heldOut) {
      const fit = spec.fits[point.fit]!;
      if (!trainsHere(view, { ...fit, id: `${fit.id}:with-held-out`, inner: null })) continue;
      const all = rowsOfFit(view.cohort, { ...fit, inner: null });
      const design = designOf(view, fit, spec.covariates);
      contribution.set(netTensor.heldOut(fit), heldOutDeviance(design, all, y, point));
    }
    return contribution;
  },
};

function binaryOutcome(cohort: Cohort): Uint8Array {
  assert(cohort.outcome.type === 'binary', 'logistic regression needs a binary outcome');
  return cohort.outcome.y;
}

function countsOf(rows: Uint8Array, y: Uint8Array): Float64Array {
  const counts = new Float64Array(2);
  for (let row = 0; row < rows.length; row++) {
    if (rows[row] === 0) continue;
    counts[0]! += 1;
    counts[1]! += y[row]!;
  }
  return counts;
}

/** Score (intercept, all predictors), log-likelihood; information over intercept and active predictors, packed. */
function derivatives(
  design: Design,
  y: Uint8Array,
  point: NetPoint,
): { score: Float64Array; information: Float64Array } {
  const { z, p, rows } = design;
  const { columns, beta } = point;
  const m = columns.length;
  const score = new Float64Array(p + 2);
  const information = new Float64Array(packedSize(m + 1));
  const active = new Float64Array(m + 1);
  active[0] = 1;
  for (let row = 0; row < rows.length; row++) {
    if (rows[row] === 0) continue;
    const at = row * p;
    let eta = point.intercept;
    for (let a = 0; a < m; a++) {
      const value = z[at + columns[a]!]!;
      active[a + 1] = value;
      eta += value * beta[a]!;
    }
    const small = Math.exp(-Math.abs(eta));
    const probability = eta >= 0 ? 1 / (1 + small) : small / (1 + small);
    const residual = y[row] === 1 ? (eta >= 0 ? small / (1 + small) : 1 / (1 + small)) : -probability;
    score[0]! += residual;
    for (let j = 0; j < p; j++) score[j + 1]! += residual * z[at + j]!;
    score[p + 1]! += logLikelihoodOf(eta, y[row]!, small);
    const weight = small / ((1 + small) * (1 + small));
    for (let i = 0; i <= m; i++) {
      const scaled = weight * active[i]!;
      if (scaled === 0) continue;
      const start = packedIndex(i, 0);
      for (let k = 0; k <= i; k++) information[start + k]! += scaled * active[k]!;
    }
  }
  return { score, information };
}

/** y eta - log(1 + e^eta), with `small` = e^-|eta|, which never overflows. */
function logLikelihoodOf(eta: number, y: number, small: number): number {
  const wrong = y === 1 ? Math.max(0, -eta) : Math.max(0, eta);
  return -wrong - Math.log1p(small);
}

/** Deviance of the rows that `all` has and the fit has not, for every lambda. */
function heldOutDeviance(design: Design, all: Uint8Array, y: Uint8Array, point: HeldOutPoint): Float64Array {
  const { z, p, rows } = design;
  return point.intercept.map((intercept, k) => {
    let deviance = 0;
    for (let row = 0; row < all.length; row++) {
      if (all[row] === 0 || rows[row] === 1) continue;
      let eta = intercept;
      for (let j = 0; j < p; j++) eta += z[row * p + j]! * point.beta[k * p + j]!;
      const bounded = Math.min(LOGIT_BOUND, Math.max(-LOGIT_BOUND, eta));
      deviance -= 2 * logLikelihoodOf(bounded, y[row]!, Math.exp(-Math.abs(bounded)));
    }
    return deviance;
  });
}
