import type { FeatureSet } from '../feature.js';
import type { Direction } from '../features/neighbourhood.js';
import { coded } from './codes.js';
import { type Counts, merged } from './counts.js';
import { emphasisFeatures } from './emphasis.js';
import { glcmFeatures, type MatrixFeatures } from './glcm.js';
import {
  coOccurrence,
  dependences,
  IN_SLICE,
  IN_SPACE,
  mergedTones,
  runLengths,
  toneDifferences,
  zones,
} from './matrices.js';
import { ngtdmFeatures } from './ngtdm.js';
import type { Part, RegionLevels } from './region-levels.js';
import type { Dimension } from './settings.js';

const SUFFIX: Readonly<Record<Dimension, string>> = { '2D': '2D', '2.5D': '2_5D', '3D': '3D' };

/**
 * GLCM or GLRLM in a dimension, both ways: `avg` takes the features of each direction's matrix and averages them, `comb` sums the
 * matrices of all directions first. In 2D the averages also run over the slices; in 2.5D matrices are summed over the slices first.
 */
export function directionalFeatures(prefix: 'cm' | 'rlm', region: RegionLevels, dimension: Dimension): FeatureSet {
  const build = (direction: Direction, part: Part): Counts =>
    prefix === 'cm' ? coOccurrence(part, direction) : runLengths(part, direction);
  const features = (counts: Counts): MatrixFeatures | null =>
    prefix === 'cm' ? glcmFeatures(counts, region.levelCount) : emphasisFeatures('rlm', counts);
  const averaged: (MatrixFeatures | null)[] = [];
  const combined: (MatrixFeatures | null)[] = [];
  if (dimension === '2D') {
    for (const part of region.slices) {
      const matrices = IN_SLICE.map((direction) => build(direction, part));
      averaged.push(...matrices.map(features));
      combined.push(features(merged(matrices)));
    }
  } else {
    const [directions, parts] = dimension === '3D' ? [IN_SPACE, [region.whole]] : [IN_SLICE, region.slices];
    const matrices = directions.map((direction) => merged(parts.map((part) => build(direction, part))));
    averaged.push(...matrices.map(features));
    combined.push(features(merged(matrices)));
  }
  const set: FeatureSet = new Map();
  pool(prefix, `${SUFFIX[dimension]}_avg`, averaged, set);
  pool(prefix, `${SUFFIX[dimension]}_comb`, combined, set);
  return set;
}

/** Which of the matrices without directions to compute: zones and neighbourhoods each give two at once. */
export type Undirected = 'szm' | 'dzm' | 'ngt' | 'ngl';

/** GLSZM, GLDZM, NGTDM and NGLDM in a dimension. */
export function undirectedFeatures(
  wanted: ReadonlySet<Undirected>,
  region: RegionLevels,
  dimension: Dimension,
  alpha: number,
): FeatureSet {
  const [directions, parts] = dimension === '3D' ? [IN_SPACE, [region.whole]] : [IN_SLICE, region.slices];
  const set: FeatureSet = new Map();
  /** One matrix a slice in 2D, one of all slices otherwise. */
  const put = <M>(
    prefix: Undirected,
    matrices: readonly M[],
    merge: (all: readonly M[]) => M,
    features: (matrix: M) => MatrixFeatures | null,
  ): void => {
    if (!wanted.has(prefix)) return;
    pool(prefix, SUFFIX[dimension], (dimension === '2D' ? matrices : [merge(matrices)]).map(features), set);
  };
  if (wanted.has('szm') || wanted.has('dzm')) {
    const found = parts.map((part) => zones(part, directions));
    put(
      'szm',
      found.map(({ sizes }) => sizes),
      merged,
      (counts) => emphasisFeatures('szm', counts),
    );
    put(
      'dzm',
      found.map(({ distances }) => distances),
      merged,
      (counts) => emphasisFeatures('dzm', counts),
    );
  }
  if (wanted.has('ngt'))
    put(
      'ngt',
      parts.map((part) => toneDifferences(part, directions)),
      mergedTones,
      ngtdmFeatures,
    );
  if (wanted.has('ngl'))
    put(
      'ngl',
      parts.map((part) => dependences(part, directions, alpha)),
      merged,
      (counts) => emphasisFeatures('ngl', counts),
    );
  return set;
}

/** Tags of each family in IBSI's order, for matrices that are all empty. */
const EMPTY_TAGS: Readonly<Record<string, () => Iterable<string>>> = {
  cm: () => glcmFeatures(ONE_CELL, 1)!.keys(),
  rlm: () => emphasisFeatures('rlm', ONE_CELL)!.keys(),
  szm: () => emphasisFeatures('szm', ONE_CELL)!.keys(),
  dzm: () => emphasisFeatures('dzm', ONE_CELL)!.keys(),
  ngl: () => emphasisFeatures('ngl', ONE_CELL)!.keys(),
  ngt: () => ngtdmFeatures(new Map([[1, { n: 1, s: 0 }]]))!.keys(),
};
const ONE_CELL: Counts = { i: Int32Array.of(1), j: Int32Array.of(1), n: Float64Array.of(1), voxels: 1 };

export const tagsOf = (prefix: 'cm' | 'rlm' | Undirected): string[] => [...EMPTY_TAGS[prefix]!()];

/** Means over the matrices that give a value; a matrix without one (no neighbours, a single level) does not count. */
function pool(
  prefix: 'cm' | 'rlm' | Undirected,
  suffix: string,
  matrices: readonly (MatrixFeatures | null)[],
  set: FeatureSet,
): void {
  for (const name of tagsOf(prefix)) {
    let [sum, count] = [0, 0];
    let reason = 'no voxel of the region has a neighbour in it';
    for (const matrix of matrices) {
      const value = matrix?.get(name);
      if (typeof value === 'number') {
        sum += value;
        count++;
      } else if (value !== undefined) reason = value;
    }
    set.set(`${prefix}_${name}_${suffix}`, coded(`${prefix}_${name}`, count > 0 ? sum / count : Number.NaN, reason));
  }
}
