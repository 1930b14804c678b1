import type { Samples, Volume } from '../../imaging/volume.js';
import type { FeatureSet } from '../feature.js';
import { requireFinite } from '../features/discretize.js';
import { filteredProcessed } from '../filters/ibsi2/processed.js';
import { directionalFeatures, tagsOf, type Undirected, undirectedFeatures } from './aggregate.js';
import { coded } from './codes.js';
import { diagnosticValues } from './diagnostics.js';
import { histogramFeatures } from './histogram.js';
import { ivhFeatures } from './ivh.js';
import { localIntensityFeatures } from './local-intensity.js';
import { morphologyFeatures } from './morphology.js';
import { preprocess } from './preprocess.js';
import { discretise, type RegionLevels, regionLevels } from './region-levels.js';
import type { Family, IbsiSettings } from './settings.js';
import { intensityStatistics } from './statistics.js';

/**
 * Every IBSI 1 feature of the region of `mask` (voxels equal to `settings.label`), under the tags of IBSI's reference tables:
 * `<tag>` or, for texture, `<tag>_<aggregation>` with 2D_avg, 2D_comb, 2_5D_avg, 2_5D_comb, 3D_avg, 3D_comb or 2D, 2_5D, 3D.
 * Lengths are in mm. A feature without a value is null with the reason. With a filter, all but morphology is of its response map.
 *
 * Image and mask share one grid.
 * @throws ConcordatError IMAGE_NOT_FINITE; IMAGE_TOO_LARGE
 *
 * Source: A. Zwanenburg et al., Radiology 295 (2020) 328-338; IBSI reference manual, version 11.
 */
export function extractIbsi(image: Volume<Samples>, mask: Volume<Samples>, settings: IbsiSettings): FeatureSet {
  const unfiltered = preprocess(image, mask, settings);
  const processed = settings.filter === undefined ? unfiltered : filteredProcessed(unfiltered, settings.filter);
  const { morphological, intensity, range } = processed;
  const values = Float64Array.from(intensity.indices, (at) => processed.image.data[at]!);
  requireFinite(values);
  const wanted = new Set<Family>(settings.families);
  const all: FeatureSet = new Map();
  const add = (features: FeatureSet): void => {
    for (const [name, value] of features) all.set(name, value);
  };
  if (settings.diagnostics) add(diagnosticValues(image, mask, settings, unfiltered));
  if (wanted.has('morphology'))
    add(morphologyFeatures(unfiltered.image, unfiltered.morphological, unfiltered.intensity));
  if (wanted.has('localIntensity')) add(localIntensityFeatures(processed.image, intensity));
  if (wanted.has('statistics')) add(intensityStatistics(values));

  const binned = discretise(values, settings.discretisation, range?.[0] ?? null);
  if (wanted.has('histogram'))
    add(typeof binned === 'string' ? withoutLevels(binned) : histogramFeatures(binned.levels, binned.levelCount));
  if (wanted.has('ivh')) add(ivhFeatures(values, settings.ivh, range));
  add(
    textureFeatures(
      wanted,
      settings,
      typeof binned === 'string' ? binned : regionLevels(morphological, intensity, binned.levels, binned.levelCount),
    ),
  );
  return all;
}

const UNDIRECTED: readonly (readonly [Family, Undirected])[] = [
  ['glszm', 'szm'],
  ['gldzm', 'dzm'],
  ['ngtdm', 'ngt'],
  ['ngldm', 'ngl'],
];

function textureFeatures(
  wanted: ReadonlySet<Family>,
  settings: IbsiSettings,
  region: RegionLevels | string,
): FeatureSet {
  const all: FeatureSet = new Map();
  const undirected = new Set(UNDIRECTED.filter(([family]) => wanted.has(family)).map(([, prefix]) => prefix));
  for (const dimension of settings.dimensions) {
    const suffix = dimension.replace('.', '_');
    const parts: FeatureSet[] = [];
    const none = (prefix: 'cm' | 'rlm' | Undirected, suffixes: readonly string[], reason: string): FeatureSet =>
      new Map(
        suffixes.flatMap((end) =>
          tagsOf(prefix).map(
            (name) => [`${prefix}_${name}_${end}`, coded(`${prefix}_${name}`, Number.NaN, reason)] as const,
          ),
        ),
      );
    for (const [family, prefix] of [
      ['glcm', 'cm'],
      ['glrlm', 'rlm'],
    ] as const)
      if (wanted.has(family))
        parts.push(
          typeof region === 'string'
            ? none(prefix, [`${suffix}_avg`, `${suffix}_comb`], region)
            : directionalFeatures(prefix, region, dimension),
        );
    if (typeof region === 'string') for (const prefix of undirected) parts.push(none(prefix, [suffix], region));
    else if (undirected.size > 0) parts.push(undirectedFeatures(undirected, region, dimension, settings.ngldmAlpha));
    for (const part of parts) for (const [name, value] of part) all.set(name, value);
  }
  return all;
}

/** The histogram's features, all without a value. */
function withoutLevels(reason: string): FeatureSet {
  return new Map(
    [...histogramFeatures(Int32Array.of(1), 1).keys()].map((tag) => [tag, coded(tag, Number.NaN, reason)]),
  );
}
