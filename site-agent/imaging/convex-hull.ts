/**
 * The convex hull of points on an integer lattice, by quickhull (Barber, Dobkin and Huhdanpaa 1996).
 *
 * Region meshes have their vertices at half-voxel positions, so in doubled voxel indices they are integers, and many of them lie in one
 * plane. With integers below 2^15 every plane and every distance is exact in float64: no tolerance decides what lies on the hull. A
 * scaling per axis, such as spacing, leaves the hull's combinatorics alone.
 */
export interface Hull {
  /** Indices of the points that are corners of a face, ascending. Points within a face or an edge may be among them. */
  readonly vertices: Int32Array;
  /** Three point indices a triangle, counter-clockwise seen from outside. */
  readonly triangles: Int32Array;
}

interface Facet {
  readonly corner: readonly [number, number, number];
  /** The facet across the edge from corner k to corner k + 1. */
  readonly beyond: [Facet | null, Facet | null, Facet | null];
  readonly normal: readonly [number, number, number];
  readonly offset: number;
  outside: number[];
  alive: boolean;
  mark: number;
}

/** @param points x, y, z of one point after another, integers of magnitude below 2^15. @returns null where the points lie in one plane. */
export function convexHull(points: ArrayLike<number>): Hull | null {
  const count = Math.floor(points.length / 3);
  const above = (facet: Facet, p: number): number =>
    facet.normal[0] * points[3 * p]! +
    facet.normal[1] * points[3 * p + 1]! +
    facet.normal[2] * points[3 * p + 2]! -
    facet.offset;
  const facetOf = (a: number, b: number, c: number): Facet => {
    const [ux, uy, uz] = [0, 1, 2].map((k) => points[3 * b + k]! - points[3 * a + k]!) as [number, number, number];
    const [vx, vy, vz] = [0, 1, 2].map((k) => points[3 * c + k]! - points[3 * a + k]!) as [number, number, number];
    const normal = [uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx] as const;
    const offset = normal[0] * points[3 * a]! + normal[1] * points[3 * a + 1]! + normal[2] * points[3 * a + 2]!;
    return { corner: [a, b, c], beyond: [null, null, null], normal, offset, outside: [], alive: true, mark: -1 };
  };

  const start = firstTetrahedron(points, count);
  if (start === null) return null;
  const [a, b, c, d] = start;
  const facets = [facetOf(a, b, c), facetOf(a, d, b), facetOf(b, d, c), facetOf(c, d, a)];
  joinAll(facets);
  for (let p = 0; p < count; p++) {
    const seeing = facets.find((facet) => above(facet, p) > 0);
    if (seeing) seeing.outside.push(p);
  }

  const waiting = facets.filter((facet) => facet.outside.length > 0);
  for (let step = 0; waiting.length > 0; step++) {
    const facet = waiting.pop()!;
    if (!facet.alive || facet.outside.length === 0) continue;
    let apex = facet.outside[0]!;
    let furthest = 0;
    for (const p of facet.outside) {
      const distance = above(facet, p);
      if (distance > furthest) [furthest, apex] = [distance, p];
    }
    const { visible, horizon } = seenFrom(facet, step, (other) => above(other, apex) > 0);
    const fresh = horizon.map(({ from, to, behind, edge }) => {
      const made = facetOf(from, to, apex);
      made.beyond[0] = behind;
      behind.beyond[edge] = made;
      return made;
    });
    joinFan(fresh);
    for (const gone of visible) {
      gone.alive = false;
      for (const p of gone.outside) {
        if (p === apex) continue;
        const seeing = fresh.find((candidate) => above(candidate, p) > 0);
        if (seeing) seeing.outside.push(p);
      }
      gone.outside = [];
    }
    for (const made of fresh) {
      facets.push(made);
      if (made.outside.length > 0) waiting.push(made);
    }
  }

  const kept = facets.filter((facet) => facet.alive);
  const triangles = Int32Array.from(kept.flatMap((facet) => facet.corner));
  return { triangles, vertices: Int32Array.from(new Set(triangles)).sort() };
}

/** Four points of non-zero volume, the first three counter-clockwise seen from the side away from the fourth. */
function firstTetrahedron(points: ArrayLike<number>, count: number): readonly [number, number, number, number] | null {
  const most = (score: (p: number) => number): number => {
    let best = 0;
    let at = -1;
    for (let p = 0; p < count; p++) {
      const value = Math.abs(score(p));
      if (value > best) [best, at] = [value, p];
    }
    return at;
  };
  const x = (p: number, k: number): number => points[3 * p + k]!;
  const a = 0;
  const b = most((p) => Math.abs(x(p, 0) - x(a, 0)) + Math.abs(x(p, 1) - x(a, 1)) + Math.abs(x(p, 2) - x(a, 2)));
  if (count === 0 || b < 0) return null;
  const cross = (p: number, q: number, r: number): readonly [number, number, number] => {
    const u = [0, 1, 2].map((k) => x(q, k) - x(p, k));
    const v = [0, 1, 2].map((k) => x(r, k) - x(p, k));
    return [u[1]! * v[2]! - u[2]! * v[1]!, u[2]! * v[0]! - u[0]! * v[2]!, u[0]! * v[1]! - u[1]! * v[0]!];
  };
  const c = most((p) => cross(a, b, p).reduce((sum, part) => sum + Math.abs(part), 0));
  if (c < 0) return null;
  const n = cross(a, b, c);
  const height = (p: number): number => [0, 1, 2].reduce((sum, k) => sum + n[k]! * (x(p, k) - x(a, k)), 0);
  const d = most(height);
  if (d < 0) return null;
  return height(d) < 0 ? [a, b, c, d] : [a, c, b, d];
}

/** Neighbours of the first four facets, found by comparing edges. */
function joinAll(facets: readonly Facet[]): void {
  for (const one of facets)
    for (let k = 0; k < 3; k++)
      for (const other of facets)
        for (let m = 0; m < 3; m++)
          if (one.corner[k] === other.corner[(m + 1) % 3] && one.corner[(k + 1) % 3] === other.corner[m])
            one.beyond[k] = other;
}

/** New facets share their apex: the one that starts at a horizon corner follows the one that ends there. */
function joinFan(fresh: readonly Facet[]): void {
  const startingAt = new Map(fresh.map((facet) => [facet.corner[0], facet]));
  for (const facet of fresh) {
    const next = startingAt.get(facet.corner[1])!;
    facet.beyond[1] = next;
    next.beyond[2] = facet;
  }
}

interface HorizonEdge {
  readonly from: number;
  readonly to: number;
  readonly behind: Facet;
  /** Which edge of `behind` this is. */
  readonly edge: number;
}

/** The facets that the apex sees, connected to `first`, and the edges around them. */
function seenFrom(
  first: Facet,
  step: number,
  sees: (facet: Facet) => boolean,
): { visible: Facet[]; horizon: HorizonEdge[] } {
  const visible = [first];
  const horizon: HorizonEdge[] = [];
  first.mark = step;
  for (let next = 0; next < visible.length; next++) {
    const facet = visible[next]!;
    for (let k = 0; k < 3; k++) {
      const other = facet.beyond[k]!;
      if (other.mark === step) continue;
      if (sees(other)) {
        other.mark = step;
        visible.push(other);
      } else {
        const [from, to] = [facet.corner[k]!, facet.corner[(k + 1) % 3]!];
        horizon.push({ from, to, behind: other, edge: other.corner.indexOf(to) });
      }
    }
  }
  return { visible, horizon };
}
