import type { Roi } from '../../imaging/roi.js';
import type { Vec3 } from '../../imaging/volume.js';
import { restored, transformed } from '../filters/ibsi2/fourier.js';
import { goodLength, LANES, lineTransform } from '../filters/ibsi2/lane-fft.js';
import { momentsOf } from './statistics.js';

/** Moran's I and Geary's C, with weights 1 / distance in mm between voxel centres; null where they are not defined. */
export interface SpatialAutocorrelation {
  readonly moran: number;
  readonly geary: number;
}

/** The padded grid of a region of 400 × 300 × 150 voxels; two arrays of it and an eighth take 2.5 GB. */
const MOST_CELLS = 150_000_000;

/**
 * Both indices over all pairs of voxels, not over a sample of them. With c the region's indicator, x the centred intensities and w the
 * weights on the grid of voxel offsets, Σ w = Σ c·(w*c), Σ w·x·x = Σ x·(w*x) and Σ w·(x − x)² = 2 (Σ x²·(w*c) − Σ x·(w*x)), so
 * that one zero-padded convolution of c + i·x with w gives all of them in n log n steps, exact to rounding.
 *
 * @param values The intensities of `roi`'s voxels in its order. @returns null where fewer than two voxels or no variance leave no index, or the region's box is too large to convolve.
 */
export function spatialAutocorrelation(roi: Roi, values: Float64Array): SpatialAutocorrelation | null {
  const { box } = roi;
  if (box === null || values.length < 2) return null;
  const { mean, variance } = momentsOf(values);
  if (!(variance > 0)) return null;
  // Scaled to the indicator's size, so that neither part of the complex signal loses digits to the other.
  const scale = 1 / Math.sqrt(variance);

  const extent = [0, 1, 2].map((axis) => box.upper[axis]! - box.lower[axis]! + 1) as unknown as Vec3;
  const size = extent.map((n) => goodLength(2 * n - 1)) as unknown as Vec3;
  const [px, py, pz] = size;
  const total = px * py * pz;
  const [nx, ny] = roi.grid.size;
  const [lx, ly, lz] = box.lower;
  if (total > MOST_CELLS) return null;
  const weight = weightSpectrum(size, extent, roi.grid.spacingMm);
  const at = new Int32Array(values.length);
  const re = new Float64Array(total);
  const im = new Float64Array(total);
  for (let k = 0; k < values.length; k++) {
    const index = roi.indices[k]!;
    const x = index % nx;
    const y = Math.floor(index / nx) % ny;
    const z = Math.floor(index / (nx * ny));
    at[k] = x - lx + px * (y - ly + py * (z - lz));
    re[at[k]!] = 1;
    im[at[k]!] = (values[k]! - mean) * scale;
  }
  transformed(re, im, size, extent);
  multiply(re, im, size, weight);
  restored(re, im, size, { lower: [0, 0, 0], upper: extent });

  let weights = 0;
  let products = 0;
  let squares = 0;
  for (let k = 0; k < values.length; k++) {
    const x = (values[k]! - mean) * scale;
    weights += re[at[k]!]!;
    products += x * im[at[k]!]!;
    squares += x * x * re[at[k]!]!;
  }
  weights /= total;
  products /= total;
  squares /= total;
  const n = values.length;
  // The scaled squares add up to n.
  return { moran: products / weights, geary: ((n - 1) * (squares - products)) / (weights * n) };
}

/** Entries of an axis of which the others are the mirror image. */
const halfOf = (length: number): number => Math.floor(length / 2) + 1;

/**
 * Spectrum of 1 / distance over all offsets within the box. Weights are even along each axis, and so is their spectrum, which is real: both
 * are kept as the eighth that the rest mirrors.
 */
function weightSpectrum(size: Vec3, extent: Vec3, spacingMm: Vec3): Float64Array {
  const [hx, hy, hz] = size.map(halfOf) as unknown as Vec3;
  const weight = new Float64Array(hx * hy * hz);
  /** Squared distance in mm along an axis; −1 where no two voxels are that far apart. */
  const along = ([0, 1, 2] as const).map((axis) =>
    Float64Array.from({ length: halfOf(size[axis]) }, (_, offset) => {
      const mm = offset * spacingMm[axis];
      return offset < extent[axis] ? mm * mm : -1;
    }),
  ) as [Float64Array, Float64Array, Float64Array];
  for (let z = 0, k = 0; z < hz; z++)
    for (let y = 0; y < hy; y++)
      for (let x = 0; x < hx; x++, k++) {
        const dx = along[0][x]!;
        const dy = along[1][y]!;
        const dz = along[2][z]!;
        if (dx >= 0 && dy >= 0 && dz >= 0 && k > 0) weight[k] = 1 / Math.sqrt(dx + dy + dz);
      }
  for (const axis of [0, 1, 2] as const) transformEven(weight, [hx, hy, hz], axis, size[axis]);
  return weight;
}

/**
 * Transforms every line along an axis in place, a line of `length` samples of which the first half is kept. The spectra of two even lines are
 * real, so that one is transformed as the real part and the other as the imaginary part of the same line.
 */
function transformEven(half: Float64Array, size: Vec3, axis: 0 | 1 | 2, length: number): void {
  if (length === 1) return;
  const kept = size[axis];
  const step = axis === 0 ? 1 : axis === 1 ? size[0] : size[0] * size[1];
  const lines = half.length / kept;
  const transform = lineTransform(length);
  const re = new Float64Array(length * LANES);
  const im = new Float64Array(length * LANES);
  const startOf = (line: number): number => {
    const block = Math.floor(line / step);
    return block * step * kept + line - block * step;
  };
  for (let first = 0; first < lines; first += 2 * LANES) {
    const some = Math.min(2 * LANES, lines - first);
    const lanes = Math.ceil(some / 2);
    im.fill(0);
    for (let line = 0; line < some; line++) {
      const part = line < lanes ? re : im;
      const lane = line % lanes;
      const start = startOf(first + line);
      for (let k = 0; k < length; k++) part[k * lanes + lane] = half[start + Math.min(k, length - k) * step]!;
    }
    transform.transform(re, im, lanes);
    for (let line = 0; line < some; line++) {
      const part = line < lanes ? re : im;
      const lane = line % lanes;
      const start = startOf(first + line);
      for (let k = 0; k < kept; k++) half[start + k * step] = part[k * lanes + lane]!;
    }
  }
}

/** Multiplies both parts by the spectrum that `weight` is an eighth of. */
function multiply(re: Float64Array, im: Float64Array, [px, py, pz]: Vec3, weight: Float64Array): void {
  const hx = halfOf(px);
  const hy = halfOf(py);
  for (let z = 0, k = 0; z < pz; z++)
    for (let y = 0; y < py; y++) {
      const row = hx * (Math.min(y, py - y) + hy * Math.min(z, pz - z));
      for (let x = 0; x < px; x++, k++) {
        const w = weight[row + Math.min(x, px - x)]!;
        re[k]! *= w;
        im[k]! *= w;
      }
    }
}
