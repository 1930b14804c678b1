import type { Fit } from '../fits.js';

export interface CovariateColumn {
  readonly name: string;
  /** Level names, the first is the reference; null for a numeric column. */
  readonly levels: readonly string[] | null;
}

/** What every computation of a study knows about it: names and limits, never data. Plain JSON. */
export interface Frame {
  readonly training: readonly string[];
  readonly external: readonly string[];
  readonly features: readonly string[];
  readonly covariates: readonly CovariateColumn[];
  readonly endpoint:
    | { readonly type: 'binary' }
    | { readonly type: 'survival'; readonly unit: string; readonly horizon: number | null };
  /** Number of inner-fold cells per site, at least 1. */
  readonly cells: number;
  readonly seed: number;
  readonly minimumCount: number;
  readonly minimumCohort: number;
  readonly minSites: number;
}

/** What decides whose number of events is shown: which training sites the models' totals add up, and what they accepted. */
export interface SuppressionSpec {
  readonly frame: Frame;
  /** Training sites that are fitted together, one entry per outer fold. */
  readonly outers: readonly (readonly string[])[];
  /** The table brings its own training and test cases. */
  readonly hasSplit: boolean;
  readonly showAggregate: readonly string[];
}

/** `describe`: role-wise counts and distributions of features, covariates and outcome. */
export interface DescribeSpec extends SuppressionSpec {
  readonly quantiles: readonly number[];
}

/** `combat`: one joint fit per entry of `fits` (all of arm `combat`). */
export interface CombatSpec {
  readonly frame: Frame;
  readonly fits: readonly Fit[];
  readonly covariates: readonly string[];
  readonly mode: 'reference' | 'converged';
}

/** `moments`: mean and sd (1/n) of every predictor over the rows of each fit, for imputation and scaling. */
export interface MomentsSpec {
  readonly frame: Frame;
  readonly fits: readonly Fit[];
}

/** Fields shared by the models: which fits, and whether covariates are predictors too. */
export interface ModelSpecBase {
  readonly frame: Frame;
  /** Name of the model in the study: also the name of the computation instance. */
  readonly model: string;
  readonly fits: readonly Fit[];
  readonly covariates: boolean;
}

export interface PenaltySpec {
  readonly alpha: number;
  readonly lambda: number | 'cv';
  readonly rule: 'min' | '1se';
  readonly nlambda: number;
  readonly lambdaMinRatio: number;
  readonly standardize: boolean;
  /** Also return every model on the lambda path and covariances: for comparison with references. */
  readonly keepPath?: boolean;
}

export interface LogisticSpec extends ModelSpecBase, PenaltySpec {}

export interface CoxSpec extends ModelSpecBase, PenaltySpec {
  readonly ties: 'efron' | 'breslow';
  readonly strata: 'stratified' | 'none';
  readonly penaltyScale: 'mean' | 'sum';
}

export interface FedAvgSpec extends ModelSpecBase {
  readonly hidden: readonly number[];
  readonly activation: 'tanh' | 'relu';
  readonly learningRate: number;
  readonly momentum: number;
  readonly l2: number;
  readonly batchSize: number;
  readonly localEpochs: number;
  readonly maxRounds: number;
  readonly patience: number;
}

export interface ValidateSpec {
  readonly frame: Frame;
  readonly fits: readonly Fit[];
  readonly models: readonly {
    readonly name: string;
    readonly type: 'logistic' | 'cox' | 'mlp';
    readonly covariates: boolean;
  }[];
  readonly threshold: 'youden' | number;
  readonly perSite: boolean;
  readonly hasSplit: boolean;
}

/**
 * Predictor columns in model order: features, then covariates; a categorical covariate gives one 0/1 column per
 * non-reference level, named as R's model.matrix names it (`sexM`).
 */
export interface Predictor {
  readonly name: string;
  /** Index into features, or -1. */
  readonly feature: number;
  /** Index into covariates, or -1. */
  readonly covariate: number;
  /** Level index this 0/1 column stands for, or -1 for a numeric column. */
  readonly level: number;
}

export function predictorsOf(frame: Pick<Frame, 'features' | 'covariates'>, withCovariates: boolean): Predictor[] {
  const columns: Predictor[] = frame.features.map((name, feature) => ({ name, feature, covariate: -1, level: -1 }));
  if (!withCovariates) return columns;
  for (const [covariate, column] of frame.covariates.entries()) {
    if (column.levels === null) columns.push({ name: column.name, feature: -1, covariate, level: -1 });
    else
      for (let level = 1; level < column.levels.length; level++)
        columns.push({ name: `${column.name}${column.levels[level]}`, feature: -1, covariate, level });
  }
  return columns;
}

/** Public result of `moments`, per fit id: always over predictors with covariates included. */
export interface MomentsResult {
  readonly fits: Readonly<Record<string, FitMoments>>;
}

export interface FitMoments {
  /** Training rows of the fit. */
  readonly n: number;
  /** Mean and standard deviation (divisor n) of the observed values; both 0 where nobody observed the predictor. */
  readonly mean: Float64Array;
  readonly sd: Float64Array;
  /** Rows with an observed value, per predictor. */
  readonly observed?: Float64Array;
  /**
   * Share of each predictor's variance that lies between sites (eta squared), NaN where it does not vary; only for fits
   * without a held-out inner fold.
   */
  readonly betweenSites?: Float64Array;
}

/** A fitted model on standardized predictors: what `score.site.ts` turns into scores and the bundle into ONNX. */
export type FittedModel =
  | { readonly type: 'linear'; readonly intercept: number; readonly beta: Float64Array }
  | {
      readonly type: 'mlp';
      readonly activation: 'tanh' | 'relu';
      readonly layers: readonly {
        readonly rows: number;
        readonly columns: number;
        readonly weights: Float64Array;
        readonly bias: Float64Array;
      }[];
    };

/** Public result of every model computation. `models` has one entry per fit id. */
export interface ModelResult {
  readonly type: 'logistic' | 'cox' | 'mlp';
  readonly models: Readonly<Record<string, FittedModel>>;
  /** Per outer fold (fit ids with inner = null): what result.json shows. */
  readonly summaries: Readonly<Record<string, ModelSummary>>;
  /** With keepPath: every model on the path, per fit id. */
  readonly paths?: Readonly<Record<string, ModelPath>>;
  /** True where the sums behind it give patients away (unstratified exact risk sets): simulate only. */
  readonly disclosive?: boolean;
}

/** A lambda path on the original (harmonized) predictor scale. */
export interface ModelPath {
  readonly lambda: Float64Array;
  readonly intercept: Float64Array;
  /** lambdas x predictors, row-major. */
  readonly beta: Float64Array;
  /** Non-zero coefficients per lambda. */
  readonly df: Int32Array;
  /** 1 - deviance / null deviance. */
  readonly devRatio: Float64Array;
  readonly nullDeviance: number;
  /** Largest violation of the optimality conditions per lambda, standardized scale, gradient / n. */
  readonly kkt: Float64Array;
}

export interface ModelSummary {
  readonly converged: boolean;
  readonly iterations: number;
  /** Null for an MLP. */
  readonly lambda: number | null;
  readonly lambdaPath: Float64Array | null;
  readonly cv: {
    readonly mean: Float64Array;
    readonly se: Float64Array;
    readonly indexMin: number;
    readonly index1se: number;
  } | null;
  /** On the original (harmonized) predictor scale; empty for an MLP. */
  readonly intercept: number | null;
  /** Where there is an intercept without a penalty on the others. */
  readonly interceptSe?: number | null;
  /** With keepPath, unpenalised: covariance of (intercept, if any, and) coefficients on the original scale, row-major. */
  readonly covariance?: Float64Array;
  /**
   * Cox with a declared horizon: cumulative baseline hazard of a score of 0 (standardized scale), so that
   * risk = 1 - exp(-hazardAtHorizon * exp(score)). Null where nobody is followed that long.
   */
  readonly baseline?: {
    readonly horizon: number;
    readonly unit: string;
    readonly hazardAtHorizon: number;
    /** Ends of the grid's intervals, and the cumulative hazard there. */
    readonly times: Float64Array;
    readonly cumulativeHazard: Float64Array;
  } | null;
  readonly coefficients: readonly {
    readonly feature: string;
    readonly value: number;
    readonly se: number | null;
    readonly status: 'ok' | 'aliased' | 'infinite' | 'zero';
  }[];
  readonly logLikelihood: number | null;
  readonly nullLogLikelihood: number | null;
  readonly n: number;
  readonly notes: readonly string[];
}
