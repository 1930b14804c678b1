import { checkNetBroadcast } from '../elastic-net/check-broadcast.js';
import { type CoxSpec, predictorsOf } from '../frame.js';
import * as received from '../received.js';
import { MOST_INTERVALS } from './baseline.js';

/** As a penalised model, and in the last round coarse grids for the baseline hazard of fits that hold no cell out. */
export function checkCoxBroadcast(spec: CoxSpec, broadcast: unknown): void {
  checkNetBroadcast(spec, broadcast, ['baseline']);
  const { baseline } = broadcast as { readonly baseline: unknown };
  const { endpoint } = spec.frame;
  const p = predictorsOf(spec.frame, spec.covariates).length;
  const asked = received.list(baseline, 'baseline', spec.fits.length).map((entry) => {
    const point = received.record(entry, 'baseline', ['fit', 'intervals', 'beta']);
    const fit = received.integer(point['fit'], 'fit', 0, spec.fits.length - 1);
    if (endpoint.type !== 'survival' || endpoint.horizon === null || spec.fits[fit]!.inner !== null)
      throw received.invalid('baseline', 'is not part of the study');
    received.integer(point['intervals'], 'intervals', 1, MOST_INTERVALS);
    received.numbers(point['beta'], 'beta', p, received.COEFFICIENT_LIMIT);
    return fit;
  });
  received.once(asked, 'baseline');
}
