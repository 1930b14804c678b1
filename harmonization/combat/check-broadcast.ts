import { EXPONENT_HIGHEST } from '../../shared/computations/describe/check-broadcast.js';
import type { CombatSpec } from '../../shared/computations/frame.js';
import * as received from '../../shared/computations/received.js';
import { EXPONENT_LOWEST } from '../../shared/scaling.js';
import { combatColumns } from './declaration.js';

const TASK = [
  'untouched',
  'gappy',
  'featureExponents',
  'centredExponents',
  'covariateExponents',
  'centredCovariateExponents',
  'covariateMean',
];

/** The scales come first and once; the other phases follow in their order, at most one round each. */
export function checkCombatBroadcast(spec: CombatSpec, broadcast: unknown, iteration: number): void {
  const p = spec.frame.features.length;
  const c = combatColumns(spec).length;
  const possible =
    c === 0 ? [['scales'], ['residuals']] : [['scales'], ['covariates', 'gram'], ['gram', 'residuals'], ['residuals']];
  const phases = possible[iteration - 1];
  if (phases === undefined) throw received.invalid('combat', 'has no such round');
  const phase = received.oneOf(received.anyRecord(broadcast, 'combat')['phase'], 'phase', phases);
  if (phase === 'scales') {
    received.record(broadcast, 'combat', ['phase']);
    return;
  }
  const { fits } = received.record(broadcast, 'combat', ['phase', 'fits']);
  const exponents = (value: unknown, length: number) =>
    received.integers(value, 'exponents', length, EXPONENT_LOWEST, EXPONENT_HIGHEST);
  // Means are known once the products are: before, in a round of their own, or with the products.
  const known = phase === 'residuals' || (phase === 'gram' && iteration === 3);
  for (const entry of received.listOf(fits, 'fits', spec.fits.length)) {
    const task = received.record(entry, 'fit', phase === 'residuals' ? [...TASK, 'coefficients'] : TASK);
    const untouched = received.flags(task['untouched'], 'untouched', p);
    const gappy = received.positions(task['gappy'], 'gappy', p);
    if (gappy.some((feature) => untouched[feature] === 1))
      throw received.invalid('gappy', 'names an untouched feature');
    exponents(task['featureExponents'], p);
    exponents(task['centredExponents'], p);
    exponents(task['covariateExponents'], c);
    exponents(task['centredCovariateExponents'], c);
    received.numbers(task['covariateMean'], 'covariateMean', known ? c : 0, received.VALUE_LIMIT);
    if (phase === 'residuals')
      received.numbers(task['coefficients'], 'coefficients', c * p, received.VALUE_LIMIT * received.VALUE_LIMIT);
  }
}

/** What sites standardize by: one number for each feature and covariate of each fit, spreads positive. */
export function checkCombatResult(spec: CombatSpec, result: unknown): void {
  const p = spec.frame.features.length;
  const columns = combatColumns(spec);
  const c = columns.length;
  const { fits } = received.record(result, 'result of combat', ['mode', 'fits']);
  const byId = received.record(
    fits,
    'fits',
    spec.fits.map(({ id }) => id),
  );
  const wide = received.VALUE_LIMIT * received.VALUE_LIMIT;
  for (const entry of Object.values(byId)) {
    const fit = received.anyRecord(entry, 'fit of combat');
    for (const [at, column] of received.listOf(fit['columns'], 'columns', c).entries())
      received.oneOf(column, 'columns', [columns[at]!.name]);
    received.numbers(fit['coefficients'], 'coefficients', c * p, wide);
    received.numbers(fit['grandMean'], 'grandMean', p, wide);
    if (received.numbers(fit['pooledVariance'], 'pooledVariance', p, wide).some((value) => !(value >= 0)))
      throw received.invalid('pooledVariance', 'holds a negative number');
    received.flags(fit['untouched'], 'untouched', p);
    received.numbers(fit['covariateMean'], 'covariateMean', c, received.VALUE_LIMIT);
  }
}
