import { ConcordatError } from '../../shared/errors.js';
import { type Roi, valuesIn } from '../imaging/roi.js';
import { gridOf, type Mask, type Volume } from '../imaging/volume.js';
import { exact, numpySum, type Rounding } from './features/numpy-sum.js';

export interface ResegmentSettings {
  /** One threshold, the lower, or both, in any order. */
  readonly resegmentRange: readonly number[];
  /** `relative`: in units of the region's maximum; `sigma`: in standard deviations (n below) from its mean. */
  readonly resegmentMode: 'absolute' | 'relative' | 'sigma';
}

/**
 * The region's voxels whose intensity lies in the closed range.
 *
 * Source: PyRadiomics, imageoperations.resegmentMask.
 *
 * @throws ConcordatError IMAGE_ROI_TOO_SMALL where at most one voxel is left.
 */
export function resegment(image: Volume, roi: Roi, settings: ResegmentSettings): Mask {
  const values = valuesIn(image, roi);
  // numpy 1 takes a threshold to the float32 of the image before it compares.
  const round = image.data instanceof Float32Array ? Math.fround : exact;
  const [low, high] = thresholds(values, settings, round).map(round) as [number, number];
  const data = new Uint8Array(image.data.length);
  let left = 0;
  for (let k = 0; k < values.length; k++) {
    if (!(values[k]! >= low && values[k]! <= high)) continue;
    data[roi.indices[k]!] = 1;
    left++;
  }
  if (left <= 1) throw new ConcordatError('IMAGE_ROI_TOO_SMALL', 'resegmentation left at most one voxel of the region');
  return { ...gridOf(image), data };
}

function thresholds(
  values: Float64Array,
  { resegmentRange, resegmentMode }: ResegmentSettings,
  round: Rounding,
): [number, number] {
  const [lower, upper] = [...resegmentRange].sort((a, b) => a - b);
  let at = (limit: number): number => limit;
  if (resegmentMode === 'relative') {
    let maximum = Number.NEGATIVE_INFINITY;
    for (const value of values) if (value > maximum) maximum = value;
    at = (limit) => maximum * limit;
  } else if (resegmentMode === 'sigma') {
    const mean = round(numpySum(values, round) / values.length);
    const squares = values.map((value) => {
      const off = round(value - mean);
      return round(off * off);
    });
    const sigma = round(Math.sqrt(round(numpySum(squares, round) / values.length)));
    at = (limit) => mean + sigma * limit;
  }
  return [at(lower!), upper === undefined ? Number.POSITIVE_INFINITY : at(upper)];
}
