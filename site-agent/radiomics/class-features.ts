import type { ClassInput } from './class-input.js';
import type { FeatureSet } from './feature.js';
import type { FeatureClassName } from './feature-names.js';
import { shape } from './features/shape.js';
import { shape2D } from './features/shape-2d.js';
import { intensityFeatures } from './features/texture.js';
import type { EnabledClass } from './settings.js';

/** The enabled features of each class; intensities are binned once for all of them. */
export function classFeatures(input: ClassInput, enabled: readonly EnabledClass[]): Map<FeatureClassName, FeatureSet> {
  const found = new Map<FeatureClassName, FeatureSet>();
  const intensity = new Map<Exclude<FeatureClassName, 'shape' | 'shape2D'>, readonly string[]>();
  for (const { name, features } of enabled) {
    if (features.length === 0) continue;
    if (name === 'shape') found.set(name, shape(input, features));
    else if (name === 'shape2D') found.set(name, shape2D(input, features));
    else intensity.set(name, features);
  }
  if (intensity.size > 0) for (const [name, features] of intensityFeatures(input, intensity)) found.set(name, features);
  return found;
}
