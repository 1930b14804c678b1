import type { ClassInput } from '../class-input.js';
import type { FeatureSet } from '../feature.js';
import type { FeatureClass } from './catalogue.js';
import type { Wanted } from './collect.js';
import { discretize } from './discretize.js';
import { firstOrder } from './first-order.js';
import { glcm } from './glcm.js';
import { gldm } from './gldm.js';
import { glrlm } from './glrlm.js';
import { glszm } from './glszm.js';
import { ngtdm } from './ngtdm.js';

/** The classes whose features depend on intensities; shape and shape2D depend on the region alone. */
export type IntensityClass = Exclude<FeatureClass, 'shape' | 'shape2D'>;

const BY_CLASS = { firstorder: firstOrder, glcm, gldm, glrlm, glszm, ngtdm };

/**
 * The wanted classes of one image: its intensities are read and binned once, and the matrices share one padded grid.
 * @param wanted class → names of features, or null for every active one
 */
export function intensityFeatures(
  input: ClassInput,
  wanted: ReadonlyMap<IntensityClass, Wanted>,
): Map<IntensityClass, FeatureSet> {
  const binned = discretize(input);
  const found = new Map<IntensityClass, FeatureSet>();
  for (const [featureClass, names] of wanted) found.set(featureClass, BY_CLASS[featureClass](input, names, binned));
  return found;
}
