import type { Roi } from '../../imaging/roi.js';
import type { Volume } from '../../imaging/volume.js';
import type { FeatureSet } from '../feature.js';
import { coded } from './codes.js';

/** Radius in mm of a sphere of 1 cm³. */
const RADIUS_MM = 10 * Math.cbrt(3 / (4 * Math.PI));

/**
 * IBSI's local intensity features (family 9ST6): the mean of all image voxels, inside the region or not, whose centres lie within the
 * 1 cm³ sphere around a voxel; at the region's voxels of highest intensity (local peak), and the highest over the region (global peak).
 * What the sphere holds beyond the image's edge is left out of the mean.
 */
export function localIntensityFeatures(image: Volume, roi: Roi): FeatureSet {
  const { highest, peakAtHighest, peak } = peaks(image, roi);
  const reason = 'the region is empty';
  return new Map([
    ['loc_peak_loc', coded('loc_peak_loc', highest === null ? Number.NaN : peakAtHighest, reason)],
    ['loc_peak_glob', coded('loc_peak_glob', highest === null ? Number.NaN : peak, reason)],
  ]);
}

function peaks(image: Volume, roi: Roi): { highest: number | null; peakAtHighest: number; peak: number } {
  const { data, size, spacingMm } = image;
  const [nx, ny, nz] = size;
  const rows = sphereRows(spacingMm);
  let highest: number | null = null;
  let peakAtHighest = Number.NEGATIVE_INFINITY;
  let peak = Number.NEGATIVE_INFINITY;
  for (const index of roi.indices) {
    const x = index % nx;
    const y = Math.floor(index / nx) % ny;
    const z = Math.floor(index / (nx * ny));
    let sum = 0;
    let count = 0;
    for (let r = 0; r < rows.length; r += 3) {
      const yy = y + rows[r]!;
      const zz = z + rows[r + 1]!;
      if (yy < 0 || yy >= ny || zz < 0 || zz >= nz) continue;
      const from = Math.max(0, x - rows[r + 2]!);
      const to = Math.min(nx - 1, x + rows[r + 2]!);
      const row = nx * (yy + ny * zz);
      for (let at = row + from; at <= row + to; at++) sum += data[at]!;
      count += to - from + 1;
    }
    const mean = sum / count;
    const value = data[index]!;
    if (mean > peak) peak = mean;
    if (highest === null || value > highest) [highest, peakAtHighest] = [value, mean];
    else if (value === highest && mean > peakAtHighest) peakAtHighest = mean;
  }
  return { highest, peakAtHighest, peak };
}

/** The sphere as rows along x: offsets in y and z, and how many voxels it reaches to either side; triples one after another. */
function sphereRows(spacingMm: readonly [number, number, number]): Int32Array {
  const [sx, sy, sz] = spacingMm;
  // A centre exactly on the sphere is inside, also where rounding puts it a hair outside.
  const limit = RADIUS_MM * RADIUS_MM * (1 + 1e-12);
  const rows: number[] = [];
  const reachY = Math.floor(RADIUS_MM / sy);
  const reachZ = Math.floor(RADIUS_MM / sz);
  for (let z = -reachZ; z <= reachZ; z++)
    for (let y = -reachY; y <= reachY; y++) {
      const left = limit - y * y * sy * sy - z * z * sz * sz;
      if (left >= 0) rows.push(y, z, Math.floor(Math.sqrt(left) / sx));
    }
  return Int32Array.from(rows);
}
