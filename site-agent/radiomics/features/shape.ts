import type { Roi } from '../../imaging/roi.js';
import type { Vec3 } from '../../imaging/volume.js';
import type { ClassInput } from '../class-input.js';
import type { FeatureSet } from '../feature.js';
import { collect, type Wanted } from './collect.js';
import { meshDiameters } from './diameter.js';
import { symmetricEigenvalues } from './eigen.js';
import { meshMeasures, paddedRegion } from './mesh.js';

/** Shape features in 3D as PyRadiomics defines them: surface by marching cubes, axes from the voxels' covariance. */
export function shape(input: ClassInput, wanted: Wanted = null): FeatureSet {
  const { roi } = input;
  const spacingMm = input.image.spacingMm;
  const region = paddedRegion(roi);
  const { areaMm2: area, volumeMm3: volume } = meshMeasures(region, spacingMm);
  const diameters = meshDiameters(region, spacingMm);
  const axes = axisVariances(roi, spacingMm, [0, 1, 2]);
  const [least, minor, major] = axes as unknown as Vec3;
  const sphereArea = Math.cbrt(36 * Math.PI * volume * volume);
  return collect(
    'shape',
    {
      Compactness1: volume / (area * Math.sqrt(area) * Math.sqrt(Math.PI)),
      Compactness2: (36 * Math.PI * volume * volume) / (area * area * area),
      Elongation: Math.sqrt(minor / major),
      Flatness: Math.sqrt(least / major),
      LeastAxisLength: 4 * Math.sqrt(least),
      MajorAxisLength: 4 * Math.sqrt(major),
      Maximum2DDiameterColumn: diameters.column,
      Maximum2DDiameterRow: diameters.row,
      Maximum2DDiameterSlice: diameters.slice,
      Maximum3DDiameter: diameters.any,
      MeshVolume: volume,
      MinorAxisLength: 4 * Math.sqrt(minor),
      SphericalDisproportion: area / sphereArea,
      Sphericity: sphereArea / area,
      SurfaceArea: area,
      SurfaceVolumeRatio: area / volume,
      VoxelVolume: roi.indices.length * (spacingMm[2] * spacingMm[0] * spacingMm[1]),
    },
    wanted,
  );
}

/**
 * Eigenvalues, ascending, in mm², of the covariance of the voxels' centres along the given axes. A negative one that only rounding can have
 * made (above −1e-10) is 0; a more negative one is NaN. Of voxels on a line or in a plane the lesser ones are 0 exactly, whatever its slant:
 * rounding would leave 1e-17, of which the axis takes the root.
 */
export function axisVariances(roi: Roi, spacingMm: Vec3, axes: readonly number[]): number[] {
  const [nx, ny] = roi.grid.size;
  const n = roi.indices.length;
  // Sums of whole numbers counted from the middle of the box: exact, and nothing large cancels.
  const from = [0, 1, 2].map((k) => (roi.box === null ? 0 : (roi.box.lower[k]! + roi.box.upper[k]!) >> 1)) as [
    number,
    number,
    number,
  ];
  const first = new Float64Array(3);
  const second = new Float64Array(9);
  for (let k = 0; k < n; k++) {
    const index = roi.indices[k]!;
    const row = Math.floor(index / nx);
    const slice = Math.floor(row / ny);
    const x = index - row * nx - from[0];
    const y = row - slice * ny - from[1];
    const z = slice - from[2];
    first[0]! += x;
    first[1]! += y;
    first[2]! += z;
    second[0]! += x * x;
    second[1]! += x * y;
    second[2]! += x * z;
    second[4]! += y * y;
    second[5]! += y * z;
    second[8]! += z * z;
  }
  const covariance = new Float64Array(axes.length * axes.length);
  axes.forEach((a, i) => {
    axes.forEach((b, j) => {
      const product = second[3 * Math.min(a, b) + Math.max(a, b)]! / n - (first[a]! / n) * (first[b]! / n);
      covariance[i * axes.length + j] = product * spacingMm[a]! * spacingMm[b]!;
    });
  });
  const whole = axes.map((a) =>
    axes.map((b) => {
      const product = BigInt(second[3 * Math.min(a, b) + Math.max(a, b)]!);
      return product * BigInt(n) - BigInt(first[a]!) * BigInt(first[b]!);
    }),
  );
  const none = axes.length - rankOf(whole);
  return [...symmetricEigenvalues(covariance, axes.length)].map((value, k) =>
    k < none ? 0 : value >= 0 ? value : value > -1e-10 ? 0 : Number.NaN,
  );
}

/** Rank of a positive semidefinite matrix of two or three rows: how many of its leading symmetric functions of eigenvalues are not 0. */
function rankOf(m: readonly (readonly bigint[])[]): number {
  const zero = BigInt(0);
  const minor = (a: number, b: number): bigint => m[a]![a]! * m[b]![b]! - m[a]![b]! * m[b]![a]!;
  const pairs = m.flatMap((_, b) => [...Array(b).keys()].map((a) => minor(a, b)));
  if (pairs.every((one) => one === zero)) return m.every((row, k) => row[k] === zero) ? 0 : 1;
  if (m.length === 2) return 2;
  const [[a, b, c], [, d, e], [, , f]] = m as [bigint[], bigint[], bigint[]];
  const determinant = a! * (d! * f! - e! * e!) - b! * (b! * f! - e! * c!) + c! * (b! * e! - d! * c!);
  return determinant === zero ? 2 : 3;
}
