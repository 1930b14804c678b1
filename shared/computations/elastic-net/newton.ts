import { type CholeskyFactor, cholesky, choleskyInverse, choleskySolve } from '../../linalg.js';
import type { NetPoint } from './broadcast.js';
import type { Evaluation } from './evaluation.js';

/**
 * Maximum likelihood without a penalty, by Newton's method over all predictors.
 *
 * A predictor that earlier ones explain is aliased, decided once at the null model where the information is that of the
 * design alone. Where the likelihood keeps rising towards infinity (separation, monotone likelihood), Newton steps along
 * the diverging direction stay near 1 while everything else settles: those coefficients are reported as infinite, as
 * coxph does when the log-likelihood converges before a variable.
 */
export interface NewtonState {
  readonly n: number;
  readonly extra: 0 | 1;
  readonly kept: Uint8Array;
  readonly accepted: Evaluation | null;
  readonly nullLogLikelihood: number;
  readonly violation: number;
  readonly stepSize: number;
  readonly target: { readonly intercept: number; readonly columns: Int32Array; readonly beta: Float64Array };
  readonly evaluations: number;
  readonly halvings: number;
  readonly result: NewtonResult | null;
}

export interface NewtonResult {
  readonly at: Evaluation;
  readonly violation: number;
  readonly converged: boolean;
  readonly aliased: Uint8Array;
  /** +1 or -1 where a coefficient goes to that infinity, 0 elsewhere; over intercept, if any, and predictors. */
  readonly infinite: Int8Array;
  /** Inverse information, (extra + p) square row-major, 0 where aliased. */
  readonly covariance: Float64Array;
  readonly evaluations: number;
}

const ALIAS_TOLERANCE = 1e-12;
/** A pivot below this share of its diagonal cannot be told from rounding. */
const COLLAPSE_TOLERANCE = 1e-13;
const TOLERANCE = 1e-13;
const MAX_EVALUATIONS = 60;
const MAX_HALVINGS = 40;

/** `target` must ask for all predictors. */
export function startNewton(n: number, extra: 0 | 1, intercept: number, p: number): NewtonState {
  const columns = Int32Array.from({ length: p }, (_, j) => j);
  return {
    n,
    extra,
    kept: new Uint8Array(0),
    accepted: null,
    nullLogLikelihood: 0,
    violation: Infinity,
    stepSize: Infinity,
    target: { intercept, columns, beta: new Float64Array(p) },
    evaluations: 0,
    halvings: 0,
    result: null,
  };
}

export function newtonPoint(state: NewtonState, fit: number): NetPoint {
  return { fit, slot: -1, ...state.target };
}

export function advanceNewton(before: NewtonState, at: Evaluation): NewtonState {
  const evaluations = before.evaluations + 1;
  const previous = before.accepted;
  if (
    previous !== null &&
    !(at.logLikelihood >= previous.logLikelihood - 1e-12 * (1 + Math.abs(previous.logLikelihood)))
  ) {
    if (before.halvings >= MAX_HALVINGS || evaluations >= MAX_EVALUATIONS)
      return conclude({ ...before, evaluations }, previous, before.violation, false, new Float64Array(0));
    const target = {
      intercept: 0.5 * (previous.intercept + before.target.intercept),
      columns: before.target.columns,
      beta: before.target.beta.map((value, j) => 0.5 * (value + previous.beta[j]!)),
    };
    return { ...before, target, evaluations, halvings: before.halvings + 1 };
  }
  const size = before.extra + at.columns.length;
  const kept = previous === null ? keptAtNull(at, size) : before.kept;
  const nullLogLikelihood = previous === null ? at.logLikelihood : before.nullLogLikelihood;
  const state = { ...before, kept, nullLogLikelihood, evaluations, halvings: 0 };
  const violation = violationAt(state, at);
  const factor = scaledFactor(at.information, size, kept, COLLAPSE_TOLERANCE);
  const collapsed = factor.factor.rank < kept.reduce((sum, flag) => sum + flag, 0);
  const step = newtonStep(factor, gradientOf(state, at));
  const stepSize = step.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
  const diverging =
    stepSize > 1e-4 && (collapsed || (stepSize > 0.2 * before.stepSize && before.halvings === 0 && violation < 1e-6));
  const stalled = violation <= 1e-10 && before.violation <= 1e-10;
  if (violation <= TOLERANCE || stalled || collapsed || evaluations >= MAX_EVALUATIONS)
    return conclude(state, at, violation, violation <= 1e-10 && !diverging, diverging ? step : new Float64Array(0));
  return {
    ...state,
    accepted: at,
    violation,
    stepSize,
    target: {
      intercept: at.intercept + (before.extra === 1 ? step[0]! : 0),
      columns: at.columns,
      beta: at.beta.map((value, j) => value + step[j + before.extra]!),
    },
  };
}

function conclude(
  state: NewtonState,
  at: Evaluation,
  violation: number,
  converged: boolean,
  divergence: Float64Array,
): NewtonState {
  const size = state.extra + at.columns.length;
  const aliased = new Uint8Array(at.columns.length);
  for (let j = 0; j < aliased.length; j++) aliased[j] = state.kept[j + state.extra] === 1 ? 0 : 1;
  const infinite = new Int8Array(size);
  const largest = divergence.reduce((sum, value) => Math.max(sum, Math.abs(value)), 0);
  const values = [...(state.extra === 1 ? [at.intercept] : []), ...at.beta];
  // Finite coefficients settle with the square of what is left, so their last step is many orders below a diverging one.
  for (let i = 0; i < divergence.length; i++)
    if (Math.abs(divergence[i]!) > 1e-4 * largest) infinite[i] = Math.sign(divergence[i]! || values[i]!);
  const { factor, scale } = scaledFactor(at.information, size, state.kept, COLLAPSE_TOLERANCE);
  const covariance = choleskyInverse(factor);
  for (let i = 0; i < size; i++) for (let k = 0; k < size; k++) covariance[i * size + k]! *= scale[i]! * scale[k]!;
  const result = { at, violation, converged, aliased, infinite, covariance, evaluations: state.evaluations };
  return { ...state, accepted: at, result };
}

/** 1 where a coefficient can be estimated: not explained by the intercept and earlier predictors. */
function keptAtNull(at: Evaluation, size: number): Uint8Array {
  const { factor } = scaledFactor(at.information, size, new Uint8Array(size).fill(1), ALIAS_TOLERANCE);
  return factor.aliased.map((flag) => 1 - flag);
}

interface ScaledFactor {
  readonly factor: CholeskyFactor;
  /** 1 / sqrt(diagonal), 0 where the column is left out. */
  readonly scale: Float64Array;
}

/** Factor of the information scaled to a unit diagonal, so that a pivot is 1 - R^2 on earlier columns. */
function scaledFactor(information: Float64Array, size: number, kept: Uint8Array, tolerance: number): ScaledFactor {
  const scale = new Float64Array(size);
  for (let i = 0; i < size; i++) {
    const diagonal = information[i * size + i]!;
    // 1e-24: below the square of the relative rounding of a column's sum of squares.
    scale[i] = kept[i] === 1 && diagonal > 1e-24 ? 1 / Math.sqrt(diagonal) : 0;
  }
  const matrix = information.map((value, at) => {
    const i = Math.floor(at / size);
    const k = at - i * size;
    return value * scale[i]! * scale[k]!;
  });
  return { factor: cholesky(matrix, size, tolerance), scale };
}

function newtonStep({ factor, scale }: ScaledFactor, gradient: Float64Array): Float64Array {
  const solution = choleskySolve(
    factor,
    gradient.map((value, i) => value * scale[i]!),
  );
  return solution.map((value, i) => value * scale[i]!);
}

function gradientOf(state: NewtonState, at: Evaluation): Float64Array {
  return state.extra === 1 ? Float64Array.from([at.interceptGradient, ...at.gradient]) : at.gradient;
}

function violationAt(state: NewtonState, at: Evaluation): number {
  let worst = 0;
  gradientOf(state, at).forEach((value, i) => {
    if (state.kept[i] === 1 && !(Math.abs(value) / state.n <= worst)) worst = Math.abs(value) / state.n;
  });
  return worst;
}
