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
  const offsets = offsetsOf(grid, steps);
  // A column more takes what lies outside the region, so that the loop has no branch.
  const width = n + 1;
  const plane = n * width;
  const wide = new Uint32Array(steps.length * plane);
  let a = 0;
  for (; a + 4 <= offsets.length; a += 4) fourDirections(grid, offsets, a, wide);
  for (; a < offsets.length; a++) {
    const offset = offsets[a]!;
    const before = a * plane - width;
    for (let v = 0; v < voxels.length; v++) {
      const here = voxels[v]!;
      wide[before + cells[here]! * width + cells[here + offset]!]!++;
    }
  }
  const counts = new Uint32Array(steps.length * n * n);
  for (let row = 0; row < steps.length * n; row++)
    counts.set(wide.subarray(row * width + 1, (row + 1) * width), row * n);
  return counts;
}

/**
 * The directions from `a` on. A loop over them would cost more than what it does; and no count waits for the one before it, as it would in a
 * pass for each direction, where neighbours mostly add to the same cell.
 */
function fourDirections(
  { cells, voxels, greyLevels }: LevelGrid,
  offsets: Int32Array,
  a: number,
  wide: Uint32Array,
): void {
  const width = greyLevels.length + 1;
  const plane = greyLevels.length * width;
  const o0 = offsets[a]!;
  const o1 = offsets[a + 1]!;
  const o2 = offsets[a + 2]!;
  const o3 = offsets[a + 3]!;
  const before0 = a * plane - width;
  const before1 = before0 + plane;
  const before2 = before1 + plane;
  const before3 = before2 + plane;
  for (let v = 0; v < voxels.length; v++) {
    const here = voxels[v]!;
    const row = cells[here]! * width;
    wide[before0 + row + cells[here + o0]!]!++;
    wide[before1 + row + cells[here + o1]!]!++;
    wide[before2 + row + cells[here + o2]!]!++;
    wide[before3 + row + cells[here + o3]!]!++;
  }
}

/** A matrix over (grey level, size), non-zero cells only, by level and then by size. */
export interface SizeCounts {
  /** Position in `greyLevels`. */
  readonly level: Int32Array;
  readonly size: Int32Array;
  readonly count: Float64Array;
}

/** Grey-level size zones (Thibault 2009): voxels of one level that touch along the steps or their opposites make a zone. */
export function glszmCounts(grid: LevelGrid, steps: readonly Direction[]): SizeCounts {
  const tally = new ZoneTally(grid.greyLevels.length, grid.voxels.length);
  if (steps.length === 13) zonesByRuns(grid, tally);
  else zonesByFlood(grid, steps, tally);
  return tally.counts();
}

/** Any steps: each zone is flooded from its first voxel. */
function zonesByFlood(grid: LevelGrid, steps: readonly Direction[], tally: ZoneTally): void {
  const { voxels } = grid;
  const forward = offsetsOf(grid, steps);
  const offsets = new Int32Array(2 * forward.length);
  offsets.set(forward);
  offsets.set(
    forward.map((offset) => -offset),
    forward.length,
  );
  const cells = grid.cells.slice();
  const stack = new Int32Array(voxels.length);
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
    tally.add(level - 1, size);
  }
}

/**
 * All 26 neighbours: runs of one level along x are joined with those that they touch in the four lines before theirs, by union-find. A
 * voxel is looked at by four lines where flooding looks at it from 26 sides.
 */
function zonesByRuns(grid: LevelGrid, tally: ZoneTally): void {
  const { cells, voxels, strideY, strideZ } = grid;
  const before = [-strideY, -strideZ - strideY, -strideZ, strideY - strideZ];
  const runAt = new Int32Array(cells.length);
  const runEnd = new Int32Array(voxels.length);
  const parent = new Int32Array(voxels.length);
  const size = new Int32Array(voxels.length);
  const find = (run: number): number => {
    let root = run;
    while (parent[root] !== root) {
      parent[root] = parent[parent[root]!]!;
      root = parent[root]!;
    }
    return root;
  };
  let runs = 0;
  for (let v = 0; v < voxels.length; ) {
    const start = voxels[v]!;
    const level = cells[start]!;
    let end = start;
    runAt[end] = runs;
    while (cells[end + 1] === level) runAt[++end] = runs;
    const length = end - start + 1;
    v += length;
    runEnd[runs] = end;
    parent[runs] = runs;
    size[runs] = length;
    let root = runs;
    for (let line = 0; line < 4; line++) {
      const offset = before[line]!;
      const last = end + offset + 1;
      for (let at = start + offset - 1; at <= last; at++) {
        if (cells[at] !== level) continue;
        const found = runAt[at]!;
        at = runEnd[found]!;
        const other = find(found);
        if (other === root) continue;
        // The earlier run stays the root.
        const first = other < root ? other : root;
        const second = other < root ? root : other;
        parent[second] = first;
        size[first]! += size[second]!;
        root = first;
      }
    }
    runs++;
  }
  for (let run = 0; run < runs; run++) if (parent[run] === run) tally.add(cells[runEnd[run]!]! - 1, size[run]!);
}

/** Zones up to this size are counted in an array, the few larger ones in a map. */
const SMALL_ZONE = 64;

class ZoneTally {
  private readonly small: Float64Array;
  private readonly large = new Map<number, number>();
  constructor(
    private readonly n: number,
    private readonly largest: number,
  ) {
    this.small = new Float64Array(n * SMALL_ZONE);
  }

  add(level: number, size: number): void {
    if (size <= SMALL_ZONE) this.small[level * SMALL_ZONE + size - 1]!++;
    else {
      const key = level * (this.largest + 1) + size;
      this.large.set(key, (this.large.get(key) ?? 0) + 1);
    }
  }

  counts(): SizeCounts {
    const base = this.largest + 1;
    const keys = Float64Array.from(this.large.keys()).sort();
    let cellCount = keys.length;
    for (let k = 0; k < this.small.length; k++) if (this.small[k] !== 0) cellCount++;
    const level = new Int32Array(cellCount);
    const size = new Int32Array(cellCount);
    const count = new Float64Array(cellCount);
    let next = 0;
    let key = 0;
    const put = (i: number, j: number, c: number): void => {
      level[next] = i;
      size[next] = j;
      count[next++] = c;
    };
    for (let i = 0; i < this.n; i++) {
      for (let j = 0; j < SMALL_ZONE; j++) {
        const c = this.small[i * SMALL_ZONE + j]!;
        if (c !== 0) put(i, j + 1, c);
      }
      for (; key < keys.length && keys[key]! < (i + 1) * base; key++)
        put(i, keys[key]! - i * base, this.large.get(keys[key]!)!);
    }
    return { level, size, count };
  }
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
        // 1 where the levels are equal, without a branch that could be guessed wrongly.
        dependent += (((cells[here + offset]! ^ level) - 1) >>> 31) + (((cells[here - offset]! ^ level) - 1) >>> 31);
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
      neighbours += (-ahead >>> 31) + (-behind >>> 31);
      sum += values[ahead]! + values[behind]!;
    }
    if (neighbours === 0) continue;
    withNeighbours[level - 1]!++;
    difference[level - 1]! += Math.abs(values[level]! - sum / neighbours);
  }
  return { count: grid.voxelsPerLevel.slice(), withNeighbours, difference };
}
