import { z } from 'zod';
import type { HabitatScale, LandmarkLearning } from '../../shared/imaging-learned.js';
import { requireSameGrid } from '../imaging/compare-grids.js';
import type { Mask, Volume } from '../imaging/volume.js';
import { lesionPoints, sampled } from './habitats.js';
import { landmarksWithin, type PhaseStandard, standardImage } from './standard-image.js';

/** What a study learns from one image, and with what settings. */
export type Wanted =
  | { readonly kind: 'landmarks'; readonly within: LandmarkLearning['within'] }
  /** A sample of the lesion's voxels: intensity and local entropy of each, from 0 to 1; last the lesion's volume in mm³. */
  | {
      readonly kind: 'points';
      readonly scale: HabitatScale;
      readonly voxels: number;
      readonly standard: PhaseStandard | null;
    };

/** What a thread is asked: paths are absolute and stay in this process. */
export interface LearnRequest {
  readonly image: string;
  /** The lesion, for its points. */
  readonly lesion: { readonly mask: string; readonly label: number };
  readonly organ: { readonly mask: string; readonly label: number } | null;
  readonly want: Wanted;
}

/** As it is kept in the cache and sent between threads: plain JSON. */
const keptSchema = z.discriminatedUnion('status', [
  z.strictObject({ format: z.literal(1), status: z.literal('ok'), values: z.array(z.number()) }),
  z.strictObject({
    format: z.literal(1),
    status: z.literal('failed'),
    reason: z.strictObject({ code: z.string(), message: z.string() }),
  }),
]);
export type KeptLearned = z.output<typeof keptSchema>;

/** A cache entry, or null where it is damaged or of another release. */
export function readKeptLearned(text: string): KeptLearned | null {
  try {
    const read = keptSchema.safeParse(JSON.parse(text));
    return read.success ? read.data : null;
  } catch {
    return null;
  }
}

/** @throws ConcordatError IMAGE_GRID_MISMATCH, IMAGE_ORGAN_MISSING, IMAGE_LANDMARKS_UNDEFINED */
export function learnedFrom(want: Wanted, image: Volume, lesion: Mask | null, organ: Mask | null): number[] {
  if (want.kind === 'landmarks') return landmarksWithin(want.within, image, organ);
  requireSameGrid(image, lesion!);
  const seen = want.standard === null ? image : standardImage(image, organ, want.standard);
  const [x, y, z] = image.spacingMm;
  const volumeMm3 = lesion!.data.reduce((sum, value) => sum + value, 0) * x * y * z;
  return [...sampled(lesionPoints(seen, lesion!, want.scale), want.voxels), volumeMm3];
}

/** What a site keeps beside a cohort's features: of each case, what its images give. Local. */
const learnedFileSchema = z.strictObject({
  format: z.literal('concordat-learned-1'),
  cases: z.array(
    z.strictObject({
      case: z.string(),
      /** Phase -> landmarks in intensities, the mean over the case's images of that phase. */
      landmarks: z.record(z.string(), z.array(z.number())).optional(),
      /** Voxels of the case's largest lesion: intensity and local entropy of each, from 0 to 1. */
      points: z.array(z.number().min(0).max(1)).optional(),
    }),
  ),
});
export type LearnedFile = z.output<typeof learnedFileSchema>;
export type LearnedCase = LearnedFile['cases'][number];

export function parseLearned(text: string): LearnedFile | null {
  try {
    const read = learnedFileSchema.safeParse(JSON.parse(text));
    return read.success ? read.data : null;
  } catch {
    return null;
  }
}

/** Mean of equally long lists, entry by entry. */
export function meanOf(lists: readonly (readonly number[])[]): number[] {
  return lists[0]!.map((_, at) => lists.reduce((sum, list) => sum + list[at]!, 0) / lists.length);
}
