import { assert } from '../../errors.js';
import type { Fit } from '../../fits.js';
import { unpackSymmetric } from '../../linalg.js';
import type { Total } from '../../tensors.js';
import { type NetFamily, type NetPoint, netTensor } from './broadcast.js';

/** Exact derivatives of the log-likelihood, summed over all patients of a fit, at one point. */
export interface Evaluation {
  readonly intercept: number;
  readonly columns: Int32Array;
  /** Over `columns`, standardized scale. */
  readonly beta: Float64Array;
  /** 0 where there is no intercept. */
  readonly interceptGradient: number;
  /** Over all predictors. */
  readonly gradient: Float64Array;
  /** Information (minus the Hessian) over intercept, if any, and `columns`; row-major. */
  readonly information: Float64Array;
  readonly logLikelihood: number;
}

export function evaluationOf(family: NetFamily, fit: Fit, point: NetPoint, total: Total): Evaluation {
  const score = total.values.get(netTensor.score(fit, point.slot));
  assert(score !== undefined, `the total lacks ${netTensor.score(fit, point.slot)}`);
  const extra = family.intercept ? 1 : 0;
  const size = extra + point.columns.length;
  const packed = size === 0 ? new Float64Array(0) : total.values.get(netTensor.hessian(fit, point.slot));
  assert(packed !== undefined, `the total lacks ${netTensor.hessian(fit, point.slot)}`);
  return {
    intercept: point.intercept,
    columns: point.columns,
    beta: point.beta,
    interceptGradient: extra === 1 ? score[0]! : 0,
    gradient: score.slice(extra, score.length - 1),
    information: unpackSymmetric(packed, size),
    logLikelihood: score[score.length - 1]!,
  };
}

/** Coefficients over all predictors. */
export function denseOf(columns: Int32Array, beta: Float64Array, p: number): Float64Array {
  const dense = new Float64Array(p);
  for (let a = 0; a < columns.length; a++) dense[columns[a]!] = beta[a]!;
  return dense;
}

/** Coefficients over `columns` of a dense vector. */
export function sparseOf(columns: Int32Array, dense: Float64Array): Float64Array {
  return Float64Array.from(columns, (j) => dense[j]!);
}
