import * as received from '../received.js';
import type { LandmarksSpec } from './declaration.js';

const PHASES = ['counts', 'sums'] as const;

/** `landmarks` has two rounds, each once. */
export function checkLandmarksBroadcast(spec: LandmarksSpec, broadcast: unknown, iteration: number): void {
  const phase = PHASES[iteration - 1];
  if (phase === undefined) throw received.invalid('landmarks', 'has no such round');
  received.oneOf(received.anyRecord(broadcast, 'landmarks')['phase'], 'phase', [phase]);
  if (phase === 'counts') {
    received.record(broadcast, 'landmarks', ['phase']);
    return;
  }
  received.positions(
    received.record(broadcast, 'landmarks', ['phase', 'measured'])['measured'],
    'measured',
    spec.phases.length,
  );
}
