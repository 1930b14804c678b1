import type { SeededRandom } from '../../../shared/rng.js';
import { cropVolume } from '../../imaging/crop.js';
import type { Box } from '../../imaging/roi.js';
import type { Samples, Volume } from '../../imaging/volume.js';
import { waveletTaps } from '../filters/wavelet-taps.js';
import { withSamples } from './motion.js';

/** Median of |x| for a standard normal x. */
const NORMAL_MEDIAN = 0.6744897501960817;

/**
 * Standard deviation of the noise in a box of an image: median of the absolute wavelet coefficients that are high-pass along every axis, over
 * 0.6745 (Chang, Yu and Vetterli, IEEE Trans Image Process 2000;9:1532-46; with coif1 and undecimated as in Zwanenburg 2019). Axes with fewer
 * voxels than the filter has taps are left out; 0 where none is left. Noise that neighbouring voxels share is underestimated.
 */
export function noiseLevel(image: Volume, box: Box): number {
  const taps = waveletTaps('coif1').decompositionHigh;
  const part = cropVolume<Samples>(image, box);
  let values = Float64Array.from(part.data);
  const size = [...part.size];
  let axes = 0;
  for (let axis = 0; axis < 3; axis++) {
    if (size[axis]! < taps.length) continue;
    values = highPass(values, size, axis, taps);
    size[axis] = size[axis]! - taps.length + 1;
    axes++;
  }
  if (axes === 0 || values.length === 0) return 0;
  const sorted = values.map(Math.abs).sort();
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return median / NORMAL_MEDIAN;
}

/** Convolution along one axis, where the filter lies wholly inside. */
function highPass(
  data: Float64Array,
  size: readonly number[],
  axis: number,
  taps: readonly number[],
): Float64Array<ArrayBuffer> {
  const stride = axis === 0 ? 1 : axis === 1 ? size[0]! : size[0]! * size[1]!;
  const length = size[axis]!;
  const kept = length - taps.length + 1;
  const lines = data.length / length;
  const out = new Float64Array(lines * kept);
  for (let line = 0; line < lines; line++) {
    const block = Math.floor(line / stride);
    const from = block * stride * length + (line % stride);
    const to = block * stride * kept + (line % stride);
    for (let i = 0; i < kept; i++) {
      let sum = 0;
      for (let k = 0; k < taps.length; k++) sum += taps[k]! * data[from + (i + k) * stride]!;
      out[to + i * stride] = sum;
    }
  }
  return out;
}

/** The image with Gaussian noise of `factor` times its own noise within `box`. */
export function withNoise(image: Volume, box: Box, factor: number, random: SeededRandom): Volume {
  const sd = factor * noiseLevel(image, box);
  const noisy = Float64Array.from(cropVolume<Samples>(image, box).data, (value) => value + sd * random.normal());
  return withSamples(image, box, noisy);
}
