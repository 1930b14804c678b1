import type { Imaging } from '../../shared/imaging.js';
import { type Acquisition, acquisitionDifferences } from '../imaging/acquisition.js';

/** Whether images of a case may be compared: two time points for delta features, two phases that share a mask. */

/** One image of a case, as far as comparisons ask. */
export interface ComparedImage {
  readonly timepoint: string;
  readonly phase: string;
  /** Day of the examination, or null. */
  readonly date: string | null;
  /** Voxel size of the image before any resampling, in mm: two time points are compared only where it matches. */
  readonly spacingMm: readonly number[];
  /** The lesion's mask as the table of images names it; two phases with one mask must have one frame of reference. */
  readonly mask?: string;
  /** How the image was made, where its file says so. */
  readonly acquisition?: Acquisition;
}

/** What was found of a case: `excluded` keeps features from being compared, `remarked` does not. In words, without the case. */
export interface Comparisons {
  readonly excluded: readonly string[];
  readonly remarked: readonly string[];
}

/** Voxel sizes of two examinations may differ by this share before their difference counts as one of acquisition. */
const ACQUISITION_TOLERANCE = 0.1;

type Delta = NonNullable<Imaging['delta']>;

/** Between two time points of one phase. */
export function overTime(delta: Delta, from: ComparedImage, to: ComparedImage): Comparisons {
  const excluded: string[] = [];
  const remarked: string[] = [];
  const differs = from.spacingMm.some(
    (spacing, axis) => Math.abs(spacing - to.spacingMm[axis]!) > ACQUISITION_TOLERANCE * spacing,
  );
  if (differs) excluded.push('the voxel size of the two examinations differs by more than a tenth');
  for (const { text, excludes } of acquisitionDifferences(from.acquisition ?? {}, to.acquisition ?? {}))
    (excludes && delta.acquisition !== 'remark' ? excluded : remarked).push(text);
  const days = daysBetween(from, to);
  if (delta.kind === 'per-day' && Number.isNaN(days))
    excluded.push('the interval between the examinations is not known');
  if (days <= 0) excluded.push('the later examination is not after the earlier one');
  return { excluded, remarked };
}

/** Days between the two examinations, NaN where a date is missing. */
export function daysBetween(from: ComparedImage, to: ComparedImage): number {
  if (from.date === null || to.date === null) return Number.NaN;
  return (Date.parse(`${to.date}T00:00:00Z`) - Date.parse(`${from.date}T00:00:00Z`)) / 86_400_000;
}

/**
 * Why two phases cannot be compared, or null: one mask was used for both, and their images state different frames of reference, so that a place in one is
 * not the same place in the other. NIfTI and NRRD state none.
 */
export function acrossPhases(a: ComparedImage, b: ComparedImage): string | null {
  if (a.mask === undefined || a.mask !== b.mask) return null;
  const [first, second] = [a.acquisition?.frame, b.acquisition?.frame];
  if (first === undefined || second === undefined || first === second) return null;
  return 'the two phases share a mask, and their images have different frames of reference';
}

/** Everything that is to be said of a case's images; of several lesions the first of each phase and time point stands for its image. */
export function comparisons(imaging: Imaging, images: readonly ComparedImage[]): Comparisons {
  const excluded = new Set<string>();
  const remarked = new Set<string>();
  const find = (phase: string, timepoint: string) =>
    images.find((one) => one.phase === phase && one.timepoint === timepoint);
  const { delta, phases } = imaging;
  for (const phase of delta === undefined ? [] : phases) {
    const [from, to] = [find(phase, delta!.from), find(phase, delta!.to)];
    if (from === undefined || to === undefined) continue;
    const found = overTime(delta!, from, to);
    for (const text of found.excluded) excluded.add(`no delta of ${phase}: ${text}`);
    for (const text of found.remarked) remarked.add(`delta of ${phase}: ${text}`);
  }
  for (const timepoint of imaging.timepoints.length === 0 ? [''] : imaging.timepoints)
    for (const [at, a] of phases.entries())
      for (const b of phases.slice(at + 1)) {
        const [one, other] = [find(a, timepoint), find(b, timepoint)];
        const problem = one === undefined || other === undefined ? null : acrossPhases(one, other);
        if (problem !== null)
          excluded.add(`${[timepoint, a, 'and', b].filter((word) => word !== '').join(' ')}: ${problem}`);
      }
  return { excluded: [...excluded], remarked: [...remarked] };
}
