import type { Roi } from '../../imaging/roi.js';
import { goodLength, transform3d } from './fft.js';
import { momentsOf } from './statistics.js';

/** Moran's I and Geary's C, with weights 1 / distance in mm between voxel centres; null where they are not defined. */
export interface SpatialAutocorrelation {
  readonly moran: number;
  readonly geary: number;
}

/** The padded grid of a region of 400 × 300 × 150 voxels; three arrays of it take 3.5 GB. */
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

  const extent = [0, 1, 2].map((axis) => box.upper[axis]! - box.lower[axis]! + 1);
  const size = extent.map((n) => goodLength(2 * n - 1)) as [number, number, number];
  const [px, py, pz] = size;
  const total = px * py * pz;
  const [nx, ny] = roi.grid.size;
  const [lx, ly, lz] = box.lower;
  if (total > MOST_CELLS) return null;
  // Before the signal, so that no more than three arrays of this size are there at once.
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
  transform3d(re, im, size);
  for (let k = 0; k < total; k++) {
    re[k]! *= weight[k]!;
    im[k]! *= weight[k]!;
  }
  transform3d(im, re, size);

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

/** Spectrum of 1 / distance over all offsets within the box: real, because the weights are even. */
function weightSpectrum(
  size: readonly [number, number, number],
  extent: readonly number[],
  spacingMm: readonly [number, number, number],
): Float64Array {
  const [px, py, pz] = size;
  const weight = new Float64Array(px * py * pz);
  /** Squared distance in mm along an axis for every place on the padded circle; −1 where no two voxels are that far apart. */
  const along = [0, 1, 2].map((axis) =>
    Float64Array.from({ length: size[axis]! }, (_, k) => {
      const offset = Math.min(k, size[axis]! - k);
      const mm = offset * spacingMm[axis]!;
      return offset < extent[axis]! ? mm * mm : -1;
    }),
  ) as [Float64Array, Float64Array, Float64Array];
  for (let z = 0, k = 0; z < pz; z++)
    for (let y = 0; y < py; y++)
      for (let x = 0; x < px; x++, k++) {
        const [dx, dy, dz] = [along[0][x]!, along[1][y]!, along[2][z]!];
        if (dx >= 0 && dy >= 0 && dz >= 0 && k > 0) weight[k] = 1 / Math.sqrt(dx + dy + dz);
      }
  transform3d(weight, new Float64Array(weight.length), size);
  return weight;
}
