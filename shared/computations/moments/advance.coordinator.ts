import { powerOfTwo } from '../../fixed-point.js';
import { agreedExponents } from '../../scaling.js';
import { totalOf } from '../../tensors.js';
import type { CoordinatorHalf } from '../computation.js';
import type { FitMoments, MomentsResult, MomentsSpec } from '../frame.js';
import type { StabilityResult } from '../stability/declaration.js';
import type { MomentsBroadcast } from './declaration.js';

interface FitState {
  readonly n: number;
  readonly observed: Float64Array;
  readonly exponents: Int32Array;
  readonly mean: Float64Array;
}

export interface MomentsState {
  readonly phase: MomentsBroadcast['phase'];
  readonly fits: readonly FitState[];
  /** Which features stay, or null where the study selects none. */
  readonly stability: StabilityResult | null;
}

/** Spread below this share of the largest value is rounding of a constant predictor, not variation. */
const CONSTANT = 1e-14;

/** Three rounds: exponents and counts, sums, squares about the mean. All fits in step. */
export const momentsCoordinator: CoordinatorHalf<MomentsSpec, MomentsBroadcast, MomentsState, MomentsResult> = {
  name: 'moments',
  start: (_spec, results) => ({
    kind: 'step',
    state: {
      phase: 'exponents',
      fits: [],
      stability: (results.get('stability') as StabilityResult | undefined) ?? null,
    },
    broadcast: { phase: 'exponents' },
  }),
  advance(spec, state, total) {
    if (state.phase === 'exponents') {
      const fits = spec.fits.map((fit): FitState => {
        const counts = totalOf(total, `${fit.id}/counts`);
        return {
          n: counts[0]!,
          observed: counts.slice(1),
          exponents: agreedExponents(totalOf(total, `${fit.id}/exponents`)),
          mean: new Float64Array(0),
        };
      });
      const broadcast = { phase: 'sums' as const, fits: fits.map(({ exponents }) => ({ exponents })) };
      return { kind: 'step', state: { ...state, phase: 'sums', fits }, broadcast };
    }
    if (state.phase === 'sums') {
      const fits = state.fits.map((fit, index): FitState => {
        const sums = totalOf(total, `${spec.fits[index]!.id}/sums`);
        const mean = sums.map((sum, j) =>
          fit.observed[j]! > 0 ? (sum / fit.observed[j]!) * powerOfTwo(fit.exponents[j]!) : 0,
        );
        return { ...fit, mean };
      });
      const broadcast = { phase: 'central' as const, fits: fits.map(({ exponents, mean }) => ({ exponents, mean })) };
      return { kind: 'step', state: { ...state, phase: 'central', fits }, broadcast };
    }
    const entries = spec.fits.map((fit, index): [string, FitMoments] => {
      const { n, observed, exponents, mean } = state.fits[index]!;
      const central = totalOf(total, `${fit.id}/central`);
      // In scaled units the largest value lies between 1/16 and 1.
      const scaledSd = central.map((sum, j) => {
        const sd = observed[j]! > 0 ? Math.sqrt(sum / observed[j]!) : 0;
        return sd > CONSTANT ? sd : 0;
      });
      const keep = state.stability?.fits[fit.id]?.keep;
      // A predictor without spread enters no model: so does a feature that the study does not keep. Features come first.
      const sd = scaledSd.map((value, j) => (keep?.[j] === 0 ? 0 : value * powerOfTwo(exponents[j]!)));
      if (fit.inner !== null) return [fit.id, { n, mean, sd, observed }];
      const within = totalOf(total, `${fit.id}/within`);
      const betweenSites = central.map((sum, j) =>
        scaledSd[j]! > 0 ? Math.max(0, (sum - within[j]!) / sum) : Number.NaN,
      );
      return [fit.id, { n, mean, sd, observed, betweenSites }];
    });
    return { kind: 'done', result: { fits: Object.fromEntries(entries) } };
  },
};
