import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../shared/rng.js';
import { convexHull } from '../../site-agent/imaging/convex-hull.js';

type Point = readonly [number, number, number];

/** A set of points on a small lattice, where most lie in planes and lines with others. */
function latticePoints(seed: number): Point[] {
  const random = seededRandom('convex hull', seed);
  const reach = 2 + random.integer(6);
  return Array.from({ length: 5 + random.integer(60) }, () => [
    random.integer(reach),
    random.integer(reach),
    random.integer(reach),
  ]);
}

const minus = (a: Point, b: Point): Point => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
const dot = (a: Point, b: Point): number => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const cross = (a: Point, b: Point): Point => [
  a[1] * b[2] - a[2] * b[1],
  a[2] * b[0] - a[0] * b[2],
  a[0] * b[1] - a[1] * b[0],
];

/** Volume of the hull by its definition: every plane through three points with all others on one side is a face of it. */
function slowVolume(points: readonly Point[]): number {
  const unique = [...new Map(points.map((p) => [p.join(), p])).values()];
  const inner = unique.reduce<Point>((sum, p) => [sum[0] + p[0], sum[1] + p[1], sum[2] + p[2]], [0, 0, 0]);
  const centre = inner.map((sum) => sum / unique.length) as unknown as Point;
  const faces = new Map<string, Point[]>();
  for (const a of unique)
    for (const b of unique)
      for (const c of unique) {
        const normal = cross(minus(b, a), minus(c, a));
        if (normal.every((part) => part === 0)) continue;
        if (unique.some((p) => dot(normal, minus(p, a)) > 0)) continue;
        const on = unique.filter((p) => dot(normal, minus(p, a)) === 0);
        faces.set(on.map((p) => p.join()).join(' '), on);
      }
  let volume = 0;
  for (const on of faces.values()) {
    // The corners of a face in order around its own centre.
    const middle = [0, 1, 2].map((k) => on.reduce((sum, p) => sum + p[k]!, 0) / on.length) as unknown as Point;
    const u = minus(on.find((p) => minus(p, middle).some((part) => part !== 0))!, middle);
    const normal = on
      .flatMap((p) => on.map((q) => cross(minus(p, middle), minus(q, middle))))
      .reduce((longest, n) => (dot(n, n) > dot(longest, longest) ? n : longest));
    const v = cross(normal, u);
    const hull = planeHull(on.map((p) => [dot(minus(p, middle), u), dot(minus(p, middle), v)] as const));
    let area = 0;
    hull.forEach((p, k) => {
      const q = hull[(k + 1) % hull.length]!;
      area += p[0] * q[1] - p[1] * q[0];
    });
    const scale = Math.sqrt(dot(u, u) * dot(v, v));
    const height = Math.abs(dot(normal, minus(middle, centre))) / Math.sqrt(dot(normal, normal));
    volume += (Math.abs(area) / 2 / scale) * (height / 3);
  }
  return volume;
}

/** Corners of a convex polygon: the points that some line keeps all others on one side of, in order of angle. */
function planeHull(points: readonly (readonly [number, number])[]): (readonly [number, number])[] {
  const turn = (a: readonly [number, number], b: readonly [number, number], c: readonly [number, number]): number =>
    (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
  return points
    .filter((a) => points.some((b) => a !== b && points.every((c) => turn(a, b, c) >= -1e-9)))
    .sort((p, q) => Math.atan2(p[1], p[0]) - Math.atan2(q[1], q[0]));
}

function hullVolume(points: readonly Point[], triangles: Int32Array): number {
  let volume = 0;
  for (let t = 0; t < triangles.length; t += 3) {
    const [a, b, c] = [points[triangles[t]!]!, points[triangles[t + 1]!]!, points[triangles[t + 2]!]!];
    volume += dot(a, cross(b, c)) / 6;
  }
  return volume;
}

describe('the convex hull of lattice points', () => {
  it('has every point on its inner side, closes, and has the volume of the hull by definition', () => {
    let flat = 0;
    for (let seed = 0; seed < 40; seed++) {
      const points = latticePoints(seed);
      const hull = convexHull(points.flat());
      if (hull === null) {
        flat++;
        continue;
      }
      const edges = new Map<string, number>();
      for (let t = 0; t < hull.triangles.length; t += 3) {
        const corner = [hull.triangles[t]!, hull.triangles[t + 1]!, hull.triangles[t + 2]!];
        const [a, b, c] = corner.map((k) => points[k]!) as [Point, Point, Point];
        const normal = cross(minus(b, a), minus(c, a));
        for (const p of points) expect(dot(normal, minus(p, a))).toBeLessThanOrEqual(0);
        for (let k = 0; k < 3; k++) {
          const [from, to] = [corner[k]!, corner[(k + 1) % 3]!];
          const key = from < to ? `${from} ${to}` : `${to} ${from}`;
          edges.set(key, (edges.get(key) ?? 0) + (from < to ? 1 : -1));
        }
      }
      expect([...edges.values()].every((sum) => sum === 0)).toBe(true);
      expect(hullVolume(points, hull.triangles)).toBeCloseTo(slowVolume(points), 8);
    }
    expect(flat).toBeLessThan(5);
  });

  it('is none where the points lie in a plane, on a line or in one place', () => {
    expect(convexHull([])).toBeNull();
    expect(convexHull([1, 2, 3])).toBeNull();
    expect(convexHull([0, 0, 0, 1, 1, 1, 2, 2, 2, 5, 5, 5])).toBeNull();
    expect(convexHull([0, 0, 0, 1, 0, 1, 0, 1, 1, 3, 4, 7, 1, 1, 2])).toBeNull();
  });
});
