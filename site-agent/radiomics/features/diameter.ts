import type { Vec3 } from '../../imaging/volume.js';
import type { PaddedRegion } from './mesh.js';

/** Largest distances in mm between two vertices of the surface. */
export interface Diameters {
  /** Both in one plane of constant z, y or x. */
  readonly slice: number;
  readonly column: number;
  readonly row: number;
  readonly any: number;
}

/**
 * Diameters of the surface, exactly. Vertices lie halfway between a voxel inside and a neighbour outside, so in half voxels their
 * coordinates are whole. Ends of a largest distance are corners of the convex hull, so of every line of vertices only the two ends
 * matter, of every plane only the corners of its hull, and in space only those that are corners in all three of their planes.
 */
export function meshDiameters(region: PaddedRegion, spacingMm: Vec3): Diameters {
  const [nx, ny, nz] = region.size.map((length) => 2 * length) as [number, number, number];
  const alongX = new Lines(nz, ny);
  const alongY = new Lines(nz, nx);
  eachVertex(region, (x, y, z) => {
    alongX.add(z, y, x);
    alongY.add(z, x, y);
  });
  const [hx, hy, hz] = spacingMm.map((spacing) => spacing / 2) as [number, number, number];
  const slice = planes(nz, ny, (z, y) => alongX.at(z, y), alongX, ZY, hy, hx);
  const column = planes(ny, nz, (y, z) => alongX.at(z, y), alongX, YZ, hz, hx);
  const row = planes(nx, nz, (x, z) => alongY.at(z, x), alongY, ZY, hz, hy);
  return { slice, column, row, any: inSpace(alongX, alongY, ny, nz, nx, [hx, hy, hz]) };
}

const ZY = 1;
const YZ = 2;

/** Ends of the vertices on each line along one axis, and for each end which planes' hulls have it as a corner. */
class Lines {
  readonly ends: Int32Array;
  readonly corner: Uint8Array;
  constructor(
    readonly planes: number,
    private readonly perPlane: number,
  ) {
    this.ends = new Int32Array(2 * planes * perPlane);
    for (let k = 0; k < this.ends.length; k += 2) {
      this.ends[k] = NONE;
      this.ends[k + 1] = -1;
    }
    this.corner = new Uint8Array(this.ends.length);
  }
  /** Where the line's two ends are. */
  at(plane: number, line: number): number {
    return 2 * (plane * this.perPlane + line);
  }
  add(plane: number, line: number, position: number): void {
    const at = this.at(plane, line);
    if (position < this.ends[at]!) this.ends[at] = position;
    if (position > this.ends[at + 1]!) this.ends[at + 1] = position;
  }
}

const NONE = 0x7fffffff;

function eachVertex({ size, cells }: PaddedRegion, found: (x: number, y: number, z: number) => void): void {
  const [nx, ny, nz] = size;
  const plane = nx * ny;
  for (let z = 1; z < nz - 1; z++)
    for (let y = 1; y < ny - 1; y++) {
      let at = nx * (y + ny * z) + 1;
      for (let x = 1; x < nx - 1; x++, at++) {
        if (cells[at] === 0) continue;
        if (cells[at - 1] === 0) found(2 * x - 1, 2 * y, 2 * z);
        if (cells[at + 1] === 0) found(2 * x + 1, 2 * y, 2 * z);
        if (cells[at - nx] === 0) found(2 * x, 2 * y - 1, 2 * z);
        if (cells[at + nx] === 0) found(2 * x, 2 * y + 1, 2 * z);
        if (cells[at - plane] === 0) found(2 * x, 2 * y, 2 * z - 1);
        if (cells[at + plane] === 0) found(2 * x, 2 * y, 2 * z + 1);
      }
    }
}

/**
 * The largest distance within a plane, over all planes of a family; marks the corners of each plane's hull.
 * @param at where line v of plane u has its ends
 * @param hv half a voxel across the lines, in mm
 * @param hw half a voxel along them
 */
function planes(
  planeCount: number,
  lineCount: number,
  at: (u: number, v: number) => number,
  lines: Lines,
  mark: number,
  hv: number,
  hw: number,
): number {
  const v = new Int32Array(2 * lineCount);
  const w = new Int32Array(2 * lineCount);
  const from = new Int32Array(2 * lineCount);
  const hull = new Int32Array(4 * lineCount + 2);
  let largest = 0;
  for (let u = 0; u < planeCount; u++) {
    let points = 0;
    for (let line = 0; line < lineCount; line++) {
      const place = at(u, line);
      if (lines.ends[place] === NONE) continue;
      // A line of one vertex has one end, not two.
      const last = lines.ends[place] === lines.ends[place + 1] ? place : place + 1;
      for (let end = place; end <= last; end++) {
        v[points] = line;
        w[points] = lines.ends[end]!;
        from[points++] = end;
      }
    }
    const corners = hullOf(v, w, points, hull);
    for (let a = 0; a < corners; a++) {
      lines.corner[from[hull[a]!]!]! |= mark;
      for (let b = 0; b < a; b++) {
        const dv = (v[hull[a]!]! - v[hull[b]!]!) * hv;
        const dw = (w[hull[a]!]! - w[hull[b]!]!) * hw;
        const square = dv * dv + dw * dw;
        if (square > largest) largest = square;
      }
    }
  }
  return Math.sqrt(largest);
}

/** Convex hull by the monotone chain (Andrew 1979) of points that come ordered by v and then by w; fills `hull` with their numbers. */
function hullOf(v: Int32Array, w: Int32Array, points: number, hull: Int32Array): number {
  if (points < 3) {
    for (let k = 0; k < points; k++) hull[k] = k;
    return points;
  }
  let top = 0;
  const push = (k: number, floor: number): void => {
    while (top > floor && turn(v, w, hull[top - 2]!, hull[top - 1]!, k) <= 0) top--;
    hull[top++] = k;
  };
  for (let k = 0; k < points; k++) push(k, 1);
  const floor = top;
  for (let k = points - 2; k >= 0; k--) push(k, floor);
  return top - 1;
}

const turn = (v: Int32Array, w: Int32Array, a: number, b: number, c: number): number =>
  (v[b]! - v[a]!) * (w[c]! - w[a]!) - (w[b]! - w[a]!) * (v[c]! - v[a]!);

function inSpace(alongX: Lines, alongY: Lines, ny: number, nz: number, nx: number, half: Vec3): number {
  const points: number[] = [];
  for (let z = 0; z < nz; z++)
    for (let y = 0; y < ny; y++) {
      const at = alongX.at(z, y);
      if (alongX.ends[at] === NONE) continue;
      for (let end = at; end <= at + 1; end++) {
        if (alongX.corner[end] !== (ZY | YZ)) continue;
        const x = alongX.ends[end]!;
        const other = alongY.at(z, x);
        const low = alongY.ends[other] === y && alongY.corner[other] !== 0;
        const high = alongY.ends[other + 1] === y && alongY.corner[other + 1] !== 0;
        if (low || high) points.push(x * half[0], y * half[1], z * half[2]);
      }
    }
  if (nx === 0 || points.length === 0) return 0;
  return largestDistance(Float64Array.from(points));
}

/**
 * The largest distance among points (x, y, z, x, y, z, ...). From the middle of their box outwards: two points are no further apart than the
 * sum of their distances from the middle, so the search ends once that cannot beat the best.
 */
export function largestDistance(points: Float64Array): number {
  const n = points.length / 3;
  const middle = [0, 1, 2].map((axis) => {
    let low = Number.POSITIVE_INFINITY;
    let high = Number.NEGATIVE_INFINITY;
    for (let k = axis; k < points.length; k += 3) {
      low = Math.min(low, points[k]!);
      high = Math.max(high, points[k]!);
    }
    return (low + high) / 2;
  }) as [number, number, number];
  const radius = new Float64Array(n);
  for (let k = 0; k < n; k++) {
    const x = points[3 * k]! - middle[0];
    const y = points[3 * k + 1]! - middle[1];
    const z = points[3 * k + 2]! - middle[2];
    radius[k] = Math.sqrt(x * x + y * y + z * z);
  }
  const order = Int32Array.from(radius.keys()).sort((a, b) => radius[b]! - radius[a]!);
  const sorted = new Float64Array(3 * n);
  for (let k = 0; k < n; k++) sorted.set(points.subarray(3 * order[k]!, 3 * order[k]! + 3), 3 * k);
  let square = 0;
  let best = 0;
  for (let a = 0; a < n; a++) {
    const ra = radius[order[a]!]!;
    // A hair is left for rounding in the radii.
    if (2 * ra < best * (1 - 1e-12)) break;
    const x = sorted[3 * a]!;
    const y = sorted[3 * a + 1]!;
    const z = sorted[3 * a + 2]!;
    for (let b = a + 1; b < n; b++) {
      const dx = sorted[3 * b]! - x;
      const dy = sorted[3 * b + 1]! - y;
      const dz = sorted[3 * b + 2]! - z;
      const found = dx * dx + dy * dy + dz * dz;
      if (found > square) square = found;
    }
    best = Math.sqrt(square);
  }
  return best;
}
