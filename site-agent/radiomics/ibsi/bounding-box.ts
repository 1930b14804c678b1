/**
 * The oriented bounding box of least volume around a convex body's corners.
 *
 * A least box has at least one face direction along which turning cannot help (O'Rourke 1985 shows that two adjacent faces each hold an
 * edge of the body). From every face of the hull as a start, the box is improved by turns about one of its own axes at a time, each
 * turn exact (the least rectangle around a convex polygon lies along one of its edges), until no axis helps (Chan and Tan 2001, who
 * search the angle instead). A start from every hull face, the coordinate axes and the diagonals between them makes the result the
 * least box in practice; it is never smaller than that. IBSI has no reference value for the features that use it.
 */
export interface OrientedBox {
  /** Edge lengths in mm, longest first. */
  readonly edgesMm: readonly [number, number, number];
  readonly volumeMm3: number;
  readonly areaMm2: number;
}

type Vector = readonly [number, number, number];
interface Rectangle {
  readonly area: number;
  /** Unit vector of one side in the plane's coordinates. */
  readonly side: readonly [number, number];
  readonly lengths: readonly [number, number];
}

/** How many of the best starts are improved to the end. */
const REFINED = 40;

/** @param corners Hull corners in mm, x, y, z one after another. @param triangles Hull faces as triples of positions in `corners`. */
export function orientedBoundingBox(corners: Float64Array, triangles: ArrayLike<number>): OrientedBox {
  const starts = startDirections(corners, triangles)
    .map((normal) => ({ normal, fit: boxAlong(corners, normal) }))
    .sort((one, other) => one.fit.volume - other.fit.volume)
    .slice(0, REFINED);
  let best = starts[0]!.fit;
  for (const { fit } of starts) {
    const improved = improve(corners, fit);
    if (improved.volume < best.volume) best = improved;
  }
  const [a, b, c] = best.lengths.slice().sort((one, other) => other - one) as [number, number, number];
  return { edgesMm: [a, b, c], volumeMm3: a * b * c, areaMm2: 2 * (a * b + b * c + c * a) };
}

interface Fit {
  readonly volume: number;
  readonly axes: readonly [Vector, Vector, Vector];
  readonly lengths: readonly [number, number, number];
}

function improve(corners: Float64Array, start: Fit): Fit {
  let fit = start;
  for (let turn = 0; turn < 200; turn++) {
    let next = fit;
    for (const axis of fit.axes) {
      const candidate = boxAlong(corners, axis);
      if (candidate.volume < next.volume) next = candidate;
    }
    if (!(next.volume < fit.volume * (1 - 1e-12))) return fit;
    fit = next;
  }
  return fit;
}

/** The least box with one axis along `normal`. */
function boxAlong(corners: Float64Array, normal: Vector): Fit {
  const [u, v] = planeOf(normal);
  const points: [number, number][] = [];
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let k = 0; k < corners.length; k += 3) {
    const [x, y, z] = [corners[k]!, corners[k + 1]!, corners[k + 2]!];
    const h = normal[0] * x + normal[1] * y + normal[2] * z;
    if (h < low) low = h;
    if (h > high) high = h;
    points.push([u[0] * x + u[1] * y + u[2] * z, v[0] * x + v[1] * y + v[2] * z]);
  }
  const { area, side, lengths } = leastRectangle(points);
  const along = (s: number, t: number): Vector => [s * u[0] + t * v[0], s * u[1] + t * v[1], s * u[2] + t * v[2]];
  return {
    volume: area * (high - low),
    axes: [normal, along(side[0], side[1]), along(-side[1], side[0])],
    lengths: [high - low, lengths[0], lengths[1]],
  };
}

/**
 * The rectangle of least area around points in a plane: one of its sides holds an edge of their convex hull. Every edge is tried against
 * every corner: a face of the body seen from its side projects to corners that rounding alone tells apart, on which calipers that
 * only move forward can stop too early, and an edge between two such corners has no direction worth trying.
 */
function leastRectangle(points: readonly (readonly [number, number])[]): Rectangle {
  const hull = planeHull(points);
  const scale = hull.reduce((most, [x, y]) => Math.max(most, Math.abs(x - hull[0]![0]), Math.abs(y - hull[0]![1])), 0);
  let best: Rectangle | null = null;
  for (let i = 0; i < hull.length; i++) {
    const [p, q] = [hull[i]!, hull[(i + 1) % hull.length]!];
    const size = Math.hypot(q[0] - p[0], q[1] - p[1]);
    if (size <= 1e-9 * scale) continue;
    const [sx, sy] = [(q[0] - p[0]) / size, (q[1] - p[1]) / size];
    let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
    for (const [x, y] of hull) {
      const [along, across] = [x * sx + y * sy, y * sx - x * sy];
      if (along < left) left = along;
      if (along > right) right = along;
      if (across < low) low = across;
      if (across > high) high = across;
    }
    const lengths = [right - left, high - low] as const;
    const area = lengths[0] * lengths[1];
    if (best === null || area < best.area) best = { area, side: [sx, sy], lengths };
  }
  return best ?? { area: 0, side: [1, 0], lengths: [0, 0] };
}

/** Convex hull in the plane, counter-clockwise, by Andrew's chains. */
function planeHull(points: readonly (readonly [number, number])[]): (readonly [number, number])[] {
  const sorted = points.slice().sort((p, q) => p[0] - q[0] || p[1] - q[1]);
  const chain = (order: readonly (readonly [number, number])[]): (readonly [number, number])[] => {
    const kept: (readonly [number, number])[] = [];
    for (const p of order) {
      while (kept.length >= 2) {
        const [o, a] = [kept[kept.length - 2]!, kept[kept.length - 1]!];
        if ((a[0] - o[0]) * (p[1] - o[1]) - (a[1] - o[1]) * (p[0] - o[0]) > 0) break;
        kept.pop();
      }
      kept.push(p);
    }
    kept.pop();
    return kept;
  };
  return [...chain(sorted), ...chain(sorted.slice().reverse())];
}

/** Two unit vectors that make a right-handed frame with `normal`. */
function planeOf(normal: Vector): readonly [Vector, Vector] {
  const [x, y, z] = normal;
  const smallest = Math.min(Math.abs(x), Math.abs(y), Math.abs(z));
  const raw: Vector = smallest === Math.abs(x) ? [0, -z, y] : smallest === Math.abs(y) ? [z, 0, -x] : [-y, x, 0];
  const u = unit(raw)!;
  return [u, [y * u[2] - z * u[1], z * u[0] - x * u[2], x * u[1] - y * u[0]]];
}

function unit([x, y, z]: Vector): Vector | null {
  const size = Math.hypot(x, y, z);
  return size > 0 ? [x / size, y / size, z / size] : null;
}

function startDirections(corners: Float64Array, triangles: ArrayLike<number>): Vector[] {
  const normals = new Map<string, Vector>();
  const add = (direction: Vector): void => {
    const found = unit(direction);
    if (found === null) return;
    const sign = found[0] < 0 || (found[0] === 0 && (found[1] < 0 || (found[1] === 0 && found[2] < 0))) ? -1 : 1;
    const normal: Vector = [sign * found[0], sign * found[1], sign * found[2]];
    normals.set(normal.map((part) => part.toFixed(9)).join(), normal);
  };
  for (let x = -1; x <= 1; x++) for (let y = -1; y <= 1; y++) for (let z = -1; z <= 1; z++) add([x, y, z]);
  for (let k = 0; k < triangles.length; k += 3) {
    const at = (corner: number, axis: number): number => corners[3 * triangles[k + corner]! + axis]!;
    const e = [0, 1, 2].map((axis) => at(1, axis) - at(0, axis)) as [number, number, number];
    const f = [0, 1, 2].map((axis) => at(2, axis) - at(0, axis)) as [number, number, number];
    add([e[1] * f[2] - e[2] * f[1], e[2] * f[0] - e[0] * f[2], e[0] * f[1] - e[1] * f[0]]);
  }
  return [...normals.values()];
}
