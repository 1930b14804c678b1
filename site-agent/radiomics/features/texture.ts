import type { ClassInput } from '../class-input.js';
import type { FeatureSet } from '../feature.js';
import type { FeatureClass } from './catalogue.js';
import type { Wanted } from './collect.js';
import { type Discretized, discretize } from './discretize.js';
import { firstOrder } from './first-order.js';
import { glcm } from './glcm.js';
import { gldm, gldmFeatures } from './gldm.js';
import { glrlm } from './glrlm.js';
import { glszm } from './glszm.js';
import { neighbourCounts } from './neighbour-counts.js';
import { directions } from './neighbourhood.js';
import { ngtdm, ngtdmFeatures } from './ngtdm.js';

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
  const ofNeighbours = neighbourFeatures(input, wanted, binned);
  for (const [featureClass, names] of wanted)
    found.set(featureClass, ofNeighbours.get(featureClass) ?? BY_CLASS[featureClass](input, names, binned));
  return found;
}

/** The two classes of the 26 neighbours together, where both are wanted and a dependent neighbour is one of the same level. */
function neighbourFeatures(
  { settings }: ClassInput,
  wanted: ReadonlyMap<IntensityClass, Wanted>,
  { grid }: Discretized,
): Map<IntensityClass, FeatureSet> {
  const [gldmNames, ngtdmNames] = [wanted.get('gldm'), wanted.get('ngtdm')];
  if (gldmNames === undefined || ngtdmNames === undefined || settings.gldmA !== 0) return new Map();
  const steps = directions(grid.extent, settings.distances, settings);
  const { dependence, differences } = neighbourCounts(grid, steps);
  return new Map([
    ['gldm', gldmFeatures(dependence, 2 * steps.length + 1, grid.greyLevels, gldmNames)],
    ['ngtdm', ngtdmFeatures(differences, grid.greyLevels, ngtdmNames)],
  ]);
}
