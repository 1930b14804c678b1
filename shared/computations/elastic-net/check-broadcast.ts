import { predictorsOf } from '../frame.js';
import * as received from '../received.js';
import type { NetSpec } from './broadcast.js';

/** A warm path towards one small lambda has more steps than a cross-validated one may have (200). */
const SLOTS_MAX = 500;
const FIELDS = ['counts', 'points', 'heldOut'] as const;

/** Points of a logistic or Cox model: known fits and predictors, each (fit, slot) once, finite coefficients. */
export function checkNetBroadcast(spec: NetSpec, broadcast: unknown, extraFields: readonly string[] = []): void {
  const p = predictorsOf(spec.frame, spec.covariates).length;
  const fits = spec.fits.length;
  const read = received.record(broadcast, spec.model, [...FIELDS, ...extraFields]);
  received.positions(read['counts'], 'counts', fits);
  const points = received.list(read['points'], 'points', fits * SLOTS_MAX).map((entry) => {
    const point = received.record(entry, 'point', ['fit', 'slot', 'intercept', 'columns', 'beta']);
    const fit = received.integer(point['fit'], 'fit', 0, fits - 1);
    const slot = received.integer(point['slot'], 'slot', -1, SLOTS_MAX - 1);
    received.number(point['intercept'], 'intercept', -received.COEFFICIENT_LIMIT, received.COEFFICIENT_LIMIT);
    const columns = received.positions(point['columns'], 'columns', p);
    received.numbers(point['beta'], 'beta', columns.length, received.COEFFICIENT_LIMIT);
    return `${fit}#${slot}`;
  });
  received.once(points, 'points');
  const heldOut = received.list(read['heldOut'], 'heldOut', fits).map((entry) => {
    const point = received.record(entry, 'held-out point', ['fit', 'intercept', 'beta']);
    const fit = received.integer(point['fit'], 'fit', 0, fits - 1);
    if (spec.fits[fit]!.inner === null || spec.lambda !== 'cv')
      throw received.invalid('heldOut', 'names a fit that holds nobody out');
    const lambdas = point['intercept'] instanceof Float64Array ? point['intercept'].length : -1;
    if (lambdas < 1 || lambdas > spec.nlambda) throw received.invalid('heldOut', 'has more penalties than the study');
    received.numbers(point['intercept'], 'intercept', lambdas, received.COEFFICIENT_LIMIT);
    received.numbers(point['beta'], 'beta', lambdas * p, received.COEFFICIENT_LIMIT);
    return fit;
  });
  received.once(heldOut, 'heldOut');
}
