import { EXPONENT_LOWEST } from '../../scaling.js';
import { EXPONENT_HIGHEST } from '../describe/check-broadcast.js';
import { type MomentsSpec, predictorsOf } from '../frame.js';
import * as received from '../received.js';

const PHASES = ['exponents', 'sums', 'central'] as const;

/** `moments` has three rounds, each once. */
export function checkMomentsBroadcast(spec: MomentsSpec, broadcast: unknown, iteration: number): void {
  const phase = PHASES[iteration - 1];
  if (phase === undefined) throw received.invalid('moments', 'has no such round');
  received.oneOf(received.anyRecord(broadcast, 'moments')['phase'], 'phase', [phase]);
  if (phase === 'exponents') {
    received.record(broadcast, 'moments', ['phase']);
    return;
  }
  const p = predictorsOf(spec.frame, true).length;
  const { fits } = received.record(broadcast, 'moments', ['phase', 'fits']);
  for (const fit of received.listOf(fits, 'fits', spec.fits.length)) {
    const read = received.record(fit, 'fit', phase === 'sums' ? ['exponents'] : ['exponents', 'mean']);
    received.integers(read['exponents'], 'exponents', p, EXPONENT_LOWEST, EXPONENT_HIGHEST);
    if (phase === 'central') received.numbers(read['mean'], 'mean', p, received.VALUE_LIMIT);
  }
}

/** Means and spreads by which every later computation scales: finite, one for each predictor of each fit. */
export function checkMomentsResult(spec: MomentsSpec, result: unknown): void {
  const p = predictorsOf(spec.frame, true).length;
  const { fits } = received.record(result, 'result of moments', ['fits']);
  const byId = received.record(
    fits,
    'fits',
    spec.fits.map(({ id }) => id),
  );
  for (const fit of Object.values(byId)) {
    const { n, mean, sd } = received.anyRecord(fit, 'moments of a fit');
    received.integer(n, 'n', 0, 2 ** 40);
    received.numbers(mean, 'mean', p, received.VALUE_LIMIT);
    if (received.numbers(sd, 'sd', p, received.VALUE_LIMIT).some((value) => value < 0))
      throw received.invalid('sd', 'holds a negative number');
  }
}
