import { ConcordatError } from '../../shared/errors.js';
import { type Box, type Roi, roiOf } from '../imaging/roi.js';
import { gridOf, type Mask, type Samples, type Volume } from '../imaging/volume.js';

/** More labels than this are not listed in a message. */
const LABELS_SHOWN = 20;

/**
 * One where the mask has the label, zero elsewhere. Values of a mask are taken as PyRadiomics takes them, cut to whole numbers.
 *
 * @throws ConcordatError IMAGE_LABEL_ABSENT, naming the labels that are there.
 */
export function maskOfLabel(mask: Volume<Samples>, label: number): Mask {
  const { data } = mask;
  const out = new Uint8Array(data.length);
  const others = new Set<number>();
  let found = false;
  for (let i = 0; i < out.length; i++) {
    const value = Math.trunc(data[i]!);
    if (value === label) {
      out[i] = 1;
      found = true;
    } else if (value !== 0 && others.size <= LABELS_SHOWN) others.add(value);
  }
  if (found) return { ...gridOf(mask), data: out };
  if (others.size === 0) throw new ConcordatError('IMAGE_LABEL_ABSENT', 'nothing is segmented in this mask');
  const labels = [...others].sort((a, b) => a - b).slice(0, LABELS_SHOWN);
  const shown = `${labels.join(', ')}${others.size > LABELS_SHOWN ? ', ...' : ''}`;
  throw new ConcordatError('IMAGE_LABEL_ABSENT', `label ${label} is not in the mask: it has ${shown}`);
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
 * @throws ConcordatError IMAGE_ROI_TOO_SMALL; IMAGE_LABEL_ABSENT where the mask is empty.
 */
export function checkedRoi(mask: Mask, limits: RegionLimits): CheckedRoi {
  const roi = roiOf(mask);
  const { box } = roi;
  if (box === null) throw new ConcordatError('IMAGE_LABEL_ABSENT', 'no voxel of the region is left in the mask');
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
