import { boxSize } from '../../imaging/lines.js';
import type { Samples } from '../../imaging/volume.js';
import { type FilteredImage, type FilterInput, filteredVolume, regionOf } from './filter.js';

/**
 * PyRadiomics' filters of single intensities: float64, scaled by the largest magnitude M in the whole image, so that the range of the
 * result is about that of the image.
 */

/** (x / √M)². */
export function* square(input: FilterInput): Generator<FilteredImage> {
  const scale = 1 / Math.sqrt(largestMagnitude(input.image.data));
  yield mapped(input, 'square', (x) => scale * x * (scale * x));
}

/** √(M·|x|) with the sign of x. */
export function* squareRoot(input: FilterInput): Generator<FilteredImage> {
  const largest = largestMagnitude(input.image.data);
  yield mapped(input, 'squareroot', (x) => (x > 0 ? Math.sqrt(x * largest) : x < 0 ? -Math.sqrt(-x * largest) : x));
}

/** log(|x| + 1) with the sign of x, times M / log(M + 1). */
export function* logarithm(input: FilterInput): Generator<FilteredImage> {
  const largest = largestMagnitude(input.image.data);
  const scale = largest / Math.log(largest + 1);
  yield mapped(input, 'logarithm', (x) => (x > 0 ? Math.log(x + 1) : x < 0 ? -Math.log(-(x - 1)) : x) * scale);
}

/** exp(x · log(M) / M). */
export function* exponential(input: FilterInput): Generator<FilteredImage> {
  const largest = largestMagnitude(input.image.data);
  const scale = Math.log(largest) / largest;
  yield mapped(input, 'exponential', (x) => Math.exp(scale * x));
}

function largestMagnitude(data: Samples): number {
  let largest = 0;
  for (let i = 0; i < data.length; i++) {
    const magnitude = Math.abs(data[i]!);
    if (magnitude > largest || Number.isNaN(magnitude)) largest = magnitude;
  }
  return largest;
}

function mapped(input: FilterInput, name: string, value: (x: number) => number): FilteredImage {
  const { data, size } = input.image;
  const region = regionOf(input);
  const [nx, ny, nz] = boxSize(region);
  const out = new Float64Array(nx * ny * nz);
  for (let z = 0, at = 0; z < nz; z++)
    for (let y = 0; y < ny; y++) {
      const row = region.lower[0] + size[0] * (region.lower[1] + y + size[1] * (region.lower[2] + z));
      for (let x = 0; x < nx; x++, at++) out[at] = value(data[row + x]!);
    }
  return { name, volume: filteredVolume(input, out) };
}
