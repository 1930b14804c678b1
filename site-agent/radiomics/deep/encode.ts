import { ConcordatError } from '../../../shared/errors.js';
import { DEEP_FEATURES_MAX, deepNames } from '../../../shared/imaging-deep.js';
import type { FeatureSet, FeatureValue } from '../feature.js';
import type { ModelTensor } from './model.js';

/** Types of an output that can be features. */
export const FEATURE_TYPES = ['float32', 'float64'] as const;

/**
 * The encoder's output as features `deep_<name>_0`, `deep_<name>_1`, ..., its numbers in the order of the tensor, last axis fastest. A number
 * that is not finite is a missing feature.
 *
 * @throws ConcordatError IMAGE_MODEL_OUTPUT where the output is no batch of one, or empty, or too large to be features
 */
export function deepFeatures(name: string, { values, shape }: ModelTensor): FeatureSet {
  if (shape.length < 1 || shape[0] !== 1)
    throw new ConcordatError('IMAGE_MODEL_OUTPUT', `the encoder gave the shape [${shape.join(', ')}] for one patch`);
  if (values.length === 0 || values.length > DEEP_FEATURES_MAX)
    throw new ConcordatError(
      'IMAGE_MODEL_OUTPUT',
      `the encoder gave ${values.length} numbers; features are 1 to ${DEEP_FEATURES_MAX}`,
    );
  return new Map(
    deepNames(name, values.length).map((feature, at): [string, FeatureValue] => {
      const value = values[at]!;
      return [feature, Number.isFinite(value) ? { value } : missing('the encoder gave no finite number')];
    }),
  );
}

/** The same names without a value, for a region of which the encoder gave nothing. */
export function missingDeepFeatures(name: string, count: number, reason: string): FeatureSet {
  return new Map(deepNames(name, count).map((feature) => [feature, missing(reason)]));
}

const missing = (reason: string): FeatureValue => ({ value: null, reason });
