import { type LevelGrid, offsetsOf } from './level-grid.js';
import type { Direction } from './neighbourhood.js';

export interface RunCounts {
  /** `counts[(a * n + i) * longest + length - 1]` runs of level i and of that length along `steps[a]`. */
  readonly counts: Uint32Array;
  /** Longest run that the box has room for. */
  readonly longest: number;
  /** 1 where some line along `steps[a]` holds two voxels of the region or more, next to each other or not. */
  readonly meets: Uint8Array;
}

/**
 * Grey-level run lengths (Galloway 1975), one matrix per direction; directions of length 1.
 *
 * Voxels with k of their level before them without a gap, less those with k + 1, are the runs of length k + 1.
 */
export function glrlmCounts(grid: LevelGrid, steps: readonly Direction[]): RunCounts {
  const n = grid.greyLevels.length;
  const longest = Math.max(1, ...grid.extent);
  const offsets = offsetsOf(grid, steps);
  // A run is the same from its other end, so that a step may look back to voxels already seen.
  const back = offsets.map((offset) => Math.abs(offset));
  const counts = new Uint32Array(steps.length * n * longest);
  const adjacent = new Int32Array(steps.length);
  const depths = [0, 1, 2, 3].map(() => depthsOf(grid, longest));
  let a = 0;
  for (; a + 4 <= steps.length; a += 4) fourDirections(grid, back, a, depths, longest, counts, adjacent);
  for (; a < steps.length; a++) oneDirection(grid, back, a, depths[0]!, longest, counts, adjacent);
  for (let row = 0; row < counts.length; row += longest)
    for (let k = row; k < row + longest - 1; k++) counts[k]! -= counts[k + 1]!;
  const meets = Uint8Array.from(steps, (step, at) =>
    adjacent[at] !== 0 || lineMeets(grid, step, offsets[at]!) ? 1 : 0,
  );
  return { counts, longest, meets };
}

type Depths = Uint8Array | Uint16Array;

/** How far into its run each voxel is. */
const depthsOf = ({ cells }: LevelGrid, longest: number): Depths =>
  longest <= 256 ? new Uint8Array(cells.length) : new Uint16Array(cells.length);

/** Counts voxels in `reached[(a * n + i) * longest + k]`, those of level i with k of it before them; `adjacent` is not 0 where two voxels meet. */
function oneDirection(
  { cells, voxels, greyLevels }: LevelGrid,
  back: Int32Array,
  a: number,
  depth: Depths,
  longest: number,
  reached: Uint32Array,
  adjacent: Int32Array,
): void {
  const offset = back[a]!;
  const base = (a * greyLevels.length - 1) * longest;
  let met = 0;
  for (let v = 0; v < voxels.length; v++) {
    const here = voxels[v]!;
    const level = cells[here]!;
    const before = cells[here - offset]!;
    met |= before;
    // One further in than the voxel before it where that has its level, else 0: without a branch that could be guessed wrongly.
    const k = (depth[here - offset]! + 1) * (((before ^ level) - 1) >>> 31);
    depth[here] = k;
    reached[base + level * longest + k]!++;
  }
  adjacent[a] = met;
}

/** The same for four directions from `a` on, whose counts need not wait for each other. */
function fourDirections(
  { cells, voxels, greyLevels }: LevelGrid,
  back: Int32Array,
  a: number,
  depths: readonly Depths[],
  longest: number,
  reached: Uint32Array,
  adjacent: Int32Array,
): void {
  const plane = greyLevels.length * longest;
  const o0 = back[a]!;
  const o1 = back[a + 1]!;
  const o2 = back[a + 2]!;
  const o3 = back[a + 3]!;
  const base0 = a * plane - longest;
  const base1 = base0 + plane;
  const base2 = base1 + plane;
  const base3 = base2 + plane;
  const depth0 = depths[0]!;
  const depth1 = depths[1]!;
  const depth2 = depths[2]!;
  const depth3 = depths[3]!;
  let met0 = 0;
  let met1 = 0;
  let met2 = 0;
  let met3 = 0;
  for (let v = 0; v < voxels.length; v++) {
    const here = voxels[v]!;
    const level = cells[here]!;
    const row = level * longest;
    const c0 = cells[here - o0]!;
    const k0 = (depth0[here - o0]! + 1) * (((c0 ^ level) - 1) >>> 31);
    depth0[here] = k0;
    reached[base0 + row + k0]!++;
    const c1 = cells[here - o1]!;
    const k1 = (depth1[here - o1]! + 1) * (((c1 ^ level) - 1) >>> 31);
    depth1[here] = k1;
    reached[base1 + row + k1]!++;
    const c2 = cells[here - o2]!;
    const k2 = (depth2[here - o2]! + 1) * (((c2 ^ level) - 1) >>> 31);
    depth2[here] = k2;
    reached[base2 + row + k2]!++;
    const c3 = cells[here - o3]!;
    const k3 = (depth3[here - o3]! + 1) * (((c3 ^ level) - 1) >>> 31);
    depth3[here] = k3;
    reached[base3 + row + k3]!++;
    met0 |= c0;
    met1 |= c1;
    met2 |= c2;
    met3 |= c3;
  }
  adjacent[a] = met0;
  adjacent[a + 1] = met1;
  adjacent[a + 2] = met2;
  adjacent[a + 3] = met3;
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
