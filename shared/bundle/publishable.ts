import type { FittedModel } from '../computations/frame.js';

/** Why a fitted model cannot become a bundle, or null: infinite coefficients (separation) score nobody. */
export function modelIsPublishable(model: FittedModel): string | null {
  const finite = (values: Float64Array) => values.every((value) => Number.isFinite(value));
  if (model.type === 'linear')
    return Number.isFinite(model.intercept) && finite(model.beta) ? null : 'a coefficient is infinite or undefined';
  return model.layers.every(({ weights, bias }) => finite(weights) && finite(bias)) ? null : 'a weight is not finite';
}
