import { expect, it } from 'vitest';
import { initialParameters, toFittedModel } from '../../shared/computations/fedavg/network.js';
import { probabilitiesOf, scoreRows } from '../../shared/computations/score.site.js';
import { seededRandom } from '../../shared/rng.js';
import { twinLogit } from '../twins/mlp.js';
import { fitsOf, frameOf, momentsOf, simulateTable, viewsOf } from './fedavg-table.js';

const patients = simulateTable(3, { sizes: { alder: 20, birch: 15 }, missing: true });
const frame = frameOf(['alder', 'birch'], [], 3, 1);
const fits = fitsOf(frame, 'none', [['birch']]);
const moments = momentsOf(frame, fits, patients);
const view = viewsOf(frame, [patients], new Map([['moments', moments]]))[0]!;

/** Standardized predictors of one patient, straight from the table. */
function inputs(row: number, fit: string, withCovariates: boolean): number[] {
  const { mean, sd } = moments.fits[fit]!;
  const { x, sex, age } = patients[row]!;
  const dummy = (level: number) => (Number.isNaN(sex) ? Number.NaN : Number(sex === level));
  const raw = withCovariates ? [...x, dummy(1), dummy(2), age] : [...x];
  return raw.map((value, j) => (Number.isNaN(value) ? 0 : (value - mean[j]!) / sd[j]!));
}

it.each([true, false])('a linear model scores every row, also of a held-out site (covariates %s)', (withCovariates) => {
  const fit = fits[1]!;
  const beta = Float64Array.from({ length: withCovariates ? 6 : 3 }, (_, j) => 0.3 * j - 0.7);
  const scores = scoreRows(view, { type: 'linear', intercept: -0.4, beta }, fit, withCovariates);
  expect(scores).toHaveLength(patients.length);
  for (let row = 0; row < patients.length; row++) {
    const want = inputs(row, fit.id, withCovariates).reduce((sum, value, j) => sum + beta[j]! * value, -0.4);
    expect(Math.abs(scores[row]! - want)).toBeLessThan(1e-13);
  }
  const p = probabilitiesOf(scores);
  for (let row = 0; row < p.length; row++) expect(Math.log(p[row]! / (1 - p[row]!))).toBeCloseTo(scores[row]!, 12);
});

it.each(['tanh', 'relu'] as const)('a network scores as its trainer and as the twin (%s)', (activation) => {
  const shape = { inputs: 6, hidden: [5, 2], activation };
  const parameters = initialParameters(shape, seededRandom('score'));
  const scores = scoreRows(view, toFittedModel(shape, parameters), fits[0]!, true);
  for (let row = 0; row < patients.length; row++)
    expect(Math.abs(scores[row]! - twinLogit(shape, [...parameters], inputs(row, fits[0]!.id, true)))).toBeLessThan(
      1e-13,
    );
});

it('refuses a model of another width', () => {
  const beta = new Float64Array(2);
  expect(() => scoreRows(view, { type: 'linear', intercept: 0, beta }, fits[0]!, true)).toThrow(
    expect.objectContaining({ code: 'INTERNAL_BUG' }),
  );
});
