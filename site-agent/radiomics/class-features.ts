import type { ClassInput } from './class-input.js';
import type { FeatureSet } from './feature.js';
import type { FeatureClassName } from './feature-names.js';
import type { Wanted } from './features/collect.js';
import { type Discretized, discretize } from './features/discretize.js';
import { firstOrder } from './features/first-order.js';
import { glcm } from './features/glcm.js';
import { gldm } from './features/gldm.js';
import { glrlm } from './features/glrlm.js';
import { glszm } from './features/glszm.js';
import { ngtdm } from './features/ngtdm.js';
import { shape } from './features/shape.js';
import { shape2D } from './features/shape-2d.js';
import type { EnabledClass } from './settings.js';

type ClassFunction = (input: ClassInput, wanted: Wanted, binned: Discretized) => FeatureSet;

const BINNED: Readonly<Partial<Record<FeatureClassName, ClassFunction>>> = {
  firstorder: firstOrder,
  glcm,
  gldm,
  glrlm,
  glszm,
  ngtdm,
};

/** The enabled features of each class; intensities are binned once for all of them. */
export function classFeatures(input: ClassInput, enabled: readonly EnabledClass[]): Map<FeatureClassName, FeatureSet> {
  let binned: Discretized | null = null;
  const found = new Map<FeatureClassName, FeatureSet>();
  for (const { name, features } of enabled) {
    if (features.length === 0) continue;
    const compute = BINNED[name];
    if (compute !== undefined) {
      binned ??= discretize(input);
      found.set(name, compute(input, features, binned));
    } else found.set(name, name === 'shape' ? shape(input, features) : shape2D(input, features));
  }
  return found;
}
