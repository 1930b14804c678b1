import type { FeatureSet } from '../feature.js';
import { coded } from './codes.js';
import { type Counts, merged } from './counts.js';
import { emphasisFeatures } from './emphasis.js';
import { glcmFeatures, type MatrixFeatures } from './glcm.js';
import type { LevelGrid } from './level-grid.js';
import {
  coOccurrence,
  type Direction,
  IN_SLICE,
  IN_SPACE,
  mergedTones,
  neighbourhoods,
  runLengths,
  type Slab,
  voxelsIn,
  zones,
} from './matrices.js';
import { ngtdmFeatures } from './ngtdm.js';

/** '2D': a matrix a slice, features averaged. '2.5D': matrices within slices, summed over slices. '3D': neighbours in space. */
export const DIMENSIONS = ['2D', '2.5D', '3D'] as const;
export type Dimension = (typeof DIMENSIONS)[number];

const SUFFIX: Readonly<Record<Dimension, string>> = { '2D': '2D', '2.5D': '2_5D', '3D': '3D' };

/** Slices that hold any of the region. */
function slicesOf(grid: LevelGrid): Slab[] {
  return Array.from({ length: grid.size[2] }, (_, z) => ({ from: z, to: z + 1 })).filter(
    (slab) => voxelsIn(grid, slab) > 0,
  );
}
const whole = (grid: LevelGrid): Slab => ({ from: 0, to: grid.size[2] });

/**
 * GLCM or GLRLM in a dimension, both ways: `avg` takes the features of each direction's matrix and averages them, `comb` sums the
 * matrices of all directions first. In 2D the averages also run over the slices; in 2.5D matrices are summed over the slices first.
 */
export function directionalFeatures(prefix: 'cm' | 'rlm', grid: LevelGrid, dimension: Dimension): FeatureSet {
  const build = (direction: Direction, slab: Slab): Counts =>
    prefix === 'cm' ? coOccurrence(grid, direction, slab) : runLengths(grid, direction, slab);
  const rows = grid.levelCount;
  const features = (counts: Counts): MatrixFeatures | null =>
    prefix === 'cm' ? glcmFeatures(counts, grid.levelCount) : emphasisFeatures('rlm', counts);
  const averaged: (MatrixFeatures | null)[] = [];
  const combined: (MatrixFeatures | null)[] = [];
  if (dimension === '2D') {
    for (const slab of slicesOf(grid)) {
      const matrices = IN_SLICE.map((direction) => build(direction, slab));
      averaged.push(...matrices.map(features));
      combined.push(features(merged(matrices, rows)));
    }
  } else {
    const [directions, slabs] = dimension === '3D' ? [IN_SPACE, [whole(grid)]] : [IN_SLICE, slicesOf(grid)];
    const matrices = directions.map((direction) =>
      merged(
        slabs.map((slab) => build(direction, slab)),
        rows,
      ),
    );
    averaged.push(...matrices.map(features));
    combined.push(features(merged(matrices, rows)));
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
  grid: LevelGrid,
  dimension: Dimension,
  alpha: number,
): FeatureSet {
  const inSlice = dimension !== '3D';
  const slabs = inSlice ? slicesOf(grid) : [whole(grid)];
  const rows = grid.levelCount;
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
  const sum = (all: readonly Counts[]): Counts => merged(all, rows);
  if (wanted.has('szm') || wanted.has('dzm')) {
    const found = slabs.map((slab) => zones(grid, slab, inSlice));
    put(
      'szm',
      found.map(({ sizes }) => sizes),
      sum,
      (counts) => emphasisFeatures('szm', counts),
    );
    put(
      'dzm',
      found.map(({ distances }) => distances),
      sum,
      (counts) => emphasisFeatures('dzm', counts),
    );
  }
  if (wanted.has('ngt') || wanted.has('ngl')) {
    const found = slabs.map((slab) => neighbourhoods(grid, slab, inSlice, alpha));
    put(
      'ngt',
      found.map(({ tones }) => tones),
      mergedTones,
      ngtdmFeatures,
    );
    put(
      'ngl',
      found.map(({ dependences }) => dependences),
      sum,
      (counts) => emphasisFeatures('ngl', counts),
    );
  }
  return set;
}

/** Tags of each family in IBSI's order, for matrices that are all empty. */
const EMPTY_TAGS: Readonly<Record<string, () => Iterable<string>>> = {
  cm: () => glcmFeatures(ONE_CELL, 1)!.keys(),
  rlm: () => emphasisFeatures('rlm', ONE_CELL)!.keys(),
  szm: () => emphasisFeatures('szm', ONE_CELL)!.keys(),
  dzm: () => emphasisFeatures('dzm', ONE_CELL)!.keys(),
  ngl: () => emphasisFeatures('ngl', ONE_CELL)!.keys(),
  ngt: () => ngtdmFeatures({ n: Float64Array.of(1), s: Float64Array.of(0) })!.keys(),
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
