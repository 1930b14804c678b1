import { z } from 'zod';
import type { LandmarkLearning } from '../../shared/imaging-learned.js';
import type { Mask, Volume } from '../imaging/volume.js';
import { landmarksWithin } from './standard-image.js';

/** What a study learns from one image, and with what settings. */
export type Wanted = { readonly kind: 'landmarks'; readonly within: LandmarkLearning['within'] };

/** What a thread is asked: paths are absolute and stay in this process. */
export interface LearnRequest {
  readonly image: string;
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

/** Throws what `landmarksWithin` throws. */
export function learnedFrom(want: Wanted, image: Volume, organ: Mask | null): number[] {
  return landmarksWithin(want.within, image, organ);
}

/** What a site keeps beside a cohort's features: of each case, what its images give. Local. */
const learnedFileSchema = z.strictObject({
  format: z.literal('concordat-learned-1'),
  cases: z.array(
    z.strictObject({
      case: z.string(),
      /** Phase -> landmarks in intensities, the mean over the case's images of that phase. */
      landmarks: z.record(z.string(), z.array(z.number())).optional(),
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
