import { EXPONENT_LOWEST } from '../../scaling.js';
import { EXPONENT_HIGHEST } from '../describe/check-broadcast.js';
import * as received from '../received.js';
import type { StabilitySpec } from './declaration.js';

const PHASES = ['exponents', 'squares'] as const;

/** `stability` has two rounds, each once. */
export function checkStabilityBroadcast(spec: StabilitySpec, broadcast: unknown, iteration: number): void {
  const phase = PHASES[iteration - 1];
  if (phase === undefined) throw received.invalid('stability', 'has no such round');
  received.oneOf(received.anyRecord(broadcast, 'stability')['phase'], 'phase', [phase]);
  if (phase === 'exponents') {
    received.record(broadcast, 'stability', ['phase']);
    return;
  }
  const { fits } = received.record(broadcast, 'stability', ['phase', 'fits']);
  for (const fit of received.listOf(fits, 'fits', spec.fits.length))
    received.integers(
      received.record(fit, 'fit', ['exponents'])['exponents'],
      'exponents',
      spec.frame.features.length,
      EXPONENT_LOWEST,
      EXPONENT_HIGHEST,
    );
}

/** Which features stay: one mark for each feature of each fit. */
export function checkStabilityResult(spec: StabilitySpec, result: unknown): void {
  const { fits } = received.anyRecord(result, 'result of stability');
  const byId = received.record(
    fits,
    'fits',
    spec.fits.map(({ id }) => id),
  );
  for (const fit of Object.values(byId)) {
    const { keep } = received.anyRecord(fit, 'stability of a fit');
    if (!(keep instanceof Uint8Array) || keep.length !== spec.frame.features.length || keep.some((mark) => mark > 1))
      throw received.invalid('keep', 'is not one mark a feature');
  }
}
