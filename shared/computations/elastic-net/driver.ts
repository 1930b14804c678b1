import { assert, ConcordatError } from '../../errors.js';
import type { Fit } from '../../fits.js';
import type { Total } from '../../tensors.js';
import type { Done, Step } from '../computation.js';
import { type ModelResult, type MomentsResult, predictorsOf } from '../frame.js';
import { type NetBroadcast, type NetFamily, type NetPoint, type NetSpec, netTensor } from './broadcast.js';
import { crossValidation, type FoldMeasure } from './cross-validation.js';
import { type Evaluation, evaluationOf } from './evaluation.js';
import { advanceNewton, newtonPoint, startNewton } from './newton.js';
import { advancePath, pathIsDone, pathPoints, startPath } from './path.js';
import { lambdaMax, lambdaSequence } from './penalty.js';
import { resultOf } from './result.js';
import type { NetFit, NetGroup, NetState } from './state.js';

/** Newton converges quadratically, so the last digits of an optimality condition cost a round or two on a whole path. */
const KKT_TOLERANCE = 1e-12;

export interface NetOptions {
  readonly penaltyScale: 'mean' | 'sum';
  readonly disclosive: boolean;
}

/**
 * The coordinator's side of elastic-net models: all fits advance in the same rounds, each with its own path; a fit that
 * is done asks for nothing more. A round's broadcast is the list of points at which derivatives are wanted.
 */
export function startNet(
  family: NetFamily,
  spec: NetSpec,
  results: ReadonlyMap<string, unknown>,
): Step<NetState, NetBroadcast> {
  const moments = results.get('moments') as MomentsResult | undefined;
  assert(moments !== undefined, 'a model needs the moments of its fits');
  const p = predictorsOf(spec.frame, spec.covariates).length;
  const fits = spec.fits.map((fit): NetFit => {
    const own = moments.fits[fit.id];
    assert(own !== undefined, `the moments of fit ${fit.id} are missing`);
    const mean = own.mean.slice(0, p);
    const sd = own.sd.slice(0, p);
    return unfitted(spec, fit, mean, sd, 1);
  });
  return firstRound(family, spec, fits, null, []);
}

function unfitted(spec: NetSpec, fit: Fit, mean: Float64Array, sd: Float64Array, rounds: number): NetFit {
  return {
    fit,
    stage: 'counts',
    n: 0,
    events: 0,
    saturated: 0,
    mean,
    sd,
    penalty: { alpha: spec.alpha, factors: new Float64Array(sd.length) },
    lambdaScale: 1,
    nullModel: null,
    lambdas: new Float64Array(0),
    path: null,
    newton: null,
    rounds,
    degenerate: null,
  };
}

function firstRound(
  family: NetFamily,
  spec: NetSpec,
  fits: readonly NetFit[],
  sites: readonly string[] | null,
  notes: readonly string[],
): Step<NetState, NetBroadcast> {
  const p = predictorsOf(spec.frame, spec.covariates).length;
  const asked: NetBroadcast = {
    counts: Int32Array.from(fits.keys()),
    // Without an intercept the null model is known beforehand, so its derivatives come with the counts.
    points: family.intercept ? [] : fits.map((_, index) => nullPoint(spec, index, 0, p)),
    heldOut: [],
  };
  const state = { fits, groups: groupsOf(spec), asked, sites, notes };
  return { kind: 'step', state, broadcast: asked };
}

/**
 * A site that goes missing for good (onMissingSite: continue) leaves sums that no longer belong together: the next round
 * starts all fits again with the sites that are left. The moments stay: they fix the scale and fill gaps.
 */
export function restartWhereSitesChanged(
  family: NetFamily,
  spec: NetSpec,
  state: NetState,
  total: Total,
): Step<NetState, NetBroadcast> | null {
  const sites = trainingSitesIn(spec, total);
  if (state.sites === null || sites.join('\n') === state.sites.join('\n')) return null;
  const missing = state.sites.filter((site) => !sites.includes(site));
  const note =
    missing.length > 0
      ? `fitted again without ${missing.join(', ')}, which went missing while the model was fitted`
      : 'fitted again because a site came back while the model was fitted';
  const fits = state.fits.map((fit) => unfitted(spec, fit.fit, fit.mean, fit.sd, fit.rounds + 1));
  return firstRound(family, spec, fits, sites, [...state.notes, note]);
}

export function trainingSitesIn(spec: NetSpec, total: Total): string[] {
  const training = new Set(spec.fits.flatMap((fit) => fit.sites));
  return total.sites.filter((site) => training.has(site));
}

export function advanceNet(
  family: NetFamily,
  spec: NetSpec,
  options: NetOptions,
  state: NetState,
  total: Total,
): Step<NetState, NetBroadcast> | Done<ModelResult> {
  const again = restartWhereSitesChanged(family, spec, state, total);
  if (again !== null) return again;
  const sites = trainingSitesIn(spec, total);
  const points = new Map(state.asked.points.map((point) => [`${point.fit}#${point.slot}`, point]));
  const evaluationAt = (index: number, slot: number): Evaluation => {
    const point = points.get(`${index}#${slot}`);
    assert(point !== undefined, `no derivatives were asked for fit ${index} at ${slot}`);
    return evaluationOf(family, spec.fits[index]!, point, total);
  };
  const counted = state.fits.map((fit) =>
    fit.stage === 'counts' ? withCounts(family, options, spec, fit, total) : fit,
  );
  const stepped = counted.map((fit, index): NetFit => {
    const had = state.fits[index]!.stage;
    if (fit.stage === 'newton' && (had === 'newton' || !family.intercept)) {
      const newton = advanceNewton(fit.newton!, evaluationAt(index, -1));
      return { ...fit, newton, stage: newton.result === null ? 'newton' : 'done' };
    }
    if (fit.stage === 'path') {
      const path = advancePath(fit.path!, (slot) => evaluationAt(index, slot));
      return { ...fit, path, stage: pathIsDone(path) ? 'done' : 'path' };
    }
    if (fit.stage === 'null' && (had === 'null' || !family.intercept))
      return { ...fit, nullModel: evaluationAt(index, -1) };
    return fit;
  });
  const started = startPaths(family, spec, stepped, state.groups);
  const groups = state.groups.map((group) => advanceGroup(family, group, started, total));
  const asked = ask(family, spec, started, groups);
  if (asked.points.length === 0 && asked.heldOut.length === 0)
    return { kind: 'done', result: resultOf(family, spec, started, groups, state.notes, options.disclosive) };
  const asking = new Set(asked.points.map((point) => point.fit));
  const fits = started.map((fit, index) => (asking.has(index) ? { ...fit, rounds: fit.rounds + 1 } : fit));
  return { kind: 'step', state: { fits, groups, asked, sites, notes: state.notes }, broadcast: asked };
}

/** n, events and what follows from them: scales of the penalty, and whether there is anything to fit. */
function withCounts(family: NetFamily, options: NetOptions, spec: NetSpec, fit: NetFit, total: Total): NetFit {
  const counts = total.values.get(netTensor.counts(fit.fit));
  assert(counts !== undefined, `the total lacks the counts of fit ${fit.fit.id}`);
  const [n, events] = [counts[0]!, counts[1]!];
  const saturated = family.saturated ? total.values.get(netTensor.saturated(fit.fit))![0]! : 0;
  // ridge() of survival penalises b^2 times the variance with divisor n - 1, glmnet with divisor n.
  const ridgeScale = options.penaltyScale === 'sum' && n > 1 ? Math.sqrt(n / (n - 1)) : 1;
  const factors = fit.sd.map((sd) => (sd > 0 ? (spec.standardize ? ridgeScale : 1 / sd) : 0));
  const next: NetFit = {
    ...fit,
    n,
    events,
    saturated,
    penalty: { alpha: spec.alpha, factors },
    lambdaScale: options.penaltyScale === 'sum' && n > 0 ? 1 / n : 1,
  };
  const degenerate =
    n === 0
      ? 'there are no patients'
      : events === 0
        ? 'no patient has the event'
        : family.intercept && events === n
          ? 'every patient has the event'
          : null;
  if (degenerate !== null) return { ...next, stage: 'done', degenerate };
  if (spec.lambda !== 0) return { ...next, stage: 'null' };
  const newton = startNewton(n, family.intercept ? 1 : 0, nullIntercept(family, next), fit.sd.length);
  return { ...next, stage: 'newton', newton };
}

export function nullIntercept(family: NetFamily, fit: NetFit): number {
  return family.intercept ? Math.log(fit.events / (fit.n - fit.events)) : 0;
}

/** Fits whose null model is known get their lambdas; inner fits take those of the full fit of their group. */
function startPaths(family: NetFamily, spec: NetSpec, fits: readonly NetFit[], groups: readonly NetGroup[]): NetFit[] {
  const next = [...fits];
  for (const group of groups) {
    const full = fits[group.full];
    for (const index of [group.full, ...group.inner]) {
      const fit = fits[index];
      if (fit === undefined || fit.stage !== 'null' || fit.nullModel === null) continue;
      const own = lambdaMax(fit.penalty, fit.nullModel.gradient, fit.n);
      let lambdas: Float64Array;
      if (spec.lambda === 'cv') {
        assert(full !== undefined && (full.degenerate !== null || full.nullModel !== null), 'the full fit comes first');
        if (full.degenerate !== null) {
          next[index] = { ...fit, stage: 'done', degenerate: full.degenerate };
          continue;
        }
        const first = lambdaMax(full.penalty, full.nullModel!.gradient, full.n) / full.lambdaScale;
        lambdas = lambdaSequence(first, spec.lambdaMinRatio, spec.nlambda, family.name === 'cox');
      } else lambdas = warmPath(own / fit.lambdaScale, spec.lambda, spec.alpha);
      if (!(lambdas[0]! > 1e-14)) {
        next[index] = { ...fit, stage: 'done', degenerate: 'no predictor is associated with the outcome at all' };
        continue;
      }
      const wanted = new Uint8Array(lambdas.length).fill(spec.lambda === 'cv' ? 1 : 0);
      wanted[lambdas.length - 1] = 1;
      const path = startPath(fit.nullModel, own, {
        n: fit.n,
        penalty: fit.penalty,
        lambdas: lambdas.map((lambda) => lambda * fit.lambdaScale),
        wanted,
        tolerance: KKT_TOLERANCE,
      });
      next[index] = { ...fit, lambdas, path, stage: pathIsDone(path) ? 'done' : 'path' };
    }
  }
  return next;
}

/** Geometric steps of 0.6 towards a single lambda, so that few predictors are looked at; ridge looks at all anyway. */
function warmPath(largest: number, lambda: number, alpha: number): Float64Array {
  const path: number[] = [];
  if (alpha > 0) for (let step = 0.6 * largest; step > lambda / 0.8; step *= 0.6) path.push(step);
  return Float64Array.from([...path, lambda]);
}

function advanceGroup(family: NetFamily, group: NetGroup, fits: readonly NetFit[], total: Total): NetGroup {
  if (group.heldOut !== 'asked') {
    const ready = [group.full, ...group.inner].every((index) => fits[index]?.stage === 'done');
    if (group.heldOut === 'done' || !ready) return group;
    return { ...group, heldOut: heldOutFits(family, group, fits).length > 0 ? 'asked' : 'done' };
  }
  const full = fits[group.full]!;
  const folds = heldOutFits(family, group, fits).map((index): FoldMeasure => {
    const inner = fits[index]!;
    const sums = total.values.get(netTensor.heldOut(inner.fit));
    assert(sums !== undefined, `the total lacks ${netTensor.heldOut(inner.fit)}`);
    if (family.heldOutRows === 'cell') {
      const weight = full.n - inner.n;
      return { weight, values: sums.map((deviance) => deviance / weight) };
    }
    // glmnet, grouped: the deviance of all patients minus that of the training ones, per held-out event.
    const weight = full.events - inner.events;
    const values = sums.map((logLikelihood, k) => {
      const all = 2 * (full.saturated - logLikelihood);
      const training = 2 * (inner.saturated - inner.path!.solutions[k]!.logLikelihood);
      return (all - training) / weight;
    });
    return { weight, values };
  });
  return { ...group, heldOut: 'done', cv: crossValidation(folds, full.lambdas.length) };
}

/** Inner fits that can be judged: fitted, and with somebody (Cox: an event) held out. At least two, or there is no CV. */
function heldOutFits(family: NetFamily, group: NetGroup, fits: readonly NetFit[]): number[] {
  const full = fits[group.full]!;
  if (full.degenerate !== null) return [];
  const usable = group.inner.filter((index) => {
    const inner = fits[index]!;
    return inner.degenerate === null && (family.heldOutRows === 'cell' ? inner.n < full.n : inner.events < full.events);
  });
  return usable.length >= 2 ? usable : [];
}

function ask(family: NetFamily, spec: NetSpec, fits: readonly NetFit[], groups: readonly NetGroup[]): NetBroadcast {
  const p = predictorsOf(spec.frame, spec.covariates).length;
  const points: NetPoint[] = [];
  for (const [index, fit] of fits.entries()) {
    if (fit.stage === 'null') points.push(nullPoint(spec, index, nullIntercept(family, fit), p));
    else if (fit.stage === 'newton') points.push(newtonPoint(fit.newton!, index));
    else if (fit.stage === 'path') points.push(...pathPoints(fit.path!, index));
  }
  const heldOut = groups
    .filter((group) => group.heldOut === 'asked')
    .flatMap((group) => heldOutFits(family, group, fits))
    .map((index) => {
      const solutions = fits[index]!.path!.solutions;
      const beta = new Float64Array(solutions.length * p);
      for (const [k, solution] of solutions.entries()) beta.set(solution!.beta, k * p);
      return { fit: index, intercept: Float64Array.from(solutions, (solution) => solution!.intercept), beta };
    });
  return { counts: new Int32Array(0), points, heldOut };
}

/** Unpenalised fits need all second derivatives at once; a path starts with none. */
function nullPoint(spec: NetSpec, fit: number, intercept: number, p: number): NetPoint {
  const size = spec.lambda === 0 ? p : 0;
  return {
    fit,
    slot: -1,
    intercept,
    columns: Int32Array.from({ length: size }, (_, j) => j),
    beta: new Float64Array(size),
  };
}

/** Throws STUDY_INVALID where lambda is to be cross-validated and there are fewer than two inner folds. */
function groupsOf(spec: NetSpec): NetGroup[] {
  const keys = [...new Set(spec.fits.map((fit) => `${fit.arm}:${fit.outer}`))];
  return keys.map((key) => {
    const members = [...spec.fits.keys()].filter((index) => {
      const fit = spec.fits[index]!;
      return `${fit.arm}:${fit.outer}` === key;
    });
    const full = members.find((index) => spec.fits[index]!.inner === null);
    const inner = members.filter((index) => index !== full);
    const choosing = spec.lambda === 'cv';
    if (choosing && (full === undefined || inner.length < 2))
      throw new ConcordatError(
        'STUDY_INVALID',
        `model "${spec.model}" chooses lambda by cross-validation, which needs at least two inner folds`,
        { hint: 'Set validation.folds to 2 or more, or give lambda as a number.' },
      );
    return { full: full ?? -1, inner, heldOut: choosing ? 'waiting' : 'done', cv: null };
  });
}
