import { icc } from '../../metrics/icc.js';
import { agreedExponents } from '../../scaling.js';
import { totalOf } from '../../tensors.js';
import type { CoordinatorHalf } from '../computation.js';
import {
  COUNTS,
  type FitStability,
  SQUARES,
  type StabilityBroadcast,
  type StabilityResult,
  type StabilitySpec,
} from './declaration.js';

export interface StabilityState {
  /** Per fit, p × 2; empty before the first total. */
  readonly counts: readonly Float64Array[];
}

/** Two rounds, then the coefficient and its interval of every feature in every fit. */
export const stabilityCoordinator: CoordinatorHalf<StabilitySpec, StabilityBroadcast, StabilityState, StabilityResult> =
  {
    name: 'stability',
    start: () => ({ kind: 'step', state: { counts: [] }, broadcast: { phase: 'exponents' } }),
    advance(spec, state, total) {
      if (state.counts.length === 0) {
        const counts = spec.fits.map((fit) => totalOf(total, `${fit.id}/counts`));
        const fits = spec.fits.map((fit) => ({ exponents: agreedExponents(totalOf(total, `${fit.id}/exponents`)) }));
        return { kind: 'step', state: { counts }, broadcast: { phase: 'squares', fits } };
      }
      const fits = spec.fits.map((fit, index): [string, FitStability] => [
        fit.id,
        judged(spec, state.counts[index]!, totalOf(total, `${fit.id}/squares`)),
      ]);
      const { kind, judge, minimum } = spec;
      return { kind: 'done', result: { kind, judge, minimum, fits: Object.fromEntries(fits) } };
    },
  };

/** Scaling by a power of two cancels in a ratio of sums of squares, so the scaled sums serve as they are. */
function judged(spec: StabilitySpec, counts: Float64Array, squares: Float64Array): FitStability {
  const p = spec.frame.features.length;
  const sites = new Float64Array(p);
  const subjects = new Float64Array(p);
  const value = new Float64Array(p).fill(Number.NaN);
  const low = new Float64Array(p).fill(Number.NaN);
  const high = new Float64Array(p).fill(Number.NaN);
  const keep = new Uint8Array(p);
  for (let j = 0; j < p; j++) {
    sites[j] = counts[j * COUNTS.size + COUNTS.sites]!;
    subjects[j] = counts[j * COUNTS.size + COUNTS.subjects]!;
    const sums = {
      sites: sites[j]!,
      subjects: subjects[j]!,
      between: squares[j * SQUARES.size + SQUARES.between]!,
      within: squares[j * SQUARES.size + SQUARES.within]!,
      raters: squares[j * SQUARES.size + SQUARES.raters]!,
    };
    const found = icc(spec.kind, sums, spec.repeats);
    value[j] = found.value ?? Number.NaN;
    low[j] = found.low ?? Number.NaN;
    high[j] = found.high ?? Number.NaN;
    const counted = spec.judge === 'value' ? value[j]! : low[j]!;
    // A feature that nobody measured twice, or that never varies, is not known to be stable.
    keep[j] = counted >= spec.minimum ? 1 : 0;
  }
  return { sites, subjects, value, low, high, keep };
}
