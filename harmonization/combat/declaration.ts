import type { Declaration } from '../../shared/computations/computation.js';
import { type CombatSpec, type Frame, type Predictor, predictorsOf } from '../../shared/computations/frame.js';
import { type Fit, fitContributors } from '../../shared/fits.js';
import { packedSize } from '../../shared/linalg.js';
import { EXPONENT_BINS } from '../../shared/scaling.js';
import { COUNT, STATISTIC, type TensorSpec } from '../../shared/tensors.js';

/** What the sites need of a fit beyond the first round; arrays over p features or c covariate columns. */
export interface CombatFitTask {
  /** p: 1 where the feature takes no part because it is constant within a batch. */
  readonly untouched: Uint8Array;
  /** Indices of features with missing values: they need a Gram matrix of their own. */
  readonly gappy: Int32Array;
  readonly featureExponents: Int32Array;
  readonly centredExponents: Int32Array;
  readonly covariateExponents: Int32Array;
  readonly centredCovariateExponents: Int32Array;
  /** c: mean over the observed training rows, stands for a missing covariate value. Empty before it is known. */
  readonly covariateMean: Float64Array;
}

/** One entry of `fits` per fit of the spec, in its order. */
export type CombatBroadcast =
  | { readonly phase: 'scales' }
  | { readonly phase: 'covariates'; readonly fits: readonly CombatFitTask[] }
  | { readonly phase: 'gram'; readonly fits: readonly CombatFitTask[] }
  | {
      readonly phase: 'residuals';
      readonly fits: readonly (CombatFitTask & {
        /** c x p row-major, covariate effects in original units. */
        readonly coefficients: Float64Array;
      })[];
    };

/** The public result of one joint fit. Nothing in it is a site's own. */
export interface CombatFitResult {
  /** Training rows, and batches among them. */
  readonly n: number;
  readonly batches: number;
  /** c: design columns of the preserved covariates, named as R's model.matrix names them. */
  readonly columns: readonly string[];
  /** c x p row-major (B.hat without its batch rows); 0 for untouched features. */
  readonly coefficients: Float64Array;
  /** p: mean of the batch intercepts weighted by all rows of each batch; 0 for untouched features. */
  readonly grandMean: Float64Array;
  /** p: residual sum of squares over the observed rows, divided by their number; 1 for untouched features. */
  readonly pooledVariance: Float64Array;
  /** p: 1 where the feature is constant within some batch and is returned as it came, at every site. */
  readonly untouched: Uint8Array;
  /** p: observed training rows. */
  readonly observed: Float64Array;
  /** c: what stands for a missing covariate value. */
  readonly covariateMean: Float64Array;
}

export interface CombatResult {
  readonly mode: CombatSpec['mode'];
  readonly fits: Readonly<Record<string, CombatFitResult>>;
}

/** Design columns of the covariates whose effect ComBat preserves, in the study's column order. */
export function combatColumns(spec: Pick<CombatSpec, 'frame' | 'covariates'>): Predictor[] {
  return predictorsOf(spec.frame, true).filter(
    (column) => column.covariate >= 0 && spec.covariates.includes(spec.frame.covariates[column.covariate]!.name),
  );
}

/**
 * Positions in the tensor `counts`: rows, batches, batches of one row, then observed rows and batches-where-constant
 * per feature, then observed and non-zero values per covariate column.
 */
export function countsLayout(p: number, c: number) {
  const observed = 3;
  const constant = observed + p;
  const covariateObserved = constant + p;
  const covariateNonZero = covariateObserved + c;
  return {
    n: 0,
    batches: 1,
    singles: 2,
    observed,
    constant,
    covariateObserved,
    covariateNonZero,
    size: covariateNonZero + c,
  };
}

/**
 * ComBat (Johnson, Li and Rabinovic 2007) without site blocks. Eliminating the batch indicators by centring within each
 * batch leaves the same least-squares fit, so no tensor has a row that one site alone fills:
 * 1. scales, counts and constant features; 2. (covariates with gaps only) sums of covariates;
 * 3. centred X'X and X'Y; 4. batch sizes times intercepts, and residual sums of squares.
 * Batch effects and their empirical-Bayes shrinkage need only the batch's own rows and stay at the site.
 */
export const combatDeclaration: Declaration<CombatSpec, CombatBroadcast> = {
  name: 'combat',
  leaves(spec, broadcast) {
    const p = spec.frame.features.length;
    const c = combatColumns(spec).length;
    return spec.fits.flatMap((fit, index): TensorSpec[] => {
      const common = commonOf(spec.frame, fit);
      const count = { ...common, ...COUNT };
      const statistic = { ...common, ...STATISTIC };
      const covariates: TensorSpec = {
        ...statistic,
        name: `${fit.id}/covariates`,
        kind: 'combat.covariates',
        shape: [c],
        meaning: 'sum of each preserved covariate',
      };
      switch (broadcast.phase) {
        case 'scales':
          return [
            {
              ...count,
              name: `${fit.id}/exponents`,
              kind: 'combat.exponents',
              shape: [2 * (p + c), EXPONENT_BINS],
              meaning:
                'order of magnitude (in steps of 16) of values and of deviations from batch means, one mark a batch',
            },
            {
              ...count,
              name: `${fit.id}/counts`,
              kind: 'combat.counts',
              shape: [countsLayout(p, c).size],
              meaning:
                'numbers of patients, batches and observed values, and in how many batches a feature is constant',
            },
          ];
        case 'covariates':
          return [covariates];
        case 'gram': {
          const { gappy: gappyFeatures, covariateMean } = broadcast.fits[index]!;
          const gappy = gappyFeatures.length;
          return [
            ...(covariateMean.length === 0 ? [covariates] : []),
            {
              ...statistic,
              name: `${fit.id}/gram`,
              kind: 'combat.gram',
              shape: [packedSize(c)],
              momentColumns: c,
              meaning: 'products of covariates, as deviations from their batch means',
            },
            ...(gappy === 0
              ? []
              : [
                  {
                    ...statistic,
                    name: `${fit.id}/gram-gappy`,
                    kind: 'combat.gramGappy',
                    shape: [gappy, packedSize(c)],
                    momentColumns: c,
                    meaning:
                      'the same over the patients that have a feature, for each feature with gaps; the difference to the products above tells of the patients without it',
                  },
                ]),
            {
              ...statistic,
              name: `${fit.id}/cross`,
              kind: 'combat.cross',
              shape: [c, p],
              momentColumns: c,
              meaning: 'products of covariates and features, as deviations from their batch means',
            },
          ];
        }
        case 'residuals':
          break;
      }
      return [
        {
          ...statistic,
          name: `${fit.id}/level`,
          kind: 'combat.level',
          shape: [p],
          meaning: 'mean of each feature after covariates, times patients, added over batches',
        },
        {
          ...statistic,
          name: `${fit.id}/residual`,
          kind: 'combat.residual',
          shape: [p],
          meaning: 'residual sum of squares of each feature after batch and covariates',
        },
      ];
    });
  },
};

function commonOf(frame: Frame, fit: Fit) {
  return {
    contributors: fitContributors(fit, frame.cells),
    visibility: fit.sites.length < frame.minSites ? ('site' as const) : ('total' as const),
    momentColumns: 0,
    fold: fit.outer,
  };
}
