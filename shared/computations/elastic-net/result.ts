import { type FittedModel, type ModelPath, type ModelResult, type ModelSummary, predictorsOf } from '../frame.js';
import type { NetFamily, NetSpec } from './broadcast.js';
import type { NewtonResult } from './newton.js';
import type { Solution } from './path.js';
import type { NetFit, NetGroup } from './state.js';

type Coefficients = ModelSummary['coefficients'];

/** What the study keeps of all fits: models on the standardized scale, and summaries on the original one. */
export function resultOf(
  family: NetFamily,
  spec: NetSpec,
  fits: readonly NetFit[],
  groups: readonly NetGroup[],
  notes: readonly string[],
  disclosive: boolean,
): ModelResult {
  const names = predictorsOf(spec.frame, spec.covariates).map(({ name }) => name);
  const models: Record<string, FittedModel> = {};
  const summaries: Record<string, ModelSummary> = {};
  const paths: Record<string, ModelPath> = {};
  for (const group of groups)
    for (const index of [group.full, ...group.inner]) {
      const fit = fits[index];
      if (fit === undefined) continue;
      const chosen = fit.newton?.result ?? chosenSolution(spec, group, fit);
      models[fit.fit.id] = modelOf(family, fit, chosen);
      if (fit.fit.inner === null) {
        const summary = summaryOf(family, spec, group, fit, names, chosen);
        summaries[fit.fit.id] = { ...summary, notes: [...summary.notes, ...notes] };
      }
      if (spec.keepPath === true && fit.path !== null) paths[fit.fit.id] = pathOf(fit);
    }
  return {
    type: family.name,
    models,
    summaries,
    ...(spec.keepPath === true ? { paths } : {}),
    ...(disclosive ? { disclosive } : {}),
  };
}

function chosenSolution(spec: NetSpec, group: NetGroup, fit: NetFit): Solution | null {
  if (fit.path === null) return null;
  const solutions = fit.path.solutions;
  if (spec.lambda !== 'cv') return solutions[solutions.length - 1]!;
  if (group.cv === null) return null;
  return solutions[spec.rule === 'min' ? group.cv.indexMin : group.cv.index1se]!;
}

function modelOf(family: NetFamily, fit: NetFit, chosen: NewtonResult | Solution | null): FittedModel {
  if (chosen !== null && 'at' in chosen)
    return { type: 'linear', intercept: chosen.at.intercept, beta: chosen.at.beta };
  if (chosen !== null) return { type: 'linear', intercept: chosen.intercept, beta: chosen.beta };
  // Nothing was fitted: everybody gets the same score. With half a patient added to each class it is finite.
  const intercept = family.intercept ? Math.log((fit.events + 0.5) / (fit.n - fit.events + 0.5)) : 0;
  return { type: 'linear', intercept, beta: new Float64Array(fit.sd.length) };
}

function summaryOf(
  family: NetFamily,
  spec: NetSpec,
  group: NetGroup,
  fit: NetFit,
  names: readonly string[],
  chosen: NewtonResult | Solution | null,
): ModelSummary {
  const shared = {
    iterations: fit.rounds,
    n: fit.n,
    lambdaPath: spec.lambda === 'cv' && fit.path !== null ? fit.lambdas : null,
    cv: group.cv,
    nullLogLikelihood: nullLogLikelihood(family, fit),
  };
  if (chosen === null) {
    const reason = fit.degenerate ?? 'fewer than two inner folds could be fitted, so lambda could not be chosen';
    const coefficients = names.map((feature) => ({ feature, value: 0, se: null, status: 'zero' as const }));
    const notes = [`no model was fitted: ${reason}`];
    return { ...shared, converged: false, lambda: null, intercept: null, coefficients, logLikelihood: null, notes };
  }
  if ('at' in chosen) return { ...shared, ...unpenalisedSummary(family, spec, fit, names, chosen) };
  const { intercept, values } = originalScale(fit, chosen.intercept, chosen.beta);
  const coefficients: Coefficients = names.map((feature, j) => ({
    feature,
    value: values[j]!,
    se: null,
    status: values[j] === 0 ? 'zero' : 'ok',
  }));
  const index = fit.path!.solutions.indexOf(chosen);
  const notes = chosen.converged ? [] : ['the optimality conditions were not met to tolerance'];
  return {
    ...shared,
    converged: chosen.converged,
    lambda: fit.lambdas[index]!,
    intercept: family.intercept ? intercept : null,
    coefficients,
    logLikelihood: chosen.logLikelihood,
    notes,
  };
}

function unpenalisedSummary(
  family: NetFamily,
  spec: NetSpec,
  fit: NetFit,
  names: readonly string[],
  result: NewtonResult,
): Pick<
  ModelSummary,
  'converged' | 'lambda' | 'intercept' | 'interceptSe' | 'coefficients' | 'logLikelihood' | 'notes' | 'covariance'
> {
  const extra = family.intercept ? 1 : 0;
  const { intercept, values } = originalScale(fit, result.at.intercept, result.at.beta);
  const covariance = originalCovariance(fit, result.covariance, extra);
  const size = extra + names.length;
  const seOf = (i: number) => Math.sqrt(covariance[i * size + i]!);
  const diverges = result.infinite.some((sign) => sign !== 0);
  const coefficients: Coefficients = names.map((feature, j) => {
    if (result.aliased[j] === 1) return { feature, value: 0, se: null, status: 'aliased' };
    const sign = result.infinite[j + extra]!;
    if (sign !== 0) return { feature, value: sign * Infinity, se: null, status: 'infinite' };
    return { feature, value: values[j]!, se: seOf(j + extra), status: 'ok' };
  });
  const listed = (status: string) =>
    coefficients.filter((entry) => entry.status === status).map(({ feature }) => feature);
  const notes: string[] = [];
  if (listed('aliased').length > 0)
    notes.push(`explained by the predictors before them and left out: ${listed('aliased').join(', ')}`);
  if (diverges)
    notes.push(
      `the likelihood keeps rising as these coefficients go to infinity, so no maximum likelihood estimate exists for ` +
        `them: ${[...(result.infinite[0] !== 0 && extra === 1 ? ['intercept'] : []), ...listed('infinite')].join(', ')}`,
    );
  if (!result.converged && !diverges) notes.push('the gradient did not reach zero within the allowed iterations');
  return {
    converged: result.converged,
    lambda: 0,
    // On the original scale the intercept absorbs mean/sd times every infinite coefficient.
    intercept: extra === 0 || diverges ? null : intercept,
    interceptSe: extra === 0 || diverges ? null : seOf(0),
    coefficients,
    logLikelihood: result.at.logLikelihood,
    notes,
    ...(spec.keepPath === true ? { covariance } : {}),
  };
}

function nullLogLikelihood(family: NetFamily, fit: NetFit): number | null {
  if (fit.n === 0) return null;
  if (!family.intercept) return fit.nullModel?.logLikelihood ?? fit.newton?.nullLogLikelihood ?? 0;
  const term = (count: number) => (count > 0 ? count * Math.log(count / fit.n) : 0);
  return term(fit.events) + term(fit.n - fit.events);
}

function originalScale(
  fit: NetFit,
  intercept: number,
  beta: Float64Array,
): { intercept: number; values: Float64Array } {
  const values = beta.map((value, j) => (fit.sd[j]! > 0 ? value / fit.sd[j]! : 0));
  let shifted = intercept;
  for (let j = 0; j < values.length; j++) shifted -= values[j]! * fit.mean[j]!;
  return { intercept: shifted, values };
}

/** T V T' with T mapping standardized to original coefficients. */
function originalCovariance(fit: NetFit, covariance: Float64Array, extra: number): Float64Array {
  const p = fit.sd.length;
  const size = extra + p;
  const map = new Float64Array(size * size);
  if (extra === 1) map[0] = 1;
  for (let j = 0; j < p; j++) {
    if (!(fit.sd[j]! > 0)) continue;
    map[(j + extra) * size + j + extra] = 1 / fit.sd[j]!;
    if (extra === 1) map[j + extra] = -fit.mean[j]! / fit.sd[j]!;
  }
  const half = multiply(map, covariance, size, false);
  return multiply(half, map, size, true);
}

function multiply(a: Float64Array, b: Float64Array, size: number, transposeB: boolean): Float64Array {
  const product = new Float64Array(size * size);
  for (let i = 0; i < size; i++)
    for (let k = 0; k < size; k++) {
      let sum = 0;
      for (let m = 0; m < size; m++) sum += a[i * size + m]! * (transposeB ? b[k * size + m]! : b[m * size + k]!);
      product[i * size + k] = sum;
    }
  return product;
}

function pathOf(fit: NetFit): ModelPath {
  const path = fit.path!;
  const p = fit.sd.length;
  const slots = [...path.solutions.keys()].filter((slot) => path.solutions[slot] !== null);
  const beta = new Float64Array(slots.length * p);
  const intercept = new Float64Array(slots.length);
  const df = new Int32Array(slots.length);
  const devRatio = new Float64Array(slots.length);
  const kkt = new Float64Array(slots.length);
  const nullDeviance = 2 * (fit.saturated - fit.nullModel!.logLikelihood);
  for (const [k, slot] of slots.entries()) {
    const solution = path.solutions[slot]!;
    const original = originalScale(fit, solution.intercept, solution.beta);
    beta.set(original.values, k * p);
    intercept[k] = original.intercept;
    df[k] = solution.beta.reduce((count, value) => count + (value === 0 ? 0 : 1), 0);
    devRatio[k] = 1 - (2 * (fit.saturated - solution.logLikelihood)) / nullDeviance;
    kkt[k] = solution.violation;
  }
  const lambda = Float64Array.from(slots, (slot) => fit.lambdas[slot]!);
  return { lambda, intercept, beta, df, devRatio, nullDeviance, kkt };
}
