import { createHash } from 'node:crypto';
import { z } from 'zod';
import { canonicalJson } from './canonical-json.js';

/**
 * What one study learns from the images of several cases and a later study takes over, values and origin, into its `imaging` section. The values stand
 * in the study itself, so they are part of its hash, of the imaging digest and of the key of every cached feature.
 */
const hash = z.string().regex(/^[0-9a-f]{64}$/, 'use the 64 hexadecimal digits of a SHA-256');
const finite = z.number().min(-1e9).max(1e9);
const phaseName = z.string().min(1).max(32);

/** Percentiles whose intensities are a case's landmarks (Nyúl and Udupa 1999; the deciles as Shah et al. 2011 have them). */
export const LANDMARK_PERCENTILES = [1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 99] as const;

const within = z
  .enum(['organ', 'foreground'])
  .default('organ')
  .describe(
    'Voxels that landmarks are measured in: the organ mask as the table of images names it, or all above the mean of the image.',
  );

export const landmarkLearningSchema = z.strictObject({
  within,
  scale: z
    .tuple([finite, finite])
    .default([0, 100])
    .describe('Ends of the standard scale: where the 1st and the 99th percentile of every case are put.'),
});
export type LandmarkLearning = z.output<typeof landmarkLearningSchema>;

const origin = z
  .strictObject({
    study: hash.describe('Hash of the study that learned the values.'),
    result: hash.describe('Digest of the values, as the result of that study has it; it must be theirs.'),
  })
  .describe('The earlier study that the values come from.');

export const standardizeSchema = z.strictObject({
  within,
  phases: z
    .record(phaseName, z.array(finite).length(LANDMARK_PERCENTILES.length))
    .describe('Standard landmarks of each phase: where percentiles 1, 10, 20 to 90 and 99 are put.'),
  from: origin,
});
export type Standardize = z.output<typeof standardizeSchema>;

export const learnSchema = z.strictObject({
  landmarks: landmarkLearningSchema
    .optional()
    .describe('Standard landmarks of MRI intensities (Nyúl), one set a phase.'),
});

/** Digest of standard landmarks, which a study that takes them over repeats. */
export function landmarksDigest({ within: where, phases }: Pick<Standardize, 'within' | 'phases'>): string {
  return digestOf('landmarks', { within: where, phases });
}

function digestOf(what: string, values: unknown): string {
  return createHash('sha256').update(`concordat ${what} 1\n`).update(canonicalJson(values)).digest('hex');
}

interface LearnedSections {
  readonly phases: readonly string[];
  readonly learn?: z.output<typeof learnSchema> | undefined;
  readonly standardize?: Standardize | undefined;
}
type Contradiction = { path: (string | number)[]; message: string };

/** What the schema alone cannot say about what is learned or taken over; paths are relative to the imaging section. */
export function learnedContradictions(imaging: LearnedSections): Contradiction[] {
  const { learn, standardize, phases } = imaging;
  const found: Contradiction[] = [];
  const report = (path: (string | number)[], message: string) => found.push({ path, message });
  if (learn?.landmarks !== undefined) {
    const { scale } = learn.landmarks;
    if (!(scale[0] < scale[1])) report(['learn', 'landmarks', 'scale'], 'the scale must end above its beginning');
    if (standardize !== undefined)
      report(['learn', 'landmarks'], 'landmarks are learned from images that are not standardized yet');
  }
  if (standardize !== undefined) {
    for (const phase of phases)
      if (!Object.hasOwn(standardize.phases, phase))
        report(
          ['standardize', 'phases'],
          `phase "${phase}" has no landmarks: the earlier study must have learned them`,
        );
    for (const [phase, landmarks] of Object.entries(standardize.phases)) {
      if (!phases.includes(phase)) report(['standardize', 'phases', phase], `"${phase}" is not among phases`);
      if (
        landmarks.some((value, at) => at > 0 && !(landmarks[at - 1]! <= value)) ||
        !(landmarks[0]! < landmarks.at(-1)!)
      )
        report(['standardize', 'phases', phase], 'landmarks must ascend');
    }
    if (landmarksDigest(standardize) !== standardize.from.result)
      report(
        ['standardize', 'from', 'result'],
        'these landmarks are not those of the digest: copy both from one result',
      );
  }
  return found;
}
