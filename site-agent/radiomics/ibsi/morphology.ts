import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import { convexHull } from '../../imaging/convex-hull.js';
import type { Roi } from '../../imaging/roi.js';
import type { Samples, Volume } from '../../imaging/volume.js';
import type { FeatureSet } from '../feature.js';
import { largestDistance } from '../features/diameter.js';
import { orientedBoundingBox } from './bounding-box.js';
import { coded } from './codes.js';
import { ellipsoidArea, ellipsoidVolume, minimumEllipsoid, type SemiAxes } from './ellipsoid.js';
import { regionMesh } from './mesh.js';
import { spatialAutocorrelation } from './spatial.js';
import { momentsOf } from './statistics.js';

const EMPTY = 'the region is empty';
const NO_INTENSITY = 'no voxel of the region is left after re-segmentation';
const FLAT_REGION = 'the region does not extend in every direction';
const NO_SPREAD = 'fewer than two voxels, all intensities equal, or a region larger than 400 × 300 × 150 voxels or so';

/**
 * IBSI's morphological features (family HCUG) of the morphological mask, in mm; centre-of-mass shift, integrated intensity and the two
 * spatial indices also look at the intensities of the intensity mask.
 */
export function morphologyFeatures(image: Volume<Samples>, morphological: Roi, intensity: Roi): FeatureSet {
  const features: FeatureSet = new Map();
  const empty = morphological.indices.length === 0;
  const put = (name: string, value: number, reason: string = FLAT_REGION): void => {
    const tag = `morph_${name}`;
    features.set(tag, coded(tag, value, empty ? EMPTY : reason));
  };
  const shape = empty ? null : shapeOf(morphological);
  const none = Number.NaN;
  const volume = shape?.volume ?? none;
  const area = shape?.area ?? none;
  const compactness = (36 * Math.PI * volume * volume) / (area * area * area);
  const sphericity = Math.cbrt(compactness);
  put('volume', volume);
  put('vol_approx', empty ? none : morphological.indices.length * voxelVolume(morphological));
  put('area_mesh', area);
  put('av', area / volume);
  put('comp_1', volume / (Math.sqrt(Math.PI) * area * Math.sqrt(area)));
  put('comp_2', compactness);
  put('sph_dispr', 1 / sphericity);
  put('sphericity', sphericity);
  put('asphericity', 1 / sphericity - 1);

  const values = Float64Array.from(intensity.indices, (at) => image.data[at]!);
  const centre = centreOf(morphological);
  const [shift, shiftReason] = centreShift(centre, intensity, values);
  put('com', shift, shiftReason);
  put('diam', shape?.diameter ?? none);

  // Eigenvalues of the voxel centres' covariance, largest first; rounding must not make a plane's smallest negative.
  const spread = empty ? [none, none, none] : principalVariances(morphological, centre);
  const [major, minor, minimal] = spread.map((value) => Math.sqrt(Math.max(0, value))) as [number, number, number];
  put('pca_maj_axis', 4 * major);
  put('pca_min_axis', 4 * minor);
  put('pca_least_axis', 4 * minimal);
  put('pca_elongation', major > 0 ? minor / major : none);
  put('pca_flatness', major > 0 ? minimal / major : none);

  const densities = (name: string, ofVolume: number, ofArea: number): void => {
    put(`vol_dens_${name}`, volume / ofVolume);
    put(`area_dens_${name}`, area / ofArea);
  };
  const [bx, by, bz] = shape?.extentMm ?? [none, none, none];
  densities('aabb', bx * by * bz, 2 * (bx * by + by * bz + bz * bx));
  densities('ombb', shape?.box.volumeMm3 ?? none, shape?.box.areaMm2 ?? none);
  const axes: SemiAxes = [2 * major, 2 * minor, 2 * minimal];
  densities('aee', minimal > 0 ? ellipsoidVolume(axes) : none, minimal > 0 ? ellipsoidArea(axes) : none);
  densities('mvee', shape ? ellipsoidVolume(shape.enclosing) : none, shape ? ellipsoidArea(shape.enclosing) : none);
  densities('conv_hull', shape?.hullVolume ?? none, shape?.hullArea ?? none);

  put('integ_int', values.length > 0 ? momentsOf(values).mean * volume : none, NO_INTENSITY);
  const spatial = spatialAutocorrelation(intensity, values);
  put('moran_i', spatial?.moran ?? none, NO_SPREAD);
  put('geary_c', spatial?.geary ?? none, NO_SPREAD);
  return features;
}

const voxelVolume = ({ grid }: Roi): number => grid.spacingMm[0] * grid.spacingMm[1] * grid.spacingMm[2];

interface Shape {
  readonly volume: number;
  readonly area: number;
  readonly diameter: number;
  readonly extentMm: readonly [number, number, number];
  readonly hullVolume: number;
  readonly hullArea: number;
  readonly box: { readonly volumeMm3: number; readonly areaMm2: number };
  readonly enclosing: SemiAxes;
}

function shapeOf(roi: Roi): Shape {
  const { volumeMm3: volume, areaMm2: area, outermost } = regionMesh(roi);
  // A mesh has a volume, so it has a hull.
  const hull = convexHull(outermost)!;
  const place = new Map(Array.from(hull.vertices, (vertex, k) => [vertex, k]));
  const corners = new Float64Array(3 * hull.vertices.length);
  hull.vertices.forEach((vertex, k) => {
    for (let axis = 0; axis < 3; axis++)
      corners[3 * k + axis] = outermost[3 * vertex + axis]! * 0.5 * roi.grid.spacingMm[axis]!;
  });
  const triangles = hull.triangles.map((vertex) => place.get(vertex)!);
  const extent = [0, 1, 2].map((axis) => {
    let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (let k = axis; k < corners.length; k += 3) {
      low = Math.min(low, corners[k]!);
      high = Math.max(high, corners[k]!);
    }
    return high - low;
  }) as [number, number, number];
  return {
    volume,
    area,
    diameter: largestDistance(corners),
    extentMm: extent,
    ...measures(corners, triangles),
    box: orientedBoundingBox(corners, triangles),
    enclosing: minimumEllipsoid(corners).semiAxes,
  };
}

function measures(corners: Float64Array, triangles: Int32Array): { hullVolume: number; hullArea: number } {
  let [hullVolume, hullArea] = [0, 0];
  const o = [corners[0]!, corners[1]!, corners[2]!];
  for (let t = 0; t < triangles.length; t += 3) {
    const [a, b, c] = [0, 1, 2].map((m) => [0, 1, 2].map((k) => corners[3 * triangles[t + m]! + k]! - o[k]!)) as [
      number[],
      number[],
      number[],
    ];
    const u = [0, 1, 2].map((k) => b[k]! - a[k]!);
    const v = [0, 1, 2].map((k) => c[k]! - a[k]!);
    const w = [u[1]! * v[2]! - u[2]! * v[1]!, u[2]! * v[0]! - u[0]! * v[2]!, u[0]! * v[1]! - u[1]! * v[0]!];
    hullVolume += (a[0]! * w[0]! + a[1]! * w[1]! + a[2]! * w[2]!) / 6;
    hullArea += Math.hypot(w[0]!, w[1]!, w[2]!) / 2;
  }
  return { hullVolume: Math.abs(hullVolume), hullArea };
}

/** Position of a voxel centre in mm along the grid's own axes. */
function positionMm(roi: Roi, index: number): readonly [number, number, number] {
  const [nx, ny] = roi.grid.size;
  const [sx, sy, sz] = roi.grid.spacingMm;
  return [(index % nx) * sx, (Math.floor(index / nx) % ny) * sy, Math.floor(index / (nx * ny)) * sz];
}

function centreOf(roi: Roi): readonly [number, number, number] {
  const sum = [0, 0, 0];
  for (const index of roi.indices)
    positionMm(roi, index).forEach((mm, axis) => {
      sum[axis]! += mm;
    });
  const n = roi.indices.length;
  return [sum[0]! / n, sum[1]! / n, sum[2]! / n];
}

function centreShift(
  centre: readonly [number, number, number],
  roi: Roi,
  values: Float64Array,
): readonly [number, string] {
  if (values.length === 0) return [Number.NaN, NO_INTENSITY];
  const sum = [0, 0, 0];
  let weight = 0;
  values.forEach((value, k) => {
    positionMm(roi, roi.indices[k]!).forEach((mm, axis) => {
      sum[axis]! += value * (mm - centre[axis]!);
    });
    weight += value;
  });
  if (weight === 0) return [Number.NaN, 'the intensities add up to 0'];
  return [Math.hypot(sum[0]! / weight, sum[1]! / weight, sum[2]! / weight), EMPTY];
}

function principalVariances(roi: Roi, centre: readonly [number, number, number]): readonly [number, number, number] {
  // IBSI's values are of the covariance over n − 1; a single voxel has none.
  if (roi.indices.length < 2) return [Number.NaN, Number.NaN, Number.NaN];
  const c = [0, 0, 0, 0, 0, 0];
  for (const index of roi.indices) {
    const at = positionMm(roi, index);
    const [x, y, z] = [at[0] - centre[0], at[1] - centre[1], at[2] - centre[2]];
    [x * x, x * y, x * z, y * y, y * z, z * z].forEach((term, k) => {
      c[k]! += term;
    });
  }
  const [xx, xy, xz, yy, yz, zz] = c.map((sum) => sum / (roi.indices.length - 1)) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const covariance = new Matrix([
    [xx, xy, xz],
    [xy, yy, yz],
    [xz, yz, zz],
  ]);
  const values = new EigenvalueDecomposition(covariance, { assumeSymmetric: true }).realEigenvalues.sort(
    (a, b) => b - a,
  );
  return [values[0]!, values[1]!, values[2]!];
}
