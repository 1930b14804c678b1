import { ConcordatError } from '../../shared/errors.js';
import type { Standardize } from '../../shared/imaging-learned.js';
import { requireSameGrid } from '../imaging/compare-grids.js';
import { caseLandmarks, standardize } from '../imaging/nyul.js';
import type { Mask, Volume } from '../imaging/volume.js';

/** What a study's `standardize` says of images of one phase. */
export interface PhaseStandard {
  readonly within: Standardize['within'];
  /** Standard landmarks. */
  readonly landmarks: readonly number[];
}

/** Null where the study standardizes nothing. */
export function standardOf(section: Standardize | undefined, phase: string): PhaseStandard | null {
  return section === undefined ? null : { within: section.within, landmarks: section.phases[phase]! };
}

/**
 * Landmarks of a case where the study says that they are measured; `organ` is looked at only if that is there.
 *
 * @throws ConcordatError IMAGE_ORGAN_MISSING where there is no organ mask to measure in, IMAGE_GRID_MISMATCH, IMAGE_LANDMARKS_UNDEFINED.
 */
export function landmarksWithin(within: Standardize['within'], image: Volume, organ: Mask | null): number[] {
  if (within === 'foreground') return caseLandmarks(image, null);
  if (organ === null)
    throw new ConcordatError(
      'IMAGE_ORGAN_MISSING',
      'landmarks of intensities are measured in the organ, and there is no organ mask',
    );
  requireSameGrid(image, organ);
  return caseLandmarks(image, organ);
}

/** The image on the study's standard scale. Throws as `landmarksWithin`. */
export function standardImage(image: Volume, organ: Mask | null, standard: PhaseStandard): Volume<Float64Array> {
  return standardize(image, landmarksWithin(standard.within, image, organ), standard.landmarks);
}
