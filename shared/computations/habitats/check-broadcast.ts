import * as received from '../received.js';
import { cellsOf, type HabitatsSpec } from './declaration.js';

/** Rounds alternate: which cells may be shown, then their sums; first of bins of intensity, then of centroids on the scale from 0 to 1. */
export function checkHabitatsBroadcast(spec: HabitatsSpec, broadcast: unknown, iteration: number): void {
  if (iteration < 1 || iteration > 2 * (spec.iterations + 1)) throw received.invalid('habitats', 'has no such round');
  const phase = received.oneOf(received.anyRecord(broadcast, 'habitats')['phase'], 'phase', [
    iteration % 2 === 1 ? 'sites' : 'cells',
  ]);
  const fields = phase === 'sites' ? ['phase', 'centroids'] : ['phase', 'centroids', 'shown'];
  const read = received.record(broadcast, 'habitats', fields);
  const centroids = received.numbers(read['centroids'], 'centroids', iteration <= 2 ? 0 : 2 * spec.count, 1);
  if (centroids.some((value) => value < 0)) throw received.invalid('centroids', 'holds a number beyond its limits');
  if (phase === 'cells') received.positions(read['shown'], 'shown', cellsOf(centroids));
}
