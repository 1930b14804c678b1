import { type DifferenceSums, gldmCounts, ngtdmSums } from './counts.js';
import { type LevelGrid, offsetsOf } from './level-grid.js';
import type { Direction } from './neighbourhood.js';

export interface NeighbourCounts {
  readonly dependence: Uint32Array;
  readonly differences: DifferenceSums;
}

/** What `gldmCounts` with alpha 0 and `ngtdmSums` give, to the bit. */
export function neighbourCounts(grid: LevelGrid, steps: readonly Direction[]): NeighbourCounts {
  const isNearest = steps.length === 13 && steps.every((step) => step.every((part) => Math.abs(part) <= 1));
  if (!isNearest || (grid.greyLevels.at(-1) ?? 0) > PACKED_LEVEL_MAX)
    return { dependence: gldmCounts(grid, steps), differences: ngtdmSums(grid, steps) };
  return { dependence: dependenceOf(grid, offsetsOf(grid, steps)), differences: differencesOf(grid) };
}

/** The voxels by level and by how many of their 26 neighbours have it. */
function dependenceOf({ cells, voxels, greyLevels }: LevelGrid, offsets: Int32Array): Uint32Array {
  const alike = new Uint8Array(voxels.length);
  // Twelve directions, four at a time: a loop over them would cost more than what it does. The thirteenth comes with the counts.
  for (let a = 0; a < 12; a += 4) addAlike(cells, voxels, offsets, a, alike);
  const last = offsets[12]!;
  const width = 27;
  const counts = new Uint32Array(greyLevels.length * width);
  for (let v = 0; v < voxels.length; v++) {
    const here = voxels[v]!;
    const level = cells[here]!;
    const more = (((cells[here + last]! ^ level) - 1) >>> 31) + (((cells[here - last]! ^ level) - 1) >>> 31);
    counts[(level - 1) * width + alike[v]! + more]!++;
  }
  return counts;
}

function addAlike(
  cells: LevelGrid['cells'],
  voxels: Int32Array,
  offsets: Int32Array,
  a: number,
  alike: Uint8Array,
): void {
  const o0 = offsets[a]!;
  const o1 = offsets[a + 1]!;
  const o2 = offsets[a + 2]!;
  const o3 = offsets[a + 3]!;
  for (let v = 0; v < voxels.length; v++) {
    const here = voxels[v]!;
    const level = cells[here]!;
    // 1 where the levels are equal, without a branch that could be guessed wrongly.
    alike[v]! +=
      (((cells[here + o0]! ^ level) - 1) >>> 31) +
      (((cells[here - o0]! ^ level) - 1) >>> 31) +
      (((cells[here + o1]! ^ level) - 1) >>> 31) +
      (((cells[here - o1]! ^ level) - 1) >>> 31) +
      (((cells[here + o2]! ^ level) - 1) >>> 31) +
      (((cells[here - o2]! ^ level) - 1) >>> 31) +
      (((cells[here + o3]! ^ level) - 1) >>> 31) +
      (((cells[here - o3]! ^ level) - 1) >>> 31);
  }
}

/** A voxel counts once in the upper part of a number whose lower part adds up grey levels; 27 of them stay below 2^31. */
const COUNT_BITS = 26;
const ONE = 1 << COUNT_BITS;
/** 27 of it stay in the lower part. */
const PACKED_LEVEL_MAX = Math.floor((ONE - 1) / 27);

/** From sums over the 27 voxels around each, along x, then y, then z: whole numbers, so that the order does not count. */
function differencesOf(grid: LevelGrid): DifferenceSums {
  const { cells, greyLevels, strideY } = grid;
  const packed = new Int32Array(greyLevels.length + 1);
  for (let i = 0; i < greyLevels.length; i++) packed[i + 1] = ONE + greyLevels[i]!;
  const alongX = new Int32Array(cells.length);
  for (let k = 1; k < cells.length - 1; k++)
    alongX[k] = packed[cells[k - 1]!]! + packed[cells[k]!]! + packed[cells[k + 1]!]!;
  const alongXY = new Int32Array(cells.length);
  for (let k = strideY; k < cells.length - strideY; k++)
    alongXY[k] = alongX[k - strideY]! + alongX[k]! + alongX[k + strideY]!;
  return sumsFrom(grid, alongXY);
}

function sumsFrom(
  { cells, voxels, greyLevels, voxelsPerLevel, strideZ }: LevelGrid,
  alongXY: Int32Array,
): DifferenceSums {
  const withNeighbours = new Float64Array(greyLevels.length);
  const difference = new Float64Array(greyLevels.length);
  for (let v = 0; v < voxels.length; v++) {
    const here = voxels[v]!;
    const i = cells[here]! - 1;
    const value = greyLevels[i]!;
    const others = alongXY[here - strideZ]! + alongXY[here]! + alongXY[here + strideZ]! - ONE - value;
    const neighbours = others >>> COUNT_BITS;
    if (neighbours === 0) continue;
    withNeighbours[i]!++;
    difference[i]! += Math.abs(value - (others & (ONE - 1)) / neighbours);
  }
  return { count: voxelsPerLevel.slice(), withNeighbours, difference };
}
