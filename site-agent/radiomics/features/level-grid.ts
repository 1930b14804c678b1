import type { Roi } from '../../imaging/roi.js';
import type { Vec3 } from '../../imaging/volume.js';
import type { Direction } from './neighbourhood.js';

/**
 * The grey levels of a region on its box, with a margin of zeros all around, so that a neighbour is looked up without asking whether
 * it lies inside. The levels that occur are numbered without gaps: matrices are as large as the levels present, not as the largest.
 */
export interface LevelGrid {
  /** The region's box, in voxels along x, y, z. */
  readonly extent: Vec3;
  /** Zero voxels around the box on each side: no step may be longer. */
  readonly margin: number;
  readonly strideY: number;
  readonly strideZ: number;
  /** 0 outside the region, else 1 + the position of the voxel's grey level in `greyLevels`. */
  readonly cells: Uint16Array | Int32Array;
  /** Where in `cells` the region's voxels are, in the order of the region's indices. */
  readonly voxels: Int32Array;
  /** The grey levels that occur, ascending. */
  readonly greyLevels: Int32Array;
  /** How many voxels have each of `greyLevels`. */
  readonly voxelsPerLevel: Float64Array;
}

/**
 * @param levels grey level of each of the region's voxels in the order of `roi.indices`, each at least 1
 * @param margin at least the longest step that will be asked for, in voxels
 */
export function levelGridOf(roi: Roi, levels: Int32Array, margin = 1): LevelGrid {
  if (roi.box === null) return emptyGrid(margin);
  const { lower, upper } = roi.box;
  const extent: Vec3 = [upper[0] - lower[0] + 1, upper[1] - lower[1] + 1, upper[2] - lower[2] + 1];
  const strideY = extent[0] + 2 * margin;
  const strideZ = strideY * (extent[1] + 2 * margin);
  const voxels = new Int32Array(levels.length);

  let highest = 0;
  for (let k = 0; k < levels.length; k++) if (levels[k]! > highest) highest = levels[k]!;
  const tally = new Int32Array(highest + 1);
  for (let k = 0; k < levels.length; k++) tally[levels[k]!]!++;
  let present = 0;
  for (let level = 0; level <= highest; level++) if (tally[level]! > 0) present++;
  const greyLevels = new Int32Array(present);
  const voxelsPerLevel = new Float64Array(present);
  for (let level = 0, next = 0; level <= highest; level++) {
    if (tally[level] === 0) continue;
    greyLevels[next] = level;
    voxelsPerLevel[next] = tally[level]!;
    next++;
    tally[level] = next;
  }

  // Half the memory is half the time where every pass over the neighbours waits for it.
  const cellCount = strideZ * (extent[2] + 2 * margin);
  const cells = present < 65_536 ? new Uint16Array(cellCount) : new Int32Array(cellCount);
  const [nx, ny] = roi.grid.size;
  // Ascending voxels share rows: [start, start + nx) of the region's grid lies at [to, to + nx) of the cells.
  let start = -nx;
  let to = 0;
  for (let k = 0; k < voxels.length; k++) {
    const index = roi.indices[k]!;
    if (index < start || index - start >= nx) {
      const row = Math.floor(index / nx);
      const slice = Math.floor(row / ny);
      start = row * nx;
      to = margin - lower[0] + strideY * (row - slice * ny - lower[1] + margin) + strideZ * (slice - lower[2] + margin);
    }
    const cell = index - start + to;
    voxels[k] = cell;
    cells[cell] = tally[levels[k]!]!;
  }
  return { extent, margin, strideY, strideZ, cells, voxels, greyLevels, voxelsPerLevel };
}

const emptyGrid = (margin: number): LevelGrid => ({
  extent: [0, 0, 0],
  margin,
  strideY: 1,
  strideZ: 1,
  cells: new Uint16Array(0),
  voxels: new Int32Array(0),
  greyLevels: new Int32Array(0),
  voxelsPerLevel: new Float64Array(0),
});

/** Steps in `grid.cells` for the directions. */
export function offsetsOf(grid: LevelGrid, steps: readonly Direction[]): Int32Array {
  return Int32Array.from(steps, ([x, y, z]) => x + y * grid.strideY + z * grid.strideZ);
}
