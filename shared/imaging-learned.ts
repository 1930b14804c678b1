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
    bundle: hash
      .optional()
      .describe(
        'Digest of the countersigned bundle of that study, in which every site looks the values up before it approves. Only a simulation goes without.',
      ),
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

const habitatScale = {
  phase: phaseName.describe('Phase whose images have habitats.'),
  range: z.tuple([finite, finite]).describe('Intensities that count as 0 and as 1; those beyond count as the ends.'),
  radiusMm: z.number().min(1).max(10).default(3).describe('Radius of the window of local entropy, in mm.'),
  bins: z.int().min(2).max(256).default(32).describe('Equal bins of `range` for local entropy.'),
};

export const habitatLearningSchema = z.strictObject({
  ...habitatScale,
  count: z.int().min(2).max(8).default(3).describe('Number of habitats.'),
  voxels: z
    .int()
    .min(20)
    .max(2000)
    .default(200)
    .describe('Voxels of a lesion that count; every patient weighs the same.'),
  iterations: z.int().min(1).max(50).default(20).describe('Most iterations of k-means.'),
});
export type HabitatLearning = z.output<typeof habitatLearningSchema>;
export type HabitatScale = Pick<HabitatLearning, 'range' | 'radiusMm' | 'bins'>;

export const habitatsSchema = z.strictObject({
  ...habitatScale,
  centroids: z
    .array(z.tuple([finite, finite]))
    .min(2)
    .max(8)
    .describe('Intensity and local entropy (bits) of each habitat, in ascending intensity: the first is `habitat1`.'),
  standardized: hash
    .nullable()
    .describe('Digest of the landmarks by which images were standardized before, or null: the same as in this study.'),
  from: origin,
});
export type Habitats = z.output<typeof habitatsSchema>;

/** Digest of habitats, which a study that takes them over repeats. */
export function habitatsDigest({ from: _, ...values }: Omit<Habitats, 'from'> & { readonly from?: unknown }): string {
  return digestOf('habitats', values);
}

export const learnSchema = z.strictObject({
  habitats: habitatLearningSchema
    .optional()
    .describe('Habitats of lesions: k-means on intensity and local entropy of all training patients.'),
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

/** What to do where a study would use what it learns itself: the outer folds of one study cannot each have their own images. */
export const IN_TWO_STUDIES =
  'Take one of the two out of this study, run the one that learns first, and put what `concordat model learned BUNDLE` prints of its bundle under `imaging` of the other';

interface LearnedSections {
  readonly phases: readonly string[];
  readonly learn?: z.output<typeof learnSchema> | undefined;
  readonly standardize?: Standardize | undefined;
  readonly habitats?: Habitats | undefined;
  readonly regions: readonly { readonly name: string }[];
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
      report(
        ['learn', 'landmarks'],
        `landmarks are learned from images that are not standardized yet: one study learns them, another standardizes by them. ${IN_TWO_STUDIES}`,
      );
  }
  habitatContradictions(imaging, report);
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

function habitatContradictions(
  { learn, habitats, standardize, phases, regions }: LearnedSections,
  report: (path: (string | number)[], message: string) => void,
): void {
  for (const [path, section] of [
    [['learn', 'habitats'], learn?.habitats],
    [['habitats'], habitats],
  ] as const) {
    if (section === undefined) continue;
    if (!phases.includes(section.phase)) report([...path, 'phase'], `"${section.phase}" is not among phases`);
    if (!(section.range[0] < section.range[1])) report([...path, 'range'], 'the range must end above its beginning');
  }
  if (habitats === undefined) return;
  if (learn?.habitats !== undefined)
    report(['learn', 'habitats'], `one study learns habitats, another has their features. ${IN_TWO_STUDIES}`);
  const { centroids, standardized, from } = habitats;
  if (centroids.some(([intensity], at) => at > 0 && intensity < centroids[at - 1]![0]))
    report(['habitats', 'centroids'], 'centroids must ascend in intensity');
  if (standardized !== (standardize?.from.result ?? null))
    report(['habitats', 'standardized'], 'the habitats were learned from images on another scale of intensities');
  if (habitatsDigest(habitats) !== from.result)
    report(['habitats', 'from', 'result'], 'these habitats are not those of the digest: copy both from one result');
  for (const [at, { name }] of regions.entries())
    if (/^habitat\d+$/.test(name)) report(['regions', at, 'name'], `"${name}" is the name of a habitat`);
}
