import { ConcordatError } from '../../../shared/errors.js';
import type { ImagingRegion } from '../../../shared/imaging.js';
import type { Encoder } from '../../../shared/imaging-deep.js';
import { requireSameGrid } from '../../imaging/compare-grids.js';
import { roiOf } from '../../imaging/roi.js';
import { perturbed } from '../perturb/perturb.js';
import { maskOfRegion, volumeOfMask } from '../region-extract.js';
import type { RegionSource } from '../region-source.js';
import type { PatchRequest } from '../region-task.js';
import { type Patch, patchOf } from './patch.js';

/** A region's patch, with what goes into the cache beside the features that an encoder makes of it. */
export interface RegionPatch extends Patch {
  readonly status: 'patch';
  /** Of the lesion as it was drawn. */
  readonly volumeMm3: number;
  readonly spacingMm: readonly number[];
}

/**
 * The patch of a region as the encoder's settings cut it, from the image before any resampling of the other features; of a perturbed reading where one is asked for.
 *
 * @throws ConcordatError IMAGE_GRID_MISMATCH, IMAGE_MASK_EMPTY, IMAGE_ROI_TOO_SMALL
 */
export function regionPatch(
  source: RegionSource,
  region: ImagingRegion,
  encoder: Encoder,
  reading?: PatchRequest['perturbed'],
): RegionPatch {
  const seen = reading === undefined ? source : perturbed(source, reading.of, reading.seed);
  requireSameGrid(seen.image, seen.lesion);
  const roi = roiOf(maskOfRegion(seen, region));
  if (roi.box === null) throw new ConcordatError('IMAGE_MASK_EMPTY', 'no voxel of the region is left in the mask');
  const { values, shape } = patchOf(seen.image, roi, encoder);
  return {
    status: 'patch',
    values,
    shape,
    volumeMm3: volumeOfMask(source.lesion),
    spacingMm: source.image.spacingMm,
  };
}
