import type { SiteView } from '../cohort.site.js';
import { assert } from '../errors.js';
import type { Fit } from '../fits.js';
import { logistic } from '../metrics/calibration.js';
import { designOf } from './design.site.js';
import type { FittedModel } from './frame.js';

/**
 * Linear predictor of every row of the view under one fitted model of `fit`: the logit of a logistic model or network,
 * the log relative hazard of a Cox model. Features are harmonized, imputed and scaled as `fit` does it, whether the row
 * trained the fit or not.
 */
export function scoreRows(view: SiteView, model: FittedModel, fit: Fit, withCovariates: boolean): Float64Array {
  const { z, p } = designOf(view, fit, withCovariates);
  const n = view.cohort.n;
  const scores = new Float64Array(n);
  if (model.type === 'linear') {
    assert(model.beta.length === p, `model has ${model.beta.length} coefficients, the design ${p} columns`);
    for (let row = 0; row < n; row++) {
      let sum = model.intercept;
      for (let j = 0; j < p; j++) sum += model.beta[j]! * z[row * p + j]!;
      scores[row] = sum;
    }
    return scores;
  }
  for (let row = 0; row < n; row++) scores[row] = networkLogit(model, z.subarray(row * p, (row + 1) * p));
  return scores;
}

/** Predicted probabilities of a binary endpoint. */
export function probabilitiesOf(scores: Float64Array): Float64Array {
  return scores.map(logistic);
}

function networkLogit(model: FittedModel & { readonly type: 'mlp' }, inputs: Float64Array): number {
  let values = inputs;
  for (const [l, layer] of model.layers.entries()) {
    assert(layer.columns === values.length, `layer ${l} has ${layer.columns} inputs, got ${values.length}`);
    const next = new Float64Array(layer.rows);
    for (let unit = 0; unit < layer.rows; unit++) {
      let sum = layer.bias[unit]!;
      for (let k = 0; k < layer.columns; k++) sum += layer.weights[unit * layer.columns + k]! * values[k]!;
      const last = l === model.layers.length - 1;
      next[unit] = last ? sum : model.activation === 'relu' ? Math.max(0, sum) : Math.tanh(sum);
    }
    values = next;
  }
  return values[0]!;
}
