import type { NetPoint } from './broadcast.js';
import { denseOf, type Evaluation, sparseOf } from './evaluation.js';
import { indicesOf, kktViolation, type Penalty, penaltyValue, strongSet } from './penalty.js';
import { solvePenalizedQuadratic } from './quadratic.js';

/**
 * The lambda path of one fit by proximal Newton (Friedman, Hastie, Tibshirani 2010; Lee, Sun, Saunders 2014).
 *
 * Every penalty on the path has its own worker, and a worker starts as soon as its predecessor is near its solution, not
 * when it has arrived: several workers then ask in the same round, so that the path costs about one round a lambda
 * instead of one for every Newton step. A worker is done when the exact gradient over all predictors meets the
 * optimality conditions, so what it started from does not matter.
 */
export interface Solution {
  readonly intercept: number;
  /** Over all predictors, standardized scale. */
  readonly beta: Float64Array;
  readonly logLikelihood: number;
  readonly violation: number;
  readonly converged: boolean;
}

interface Worker {
  readonly slot: number;
  /** The last point that did not raise the objective, with its derivatives. */
  readonly accepted: Evaluation;
  readonly objective: number;
  readonly violation: number;
  /** Where the derivatives are wanted next. */
  readonly target: { readonly intercept: number; readonly columns: Int32Array; readonly beta: Float64Array };
  readonly evaluations: number;
  readonly halvings: number;
  readonly spawned: boolean;
}

export interface PathState {
  readonly n: number;
  readonly penalty: Penalty;
  /** On the mean scale, decreasing. */
  readonly lambdas: Float64Array;
  /** Slots whose solution is wanted; the others only lead there. */
  readonly wanted: Uint8Array;
  readonly tolerance: number;
  readonly workers: readonly Worker[];
  readonly solutions: readonly (Solution | null)[];
}

const MAX_EVALUATIONS = 80;
const MAX_HALVINGS = 40;
/** A successor starts when its predecessor's violation is below this share of its lambda. */
const SPAWN = 0.1;

export function startPath(
  nullModel: Evaluation,
  ownLambdaMax: number,
  options: Pick<PathState, 'n' | 'penalty' | 'lambdas' | 'wanted' | 'tolerance'>,
): PathState {
  const empty: PathState = { ...options, workers: [], solutions: Array.from(options.lambdas, () => null) };
  return spawnFrom(empty, 0, nullModel, Math.max(ownLambdaMax, options.lambdas[0]!));
}

export function pathIsDone(state: PathState): boolean {
  return state.workers.length === 0;
}

/** Points that this path asks for next, in slot order. */
export function pathPoints(state: PathState, fit: number): NetPoint[] {
  return state.workers.map(({ slot, target }) => ({ fit, slot, ...target }));
}

/** One round: every worker has got its derivatives. */
export function advancePath(state: PathState, evaluationAt: (slot: number) => Evaluation): PathState {
  let next: PathState = { ...state, workers: [] };
  for (const worker of state.workers) next = advanceWorker(next, worker, evaluationAt(worker.slot));
  return next;
}

function advanceWorker(state: PathState, worker: Worker, evaluation: Evaluation): PathState {
  const objective = objectiveAt(state, worker.slot, evaluation);
  const evaluations = worker.evaluations + 1;
  // The slack is far above the rounding error of a mean log-likelihood and far below any step that matters.
  const slack = 1e-12 * (1 + Math.abs(worker.objective));
  if (!(objective <= worker.objective + slack)) {
    if (worker.halvings >= MAX_HALVINGS || evaluations >= MAX_EVALUATIONS)
      return finish(state, worker.slot, worker.accepted, worker.violation, false, worker.spawned);
    return push(state, { ...worker, target: halfway(worker), evaluations, halvings: worker.halvings + 1 });
  }
  const violation = violationAt(state, worker.slot, evaluation);
  // Rounding can keep the violation above a very small tolerance: two visits below 1e-10 are then as good as it gets.
  const stalled = violation <= 1e-10 && worker.violation <= 1e-10 && violation >= 0.1 * worker.violation;
  if (violation <= state.tolerance || stalled)
    return finish(state, worker.slot, evaluation, violation, true, worker.spawned);
  if (evaluations >= MAX_EVALUATIONS) return finish(state, worker.slot, evaluation, violation, false, worker.spawned);
  let next = state;
  let spawned = worker.spawned;
  const near = violation <= SPAWN * state.lambdas[worker.slot]! * Math.max(state.penalty.alpha, 1e-3);
  const last = worker.slot + 1 === state.lambdas.length;
  if (near && state.wanted[worker.slot] === 0 && !last) {
    return spawnFrom(state, worker.slot + 1, evaluation, state.lambdas[worker.slot]!);
  }
  next = push(next, {
    slot: worker.slot,
    accepted: evaluation,
    objective,
    violation,
    target: stepFrom(state, worker.slot, evaluation, worker.target.columns),
    evaluations,
    halvings: 0,
    spawned: spawned || (near && !last),
  });
  if (near && !spawned && !last) {
    spawned = true;
    next = spawnFrom(next, worker.slot + 1, evaluation, state.lambdas[worker.slot]!);
  }
  return next;
}

function finish(
  state: PathState,
  slot: number,
  at: Evaluation,
  violation: number,
  converged: boolean,
  spawned: boolean,
): PathState {
  const solutions = [...state.solutions];
  solutions[slot] = {
    intercept: at.intercept,
    beta: denseOf(at.columns, at.beta, at.gradient.length),
    logLikelihood: at.logLikelihood,
    violation,
    converged,
  };
  const next = { ...state, solutions };
  if (spawned || slot + 1 === state.lambdas.length) return next;
  return spawnFrom(next, slot + 1, at, state.lambdas[slot]!);
}

/** A worker for `slot` that starts at a known point; done at once where that point is its solution already. */
function spawnFrom(state: PathState, slot: number, at: Evaluation, previousLambda: number): PathState {
  const violation = violationAt(state, slot, at);
  if (violation <= state.tolerance) return finish(state, slot, at, violation, true, false);
  const lead = strongSet(state.penalty, previousLambda, state.lambdas[slot]!, state.n, at.gradient, new Int32Array(0));
  return push(state, {
    slot,
    accepted: at,
    objective: objectiveAt(state, slot, at),
    violation,
    target: stepFrom(state, slot, at, lead),
    evaluations: 0,
    halvings: 0,
    spawned: false,
  });
}

/**
 * The minimiser of the penalised quadratic model over the predictors whose second derivatives are known; the point asked
 * for also names predictors that may enter soon, so that their second derivatives come with it.
 */
function stepFrom(state: PathState, slot: number, at: Evaluation, lead: Int32Array): Worker['target'] {
  const { n, penalty } = state;
  const lambda = state.lambdas[slot]!;
  const m = at.columns.length;
  const extra = Math.round(Math.sqrt(at.information.length)) - m;
  const size = m + extra;
  const problem = {
    size,
    q: at.information.map((value) => value / n),
    c: new Float64Array(size),
    x0: new Float64Array(size),
    l1: new Float64Array(size),
    l2: new Float64Array(size),
  };
  if (extra === 1) {
    problem.c[0] = at.interceptGradient / n;
    problem.x0[0] = at.intercept;
  }
  for (let a = 0; a < m; a++) {
    const j = at.columns[a]!;
    const factor = penalty.factors[j]!;
    problem.c[a + extra] = at.gradient[j]! / n;
    problem.x0[a + extra] = at.beta[a]!;
    problem.l1[a + extra] = lambda * penalty.alpha * factor;
    problem.l2[a + extra] = lambda * (1 - penalty.alpha) * factor * factor;
  }
  const x = solvePenalizedQuadratic(problem);
  const p = at.gradient.length;
  const dense = denseOf(at.columns, x.subarray(extra), p);
  const following = slot + 1 < state.lambdas.length ? state.lambdas[slot + 1]! : lambda;
  const columns = strongSet(penalty, lambda, following, n, at.gradient, union(p, lead, nonZero(dense)));
  return { intercept: extra === 1 ? x[0]! : 0, columns, beta: sparseOf(columns, dense) };
}

function halfway(worker: Worker): Worker['target'] {
  const { accepted, target } = worker;
  const p = accepted.gradient.length;
  const from = denseOf(accepted.columns, accepted.beta, p);
  const to = denseOf(target.columns, target.beta, p);
  const middle = to.map((value, j) => 0.5 * (value + from[j]!));
  const columns = union(p, target.columns, nonZero(middle));
  return { intercept: 0.5 * (accepted.intercept + target.intercept), columns, beta: sparseOf(columns, middle) };
}

function objectiveAt(state: PathState, slot: number, at: Evaluation): number {
  return -at.logLikelihood / state.n + state.lambdas[slot]! * penaltyValue(state.penalty, at.columns, at.beta);
}

function violationAt(state: PathState, slot: number, at: Evaluation): number {
  const { penalty, n } = state;
  return kktViolation(penalty, state.lambdas[slot]!, n, at.gradient, at.interceptGradient, at.columns, at.beta);
}

function push(state: PathState, worker: Worker): PathState {
  return { ...state, workers: [...state.workers, worker] };
}

function nonZero(dense: Float64Array): Int32Array {
  return indicesOf(Uint8Array.from(dense, (value) => (value === 0 ? 0 : 1)));
}

function union(p: number, ...sets: readonly Int32Array[]): Int32Array {
  const chosen = new Uint8Array(p);
  for (const set of sets) for (const j of set) chosen[j] = 1;
  return indicesOf(chosen);
}
