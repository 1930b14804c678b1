import type { Roi } from '../../imaging/roi.js';

/** A region's surface as IBSI meshes it: marching cubes at the half-way level of the mask, with its vertices half-way between voxels. */
export interface RegionMesh {
  readonly volumeMm3: number;
  readonly areaMm2: number;
  /**
   * Mesh vertices that can be corners of the convex hull (the outermost of each row along x), in doubled voxel indices relative to the
   * region's box: x, y, z one after another.
   */
  readonly outermost: Int32Array;
}

/** An edge of the cube from `corner` along `axis`; a corner's bits are its x, y and z. */
interface CubeEdge {
  readonly corner: number;
  readonly axis: 0 | 1 | 2;
}
const EDGES: readonly CubeEdge[] = ([0, 1, 2] as const).flatMap((axis) =>
  [0, 1, 2, 3, 4, 5, 6, 7].filter((corner) => ((corner >> axis) & 1) === 0).map((corner) => ({ corner, axis })),
);
const edgeBetween = (a: number, b: number): number =>
  EDGES.findIndex(({ corner, axis }) => corner === Math.min(a, b) && corner + (1 << axis) === Math.max(a, b));

/** Corners of the six faces, counter-clockwise seen from outside. */
const FACES: readonly (readonly number[])[] = [
  [0, 4, 6, 2],
  [1, 3, 7, 5],
  [0, 1, 5, 4],
  [2, 6, 7, 3],
  [0, 2, 3, 1],
  [4, 5, 7, 6],
];

/**
 * Closed polygons of cut edges for each of the 256 patterns of corners inside, by one rule: on every face the cut runs from where the walk
 * around it leaves the inside to where it next enters it, so that two diagonal corners inside are joined (which IBSI's reference values
 * are for). The rule looks at a face's own corners only, so that neighbouring cubes agree and the surface is closed.
 */
const POLYGONS: readonly (readonly (readonly number[])[])[] = Array.from({ length: 256 }, (_, pattern) => {
  const inside = (corner: number): boolean => ((pattern >> corner) & 1) === 1;
  const next = new Map<number, number>();
  for (const face of FACES)
    for (let k = 0; k < 4; k++) {
      if (!inside(face[k]!) || inside(face[(k + 1) % 4]!)) continue;
      let on = (k + 1) % 4;
      while (!inside(face[(on + 1) % 4]!)) on = (on + 1) % 4;
      next.set(edgeBetween(face[k]!, face[(k + 1) % 4]!), edgeBetween(face[on]!, face[(on + 1) % 4]!));
    }
  const polygons: number[][] = [];
  while (next.size > 0) {
    const polygon: number[] = [];
    let edge = next.keys().next().value!;
    while (next.has(edge)) {
      polygon.push(edge);
      const following = next.get(edge)!;
      next.delete(edge);
      edge = following;
    }
    polygons.push(polygon);
  }
  return polygons;
});

/** Midpoint of an edge in half cube edges from the cube's first corner. */
const midpoint = ({ corner, axis }: CubeEdge): readonly [number, number, number] => {
  const at = [0, 1, 2].map((k) => 2 * ((corner >> k) & 1) + (k === axis ? 1 : 0));
  return [at[0]!, at[1]!, at[2]!];
};
const MIDPOINTS = EDGES.map(midpoint);

/** The sign of the volume that the polygons' order gives a region. */
const OUTWARD = -1;

type Triangle = readonly [number, number, number];

/** Every way to cut a polygon, given by its corners, into triangles without new points. */
function triangulations(polygon: readonly number[]): Triangle[][] {
  if (polygon.length < 3) return [[]];
  const [first, last] = [polygon[0]!, polygon[polygon.length - 1]!];
  const found: Triangle[][] = [];
  for (let k = 1; k + 1 < polygon.length; k++)
    for (const before of triangulations(polygon.slice(0, k + 1)))
      for (const after of triangulations(polygon.slice(k)))
        found.push([...before, [first, polygon[k]!, last], ...after]);
  return found;
}

/** Six times the signed volume between a triangle and the cube's first corner. */
function signedVolume(triangle: Triangle): number {
  const [a, b, c] = triangle.map((edge) => MIDPOINTS[edge]!) as [Point, Point, Point];
  return a[0] * (b[1] * c[2] - b[2] * c[1]) + a[1] * (b[2] * c[0] - b[0] * c[2]) + a[2] * (b[0] * c[1] - b[1] * c[0]);
}
type Point = readonly [number, number, number];

/**
 * The triangles of each pattern. A polygon that is not plane can be cut in several ways: around fewer than four corners inside taken is the
 * cut of most volume, so that the surface is convex there, otherwise the one of least, so that it is convex around the corners outside;
 * around a chain of four, which looks the same from either side, the one nearest the middle. All but 32 patterns, each with corners
 * that touch only at an edge or not at all, so have the areas and volumes of scikit-image's marching cubes, which MIRP uses.
 */
const TRIANGLES: readonly (readonly Triangle[])[] = POLYGONS.map((polygons, pattern) => {
  let count = 0;
  for (let corner = 0; corner < 8; corner++) count += (pattern >> corner) & 1;
  return polygons.flatMap((polygon) => {
    const cuts = triangulations(polygon).map((triangles) => ({
      triangles,
      volume: OUTWARD * triangles.reduce((sum, triangle) => sum + signedVolume(triangle), 0),
    }));
    const volumes = cuts.map(({ volume }) => volume);
    const [least, most] = [Math.min(...volumes), Math.max(...volumes)];
    const wanted = count < 4 ? most : count === 4 && polygon.length === 6 ? (least + most) / 2 : least;
    let best = cuts[0]!;
    for (const cut of cuts) if (Math.abs(cut.volume - wanted) < Math.abs(best.volume - wanted)) best = cut;
    return best.triangles;
  });
});

export function regionMesh(roi: Roi): RegionMesh {
  const box = roi.box!;
  // One layer of outside around the box on every side: cubes start at index −1.
  const [nx, ny, nz] = [0, 1, 2].map((axis) => box.upper[axis]! - box.lower[axis]! + 3) as [number, number, number];
  const inside = new Uint8Array(nx * ny * nz);
  const [gx, gy] = roi.grid.size;
  for (const index of roi.indices) {
    const x = (index % gx) - box.lower[0] + 1;
    const y = (Math.floor(index / gx) % gy) - box.lower[1] + 1;
    const z = Math.floor(index / (gx * gy)) - box.lower[2] + 1;
    inside[x + nx * (y + ny * z)] = 1;
  }
  const [sx, sy, sz] = roi.grid.spacingMm;
  const least = new Int32Array(4 * ny * nz).fill(-1);
  const most = new Int32Array(4 * ny * nz).fill(-1);
  let volume = 0;
  let area = 0;
  for (let z = 0; z + 1 < nz; z++)
    for (let y = 0; y + 1 < ny; y++)
      for (let x = 0; x + 1 < nx; x++) {
        const at = x + nx * (y + ny * z);
        let pattern = 0;
        for (let corner = 0; corner < 8; corner++)
          pattern |= inside[at + (corner & 1) + nx * ((corner >> 1) & 1) + nx * ny * (corner >> 2)]! << corner;
        if (pattern === 0 || pattern === 255) continue;
        for (const triangle of TRIANGLES[pattern]!) {
          const [a, b, c] = triangle.map((edge) => {
            const [mx, my, mz] = MIDPOINTS[edge]!;
            const [px, py, pz] = [2 * x + mx, 2 * y + my, 2 * z + mz];
            const row = py + 2 * ny * pz;
            if (least[row] === -1 || px < least[row]!) least[row] = px;
            if (px > most[row]!) most[row] = px;
            return [px * 0.5 * sx, py * 0.5 * sy, pz * 0.5 * sz] as const;
          }) as [Point, Point, Point];
          const [ux, uy, uz] = [b[0] - a[0], b[1] - a[1], b[2] - a[2]];
          const [vx, vy, vz] = [c[0] - a[0], c[1] - a[1], c[2] - a[2]];
          const [wx, wy, wz] = [uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx];
          volume += (a[0] * wx + a[1] * wy + a[2] * wz) / 6;
          area += Math.sqrt(wx * wx + wy * wy + wz * wz) / 2;
        }
      }
  const outermost: number[] = [];
  for (let row = 0; row < least.length; row++) {
    if (least[row] === -1) continue;
    const [py, pz] = [row % (2 * ny), Math.floor(row / (2 * ny))];
    outermost.push(least[row]!, py, pz);
    if (most[row] !== least[row]) outermost.push(most[row]!, py, pz);
  }
  return { volumeMm3: Math.abs(volume), areaMm2: area, outermost: Int32Array.from(outermost) };
}
