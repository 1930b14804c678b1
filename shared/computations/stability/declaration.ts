import type { Fit } from '../../fits.js';
import type { IccKind } from '../../metrics/icc.js';
import { EXPONENT_BINS } from '../../scaling.js';
import { COUNT, STATISTIC, type TensorSpec } from '../../tensors.js';
import type { Declaration } from '../computation.js';
import type { Frame } from '../frame.js';
import { fitTensor } from '../moments/declaration.js';

/** `stability`: which features repeated measurements of the same patients agree on. */
export interface StabilitySpec {
  readonly frame: Frame;
  readonly fits: readonly Fit[];
  /** Measurements of every patient that has repeats: the same number at every site. */
  readonly repeats: number;
  readonly kind: IccKind;
  /** A feature is kept where the coefficient, or the lower end of its interval, reaches `minimum`. */
  readonly judge: 'value' | 'low';
  readonly minimum: number;
}

export type StabilityBroadcast =
  | { readonly phase: 'exponents' }
  | { readonly phase: 'squares'; readonly fits: readonly { readonly exponents: Int32Array }[] };

export interface FitStability {
  /** Per feature: the sites and patients with repeats that were added up. */
  readonly sites: Float64Array;
  readonly subjects: Float64Array;
  /** Per feature, NaN where undefined. */
  readonly value: Float64Array;
  readonly low: Float64Array;
  readonly high: Float64Array;
  /** 1 where the feature stays. */
  readonly keep: Uint8Array;
}

export interface StabilityResult {
  readonly kind: IccKind;
  readonly judge: StabilitySpec['judge'];
  readonly minimum: number;
  readonly fits: Readonly<Record<string, FitStability>>;
}

/** Sums of squares of a feature in the tensor `squares`: p × 3 row-major. */
export const SQUARES = { between: 0, within: 1, raters: 2, size: 3 } as const;
/** Counts of a feature in the tensor `counts`: p × 2 row-major. */
export const COUNTS = { sites: 0, subjects: 1, size: 2 } as const;

/**
 * Test and retest, second readers or perturbed masks: within-site sums of squares of an analysis of variance are added over the training sites of
 * each fit, so the intraclass correlation is the one of all repeated patients with subjects centred by site and raters nested in site
 * (shared/metrics/icc.ts). Two rounds: orders of magnitude and counts, then squares. Of a
 * site's inner-fold cells those with fewer repeated patients than the minimum count add nothing, in any fit.
 */
export const stabilityDeclaration: Declaration<StabilitySpec, StabilityBroadcast> = {
  name: 'stability',
  leaves(spec, broadcast) {
    const p = spec.frame.features.length;
    return spec.fits.flatMap((fit): TensorSpec[] => {
      const common = fitTensor(spec.frame, fit);
      if (broadcast.phase === 'exponents')
        return [
          {
            ...common,
            ...COUNT,
            name: `${fit.id}/exponents`,
            kind: 'stability.exponents',
            shape: [p, EXPONENT_BINS],
            meaning:
              'order of magnitude (in steps of 16) of how far repeated measurements of each feature lie from their site’s mean, one mark a site',
          },
          {
            ...common,
            ...COUNT,
            name: `${fit.id}/counts`,
            kind: 'stability.counts',
            shape: [p, COUNTS.size],
            meaning: 'number of sites and of patients with repeated measurements of each feature',
          },
        ];
      return [
        {
          ...common,
          ...STATISTIC,
          name: `${fit.id}/squares`,
          kind: 'stability.squares',
          shape: [p, SQUARES.size],
          meaning:
            'sums of squares of repeated measurements of each feature: between patients of a site, within patients, between readings',
        },
      ];
    });
  },
};
