import { ConcordatError } from '../../../shared/errors.js';
import { type Roi, valuesIn } from '../../imaging/roi.js';
import type { ClassInput, ClassSettings } from '../class-input.js';
import { type LevelGrid, levelGridOf } from './level-grid.js';

/** Edges of grey-level bins, lower edge inside the bin, as numpy.digitize counts: level k holds `edge(k - 1) ≤ value < edge(k)`. */
export interface BinEdges {
  /** Distance between edges as it comes out in floating point. */
  readonly step: number;
  readonly first: number;
  edge(k: number): number;
}

/**
 * Fixed width: edges are multiples of the width counted from zero (PyRadiomics' origin), the lowest at or below the minimum. Edge k is
 * `first + k · ((first + width) − first)`, which is how numpy.arange rounds.
 */
export function widthEdges(lowest: number, width: number): BinEdges {
  const rest = lowest % width;
  const first = lowest - (rest !== 0 && rest < 0 !== width < 0 ? rest + width : rest);
  const step = first + width - first;
  return { step, first, edge: (k) => first + k * step };
}

/**
 * Fixed number of bins between minimum and maximum; the last edge is one higher, so that the maximum falls in the last bin. A region of
 * one value gets bins from half below to half above it. Edges of a float32 image are rounded to float32, as numpy.histogram does.
 */
export function countEdges(lowest: number, highest: number, count: number, single: boolean): BinEdges {
  const flat = lowest === highest;
  const first = flat ? lowest - 0.5 : lowest;
  const last = flat ? highest + 0.5 : highest;
  const step = (last - first) / count;
  const rounded = single ? Math.fround : (value: number) => value;
  return {
    step,
    first: rounded(first),
    edge: (k) => (k === count ? rounded(rounded(last) + 1) : rounded(k * step + first)),
  };
}

/** Grey levels are counted in a table: a region of all values that 16 bits tell apart fits with room to spare. */
const LEVELS_MAX = 4_194_304;

/**
 * Grey level, from 1 up, of each of the values.
 * @param single the values come from a float32 image
 * @param withGaps NaN, which the first value is not, gets the level that numpy.digitize gives it: the number of edges, of fixed width
 * @throws ConcordatError IMAGE_NOT_FINITE where a value is NaN or infinite; IMAGE_LEVELS_TOO_MANY
 */
export function binned(
  values: Float64Array,
  settings: Pick<ClassSettings, 'binWidth' | 'binCount'>,
  single = false,
  withGaps = false,
): Int32Array {
  const levels = new Int32Array(values.length);
  if (values.length === 0) return levels;
  if (!withGaps) requireFinite(values);
  let lowest = values[0]!;
  let highest = lowest;
  for (let k = 1; k < values.length; k++) {
    const value = values[k]!;
    if (value < lowest) lowest = value;
    if (value > highest) highest = value;
  }
  const { binCount, binWidth } = settings;
  const edges = binCount === null ? widthEdges(lowest, binWidth) : countEdges(lowest, highest, binCount, single);
  const { first, step } = edges;
  const top = binCount ?? Number.POSITIVE_INFINITY;
  // Beyond it levels would not even fit into their type; a width that floating point swallows makes the quotient infinite or NaN.
  if (!(Math.min(top, (highest - first) / step) <= LEVELS_MAX))
    throw new ConcordatError('IMAGE_LEVELS_TOO_MANY', `the region would have more than ${LEVELS_MAX} grey levels`);
  if (binCount === null) {
    for (let k = 0; k < values.length; k++) {
      const value = values[k]!;
      let level = Math.floor((value - first) / step) + 1;
      // The quotient can be off by one where a value lies on an edge; the edges themselves decide.
      while (value >= first + level * step) level++;
      while (level > 1 && value < first + (level - 1) * step) level--;
      levels[k] = Number.isNaN(value) ? Math.ceil((highest + 2 * binWidth - first) / binWidth) : level;
    }
    return levels;
  }
  for (let k = 0; k < values.length; k++) {
    const value = values[k]!;
    let level = Math.min(top, Math.floor((value - first) / step) + 1);
    while (level < top && value >= edges.edge(level)) level++;
    while (level > 1 && value < edges.edge(level - 1)) level--;
    levels[k] = level;
  }
  return levels;
}

/** @throws ConcordatError IMAGE_NOT_FINITE where a value is NaN or infinite: every statistic of the region would be wrong or missing. */
export function requireFinite(values: Float64Array): void {
  let bad = 0;
  for (let k = 0; k < values.length; k++) if (!Number.isFinite(values[k]!)) bad++;
  if (bad > 0)
    throw new ConcordatError('IMAGE_NOT_FINITE', `${bad} of the region's ${values.length} voxels hold no number`);
}

/** A region's values and grey levels: found once, used by every class that needs them. */
export interface Discretized {
  /** The image's values in the order of the region's voxels. */
  readonly values: Float64Array;
  readonly levels: Int32Array;
  readonly grid: LevelGrid;
}

export function discretize({ image, roi, settings, withGaps }: ClassInput): Discretized {
  const values = valuesIn(image, roi);
  const levels = binned(values, settings, image.data instanceof Float32Array, withGaps);
  return { values, levels, grid: levelGridOf(roi, levels, marginFor(roi, settings)) };
}

/** The longest step that can meet another voxel of the region. */
function marginFor(roi: Roi, settings: ClassSettings): number {
  const { box } = roi;
  if (box === null) return 1;
  const widest = Math.max(...[0, 1, 2].map((axis) => box.upper[axis]! - box.lower[axis]!));
  return Math.max(1, Math.min(widest, Math.max(...settings.distances)));
}
