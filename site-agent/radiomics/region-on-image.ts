import { ConcordatError } from '../../shared/errors.js';
import { compareGrids } from '../imaging/compare-grids.js';
import type { MaskFile } from '../imaging/shell/read-mask.js';
import type { Grid, Mask } from '../imaging/volume.js';
import { boxWithin, resampleMask } from './resample.js';

/**
 * A region of a mask file on the image's grid; taken there by nearest neighbour where it lies on another and that may be.
 *
 * @throws ConcordatError IMAGE_GRID_MISMATCH where it may not be, or the region has no grid of its own (an RTSTRUCT); IMAGE_LABEL_UNKNOWN,
 * IMAGE_MASK_EMPTY, IMAGE_ROI_OUTSIDE.
 */
export function regionOnImage(file: MaskFile, label: number, image: Grid, mayResample: boolean): Mask {
  const found = regionOrOwn(file, label, image, mayResample);
  if (compareGrids(image, found).length === 0) return found;
  boxWithin(image, found);
  return resampleMask(found, image);
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
