import { type LevelGrid, offsetsOf } from './level-grid.js';
import type { Direction } from './neighbourhood.js';

/**
 * Texture matrices as counts, before any formula. Rows and columns are positions in `grid.greyLevels`. Where `steps` holds one of each
 * pair of opposite directions, the other half is implied wherever a neighbourhood is meant.
 */

/**
 * Grey-level co-occurrence (Haralick 1973): `counts[(a * n + i) * n + j]` voxels of level i have a voxel of level j one step `steps[a]`
 * away, with n levels. Not symmetrical.
 */
export function glcmCounts(grid: LevelGrid, steps: readonly Direction[]): Uint32Array {
  const { cells, voxels } = grid;
  const n = grid.greyLevels.length;
  const plane = n * n;
  const offsets = offsetsOf(grid, steps);
  const counts = new Uint32Array(steps.length * plane);
  for (let v = 0; v < voxels.length; v++) {
    const here = voxels[v]!;
    let base = (cells[here]! - 1) * n - 1;
    for (let a = 0; a < offsets.length; a++, base += plane) {
      const other = cells[here + offsets[a]!]!;
      if (other !== 0) counts[base + other]!++;
    }
  }
  return counts;
}

export interface RunCounts {
  /** `counts[(a * n + i) * longest + length - 1]` runs of level i and of that length along `steps[a]`. */
  readonly counts: Uint32Array;
  /** Longest run that the box has room for. */
  readonly longest: number;
  /** 1 where some line along `steps[a]` holds two voxels of the region or more, next to each other or not. */
  readonly meets: Uint8Array;
}

/** Grey-level run lengths (Galloway 1975), one matrix per direction; directions of length 1. */
export function glrlmCounts(grid: LevelGrid, steps: readonly Direction[]): RunCounts {
  const { cells, voxels } = grid;
  const n = grid.greyLevels.length;
  const longest = Math.max(1, ...grid.extent);
  const offsets = offsetsOf(grid, steps);
  const counts = new Uint32Array(steps.length * n * longest);
  const meets = new Uint8Array(steps.length);
  for (let a = 0; a < offsets.length; a++) {
    const offset = offsets[a]!;
    const plane = a * n * longest;
    let adjacent = 0;
    for (let v = 0; v < voxels.length; v++) {
      const here = voxels[v]!;
      const level = cells[here]!;
      const before = cells[here - offset]!;
      adjacent |= before;
      if (before === level) continue;
      let end = here + offset;
      let length = 0;
      while (cells[end] === level) {
        end += offset;
        length++;
      }
      counts[plane + (level - 1) * longest + length]!++;
    }
    meets[a] = adjacent !== 0 || lineMeets(grid, steps[a]!, offset) ? 1 : 0;
  }
  return { counts, longest, meets };
}

/** Whether two voxels of the region lie on one line along the step; asked only where no two are next to each other. */
function lineMeets(grid: LevelGrid, step: Direction, offset: number): boolean {
  const { cells, voxels, extent, margin, strideY, strideZ } = grid;
  for (let v = 0; v < voxels.length; v++) {
    const here = voxels[v]!;
    const z = Math.floor(here / strideZ) - margin;
    const y = Math.floor((here % strideZ) / strideY) - margin;
    const x = (here % strideY) - margin;
    const ahead = Math.min(room(x, step[0], extent[0]), room(y, step[1], extent[1]), room(z, step[2], extent[2]));
    for (let k = 1; k <= ahead; k++) if (cells[here + k * offset] !== 0) return true;
  }
  return false;
}

const room = (at: number, step: number, extent: number): number =>
  step === 0 ? Number.POSITIVE_INFINITY : Math.floor(step > 0 ? (extent - 1 - at) / step : at / -step);

/** A matrix over (grey level, size), non-zero cells only, by level and then by size. */
export interface SizeCounts {
  /** Position in `greyLevels`. */
  readonly level: Int32Array;
  readonly size: Int32Array;
  readonly count: Float64Array;
}

/** Grey-level size zones (Thibault 2009): voxels of one level that touch along the steps or their opposites make a zone. */
export function glszmCounts(grid: LevelGrid, steps: readonly Direction[]): SizeCounts {
  const { voxels } = grid;
  const n = grid.greyLevels.length;
  const forward = offsetsOf(grid, steps);
  const offsets = new Int32Array(2 * forward.length);
  offsets.set(forward);
  offsets.set(
    forward.map((offset) => -offset),
    forward.length,
  );
  const cells = grid.cells.slice();
  const stack = new Int32Array(voxels.length);
  const small = new Float64Array(n * SMALL_ZONE);
  const large = new Map<number, number>();
  for (let v = 0; v < voxels.length; v++) {
    const start = voxels[v]!;
    const level = cells[start]!;
    if (level === 0) continue;
    cells[start] = 0;
    stack[0] = start;
    let top = 1;
    let size = 0;
    while (top > 0) {
      const here = stack[--top]!;
      size++;
      for (let a = 0; a < offsets.length; a++) {
        const other = here + offsets[a]!;
        if (cells[other] !== level) continue;
        cells[other] = 0;
        stack[top++] = other;
      }
    }
    if (size <= SMALL_ZONE) small[(level - 1) * SMALL_ZONE + size - 1]!++;
    else {
      const key = (level - 1) * (voxels.length + 1) + size;
      large.set(key, (large.get(key) ?? 0) + 1);
    }
  }
  return zonesOf(n, small, large, voxels.length + 1);
}

/** Zones up to this size are counted in an array, the few larger ones in a map. */
const SMALL_ZONE = 64;

function zonesOf(n: number, small: Float64Array, large: Map<number, number>, base: number): SizeCounts {
  const keys = Float64Array.from(large.keys()).sort();
  let cellCount = keys.length;
  for (let k = 0; k < small.length; k++) if (small[k] !== 0) cellCount++;
  const level = new Int32Array(cellCount);
  const size = new Int32Array(cellCount);
  const count = new Float64Array(cellCount);
  let next = 0;
  let key = 0;
  const add = (i: number, j: number, c: number): void => {
    level[next] = i;
    size[next] = j;
    count[next++] = c;
  };
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < SMALL_ZONE; j++) if (small[i * SMALL_ZONE + j] !== 0) add(i, j + 1, small[i * SMALL_ZONE + j]!);
    for (; key < keys.length && keys[key]! < (i + 1) * base; key++)
      add(i, keys[key]! - i * base, large.get(keys[key]!)!);
  }
  return { level, size, count };
}

/**
 * Grey-level dependence (Sun and Wee 1983): `counts[i * (2 * steps.length + 1) + d]` voxels of level i have d dependent neighbours, whose
 * level differs by at most `alpha`. IBSI's NGLDM counts the voxel itself, so its size is d + 1, as PyRadiomics' is.
 */
export function gldmCounts(grid: LevelGrid, steps: readonly Direction[], alpha = 0): Uint32Array {
  const { cells, voxels, greyLevels } = grid;
  const offsets = offsetsOf(grid, steps);
  const width = 2 * steps.length + 1;
  const counts = new Uint32Array(greyLevels.length * width);
  for (let v = 0; v < voxels.length; v++) {
    const here = voxels[v]!;
    const level = cells[here]!;
    let dependent = 0;
    if (alpha === 0)
      for (let a = 0; a < offsets.length; a++) {
        const offset = offsets[a]!;
        if (cells[here + offset] === level) dependent++;
        if (cells[here - offset] === level) dependent++;
      }
    else {
      const value = greyLevels[level - 1]!;
      for (let a = 0; a < offsets.length; a++) {
        const ahead = cells[here + offsets[a]!]!;
        const behind = cells[here - offsets[a]!]!;
        if (ahead !== 0 && Math.abs(greyLevels[ahead - 1]! - value) <= alpha) dependent++;
        if (behind !== 0 && Math.abs(greyLevels[behind - 1]! - value) <= alpha) dependent++;
      }
    }
    counts[(level - 1) * width + dependent]!++;
  }
  return counts;
}

export interface DifferenceSums {
  /** Voxels of each level. */
  readonly count: Float64Array;
  /** Voxels of each level that have a neighbour in the region. */
  readonly withNeighbours: Float64Array;
  /** Σ |level − mean level of the neighbours| over the voxels of each level; a voxel without neighbours adds nothing. */
  readonly difference: Float64Array;
}

/** Neighbourhood grey-tone differences (Amadasun and King 1989). */
export function ngtdmSums(grid: LevelGrid, steps: readonly Direction[]): DifferenceSums {
  const { cells, voxels, greyLevels } = grid;
  const n = greyLevels.length;
  const offsets = offsetsOf(grid, steps);
  const values = new Int32Array(n + 1);
  values.set(greyLevels, 1);
  const withNeighbours = new Float64Array(n);
  const difference = new Float64Array(n);
  for (let v = 0; v < voxels.length; v++) {
    const here = voxels[v]!;
    const level = cells[here]!;
    let sum = 0;
    let neighbours = 0;
    for (let a = 0; a < offsets.length; a++) {
      const offset = offsets[a]!;
      const ahead = cells[here + offset]!;
      const behind = cells[here - offset]!;
      if (ahead !== 0) neighbours++;
      if (behind !== 0) neighbours++;
      sum += values[ahead]! + values[behind]!;
    }
    if (neighbours === 0) continue;
    withNeighbours[level - 1]!++;
    difference[level - 1]! += Math.abs(values[level]! - sum / neighbours);
  }
  return { count: grid.voxelsPerLevel.slice(), withNeighbours, difference };
}
