import { type Roi, roiOf } from '../../imaging/roi.js';
import type { Grid, Samples, Volume } from '../../imaging/volume.js';
import type { FeatureSet } from '../feature.js';
import { ibsiGrid, interpolatedImage, type Processed } from './preprocess.js';
import type { IbsiSettings } from './settings.js';

/**
 * IBSI's diagnostic values: the image and the two masks as read (`init`), after interpolation (`interp`) and after re-segmentation
 * (`reseg`). They are checks of the processing and have no codes.
 */
export function diagnosticValues(
  image: Volume<Samples>,
  mask: Volume<Samples>,
  settings: IbsiSettings,
  processed: Processed,
): FeatureSet {
  const { interpolation, label } = settings;
  // Features look at the region's surroundings only; these values are of the whole image.
  const whole = interpolation
    ? interpolatedImage(image, ibsiGrid(image, interpolation.spacingMm), interpolation)
    : image;
  const values: FeatureSet = new Map();
  const put = (name: string, value: number): void => {
    values.set(name, Number.isFinite(value) ? { value } : { value: null, reason: 'the region is empty' });
  };
  const axes = (prefix: string, suffix: string, of: readonly number[]): void =>
    ['x', 'y', 'z'].forEach((axis, k) => {
      put(`${prefix}_${axis}_${suffix}`, of[k]!);
    });
  const aboutImage = (suffix: string, of: Volume<Samples>): void => {
    axes('img_dim', suffix, of.size);
    axes('vox_dim', suffix, of.spacingMm);
    const { mean, min, max } = summary(of.data);
    put(`mean_int_${suffix}`, mean);
    put(`min_int_${suffix}`, min);
    put(`max_int_${suffix}`, max);
  };
  const aboutMasks = (suffix: string, grid: Grid, of: Volume<Samples>, morphological: Roi, intensity: Roi): void => {
    axes('int_mask_dim', suffix, grid.size);
    axes('int_mask_bb_dim', suffix, extent(intensity));
    axes('morph_mask_bb_dim', suffix, extent(morphological));
    put(`int_mask_vox_count_${suffix}`, intensity.indices.length);
    put(`morph_mask_vox_count_${suffix}`, morphological.indices.length);
    const { mean, min, max } = summary(Float64Array.from(intensity.indices, (at) => of.data[at]!));
    put(`int_mask_mean_int_${suffix}`, mean);
    put(`int_mask_min_int_${suffix}`, min);
    put(`int_mask_max_int_${suffix}`, max);
  };
  const first = roiOf(mask, label);
  aboutImage('init_img', image);
  aboutImage('interp_img', whole);
  aboutMasks('init_roi', image, image, first, first);
  aboutMasks('interp_roi', whole, processed.image, processed.morphological, processed.morphological);
  aboutMasks('reseg_roi', whole, processed.image, processed.morphological, processed.intensity);
  return values;
}

const extent = ({ box }: Roi): number[] =>
  [0, 1, 2].map((axis) => (box === null ? 0 : box.upper[axis]! - box.lower[axis]! + 1));

function summary(data: ArrayLike<number>): { mean: number; min: number; max: number } {
  let [sum, min, max] = [0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let k = 0; k < data.length; k++) {
    sum += data[k]!;
    if (data[k]! < min) min = data[k]!;
    if (data[k]! > max) max = data[k]!;
  }
  return { mean: sum / data.length, min, max };
}
