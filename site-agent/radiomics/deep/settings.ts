import { z } from 'zod';
import { ConcordatError } from '../../../shared/errors.js';
import {
  type Encoder,
  encoderContradictions,
  encoderDigest,
  encoderName,
  INTERPOLATORS,
  modelDigest,
  pairOrThree,
  patchFields,
  patchLength,
  patchSpacing,
  plainIntensity,
  windowIntensity,
} from '../../../shared/imaging-deep.js';
import { readYaml } from '../../../shared/strict-yaml.js';
import { type CanonicalSettings, settingsDigest } from '../settings-digest.js';
import { RUNTIME } from './runtime.js';

/** Settings of an encoder as a file has them, and of a model that proposes masks. Every choice that changes a number is in them. */
export const deepSchema = z.strictObject({
  name: encoderName,
  encoder: z.string().min(1).describe('ONNX file, relative to this file.'),
  sha256: encoderDigest,
  ...patchFields,
});

export type DeepSettings = z.output<typeof deepSchema>;

export const segmentSchema = z.strictObject({
  sha256: modelDigest.optional().describe('Digest of the model file; where it is stated, no other model is run.'),
  output: z.string().min(1).optional().describe('Which output holds the scores, where the model has several.'),
  view: z.enum(['volume', 'slices']).describe('The model takes boxes, or axial slices one by one.'),
  spacingMm: z
    .tuple([patchSpacing, patchSpacing, patchSpacing])
    .optional()
    .describe(
      'Voxel size in mm that the model wants, along the patient’s left, back and head; absent = the image’s own.',
    ),
  tile: pairOrThree(patchLength)
    .optional()
    .describe('Size of the model’s input, two numbers for slices; absent = the whole image at once.'),
  overlap: z
    .number()
    .min(0)
    .max(0.9)
    .default(0.5)
    .describe('Share by which neighbouring tiles overlap; scores are averaged there.'),
  multipleOf: patchLength.default(1).describe('Without tiles: every length is filled up to a multiple of this.'),
  interpolator: z.enum(INTERPOLATORS).default('linear').describe('How the image is read between its voxels.'),
  outside: z.number().describe('Intensity beyond the image, before the intensities are set.'),
  intensity: z
    .discriminatedUnion('type', [
      windowIntensity,
      z.strictObject({ type: z.literal('zscore'), over: z.literal('image') }),
      plainIntensity,
    ])
    .describe('How intensities become the model’s numbers.'),
  scores: z
    .enum(['probability', 'logit', 'classes'])
    .describe('One probability or one logit a voxel; or one score for each label from 0, of which the largest counts.'),
  threshold: z.number().gt(0).lt(1).default(0.5).describe('Probability from which a voxel is inside; not for classes.'),
  label: z
    .number()
    .int()
    .min(1)
    .max(255)
    .default(1)
    .describe('Value of the voxels inside; classes are their own labels.'),
});

export type SegmentSettings = z.output<typeof segmentSchema>;

const deepFile = z.strictObject({ concordat: z.literal(1), deep: deepSchema });
const segmentFile = z.strictObject({ concordat: z.literal(1), segment: segmentSchema });

/** @throws ConcordatError IMAGE_SETTINGS_INVALID with every problem and its place */
export function parseDeepSettings(text: string, file: string): DeepSettings {
  const { deep } = parsed(text, file, deepFile, ({ deep: read }) => encoderContradictions(read).map(inSection('deep')));
  return deep;
}

/** @throws ConcordatError IMAGE_SETTINGS_INVALID with every problem and its place */
export function parseSegmentSettings(text: string, file: string): SegmentSettings {
  const { segment } = parsed(text, file, segmentFile, ({ segment: read }) =>
    segmentContradictions(read).map(inSection('segment')),
  );
  return segment;
}

interface Contradiction {
  readonly path: readonly string[];
  readonly message: string;
}

const inSection =
  (section: string) =>
  ({ path, message }: Contradiction): Contradiction => ({ path: [section, ...path], message });

/** What the schema alone cannot say. */
export function segmentContradictions({ view, tile }: SegmentSettings): Contradiction[] {
  const dimensions = view === 'volume' ? 3 : 2;
  if (tile === undefined || tile.length === dimensions) return [];
  return [{ path: ['tile'], message: `${view} takes ${dimensions} lengths` }];
}

function parsed<S extends z.ZodType>(
  text: string,
  file: string,
  schema: S,
  contradictions: (value: z.output<S>) => Contradiction[],
): z.output<S> {
  const reading = readYaml(text, file, schema);
  const problems =
    reading.kind === 'ok'
      ? contradictions(reading.value).map(({ path, message }) => reading.problemAt(path, message))
      : reading.problems;
  if (reading.kind === 'ok' && problems.length === 0) return reading.value;
  throw new ConcordatError(
    'IMAGE_SETTINGS_INVALID',
    `${file} has ${problems.length} problem${problems.length === 1 ? '' : 's'}`,
    { problems, hint: 'Every problem is listed with its place; docs/radiomics-quality.md has every key.' },
  );
}

/** What decides a deep feature besides image and region: the encoder's settings, its bytes and how the runtime runs it; not the name or place of its file. */
export function canonicalEncoder(encoder: Encoder): CanonicalSettings {
  const { name, sha256, output, view, spacingMm, size, centre, interpolator, outside, intensity, channels, scale } =
    encoder;
  const patch = { view, spacingMm, size, centre, interpolator, outside, intensity, channels, scale: scale ?? null };
  return { name, sha256, output: output ?? null, ...patch, runtime: RUNTIME };
}

/** SHA-256 of `canonicalEncoder`, in hex. */
export function deepDigest(encoder: Encoder): string {
  return settingsDigest({ format: 2, profile: 'deep', settings: canonicalEncoder(encoder) });
}

/** SHA-256 of what decides a proposed mask beside the image: the settings and the model's bytes. */
export function segmentDigest(settings: SegmentSettings, modelSha256: string): string {
  return settingsDigest({ format: 1, profile: 'segment', settings: { ...settings, sha256: modelSha256 } });
}
