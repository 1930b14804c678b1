import { ConcordatError } from '../../../shared/errors.js';
import type { FeatureSet, FeatureValue } from '../feature.js';
import type { ModelTensor } from './model.js';

/** More numbers than this are a picture rather than features. */
export const DEEP_FEATURES_MAX = 65_536;

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
    Array.from(values, (value, at): [string, FeatureValue] => [
      `deep_${name}_${at}`,
      Number.isFinite(value) ? { value } : { value: null, reason: 'the encoder gave no finite number' },
    ]),
  );
}
