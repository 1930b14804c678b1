import { splineCoefficients } from '../../imaging/bspline.js';
import { cropGrid, growBox } from '../../imaging/crop.js';
import { boxSize } from '../../imaging/lines.js';
import { type Roi, valuesIn } from '../../imaging/roi.js';
import type { Samples, Vec3 } from '../../imaging/volume.js';
import { exact, numpySum } from '../features/numpy-sum.js';
import { type FilteredImage, type FilterInput, type FilterSettings, regionOf } from './filter.js';
import { icosphere } from './icosphere.js';

/**
 * Local binary patterns on a sphere around each voxel of the region of interest, as PyRadiomics has them: J. Banerjee, A. Moelker,
 * W. Niessen, T. van Walsum, 3D LBP-based rotationally invariant region description, ACCV 2012 Workshops. The image is sampled at an
 * icosphere's vertices by SciPy's cubic spline (zero outside the image, rounded in an integer image), compared with the centre, and
 * the signs are projected onto the spherical harmonics of each degree: `lbp-3D-m1` … and `lbp-3D-k`, the samples' excess kurtosis, NaN
 * where all samples are equal. Zero outside the region of interest.
 *
 * PyRadiomics hands SciPy the polar angle as azimuth and the azimuth as polar angle, which the values keep, and sums squares of
 * Σ_m c_m Y_m rather than of its magnitude. That function is real: for real signs f it is Σ_u f(u) (2n+1)/4π P_n(ū·v) by the addition
 * theorem, where ū has the azimuth's sign turned. So only Legendre polynomials are needed.
 */
export function* localBinaryPattern3D(input: FilterInput, settings: FilterSettings): Generator<FilteredImage> {
  const { image, roi } = input;
  if (roi === undefined) {
    input.skipped?.('LBP3D is computed inside a region of interest, and none was given');
    return;
  }
  const levels = settings.lbp3DLevels ?? 2;
  const radius = settings.lbp3DIcosphereRadius ?? 1;
  const vertices = icosphere(settings.lbp3DIcosphereSubdivision ?? 1, radius);
  const samples = sphereSamples(image.data, image.size, roi, vertices, radius);
  const centres = valuesIn(image, roi);
  const count = vertices.length;
  const projections = Array.from({ length: levels }, (_, degree) => projection(vertices, radius, degree));
  const values = projections.map(() => new Float64Array(centres.length));
  const kurtosis = new Float64Array(centres.length);
  const above = new Int32Array(count);
  for (let k = 0; k < centres.length; k++) {
    const around = samples.subarray(k * count, (k + 1) * count);
    let found = 0;
    for (let v = 0; v < count; v++) if (around[v]! >= centres[k]!) above[found++] = v;
    for (let degree = 0; degree < levels; degree++)
      values[degree]![k] = projectedNorm(projections[degree]!, count, above, found);
    kurtosis[k] = excessKurtosis(around, image.data instanceof Float32Array);
  }
  for (const [degree, level] of values.entries()) yield inRegion(input, roi, `lbp-3D-m${degree + 1}`, level);
  yield inRegion(input, roi, 'lbp-3D-k', kurtosis);
}

function inRegion(input: FilterInput, roi: Roi, name: string, values: Float64Array): FilteredImage {
  const region = regionOf(input);
  const grid = cropGrid(input.image, region);
  const data = new Float64Array(grid.size[0] * grid.size[1] * grid.size[2]);
  const [nx, ny] = input.image.size;
  for (let k = 0; k < values.length; k++) {
    const index = roi.indices[k]!;
    const x = (index % nx) - region.lower[0];
    const y = (Math.floor(index / nx) % ny) - region.lower[1];
    const z = Math.floor(index / (nx * ny)) - region.lower[2];
    const isInside = x >= 0 && y >= 0 && z >= 0 && x < grid.size[0] && y < grid.size[1] && z < grid.size[2];
    if (isInside) data[x + grid.size[0] * (y + grid.size[1] * z)] = values[k]!;
  }
  return { name, volume: { ...grid, data } };
}

/** Image values at every vertex around every voxel of the region: `vertices.length` after one another for each voxel. */
function sphereSamples(data: Samples, size: Vec3, roi: Roi, vertices: readonly Vec3[], radius: number): Float64Array {
  const out = new Float64Array(roi.indices.length * vertices.length);
  if (roi.box === null) return out;
  const box = growBox(roi.box, Math.ceil(radius) + 4, size);
  const { data: coefficients } = splineCoefficients(data, size, box, 'scipy');
  const [bx, by] = boxSize(box);
  const steps = [1, bx, bx * by] as const;
  const round = roundingOf(data);
  const weights = [new Float64Array(4), new Float64Array(4), new Float64Array(4)] as const;
  const offsets = [new Int32Array(4), new Int32Array(4), new Int32Array(4)] as const;
  const [wx, wy, wz] = weights;
  const [ox, oy, oz] = offsets;
  const position = [0, 0, 0];
  for (let k = 0, at = 0; k < roi.indices.length; k++) {
    const index = roi.indices[k]!;
    const voxel = [index % size[0], Math.floor(index / size[0]) % size[1], Math.floor(index / (size[0] * size[1]))];
    for (const vertex of vertices) {
      let isInside = true;
      for (let axis = 0; axis < 3; axis++) {
        // A vertex's first coordinate goes along z: PyRadiomics adds it to (z, y, x) indices.
        const p = voxel[axis]! + vertex[2 - axis]!;
        if (!(p >= 0 && p <= size[axis]! - 1)) isInside = false;
        position[axis] = p;
      }
      if (!isInside) {
        out[at++] = 0;
        continue;
      }
      for (let axis = 0; axis < 3; axis++) {
        const p = position[axis]!;
        const first = Math.floor(p) - 1;
        splineWeights(p - (first + 1), weights[axis]!);
        for (let t = 0; t < 4; t++)
          offsets[axis]![t] = (mirrored(first + t, size[axis]!) - box.lower[axis]!) * steps[axis]!;
      }
      let sum = 0;
      for (let c = 0; c < 4; c++)
        for (let b = 0; b < 4; b++)
          for (let a = 0; a < 4; a++) sum += coefficients[ox[a]! + oy[b]! + oz[c]!]! * wz[c]! * wy[b]! * wx[a]!;
      out[at++] = round(sum);
    }
  }
  return out;
}

/** The cubic B-spline's four weights at a fraction y between voxels. */
function splineWeights(y: number, weights: Float64Array): void {
  const z = 1 - y;
  weights[0] = (z * z * z) / 6;
  weights[1] = (y * y * (y - 2) * 3 + 4) / 6;
  weights[2] = (z * z * (z - 2) * 3 + 4) / 6;
  weights[3] = 1 - weights[0]! - weights[1]! - weights[2]!;
}

function mirrored(voxel: number, count: number): number {
  if (count === 1) return 0;
  const up = Math.abs(voxel) % (2 * (count - 1));
  return up < count ? up : 2 * (count - 1) - up;
}

/** What SciPy writes into an image of this pixel type: halves away from zero in integers, clamped to their range. */
function roundingOf(data: Samples): (value: number) => number {
  if (data instanceof Float64Array) return (value) => value;
  if (data instanceof Float32Array) return Math.fround;
  const states = 2 ** (8 * data.BYTES_PER_ELEMENT);
  const isSigned = data instanceof Int8Array || data instanceof Int16Array || data instanceof Int32Array;
  const [least, most] = isSigned ? [-states / 2, states / 2 - 1] : [0, states - 1];
  return (value) => Math.min(most, Math.max(least, Math.trunc(value > 0 ? value + 0.5 : value - 0.5)));
}

/** K[u][v] = (2n+1)/4π · P_n(ū·v) over all pairs of vertices. */
function projection(vertices: readonly Vec3[], radius: number, degree: number): Float64Array {
  const directions = vertices.map(([x, y, z]) => {
    const azimuth = Math.acos(Math.min(1, Math.max(-1, z / radius)));
    const polar = Math.atan2(y, x);
    return { azimuth, sin: Math.abs(Math.sin(polar)), cos: Math.cos(polar) };
  });
  const scale = (2 * degree + 1) / (4 * Math.PI);
  return Float64Array.from(
    directions.flatMap((u) =>
      directions.map((v) => scale * legendre(degree, u.sin * v.sin * Math.cos(u.azimuth + v.azimuth) + u.cos * v.cos)),
    ),
  );
}

function legendre(degree: number, x: number): number {
  let [before, value] = [0, 1];
  for (let n = 0; n < degree; n++) [before, value] = [value, ((2 * n + 1) * x * value - n * before) / (n + 1)];
  return value;
}

/** √Σ_v (Σ_u K[u][v])² over the vertices u that lie above the centre. */
function projectedNorm(kernel: Float64Array, count: number, above: Int32Array, found: number): number {
  let total = 0;
  for (let v = 0; v < count; v++) {
    let sum = 0;
    // K is symmetric, so row v is column v.
    for (let k = 0, row = v * count; k < found; k++) sum += kernel[row + above[k]!]!;
    total += sum * sum;
  }
  return Math.sqrt(total);
}

/** As SciPy has it, in float32 for a float32 image; NaN for a variance of rounding's size. */
function excessKurtosis(values: Float64Array, single: boolean): number {
  const round = single ? Math.fround : exact;
  const mean = (of: Float64Array): number => round(numpySum(of, round) / of.length);
  const middle = mean(values);
  const squares = values.map((value) => round(round(value - middle) * round(value - middle)));
  const second = mean(squares);
  const fourth = mean(squares.map((square) => round(square * square)));
  const none = round((single ? 1e-6 : 1e-15) * middle);
  return second <= round(none * none) ? Number.NaN : round(round(fourth / round(second * second)) - 3);
}
