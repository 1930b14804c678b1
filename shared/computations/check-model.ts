import { shapeOf } from './fedavg/declaration.js';
import { layersOf } from './fedavg/network.js';
import type { FedAvgSpec, ModelSpecBase } from './frame.js';
import { predictorsOf } from './frame.js';
import * as received from './received.js';

/** Models that sites score their own patients with: of known fits, of the study's shape, with finite coefficients. */
export function checkLinearResult(spec: ModelSpecBase, result: unknown): void {
  const p = predictorsOf(spec.frame, spec.covariates).length;
  checkModels(spec, result, (model) => {
    const { intercept, beta } = received.record(model, 'model', ['type', 'intercept', 'beta']);
    received.oneOf((model as { type: unknown }).type, 'type', ['linear']);
    received.number(intercept, 'intercept', -received.COEFFICIENT_LIMIT, received.COEFFICIENT_LIMIT);
    received.numbers(beta, 'beta', p, received.COEFFICIENT_LIMIT);
  });
}

export function checkNetworkResult(spec: FedAvgSpec, result: unknown): void {
  const layers = layersOf(shapeOf(spec));
  checkModels(spec, result, (model) => {
    const read = received.record(model, 'model', ['type', 'activation', 'layers']);
    received.oneOf(read['type'], 'type', ['mlp']);
    received.oneOf(read['activation'], 'activation', [spec.activation]);
    for (const [at, entry] of received.listOf(read['layers'], 'layers', layers.length).entries()) {
      const { units, inputs } = layers[at]!;
      const layer = received.record(entry, 'layer', ['rows', 'columns', 'weights', 'bias']);
      received.integer(layer['rows'], 'rows', units, units);
      received.integer(layer['columns'], 'columns', inputs, inputs);
      received.numbers(layer['weights'], 'weights', units * inputs, received.COEFFICIENT_LIMIT);
      received.numbers(layer['bias'], 'bias', units, received.COEFFICIENT_LIMIT);
    }
  });
}

function checkModels(spec: ModelSpecBase, result: unknown, check: (model: unknown) => void): void {
  const { models, summaries } = received.anyRecord(result, `result of ${spec.model}`);
  const known = spec.fits.map(({ id }) => id);
  for (const [id, model] of Object.entries(received.anyRecord(models, 'models'))) {
    received.oneOf(id, 'fit', known);
    check(model);
  }
  for (const [id, summary] of Object.entries(received.anyRecord(summaries, 'summaries'))) {
    received.oneOf(id, 'fit', known);
    const { baseline } = received.anyRecord(summary, 'summary');
    if (baseline === undefined || baseline === null) continue;
    const { hazardAtHorizon } = received.anyRecord(baseline, 'baseline');
    received.number(hazardAtHorizon, 'hazardAtHorizon', 0, received.VALUE_LIMIT);
  }
}
