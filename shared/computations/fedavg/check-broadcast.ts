import type { FedAvgSpec } from '../frame.js';
import * as received from '../received.js';
import { PARAMETER_LIMIT, shapeOf } from './declaration.js';
import { parameterCount } from './network.js';

/** One network for each fit that goes on; round and last round follow from the iteration, not from the coordinator. */
export function checkFedAvgBroadcast(spec: FedAvgSpec, broadcast: unknown, iteration: number): void {
  const { round, fits } = received.record(broadcast, spec.model, ['round', 'fits']);
  received.integer(round, 'round', iteration - 1, Math.min(iteration - 1, spec.maxRounds));
  const size = parameterCount(shapeOf(spec));
  const asked = received.list(fits, 'fits', spec.fits.length).map((entry) => {
    const read = received.record(entry, 'fit', ['id', 'train', 'n', 'parameters']);
    if (read['train'] !== iteration - 1 < spec.maxRounds) throw received.invalid('train', 'does not fit the round');
    received.integer(read['n'], 'n', 1, 2 ** 32);
    received.numbers(read['parameters'], 'parameters', size, PARAMETER_LIMIT);
    return received.oneOf(
      read['id'],
      'fit',
      spec.fits.map(({ id }) => id),
    );
  });
  received.once(asked, 'fits');
}
