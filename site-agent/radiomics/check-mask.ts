import { ConcordatError } from '../../shared/errors.js';
import { requireLabel } from '../imaging/labels.js';
import { type Box, type Roi, roiOf } from '../imaging/roi.js';
import { gridOf, type Mask, type Samples, type Volume } from '../imaging/volume.js';

/**
 * One where the mask has the label, zero elsewhere.
 *
 * @throws ConcordatError IMAGE_MASK_EMPTY, naming the labels that are there; IMAGE_MASK_NOT_LABELS.
 */
export function maskOfLabel(mask: Volume<Samples>, label: number): Mask {
  requireLabel(mask, label);
  const { data } = mask;
  const out = new Uint8Array(data.length);
  for (let i = 0; i < out.length; i++) if (data[i] === label) out[i] = 1;
  return { ...gridOf(mask), data: out };
}

export interface RegionLimits {
  /** Axes along which the region must be more than one voxel. */
  readonly minimumROIDimensions: number;
  /** The region must have more voxels than this; null: no such test. */
  readonly minimumROISize: number | null;
}

export type CheckedRoi = Roi & { readonly box: Box };

/**
 * The region, where it is large enough.
 *
 * Source: PyRadiomics, imageoperations.checkMask.
 *
 * @throws ConcordatError IMAGE_ROI_TOO_SMALL; IMAGE_MASK_EMPTY where the mask is empty.
 */
export function checkedRoi(mask: Mask, limits: RegionLimits): CheckedRoi {
  const roi = roiOf(mask);
  const { box } = roi;
  if (box === null) throw new ConcordatError('IMAGE_MASK_EMPTY', 'no voxel of the region is left in the mask');
  const dimensions = [0, 1, 2].filter((axis) => box.upper[axis]! > box.lower[axis]!).length;
  if (dimensions === 0)
    throw new ConcordatError('IMAGE_ROI_TOO_SMALL', 'the region is a single voxel, which has no features');
  if (dimensions < limits.minimumROIDimensions)
    throw new ConcordatError(
      'IMAGE_ROI_TOO_SMALL',
      `the region has too few dimensions: ${dimensions}, minimumROIDimensions is ${limits.minimumROIDimensions}`,
    );
  if (limits.minimumROISize !== null && roi.indices.length <= limits.minimumROISize)
    throw new ConcordatError(
      'IMAGE_ROI_TOO_SMALL',
      `the region has too few voxels: minimumROISize is ${limits.minimumROISize}`,
    );
  return { ...roi, box };
}
