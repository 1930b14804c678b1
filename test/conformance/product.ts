import type { CoordinatorHalf, Declaration, SiteHalf } from '../../shared/computations/computation.js';
import { coxCoordinator } from '../../shared/computations/cox/advance.coordinator.js';
import { coxSite } from '../../shared/computations/cox/contribute.site.js';
import { coxDeclaration } from '../../shared/computations/cox/declaration.js';
import { type NetBroadcast, type NetPoint, netTensor } from '../../shared/computations/elastic-net/broadcast.js';
import type {
  CoxSpec,
  Frame,
  LogisticSpec,
  ModelPath,
  ModelResult,
  ModelSummary,
  MomentsResult,
} from '../../shared/computations/frame.js';
import { logisticCoordinator } from '../../shared/computations/logistic/advance.coordinator.js';
import { logisticSite } from '../../shared/computations/logistic/contribute.site.js';
import { logisticDeclaration } from '../../shared/computations/logistic/declaration.js';
import { momentsCoordinator } from '../../shared/computations/moments/advance.coordinator.js';
import { momentsSite } from '../../shared/computations/moments/contribute.site.js';
import { momentsDeclaration } from '../../shared/computations/moments/declaration.js';
import { runInMemory } from '../../shared/computations/run-in-memory.js';
import { assert } from '../../shared/errors.js';
import type { Fit } from '../../shared/fits.js';
import { addInto, decodeTensor, encodeTensor } from '../../shared/fixed-point.js';
import { cholesky, choleskyInverse, unpackSymmetric } from '../../shared/linalg.js';
import { STATISTIC, type TensorSpec, type Total } from '../../shared/tensors.js';
import { type CaseRows, fitsOf, frameOf, type Holder, holdersOf } from './federation.js';

/** Concordat's own computations on the rows of a case, through the ring that secure aggregation uses. */

export const moments = { declaration: momentsDeclaration, site: momentsSite, coordinator: momentsCoordinator };
export const logistic = { declaration: logisticDeclaration, site: logisticSite, coordinator: logisticCoordinator };
export const cox = { declaration: coxDeclaration, site: coxSite, coordinator: coxCoordinator };

export type Holding = 'sites' | 'one';

export interface Penalized {
  readonly alpha: number;
  readonly lambda: number | 'cv';
  readonly nlambda: number;
  readonly lambdaMinRatio: number;
  readonly standardize: boolean;
}

export const UNPENALIZED: Penalized = { alpha: 1, lambda: 0, nlambda: 2, lambdaMinRatio: 0.5, standardize: true };

export interface CoxOptions {
  readonly ties: 'efron' | 'breslow';
  readonly strata: 'stratified' | 'none';
}

/** The summary of the fit on all rows, and its lambda path where it has one. */
export type ModelAnswer = ModelSummary & { readonly path: ModelPath | null };

/** A table with its holders and its moments, so that thirty penalties share one run of `moments`. */
export class Federation {
  readonly frame: Frame;
  readonly fits: readonly Fit[];
  readonly moments: MomentsResult;
  readonly holders: readonly Holder[];

  constructor(
    readonly table: CaseRows,
    readonly holding: Holding,
    readonly cells = 1,
  ) {
    this.frame = frameOf(table, cells);
    this.fits = fitsOf(table, 'none', cells);
    const bare = holdersOf(table, holding).map((holder) => holder.view);
    this.moments = runInMemory(moments, { frame: this.frame, fits: this.fits }, bare).result;
    this.holders = holdersOf(table, holding, new Map([['moments', this.moments]]));
  }

  logistic(penalty: Penalized): ModelAnswer {
    const spec: LogisticSpec = { ...this.modelSpec(penalty), ...penalty, rule: 'min', keepPath: true };
    return this.answerOf(runInMemory(logistic, spec, this.views, this.results).result);
  }

  cox(penalty: Penalized, options: CoxOptions): ModelAnswer {
    const own = { rule: 'min', penaltyScale: 'mean', keepPath: true } as const;
    const spec: CoxSpec = { ...this.modelSpec(penalty), ...penalty, ...options, ...own };
    return this.answerOf(runInMemory(cox, spec, this.views, this.results).result);
  }

  private modelSpec(penalty: Penalized) {
    // Inner fits exist for cross-validation; a fixed penalty needs the fit on all rows alone.
    const fits = penalty.lambda === 'cv' ? this.fits : this.fits.filter((fit) => fit.inner === null);
    return { frame: this.frame, model: 'conformance', fits, covariates: false };
  }

  private get views() {
    return this.holders.map((holder) => holder.view);
  }

  private get results(): ReadonlyMap<string, unknown> {
    return new Map([['moments', this.moments]]);
  }

  private answerOf(result: ModelResult): ModelAnswer {
    const { id } = this.fits[0]!;
    const summary = result.summaries[id];
    assert(summary !== undefined, `no summary for fit ${id}`);
    return { ...summary, path: result.paths?.[id] ?? null };
  }
}

/** Log-likelihood and derivatives on the original scale at one point. */
export interface Derivatives {
  readonly logLikelihood: number;
  /** Intercept first where there is one. */
  readonly gradient: Float64Array;
  /** Information, row-major, intercept first where there is one. */
  readonly information: Float64Array;
  readonly size: number;
}

export interface At {
  readonly intercept: number;
  readonly beta: ArrayLike<number>;
}

export interface RoundOptions {
  readonly model: 'logistic' | 'cox';
  readonly holding: Holding;
  readonly cox?: CoxOptions;
  /** Only these site labels take part. */
  readonly sites?: readonly string[];
}

/**
 * One round of the model's own site half at given coefficients. Its moments are replaced by mean 0 and sd 1, so the
 * standardized scale is the original one and the sums compare with the reference as they are.
 */
export function derivativesAt(table: CaseRows, points: readonly At[], options: RoundOptions): Derivatives[] {
  const { total, fit } = oneRound(table, points, options);
  const extra = options.model === 'logistic' ? 1 : 0;
  const size = table.featureNames.length + extra;
  return points.map((_, slot) => {
    const score = total.values.get(netTensor.score(fit, slot));
    const hessian = total.values.get(netTensor.hessian(fit, slot));
    assert(score !== undefined && hessian !== undefined, 'the round sent no derivatives');
    return {
      logLikelihood: score[size]!,
      gradient: score.slice(0, size),
      information: unpackSymmetric(hessian, size),
      size,
    };
  });
}

/** Patients and events as the model counts them, and the saturated log-likelihood (Cox). */
export function countsOf(table: CaseRows, options: RoundOptions): { n: number; events: number; saturated: number } {
  const { total, fit } = oneRound(table, [], options);
  const counts = total.values.get(netTensor.counts(fit));
  assert(counts !== undefined, 'the round sent no counts');
  return { n: counts[0]!, events: counts[1]!, saturated: total.values.get(netTensor.saturated(fit))?.[0] ?? 0 };
}

function oneRound(table: CaseRows, points: readonly At[], options: RoundOptions): { total: Total; fit: Fit } {
  const p = table.featureNames.length;
  const whole = fitsOf(table, 'none')[0]!;
  const fit = options.sites === undefined ? whole : { ...whole, sites: options.sites };
  const unit = { n: table.n, mean: new Float64Array(p), sd: new Float64Array(p).fill(1) };
  const results = new Map<string, unknown>([['moments', { fits: { [fit.id]: unit } } satisfies MomentsResult]]);
  const views = holdersOf(table, options.holding, results).map((holder) => holder.view);
  const columns = Int32Array.from({ length: p }, (_, j) => j);
  const broadcast: NetBroadcast = {
    counts: points.length === 0 ? Int32Array.of(0) : new Int32Array(0),
    points: points.map(
      (at, slot): NetPoint => ({ fit: 0, slot, intercept: at.intercept, columns, beta: Float64Array.from(at.beta) }),
    ),
    heldOut: [],
  };
  const base = { frame: frameOf(table), model: 'conformance', fits: [fit], covariates: false };
  if (options.model === 'logistic') {
    const spec: LogisticSpec = { ...base, ...UNPENALIZED, rule: 'min' };
    return { total: totalOf(logistic, spec, broadcast, views), fit };
  }
  const spec: CoxSpec = {
    ...base,
    ...UNPENALIZED,
    rule: 'min',
    penaltyScale: 'mean',
    ...(options.cox ?? { ties: 'efron', strata: 'stratified' }),
  };
  return { total: totalOf(cox, spec, { ...broadcast, baseline: [] }, views), fit };
}

/** The total of a single broadcast: the computation's declaration and site half, a coordinator that stops at once. */
export function totalOf<Spec, Broadcast>(
  halves: { readonly declaration: Declaration<Spec, Broadcast>; readonly site: SiteHalf<Spec, Broadcast> },
  spec: Spec,
  broadcast: Broadcast,
  views: Parameters<typeof runInMemory>[2],
): Total {
  const coordinator: CoordinatorHalf<Spec, Broadcast, null, Total> = {
    name: halves.declaration.name,
    start: () => ({ kind: 'step', state: null, broadcast }),
    advance: (_spec, _state, total) => ({ kind: 'done', result: total }),
  };
  return runInMemory({ declaration: halves.declaration, site: halves.site, coordinator }, spec, views).result;
}

/** Sum of one vector per holder through the ring, for metrics that sites add up. */
export function ringSum(parts: readonly Float64Array[]): Float64Array {
  const spec: TensorSpec = {
    name: 'conformance',
    kind: 'conformance',
    shape: [parts[0]!.length],
    ...STATISTIC,
    contributors: [],
    visibility: 'total',
    momentColumns: 0,
    fold: 'study',
    meaning: 'sum over sites',
  };
  const words = encodeTensor(spec, parts[0]!, parts.length);
  for (const part of parts.slice(1)) addInto(words, encodeTensor(spec, part, parts.length), spec.ring);
  return decodeTensor(spec, words);
}

/** Inverse of an information matrix, scaled to a unit diagonal first so that columns of any unit invert alike. */
export function covarianceOf(information: Float64Array, size: number): Float64Array {
  const scale = Float64Array.from({ length: size }, (_, i) => Math.sqrt(information[i * size + i]!));
  const scaled = information.map((value, at) => value / (scale[Math.floor(at / size)]! * scale[at % size]!));
  const inverse = choleskyInverse(cholesky(scaled, size, 1e-14));
  return inverse.map((value, at) => value / (scale[Math.floor(at / size)]! * scale[at % size]!));
}

/** x' A y. */
export function quadraticForm(x: ArrayLike<number>, matrix: Float64Array, y: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++)
    for (let j = 0; j < y.length; j++) sum += x[i]! * matrix[i * y.length + j]! * y[j]!;
  return sum;
}
