import type { CoordinatorHalf } from '../../shared/computations/computation.js';
import type { CombatSpec } from '../../shared/computations/frame.js';
import { ConcordatError } from '../../shared/errors.js';
import type { Fit } from '../../shared/fits.js';
import { powerOfTwo } from '../../shared/fixed-point.js';
import { type CholeskyFactor, cholesky, choleskySolve, packedIndex, packedSize } from '../../shared/linalg.js';
import { agreedExponents } from '../../shared/scaling.js';
import { type Total, totalOf } from '../../shared/tensors.js';
import {
  type CombatBroadcast,
  type CombatFitResult,
  type CombatFitTask,
  type CombatResult,
  combatColumns,
  countsLayout,
} from './declaration.js';

interface FitState {
  readonly n: number;
  readonly batches: number;
  readonly observed: Float64Array;
  /** c: observed values of each covariate column, and 1 where the column is zero in every training row. */
  readonly covariateObserved: Float64Array;
  readonly absent: Uint8Array;
  readonly task: CombatFitTask;
  /** c x p; empty before it is solved. */
  readonly coefficients: Float64Array;
}

export interface CombatState {
  readonly phase: CombatBroadcast['phase'];
  readonly fits: readonly FitState[];
}

/** Pivots of the correlation of centred covariates below this are a covariate that batches or others determine. */
const CONFOUNDED = 1e-10;

type Outcome = ReturnType<CoordinatorHalf<CombatSpec, CombatBroadcast, CombatState, CombatResult>['advance']>;

/**
 * Joins the sums into the joint fit of Johnson et al. 2007, eq. (2), for every fit in the same rounds.
 * Throws COHORT_BATCH_TOO_SMALL, COHORT_TOO_FEW_FEATURES and COHORT_COVARIATE_CONFOUNDED, naming the fit.
 */
export const combatCoordinator: CoordinatorHalf<CombatSpec, CombatBroadcast, CombatState, CombatResult> = {
  name: 'combat',
  start: () => ({ kind: 'step', state: { phase: 'scales', fits: [] }, broadcast: { phase: 'scales' } }),
  advance(spec, state, total): Outcome {
    const c = combatColumns(spec).length;
    switch (state.phase) {
      case 'scales': {
        const fits = spec.fits.map((fit) => scaled(spec, fit, total));
        if (c === 0) return askResiduals(fits.map((fit) => withMean(fit, new Float64Array(0))));
        // A row without a covariate value needs the mean before any product; otherwise the mean comes along.
        const gaps = fits.some((fit) => fit.covariateObserved.some((count) => count < fit.n));
        const phase = gaps ? 'covariates' : 'gram';
        return { kind: 'step', state: { phase, fits }, broadcast: { phase, fits: fits.map((fit) => fit.task) } };
      }
      case 'covariates': {
        const fits = state.fits.map((fit, index) => withMean(fit, covariateMean(fit, spec.fits[index]!, total)));
        const broadcast = { phase: 'gram' as const, fits: fits.map((fit) => fit.task) };
        return { kind: 'step', state: { phase: 'gram', fits }, broadcast };
      }
      case 'gram': {
        const fits = state.fits.map((fit, index) => {
          const known = fit.task.covariateMean.length > 0;
          const mean = known ? fit.task.covariateMean : covariateMean(fit, spec.fits[index]!, total);
          return { ...withMean(fit, mean), coefficients: solveFit(spec, spec.fits[index]!, fit, total) };
        });
        return askResiduals(fits);
      }
      case 'residuals': {
        const entries = spec.fits.map((fit, index) => [fit.id, finish(spec, fit, state.fits[index]!, total)] as const);
        return { kind: 'done', result: { mode: spec.mode, fits: Object.fromEntries(entries) } };
      }
    }
  },
};

function askResiduals(fits: readonly FitState[]): Outcome {
  const broadcast: CombatBroadcast = {
    phase: 'residuals',
    fits: fits.map((fit) => ({ ...fit.task, coefficients: fit.coefficients })),
  };
  return { kind: 'step', state: { phase: 'residuals', fits }, broadcast };
}

function scaled(spec: CombatSpec, fit: Fit, total: Total): FitState {
  const p = spec.frame.features.length;
  const c = combatColumns(spec).length;
  const at = countsLayout(p, c);
  const counts = totalOf(total, `${fit.id}/counts`);
  const exponents = agreedExponents(totalOf(total, `${fit.id}/exponents`));
  const n = counts[at.n]!;
  const singles = counts[at.singles]!;
  if (n === 0) throw new ConcordatError('COHORT_BATCH_TOO_SMALL', `ComBat fit ${fit.id} has no training case`);
  if (singles > 0)
    throw new ConcordatError(
      'COHORT_BATCH_TOO_SMALL',
      `ComBat fit ${fit.id}: ${singles} of ${counts[at.batches]!} batches ${singles === 1 ? 'has' : 'have'} one training case, and a variance needs two`,
    );
  const observed = counts.slice(at.observed, at.observed + p);
  const untouched = Uint8Array.from({ length: p }, (_, j) => (counts[at.constant + j]! > 0 ? 1 : 0));
  const taking = untouched.reduce((sum, flag) => sum + 1 - flag, 0);
  if (taking < 2)
    throw new ConcordatError(
      'COHORT_TOO_FEW_FEATURES',
      `ComBat fit ${fit.id}: ${taking} of ${p} features vary within every batch, and its prior needs at least 2`,
    );
  const gappy = Int32Array.from([...observed.keys()].filter((j) => c > 0 && untouched[j] === 0 && observed[j]! < n));
  return {
    n,
    batches: counts[at.batches]!,
    observed,
    covariateObserved: counts.slice(at.covariateObserved, at.covariateObserved + c),
    absent: Uint8Array.from({ length: c }, (_, k) => (counts[at.covariateNonZero + k]! === 0 ? 1 : 0)),
    task: {
      untouched,
      gappy,
      featureExponents: exponents.slice(0, p),
      centredExponents: exponents.slice(p, 2 * p),
      covariateExponents: exponents.slice(2 * p, 2 * p + c),
      centredCovariateExponents: exponents.slice(2 * p + c),
      covariateMean: new Float64Array(0),
    },
    coefficients: new Float64Array(0),
  };
}

function withMean(fit: FitState, mean: Float64Array): FitState {
  return { ...fit, task: { ...fit.task, covariateMean: mean } };
}

function covariateMean(state: FitState, fit: Fit, total: Total): Float64Array {
  return totalOf(total, `${fit.id}/covariates`).map((sum, k) => {
    const count = state.covariateObserved[k]!;
    return count > 0 ? (sum / count) * powerOfTwo(state.task.covariateExponents[k]!) : 0;
  });
}

/** Covariate effects of every feature from the centred normal equations; 0 for a column that is zero in every row. */
function solveFit(spec: CombatSpec, fit: Fit, state: FitState, total: Total): Float64Array {
  const columns = combatColumns(spec);
  const c = columns.length;
  const p = spec.frame.features.length;
  const { task, absent } = state;
  const cross = totalOf(total, `${fit.id}/cross`);
  const shared = normalEquations(totalOf(total, `${fit.id}/gram`), c);
  const problems = confounded(shared.factor, absent).map((k) => confoundedColumn(columns[k]!.name, fit));
  const own = task.gappy.length > 0 ? totalOf(total, `${fit.id}/gram-gappy`) : new Float64Array(0);
  const coefficients = new Float64Array(c * p);
  for (let j = 0; j < p; j++) {
    if (task.untouched[j] === 1) continue;
    const position = task.gappy.indexOf(j);
    const equations =
      position < 0
        ? shared
        : normalEquations(own.subarray(position * packedSize(c), (position + 1) * packedSize(c)), c);
    if (position >= 0 && problems.length === 0) {
      const feature = spec.frame.features[j]!;
      for (const k of confounded(equations.factor, absent))
        problems.push(`${confoundedColumn(columns[k]!.name, fit)}, among the cases that have feature "${feature}"`);
    }
    const rhs = Float64Array.from({ length: c }, (_, k) => cross[k * p + j]! * equations.scale[k]!);
    const solution = choleskySolve(equations.factor, rhs);
    for (let k = 0; k < c; k++) {
      const unit = powerOfTwo(task.centredExponents[j]!) / powerOfTwo(task.centredCovariateExponents[k]!);
      coefficients[k * p + j] = solution[k]! * equations.scale[k]! * unit;
    }
  }
  if (problems.length > 0)
    throw new ConcordatError('COHORT_COVARIATE_CONFOUNDED', problems[0]!, {
      problems: problems.map((message) => ({ message })),
    });
  return coefficients;
}

function confoundedColumn(name: string, fit: Fit): string {
  return `ComBat fit ${fit.id}: covariate column "${name}" is determined by the batches or by other covariates`;
}

/** The Gram matrix scaled to a unit diagonal, so that the pivot tolerance means the same for every covariate. */
function normalEquations(packed: Float64Array, c: number): { factor: CholeskyFactor; scale: Float64Array } {
  const scale = Float64Array.from({ length: c }, (_, k) => {
    const diagonal = packed[packedIndex(k, k)]!;
    return diagonal > 0 ? 1 / Math.sqrt(diagonal) : 0;
  });
  const correlation = new Float64Array(packedSize(c));
  for (let k = 0; k < c; k++)
    for (let l = 0; l <= k; l++) correlation[packedIndex(k, l)] = packed[packedIndex(k, l)]! * scale[k]! * scale[l]!;
  return { factor: cholesky(correlation, c, CONFOUNDED), scale };
}

function confounded(factor: CholeskyFactor, absent: Uint8Array): number[] {
  return [...factor.aliased.keys()].filter((k) => factor.aliased[k] === 1 && absent[k] === 0);
}

function finish(spec: CombatSpec, fit: Fit, state: FitState, total: Total): CombatFitResult {
  const { n, batches, observed, task, coefficients } = state;
  const level = totalOf(total, `${fit.id}/level`);
  const residual = totalOf(total, `${fit.id}/residual`);
  // A feature without any residual has no scale to harmonize; it is left as it came, like a constant one.
  const untouched = task.untouched.map((flag, j) => (flag === 1 || !(residual[j]! > 0) ? 1 : 0));
  const kept = (j: number) => untouched[j] === 1;
  return {
    n,
    batches,
    columns: combatColumns(spec).map((column) => column.name),
    coefficients: coefficients.map((value, at) => (kept(at % untouched.length) ? 0 : value)),
    grandMean: level.map((sum, j) => (kept(j) ? 0 : (sum / n) * powerOfTwo(task.featureExponents[j]!))),
    // Divided by the observed rows, as neuroCombat does (not n - p).
    pooledVariance: residual.map((sum, j) =>
      kept(j) ? 1 : (sum / observed[j]!) * powerOfTwo(2 * task.centredExponents[j]!),
    ),
    untouched,
    observed,
    covariateMean: task.covariateMean,
  };
}
