import { type Fit, fitContributors } from '../../fits.js';
import { EXPONENT_BINS } from '../../scaling.js';
import { COUNT, STATISTIC, type TensorSpec } from '../../tensors.js';
import type { Declaration } from '../computation.js';
import { type Frame, type MomentsSpec, predictorsOf } from '../frame.js';

/** One entry of `fits` per fit of the spec, in its order. */
export type MomentsBroadcast =
  | { readonly phase: 'exponents' }
  | { readonly phase: 'sums'; readonly fits: readonly { readonly exponents: Int32Array }[] }
  | {
      readonly phase: 'central';
      readonly fits: readonly { readonly exponents: Int32Array; readonly mean: Float64Array }[];
    };

/** What every tensor of a fit has in common: who can fill it, hence how far it is a sum. */
export function fitTensor(frame: Frame, fit: Fit) {
  return {
    contributors: fitContributors(fit, frame.cells),
    visibility: fit.sites.length < frame.minSites ? ('site' as const) : ('total' as const),
    momentColumns: 0,
    fold: fit.outer,
  };
}

/**
 * `moments`: mean and standard deviation of every predictor over the training rows of each fit, in two passes (sums,
 * then squares about the mean), so that a mean far larger than the spread costs no digits.
 */
export const momentsDeclaration: Declaration<MomentsSpec, MomentsBroadcast> = {
  name: 'moments',
  leaves(spec, broadcast) {
    const p = predictorsOf(spec.frame, true).length;
    return spec.fits.flatMap((fit): TensorSpec[] => {
      const common = fitTensor(spec.frame, fit);
      if (broadcast.phase === 'exponents')
        return [
          {
            ...common,
            ...COUNT,
            name: `${fit.id}/exponents`,
            kind: 'moments.exponents',
            shape: [p, EXPONENT_BINS],
            meaning: 'order of magnitude (in steps of 16) of the largest value of each predictor, one mark a site',
          },
          {
            ...common,
            ...COUNT,
            name: `${fit.id}/counts`,
            kind: 'moments.counts',
            shape: [p + 1],
            meaning: 'number of patients, and how many have each predictor',
          },
        ];
      if (broadcast.phase === 'sums')
        return [
          {
            ...common,
            ...STATISTIC,
            name: `${fit.id}/sums`,
            kind: 'moments.sums',
            shape: [p],
            meaning: 'sum of each predictor over the patients',
          },
        ];
      const central: TensorSpec = {
        ...common,
        ...STATISTIC,
        name: `${fit.id}/central`,
        kind: 'moments.central',
        shape: [p],
        meaning: 'sum of squared deviations of each predictor from its overall mean',
      };
      if (fit.inner !== null) return [central];
      return [
        central,
        {
          ...central,
          name: `${fit.id}/within`,
          kind: 'moments.within',
          meaning: "sum of squared deviations of each predictor from its site's own mean, added over sites",
        },
      ];
    });
  },
};
