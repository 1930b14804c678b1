import { type Counts, Tally } from './counts.js';
import type { LevelGrid } from './level-grid.js';

/** A direction in voxels along x, y, z. */
export type Direction = readonly [number, number, number];
/** Slices from z = `from` up to, not including, `to`; neighbours outside them do not count. */
export interface Slab {
  readonly from: number;
  readonly to: number;
}

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

/** Voxels of the region in a slab. */
export function voxelsIn({ size, levels }: LevelGrid, { from, to }: Slab): number {
  const slice = size[0] * size[1];
  let count = 0;
  for (let at = from * slice; at < to * slice; at++) if (levels[at] !== 0) count++;
  return count;
}

/** Calls `visit` for every voxel of the region in the slab, with the level of its neighbour in the direction: 0 where there is none. */
function eachPair(
  grid: LevelGrid,
  [dx, dy, dz]: Direction,
  { from, to }: Slab,
  visit: (level: number, neighbour: number, at: number) => void,
): void {
  const [nx, ny] = grid.size;
  const { levels } = grid;
  const step = dx + nx * (dy + ny * dz);
  for (let z = from; z < to; z++) {
    const hasZ = z + dz >= from && z + dz < to;
    for (let y = 0; y < ny; y++) {
      const hasRow = hasZ && y + dy >= 0 && y + dy < ny;
      const row = nx * (y + ny * z);
      for (let x = 0; x < nx; x++) {
        const level = levels[row + x]!;
        if (level === 0) continue;
        const inside = hasRow && x + dx >= 0 && x + dx < nx;
        visit(level, inside ? levels[row + x + step]! : 0, row + x);
      }
    }
  }
}

/** Grey level co-occurrence matrix of one direction and its opposite. */
export function coOccurrence(grid: LevelGrid, direction: Direction, slab: Slab): Counts {
  const tally = new Tally(grid.levelCount, grid.levelCount);
  eachPair(grid, direction, slab, (level, neighbour) => {
    if (neighbour === 0) return;
    tally.add(level, neighbour);
    tally.add(neighbour, level);
  });
  return tally.counts();
}

/** Grey level run length matrix of one direction: runs are followed from where they start. */
export function runLengths(grid: LevelGrid, direction: Direction, slab: Slab): Counts {
  const [nx, ny] = grid.size;
  const { levels } = grid;
  const [dx, dy, dz] = direction;
  const step = dx + nx * (dy + ny * dz);
  const tally = new Tally(grid.levelCount, Math.max(...grid.size));
  eachPair(grid, [-dx, -dy, -dz] as Direction, slab, (level, before, at) => {
    if (before === level) return;
    let x = (at % nx) + dx;
    let y = (Math.floor(at / nx) % ny) + dy;
    let z = Math.floor(at / (nx * ny)) + dz;
    let length = 1;
    for (let next = at + step; ; next += step) {
      if (x < 0 || x >= nx || y < 0 || y >= ny || z < slab.from || z >= slab.to || levels[next] !== level) break;
      length++;
      x += dx;
      y += dy;
      z += dz;
    }
    tally.add(level, length);
  });
  tally.addVoxels(voxelsIn(grid, slab));
  return tally.counts();
}

/** Zones of one grey level, connected over faces, edges and corners: their sizes, and their least distances to the region's border. */
export function zones(grid: LevelGrid, slab: Slab, inSlice: boolean): { sizes: Counts; distances: Counts } {
  const [nx, ny] = grid.size;
  const { levels } = grid;
  const border = inSlice ? grid.border.inSlice : grid.border.inSpace;
  const sizes = new Tally(grid.levelCount, (slab.to - slab.from) * nx * ny);
  const distances = new Tally(grid.levelCount, Math.max(...grid.size));
  const half = inSlice ? IN_SLICE : IN_SPACE;
  const around = [...half, ...half.map(([x, y, z]) => [-x, -y, -z] as Direction)];
  const seen = new Uint8Array(levels.length);
  const stack = new Int32Array(levels.length);
  const slice = nx * ny;
  for (let start = slab.from * slice; start < slab.to * slice; start++) {
    const level = levels[start]!;
    if (level === 0 || seen[start] === 1) continue;
    seen[start] = 1;
    stack[0] = start;
    let depth = 1;
    let size = 0;
    let nearest = Number.POSITIVE_INFINITY;
    while (depth > 0) {
      const at = stack[--depth]!;
      size++;
      nearest = Math.min(nearest, border[at]!);
      const x = at % nx;
      const y = Math.floor(at / nx) % ny;
      const z = Math.floor(at / slice);
      for (const [dx, dy, dz] of around) {
        const [ox, oy, oz] = [x + dx, y + dy, z + dz];
        if (ox < 0 || ox >= nx || oy < 0 || oy >= ny || oz < slab.from || oz >= slab.to) continue;
        const other = ox + nx * (oy + ny * oz);
        if (levels[other] !== level || seen[other] === 1) continue;
        seen[other] = 1;
        stack[depth++] = other;
      }
    }
    sizes.add(level, size);
    distances.add(level, nearest);
  }
  const voxels = voxelsIn(grid, slab);
  sizes.addVoxels(voxels);
  distances.addVoxels(voxels);
  return { sizes: sizes.counts(), distances: distances.counts() };
}

/** Neighbourhood grey tone difference matrix by grey level − 1: voxels with at least one neighbour, and their summed differences. */
export interface ToneDifferences {
  readonly n: Float64Array;
  readonly s: Float64Array;
}

/** One look at each voxel's neighbours gives the NGTDM and the NGLDM (dependence j = 1 + neighbours within `alpha` grey levels). */
export function neighbourhoods(
  grid: LevelGrid,
  slab: Slab,
  inSlice: boolean,
  alpha: number,
): { tones: ToneDifferences; dependences: Counts } {
  const { levels, levelCount } = grid;
  const half = inSlice ? IN_SLICE : IN_SPACE;
  const slice = grid.size[0] * grid.size[1];
  const base = slab.from * slice;
  const sums = new Float64Array((slab.to - slab.from) * slice);
  const neighbours = new Int32Array(sums.length);
  const dependent = new Int32Array(sums.length);
  for (const [dx, dy, dz] of [...half, ...half.map(([x, y, z]) => [-x, -y, -z] as Direction)])
    eachPair(grid, [dx, dy, dz], slab, (level, neighbour, at) => {
      if (neighbour === 0) return;
      sums[at - base]! += neighbour;
      neighbours[at - base]!++;
      if (Math.abs(level - neighbour) <= alpha) dependent[at - base]!++;
    });
  const n = new Float64Array(levelCount);
  const s = new Float64Array(levelCount);
  const tally = new Tally(levelCount, 27);
  for (let k = 0; k < sums.length; k++) {
    const level = levels[base + k]!;
    if (level === 0) continue;
    tally.add(level, 1 + dependent[k]!);
    if (neighbours[k] === 0) continue;
    n[level - 1]!++;
    s[level - 1]! += Math.abs(level - sums[k]! / neighbours[k]!);
  }
  tally.addVoxels(voxelsIn(grid, slab));
  return { tones: { n, s }, dependences: tally.counts() };
}

export function mergedTones(matrices: readonly ToneDifferences[]): ToneDifferences {
  const n = new Float64Array(matrices[0]!.n.length);
  const s = new Float64Array(n.length);
  for (const matrix of matrices)
    for (let k = 0; k < n.length; k++) {
      n[k]! += matrix.n[k]!;
      s[k]! += matrix.s[k]!;
    }
  return { n, s };
}
