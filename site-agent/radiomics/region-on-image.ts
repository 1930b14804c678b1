import { ConcordatError } from '../../shared/errors.js';
import { compareGrids } from '../imaging/compare-grids.js';
import type { MaskFile } from '../imaging/shell/read-mask.js';
import type { Grid, Mask } from '../imaging/volume.js';
import { boxWithin, resampleMask } from './resample.js';
import type { StudyExtraction } from './study-extraction.js';

/**
 * A region of a mask file on the image's grid; taken there by nearest neighbour where it lies on another and that may be.
 *
 * @throws ConcordatError IMAGE_GRID_MISMATCH where it may not be, or the region has no grid of its own (an RTSTRUCT); IMAGE_LABEL_UNKNOWN,
 * IMAGE_MASK_EMPTY, IMAGE_ROI_OUTSIDE.
 */
export function regionOnImage(file: MaskFile, label: number, image: Grid, mayResample: boolean): Mask {
  const found = regionOrOwn(file, label, image, mayResample);
  return takenToImage(found, image);
}

/** PyRadiomics' setting `correctMask`; what it does to masks holds for everything that is extracted of an image, deep features too. */
export const takesMasksToImage = (extraction: StudyExtraction): boolean =>
  extraction.profile === 'pyradiomics' && extraction.settings.preprocessing.correctMask;

/** A mask on the image's grid: itself, or what nearest neighbour makes of it. @throws ConcordatError IMAGE_ROI_OUTSIDE */
export function takenToImage(mask: Mask, image: Grid): Mask {
  if (compareGrids(image, mask).length === 0) return mask;
  boxWithin(image, mask);
  return resampleMask(mask, image);
}

/** The same, on its own grid where it does not lie on the image's. */
export function regionOrOwn(file: MaskFile, label: number, image: Grid, mayResample: boolean): Mask {
  try {
    return file.region(label, image);
  } catch (error) {
    const isElsewhere = error instanceof ConcordatError && error.code === 'IMAGE_GRID_MISMATCH';
    const own = isElsewhere && mayResample ? file.own(label) : null;
    if (own === null) throw error;
    return own;
  }
}
