/**
 * IBSI's texture matrices by their definitions, for small volumes: every voxel against every other one, no offsets, no padding, no
 * flood fill. A matrix is a count by 'i j'; the NGTDM has [n, s] by level.
 */
export interface SlowVolume {
  readonly size: readonly [number, number, number];
  /** Grey level from 1 where the intensity mask is, else 0. */
  readonly level: (x: number, y: number, z: number) => number;
  /** Whether the morphological mask holds the voxel. */
  readonly inside: (x: number, y: number, z: number) => boolean;
}
type Voxel = readonly [number, number, number];
export type SlowMatrix = Record<string, number>;

function voxels({ size, level }: SlowVolume, slice: number | null): Voxel[] {
  const found: Voxel[] = [];
  for (let z = 0; z < size[2]; z++)
    for (let y = 0; y < size[1]; y++)
      for (let x = 0; x < size[0]; x++)
        if ((slice === null || z === slice) && level(x, y, z) > 0) found.push([x, y, z]);
  return found;
}
const chebyshev = (a: Voxel, b: Voxel): number =>
  Math.max(Math.abs(a[0] - b[0]), Math.abs(a[1] - b[1]), Math.abs(a[2] - b[2]));
const count = (matrix: SlowMatrix, i: number, j: number): void => {
  matrix[`${i} ${j}`] = (matrix[`${i} ${j}`] ?? 0) + 1;
};

export function slowGlcm(volume: SlowVolume, direction: Voxel, slice: number | null): SlowMatrix {
  const matrix: SlowMatrix = {};
  const all = voxels(volume, slice);
  for (const a of all)
    for (const b of all) {
      const step = a.map((at, k) => b[k]! - at);
      if (step.every((d, k) => d === direction[k]) || step.every((d, k) => d === -direction[k]!))
        count(matrix, volume.level(...a), volume.level(...b));
    }
  return matrix;
}

export function slowGlrlm(volume: SlowVolume, direction: Voxel, slice: number | null): SlowMatrix {
  const matrix: SlowMatrix = {};
  const all = new Map(voxels(volume, slice).map((v) => [v.join(), volume.level(...v)]));
  const step = (v: Voxel, sign: number): Voxel => [
    v[0] + sign * direction[0],
    v[1] + sign * direction[1],
    v[2] + sign * direction[2],
  ];
  const used = new Set<string>();
  for (const start of voxels(volume, slice)) {
    if (used.has(start.join())) continue;
    const level = all.get(start.join())!;
    const run = [start];
    for (const sign of [1, -1])
      for (let at = step(start, sign); all.get(at.join()) === level; at = step(at, sign)) run.push(at);
    for (const v of run) used.add(v.join());
    count(matrix, level, run.length);
  }
  return matrix;
}

/** Zones as sets that grow until nothing joins them; `what` is their size or their least distance to the outside. */
export function slowZones(volume: SlowVolume, what: 'size' | 'distance', slice: number | null): SlowMatrix {
  const matrix: SlowMatrix = {};
  const left = new Set(voxels(volume, slice));
  while (left.size > 0) {
    const first = left.values().next().value!;
    left.delete(first);
    const zone = [first];
    for (let grown = true; grown; ) {
      grown = false;
      for (const v of left)
        if (volume.level(...v) === volume.level(...first) && zone.some((w) => chebyshev(v, w) === 1)) {
          zone.push(v);
          left.delete(v);
          grown = true;
        }
    }
    const distance = Math.min(...zone.map((v) => slowDistance(volume, v, slice)));
    count(matrix, volume.level(...first), what === 'size' ? zone.length : distance);
  }
  return matrix;
}

/** City-block distance to the nearest voxel outside the morphological mask, looked for in growing diamonds. */
function slowDistance({ size, inside }: SlowVolume, [x, y, z]: Voxel, slice: number | null): number {
  const out = (a: number, b: number, c: number): boolean =>
    a < 0 || b < 0 || c < 0 || a >= size[0] || b >= size[1] || c >= size[2] || !inside(a, b, c);
  for (let reach = 1; ; reach++)
    for (let dz = slice === null ? -reach : 0; dz <= (slice === null ? reach : 0); dz++)
      for (let dy = -(reach - Math.abs(dz)); dy <= reach - Math.abs(dz); dy++) {
        const dx = reach - Math.abs(dz) - Math.abs(dy);
        if (out(x + dx, y + dy, z + dz) || out(x - dx, y + dy, z + dz)) return reach;
      }
}

export function slowNgldm(volume: SlowVolume, slice: number | null, alpha: number): SlowMatrix {
  const matrix: SlowMatrix = {};
  const all = voxels(volume, slice);
  for (const v of all) {
    const alike = all.filter(
      (w) => chebyshev(v, w) === 1 && Math.abs(volume.level(...v) - volume.level(...w)) <= alpha,
    );
    count(matrix, volume.level(...v), 1 + alike.length);
  }
  return matrix;
}

export function slowNgtdm(volume: SlowVolume, slice: number | null): Record<string, readonly [number, number]> {
  const matrix: Record<string, readonly [number, number]> = {};
  const all = voxels(volume, slice);
  for (const v of all) {
    const around = all.filter((w) => chebyshev(v, w) === 1).map((w) => volume.level(...w));
    if (around.length === 0) continue;
    const mean = around.reduce((sum, level) => sum + level, 0) / around.length;
    const [n, s] = matrix[volume.level(...v)] ?? [0, 0];
    matrix[volume.level(...v)] = [n + 1, s + Math.abs(volume.level(...v) - mean)];
  }
  return matrix;
}
