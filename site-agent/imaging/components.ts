import type { Roi } from './roi.js';

/** How many parts a region has whose voxels touch by a face, an edge or a corner (26 neighbours). */
export function countComponents(roi: Roi): number {
  if (roi.box === null) return 0;
  const { lower, upper } = roi.box;
  // One empty voxel around the box, so that no neighbour needs a bounds check.
  const nx = upper[0] - lower[0] + 3;
  const ny = upper[1] - lower[1] + 3;
  const nz = upper[2] - lower[2] + 3;
  const open = new Uint8Array(nx * ny * nz);
  const [sx, sy] = roi.grid.size;
  for (const index of roi.indices) {
    const x = index % sx;
    const rest = (index - x) / sx;
    const y = rest % sy;
    const z = (rest - y) / sy;
    open[x - lower[0] + 1 + nx * (y - lower[1] + 1 + ny * (z - lower[2] + 1))] = 1;
  }
  const neighbours: number[] = [];
  for (let dz = -1; dz <= 1; dz++)
    for (let dy = -1; dy <= 1; dy++)
      for (let dx = -1; dx <= 1; dx++) if (dx !== 0 || dy !== 0 || dz !== 0) neighbours.push(dx + nx * (dy + ny * dz));
  const stack = new Int32Array(roi.indices.length);
  let components = 0;
  for (let seed = 0; seed < open.length; seed++) {
    if (open[seed] === 0) continue;
    components++;
    open[seed] = 0;
    let depth = 0;
    stack[depth++] = seed;
    while (depth > 0) {
      const at = stack[--depth]!;
      for (const step of neighbours) {
        if (open[at + step] === 0) continue;
        open[at + step] = 0;
        stack[depth++] = at + step;
      }
    }
  }
  return components;
}
