import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { type BundleHarmonization, type BundleModelInput, buildModelOnnx } from '../../shared/bundle/model-graph.js';
import { initialParameters, toFittedModel } from '../../shared/computations/fedavg/network.js';
import type { FittedModel } from '../../shared/computations/frame.js';
import { seededRandom } from '../../shared/rng.js';
import { type RawPatient, twinScore } from '../twins/graph.js';

const features = ['f0', 'f1', 'f2', 'f3'];
const covariates = [
  { name: 'sex', levels: ['F', 'M'] },
  { name: 'age', levels: null },
  { name: 'stage', levels: ['I', 'II', 'III'] },
];
const scales = [1e-4, 1, 300, 2e6];
const random = seededRandom('bundle graph');

const combat: BundleHarmonization = {
  method: 'combat',
  columns: ['sexM', 'age', 'stageIII'],
  covariateMean: Float64Array.from([0.4, 61.5, 0.2]),
  coefficients: Float64Array.from({ length: 12 }, (_, i) => 0.1 * random.normal() * scales[i % 4]!),
  grandMean: Float64Array.from(scales, (scale) => 2 * scale),
  pooledVariance: Float64Array.from(scales, (scale) => 0.7 * scale * scale),
  untouched: Uint8Array.from([0, 0, 1, 0]),
};

function inputWith(
  harmonization: BundleHarmonization | null,
  model: 'linear' | 'tanh' | 'relu',
  withCovariates: boolean,
  endpoint: 'binary' | 'survival' = 'binary',
): BundleModelInput {
  const p = withCovariates ? 8 : 4;
  // The z-score arm sees features of scale 1; one predictor never varied.
  const unit = harmonization?.method === 'zscore' ? [1, 1, 1, 1] : scales;
  const all = [...unit.map((scale) => 2 * scale), 0.5, 60, 0.3, 0.2];
  const spread = [...unit, 0.5, 10, 0, 0.4];
  const fitted: FittedModel =
    model === 'linear'
      ? { type: 'linear', intercept: -0.3, beta: Float64Array.from({ length: p }, () => random.normal()) }
      : toFittedModel(
          { inputs: p, hidden: [5, 3], activation: model },
          initialParameters({ inputs: p, hidden: [5, 3], activation: model }, random),
        );
  return {
    features,
    covariates,
    harmonization,
    withCovariates,
    mean: Float64Array.from(all.slice(0, p)),
    sd: Float64Array.from(spread.slice(0, p)),
    model: fitted,
    endpoint,
    baselineHazard: endpoint === 'survival' ? 0.17 : null,
  };
}

const gap = (value: number) => (random.uniform() < 0.25 ? null : value);
const patients: RawPatient[] = Array.from({ length: 40 }, () => ({
  ...Object.fromEntries(features.map((name, j) => [name, gap(scales[j]! * (2 + random.normal()))])),
  sex: gap(random.integer(2)),
  age: gap(60 + 10 * random.normal()),
  stage: gap(random.integer(3)),
}));

/** Bare onnxruntime: nothing of ours between the file and the numbers. */
async function scoreBare(model: Uint8Array, gamma: number[], delta: number[]) {
  const session = await ort.InferenceSession.create(model, { intraOpNumThreads: 1 });
  const names = [...features, ...covariates.map((column) => column.name)];
  const x = Float64Array.from(patients.flatMap((patient) => names.map((name) => patient[name] ?? Number.NaN)));
  const output = await session.run({
    x: new ort.Tensor('float64', x, [patients.length, names.length]),
    gamma: new ort.Tensor('float64', Float64Array.from(gamma), [names.length]),
    delta: new ort.Tensor('float64', Float64Array.from(delta), [names.length]),
  });
  return Object.fromEntries(Object.entries(output).map(([name, tensor]) => [name, tensor.data as Float64Array]));
}

const siteGamma = [0.3, -0.4, 0, 0.1, 0, 0, 0];
const siteDelta = [1.4, 0.6, 1, 0.9, 1, 1, 1];
const siteMean = [...scales.map((scale) => 1.9 * scale), 0, 0, 0];
const siteVariance = [...scales.map((scale) => 1.3 * scale * scale), 1, 1, 1];
const zscore: BundleHarmonization = { method: 'zscore' };

describe('raw rows with gaps through bare onnxruntime equal the twin to 1e-12', () => {
  const cases: [string, BundleModelInput, number[], number[]][] = (['linear', 'tanh', 'relu'] as const).flatMap(
    (model) =>
      [true, false].flatMap((withCovariates): [string, BundleModelInput, number[], number[]][] => [
        [
          `combat, ${model}, covariates ${withCovariates}`,
          inputWith(combat, model, withCovariates),
          siteGamma,
          siteDelta,
        ],
        [
          `combat at an unknown site, ${model}, ${withCovariates}`,
          inputWith(combat, model, withCovariates),
          siteGamma.map(() => 0),
          siteDelta.map(() => 1),
        ],
        [
          `zscore, ${model}, covariates ${withCovariates}`,
          inputWith(zscore, model, withCovariates),
          siteMean,
          siteVariance,
        ],
        [`none, ${model}, covariates ${withCovariates}`, inputWith(null, model, withCovariates), siteGamma, siteDelta],
      ]),
  );
  it.each(cases)('%s', async (_, input, gamma, delta) => {
    const got = await scoreBare(buildModelOnnx(input), gamma, delta);
    expect(Object.keys(got).sort()).toEqual(['probability', 'score']);
    let largest = 0;
    for (const [i, patient] of patients.entries()) {
      const want = twinScore(input, patient, gamma, delta);
      expect(Math.abs(got['score']![i]! - want.score)).toBeLessThan(1e-12);
      expect(Math.abs(got['probability']![i]! - want.probability)).toBeLessThan(1e-12);
      largest = Math.max(largest, Math.abs(want.score));
    }
    // A graph that gave 0 for everybody would not pass.
    expect(largest).toBeGreaterThan(0.3);
  });
});

it('combat without covariates, and a level only ever seen as a gap', async () => {
  const plain: BundleHarmonization = {
    ...combat,
    columns: [],
    covariateMean: new Float64Array(),
    coefficients: new Float64Array(),
  };
  const input = inputWith(plain, 'linear', true);
  const got = await scoreBare(buildModelOnnx(input), siteGamma, siteDelta);
  for (const [i, patient] of patients.entries())
    expect(Math.abs(got['score']![i]! - twinScore(input, patient, siteGamma, siteDelta).score)).toBeLessThan(1e-12);
});

it('a Cox model gives a score, and risk at the horizon where a baseline is declared', async () => {
  const input = inputWith(combat, 'linear', true, 'survival');
  const withBaseline = await scoreBare(buildModelOnnx(input), siteGamma, siteDelta);
  expect(Object.keys(withBaseline).sort()).toEqual(['risk', 'score']);
  for (const [i, patient] of patients.entries()) {
    const want = 1 - Math.exp(-0.17 * Math.exp(twinScore(input, patient, siteGamma, siteDelta).score));
    expect(Math.abs(withBaseline['risk']![i]! - want)).toBeLessThan(1e-12);
  }
  const without = await scoreBare(buildModelOnnx({ ...input, baselineHazard: null }), siteGamma, siteDelta);
  expect(Object.keys(without)).toEqual(['score']);
});

it('the same model gives the same bytes, one bit of a weight gives others', () => {
  const input = inputWith(combat, 'linear', true);
  expect(buildModelOnnx(input)).toEqual(buildModelOnnx(input));
  const nudged = { ...input, mean: input.mean.with(0, input.mean[0]! * (1 + 2e-16)) };
  expect(buildModelOnnx(nudged)).not.toEqual(buildModelOnnx(input));
});
