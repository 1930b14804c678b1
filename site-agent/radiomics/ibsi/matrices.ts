import { glcmCounts, gldmCounts, ngtdmSums } from '../features/counts.js';
import { offsetsOf } from '../features/level-grid.js';
import type { Direction } from '../features/neighbourhood.js';
import { glrlmCounts } from '../features/run-counts.js';
import { type Counts, countsOf, Tally } from './counts.js';
import type { Part } from './region-levels.js';

/** One of each pair of opposite directions: four within a slice, thirteen in space. */
export const IN_SLICE: readonly Direction[] = halfOf(0);
export const IN_SPACE: readonly Direction[] = halfOf(1);

function halfOf(reachZ: number): Direction[] {
  const found: Direction[] = [];
  for (let z = 0; z <= reachZ; z++)
    for (let y = -1; y <= 1; y++)
      for (let x = -1; x <= 1; x++) if (z > 0 || y > 0 || (y === 0 && x > 0)) found.push([x, y, z]);
  return found;
}

/** Grey level co-occurrence matrix of one direction and its opposite. */
export function coOccurrence({ grid }: Part, direction: Direction): Counts {
  const { greyLevels, voxels } = grid;
  const counts = glcmCounts(grid, [direction]);
  const n = greyLevels.length;
  return countsOf(voxels.length, (add) => {
    for (let a = 0; a < n; a++)
      for (let b = 0; b < n; b++) add(greyLevels[a]!, greyLevels[b]!, counts[a * n + b]! + counts[b * n + a]!);
  });
}

/** Grey level run length matrix of one direction. */
export function runLengths({ grid }: Part, direction: Direction): Counts {
  const { greyLevels, voxels } = grid;
  const { counts, longest } = glrlmCounts(grid, [direction]);
  return countsOf(voxels.length, (add) => {
    for (let a = 0; a < greyLevels.length; a++)
      for (let length = 1; length <= longest; length++) add(greyLevels[a]!, length, counts[a * longest + length - 1]!);
  });
}

/**
 * Zones of one grey level that touch along the directions or their opposites: their sizes, and their least distances to the region's
 * border. One flood fill gives both.
 */
export function zones(
  { grid, border }: Part,
  directions: readonly Direction[],
): { readonly sizes: Counts; readonly distances: Counts } {
  const { greyLevels, voxels } = grid;
  const forward = offsetsOf(grid, directions);
  const offsets = Int32Array.of(...forward, ...forward.map((offset) => -offset));
  const cells = grid.cells.slice();
  const distance = new Int32Array(cells.length);
  let furthest = 1;
  for (let v = 0; v < voxels.length; v++) {
    distance[voxels[v]!] = border[v]!;
    furthest = Math.max(furthest, border[v]!);
  }
  const sizes = new Tally(greyLevels.length, voxels.length);
  const distances = new Tally(greyLevels.length, furthest);
  const stack = new Int32Array(voxels.length);
  for (let v = 0; v < voxels.length; v++) {
    const level = cells[voxels[v]!]!;
    if (level === 0) continue;
    stack[0] = voxels[v]!;
    cells[voxels[v]!] = 0;
    let top = 1;
    let size = 0;
    let nearest = furthest;
    while (top > 0) {
      const here = stack[--top]!;
      size++;
      if (distance[here]! < nearest) nearest = distance[here]!;
      for (let a = 0; a < offsets.length; a++) {
        const other = here + offsets[a]!;
        if (cells[other] !== level) continue;
        cells[other] = 0;
        stack[top++] = other;
      }
    }
    sizes.add(level, size);
    distances.add(level, nearest);
  }
  return { sizes: sizes.counts(voxels.length, greyLevels), distances: distances.counts(voxels.length, greyLevels) };
}

/** Neighbouring grey level dependence matrix: j = 1 + neighbours whose level differs by at most `alpha`. */
export function dependences({ grid }: Part, directions: readonly Direction[], alpha: number): Counts {
  const { greyLevels, voxels } = grid;
  const counts = gldmCounts(grid, directions, alpha);
  const width = 2 * directions.length + 1;
  return countsOf(voxels.length, (add) => {
    for (let a = 0; a < greyLevels.length; a++)
      for (let d = 0; d < width; d++) add(greyLevels[a]!, d + 1, counts[a * width + d]!);
  });
}

/** Neighbourhood grey tone difference matrix by grey level: voxels with at least one neighbour, and their summed differences. */
export type ToneDifferences = ReadonlyMap<number, { readonly n: number; readonly s: number }>;

export function toneDifferences({ grid }: Part, directions: readonly Direction[]): ToneDifferences {
  const { withNeighbours, difference } = ngtdmSums(grid, directions);
  const rows = new Map<number, { n: number; s: number }>();
  grid.greyLevels.forEach((level, a) => {
    if (withNeighbours[a]! > 0) rows.set(level, { n: withNeighbours[a]!, s: difference[a]! });
  });
  return rows;
}

export function mergedTones(matrices: readonly ToneDifferences[]): ToneDifferences {
  const rows = new Map<number, { n: number; s: number }>();
  for (const matrix of matrices)
    for (const [level, { n, s }] of matrix) {
      const before = rows.get(level) ?? { n: 0, s: 0 };
      rows.set(level, { n: before.n + n, s: before.s + s });
    }
  return new Map([...rows].sort(([one], [other]) => one - other));
}
