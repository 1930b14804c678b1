import { ConcordatError } from '../../shared/errors.js';
import type { Volume } from './volume.js';

/** Distinct values beyond which a volume is an image or probabilities rather than labels. */
const LABELS_MAX = 4096;

/**
 * The labels of a mask and how many voxels each has, ascending, zero left out.
 * @throws ConcordatError IMAGE_MASK_NOT_LABELS where a value is no whole number, or there are more than any label map has
 */
export function labelsOf(mask: Volume): Map<number, number> {
  const counts = new Map<number, number>();
  const { data } = mask;
  let previous = 0;
  let run = 0;
  const close = (): void => {
    if (run > 0 && previous !== 0) counts.set(previous, (counts.get(previous) ?? 0) + run);
    run = 0;
  };
  for (let i = 0; i < data.length; i++) {
    const value = data[i]!;
    if (value !== previous) {
      close();
      if (!Number.isInteger(value))
        throw new ConcordatError(
          'IMAGE_MASK_NOT_LABELS',
          `the mask has values that are no whole numbers (such as ${Number(value.toPrecision(4))}): it holds probabilities, not labels`,
        );
      if (counts.size > LABELS_MAX)
        throw new ConcordatError(
          'IMAGE_MASK_NOT_LABELS',
          `the mask has more than ${LABELS_MAX} different values: it is an image, not a mask`,
        );
      previous = value;
    }
    run++;
  }
  close();
  return new Map([...counts.entries()].sort(([a], [b]) => a - b));
}

/**
 * How many voxels carry a label.
 * @throws ConcordatError IMAGE_MASK_EMPTY where there are none, with the labels that are there; IMAGE_MASK_NOT_LABELS
 */
export function requireLabel(mask: Volume, label: number): number {
  const labels = labelsOf(mask);
  const count = labels.get(label) ?? 0;
  if (count > 0) return count;
  throw emptyMask(label, [...labels.keys()]);
}

export function emptyMask(label: number, others: readonly number[]): ConcordatError {
  const list =
    others.length > 20 ? `${others.slice(0, 20).join(', ')} and ${others.length - 20} more` : others.join(', ');
  return new ConcordatError(
    'IMAGE_MASK_EMPTY',
    others.length === 0
      ? 'the mask is empty: no voxel has a label'
      : `the mask has no voxel with label ${label}; it has ${list}`,
  );
}
