/**
 * Texture matrices by their definitions, slowly: a map from (x, y, z) to the grey level, every pair of voxels asked whether they are
 * neighbours, runs and zones grown in sets. Shares no code with the product.
 */
export interface Region {
  readonly size: readonly [number, number, number];
  /** Grey level of the voxels of the region, by "x,y,z". */
  readonly levels: ReadonlyMap<string, number>;
}

type Point = readonly [number, number, number];
const key = (p: Point): string => p.join(',');
const point = (text: string): Point => text.split(',').map(Number) as unknown as Point;
const plus = (p: Point, d: Point, times = 1): Point => [p[0] + times * d[0], p[1] + times * d[1], p[2] + times * d[2]];

/** All steps, both ways, with their Chebyshev length among the distances and no part along the flat axis (0 x, 1 y, 2 z). */
export function allSteps(distances: readonly number[], flatAxis: number | null): Point[] {
  const longest = Math.max(...distances);
  const steps: Point[] = [];
  for (let x = -longest; x <= longest; x++)
    for (let y = -longest; y <= longest; y++)
      for (let z = -longest; z <= longest; z++) {
        const step: Point = [x, y, z];
        const length = Math.max(Math.abs(x), Math.abs(y), Math.abs(z));
        if (distances.includes(length) && (flatAxis === null || step[flatAxis] === 0)) steps.push(step);
      }
  return steps;
}

/** "i,j" → how often level j is one step from level i. */
export function pairs(region: Region, step: Point): Map<string, number> {
  const counts = new Map<string, number>();
  for (const [at, i] of region.levels) {
    const j = region.levels.get(key(plus(point(at), step)));
    if (j !== undefined) counts.set(`${i},${j}`, (counts.get(`${i},${j}`) ?? 0) + 1);
  }
  return counts;
}

/** "i,length" → runs; and whether any line along the step holds two voxels of the region. */
export function runs(region: Region, step: Point): { counts: Map<string, number>; meets: boolean } {
  const inside = (p: Point): boolean => p.every((at, axis) => at >= 0 && at < region.size[axis]!);
  const counts = new Map<string, number>();
  let meets = false;
  for (let x = 0; x < region.size[0]; x++)
    for (let y = 0; y < region.size[1]; y++)
      for (let z = 0; z < region.size[2]; z++) {
        if (inside(plus([x, y, z], step, -1))) continue;
        const line: (number | undefined)[] = [];
        for (let p: Point = [x, y, z]; inside(p); p = plus(p, step)) line.push(region.levels.get(key(p)));
        if (line.filter((level) => level !== undefined).length > 1) meets = true;
        for (let from = 0; from < line.length; ) {
          let to = from;
          while (to < line.length && line[to] === line[from]) to++;
          if (line[from] !== undefined)
            counts.set(`${line[from]},${to - from}`, (counts.get(`${line[from]},${to - from}`) ?? 0) + 1);
          from = to;
        }
      }
  return { counts, meets };
}

/** "i,size" → zones of touching voxels of one level. */
export function zones(region: Region, steps: readonly Point[]): Map<string, number> {
  const counts = new Map<string, number>();
  const left = new Set(region.levels.keys());
  while (left.size > 0) {
    const [start] = left;
    const level = region.levels.get(start!)!;
    const zone = new Set([start!]);
    for (const at of zone)
      for (const step of steps) {
        const other = key(plus(point(at), step));
        if (region.levels.get(other) === level) zone.add(other);
      }
    for (const at of zone) left.delete(at);
    counts.set(`${level},${zone.size}`, (counts.get(`${level},${zone.size}`) ?? 0) + 1);
  }
  return counts;
}

/** "i,d" → voxels of level i with d neighbours whose level differs by at most alpha. */
export function dependents(region: Region, steps: readonly Point[], alpha: number): Map<string, number> {
  const counts = new Map<string, number>();
  for (const [at, level] of region.levels) {
    const near = steps.map((step) => region.levels.get(key(plus(point(at), step)))).filter((j) => j !== undefined);
    const d = near.filter((j) => Math.abs(j - level) <= alpha).length;
    counts.set(`${level},${d}`, (counts.get(`${level},${d}`) ?? 0) + 1);
  }
  return counts;
}

/** Level → [voxels, voxels with a neighbour, Σ |level − mean of the neighbours|]. */
export function differences(region: Region, steps: readonly Point[]): Map<number, [number, number, number]> {
  const sums = new Map<number, [number, number, number]>();
  for (const [at, level] of region.levels) {
    const near = steps.map((step) => region.levels.get(key(plus(point(at), step)))).filter((j) => j !== undefined);
    const row = sums.get(level) ?? [0, 0, 0];
    row[0]++;
    if (near.length > 0) {
      row[1]++;
      row[2] += Math.abs(level - near.reduce((sum, j) => sum + j, 0) / near.length);
    }
    sums.set(level, row);
  }
  return sums;
}
