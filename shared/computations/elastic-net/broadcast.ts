import { type Fit, fitContributors } from '../../fits.js';
import { packedSize } from '../../linalg.js';
import { COUNT, STATISTIC, type TensorSpec } from '../../tensors.js';
import { type ModelSpecBase, type PenaltySpec, predictorsOf } from '../frame.js';

/** What logistic and Cox regression differ in, as far as the driver is concerned. */
export interface NetFamily {
  readonly name: 'logistic' | 'cox';
  /** An unpenalised intercept is fitted beside the predictors. */
  readonly intercept: boolean;
  /** A saturated log-likelihood has to be summed (Cox); it is 0 for a binary outcome. */
  readonly saturated: boolean;
  /** The held-out measure of cross-validation is a partial likelihood over all cells, not over the held-out cell. */
  readonly heldOutRows: 'cell' | 'all';
}

export type NetSpec = ModelSpecBase & PenaltySpec;

/** A parameter point on the standardized scale at which derivatives are wanted. Predictors not in `columns` are 0. */
export interface NetPoint {
  /** Index into spec.fits. */
  readonly fit: number;
  /** Index on the lambda path, or -1 for the null model and unpenalised fits. */
  readonly slot: number;
  readonly intercept: number;
  /** Predictor indices, ascending: the columns of the Hessian. */
  readonly columns: Int32Array;
  /** Coefficients over `columns`. */
  readonly beta: Float64Array;
}

/** The models of one inner fit along the lambda path, to be judged on the patients that this fit held out. */
export interface HeldOutPoint {
  readonly fit: number;
  /** One entry per lambda. */
  readonly intercept: Float64Array;
  /** lambdas x predictors, row-major, standardized scale. */
  readonly beta: Float64Array;
}

export interface NetBroadcast {
  /** Fits whose counts (patients, events) are wanted: the first round. */
  readonly counts: Int32Array;
  readonly points: readonly NetPoint[];
  readonly heldOut: readonly HeldOutPoint[];
}

export const netTensor = {
  counts: (fit: Fit) => `${fit.id}/counts`,
  saturated: (fit: Fit) => `${fit.id}/saturated`,
  score: (fit: Fit, slot: number) => `${fit.id}#${slot}/score`,
  hessian: (fit: Fit, slot: number) => `${fit.id}#${slot}/hessian`,
  heldOut: (fit: Fit) => `${fit.id}/held-out`,
};

/** Every tensor that leaves in answer to this broadcast (see contracts of Declaration). */
export function netLeaves(family: NetFamily, spec: NetSpec, broadcast: NetBroadcast): TensorSpec[] {
  const p = predictorsOf(spec.frame, spec.covariates).length;
  const extra = family.intercept ? 1 : 0;
  const leaves: TensorSpec[] = [];
  const model = family.name === 'cox' ? 'Cox' : 'logistic';
  const common = (fit: Fit, cells?: readonly number[]) => ({
    contributors: fitContributors(fit, spec.frame.cells).map(({ site, cells: own }) => ({ site, cells: cells ?? own })),
    // Fewer sites than minSites cannot hide one another, whatever masks their contributions wear.
    visibility: fit.sites.length < spec.frame.minSites ? ('site' as const) : ('total' as const),
    fold: fit.outer,
  });
  for (const index of broadcast.counts) {
    const fit = spec.fits[index]!;
    leaves.push({
      name: netTensor.counts(fit),
      kind: `${family.name}.counts`,
      shape: [2],
      ...COUNT,
      ...common(fit),
      momentColumns: 0,
      meaning: `number of patients and of events fitted by ${model} model "${spec.model}"`,
    });
    if (family.saturated)
      leaves.push({
        name: netTensor.saturated(fit),
        kind: `${family.name}.saturated`,
        shape: [1],
        ...STATISTIC,
        ...common(fit),
        momentColumns: 0,
        meaning: 'saturated log partial likelihood: minus the sum of d log d over tied event times, d deaths each',
      });
  }
  for (const point of broadcast.points) {
    const fit = spec.fits[point.fit]!;
    leaves.push({
      name: netTensor.score(fit, point.slot),
      kind: `${family.name}.score`,
      shape: [extra + p + 1],
      ...STATISTIC,
      ...common(fit),
      momentColumns: 0,
      meaning: `first derivatives of the ${model} log-likelihood for every coefficient, and the log-likelihood`,
    });
    const size = extra + point.columns.length;
    if (size > 0)
      leaves.push({
        name: netTensor.hessian(fit, point.slot),
        kind: `${family.name}.hessian`,
        shape: [packedSize(size)],
        ...STATISTIC,
        ...common(fit),
        momentColumns: size,
        meaning: `second derivatives of the ${model} log-likelihood over ${point.columns.length} active predictors`,
      });
  }
  for (const point of broadcast.heldOut) {
    const fit = spec.fits[point.fit]!;
    const cells =
      family.heldOutRows === 'cell'
        ? [fit.inner ?? 0]
        : Array.from({ length: Math.max(1, spec.frame.cells) }, (_, cell) => cell);
    leaves.push({
      name: netTensor.heldOut(fit),
      kind: `${family.name}.held-out`,
      shape: [point.intercept.length],
      ...STATISTIC,
      ...common(fit, cells),
      momentColumns: 0,
      meaning:
        family.heldOutRows === 'cell'
          ? 'deviance of held-out patients for every penalty on the path'
          : 'log partial likelihood of all patients, held-out ones too, for every penalty on the path',
    });
  }
  return leaves;
}
