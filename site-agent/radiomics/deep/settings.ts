import { z } from 'zod';
import { ConcordatError } from '../../../shared/errors.js';
import { readYaml } from '../../../shared/strict-yaml.js';
import { settingsDigest } from '../settings-digest.js';

/** Settings of an encoder that gives deep features, and of a model that proposes masks. Every choice that changes a number is in them. */
const INTERPOLATORS = ['nearest', 'linear', 'cubic', 'bspline'] as const;
const VOXELS_MAX = 64_000_000;

const digest = z.string().regex(/^[0-9a-f]{64}$/, 'give the SHA-256 of the model file as 64 hexadecimal digits');
const length = z.number().int().min(1).max(2048);
const spacing = z.number().positive().max(100);
const pairOrThree = <T extends z.ZodType>(item: T) => z.array(item).min(2).max(3);

const window = z.strictObject({
  type: z.literal('window'),
  centre: z.number().describe('Middle of the window, in the unit of the image.'),
  width: z
    .number()
    .positive()
    .describe('Width of the window: its lower end becomes 0, its upper end 1, and what lies beyond is cut.'),
});
const plain = z.strictObject({ type: z.literal('none') });

const scale = z
  .strictObject({ mean: z.array(z.number()).min(1).max(3), sd: z.array(z.number().positive()).min(1).max(3) })
  .describe(
    'Subtracted, then divided by, one number a channel, after the intensities are set: as the encoder was trained.',
  );

export const deepSchema = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'use lower-case letters, digits and hyphens')
    .describe('Part of the features’ names: deep_<name>_0, deep_<name>_1, ...'),
  encoder: z.string().min(1).describe('ONNX file, relative to this file.'),
  sha256: digest.describe('Digest of that file, so that every site runs the same encoder.'),
  output: z.string().min(1).optional().describe('Which output holds the features, where the model has several.'),
  view: z
    .enum(['volume', 'largest-slice', 'orthogonal'])
    .describe(
      'A box; the axial slice where the region is largest; or three planes through the centre as three channels.',
    ),
  spacingMm: pairOrThree(spacing).describe(
    'Distance between samples in mm: three numbers for a volume, two for planes.',
  ),
  size: pairOrThree(length).describe(
    'Samples along the patient’s left, back and head: three for a volume, two for planes.',
  ),
  centre: z
    .enum(['mass', 'box'])
    .default('mass')
    .describe('Middle of the patch: centre of mass of the region, or of its box.'),
  interpolator: z.enum(INTERPOLATORS).default('linear').describe('How the image is read between its voxels.'),
  outside: z.number().describe('Intensity where the patch reaches beyond the image, before the intensities are set.'),
  intensity: z
    .discriminatedUnion('type', [
      window,
      z.strictObject({
        type: z.literal('zscore'),
        over: z
          .enum(['region', 'patch'])
          .describe('Whose mean and standard deviation: the region’s voxels, or the patch.'),
      }),
      plain,
    ])
    .describe('How intensities become the encoder’s numbers.'),
  channels: z
    .number()
    .int()
    .min(1)
    .max(3)
    .default(1)
    .describe('How often the patch is repeated as a channel; orthogonal planes are three channels as they are.'),
  scale: scale.optional(),
});

export type DeepSettings = z.output<typeof deepSchema>;

export const segmentSchema = z.strictObject({
  sha256: digest.optional().describe('Digest of the model file; where it is stated, no other model is run.'),
  output: z.string().min(1).optional().describe('Which output holds the scores, where the model has several.'),
  view: z.enum(['volume', 'slices']).describe('The model takes boxes, or axial slices one by one.'),
  spacingMm: z
    .tuple([spacing, spacing, spacing])
    .optional()
    .describe(
      'Voxel size in mm that the model wants, along the patient’s left, back and head; absent = the image’s own.',
    ),
  tile: pairOrThree(length)
    .optional()
    .describe('Size of the model’s input, two numbers for slices; absent = the whole image at once.'),
  overlap: z
    .number()
    .min(0)
    .max(0.9)
    .default(0.5)
    .describe('Share by which neighbouring tiles overlap; scores are averaged there.'),
  multipleOf: length.default(1).describe('Without tiles: every length is filled up to a multiple of this.'),
  interpolator: z.enum(INTERPOLATORS).default('linear').describe('How the image is read between its voxels.'),
  outside: z.number().describe('Intensity beyond the image, before the intensities are set.'),
  intensity: z
    .discriminatedUnion('type', [
      window,
      z.strictObject({ type: z.literal('zscore'), over: z.literal('image') }),
      plain,
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
  const { deep } = parsed(text, file, deepFile, ({ deep: read }) => deepContradictions(read).map(inSection('deep')));
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
export function deepContradictions({ view, size, spacingMm, channels, scale: scaled }: DeepSettings): Contradiction[] {
  const found: Contradiction[] = [];
  const dimensions = view === 'volume' ? 3 : 2;
  if (size.length !== dimensions) found.push({ path: ['size'], message: `${view} takes ${dimensions} lengths` });
  if (spacingMm.length !== dimensions)
    found.push({ path: ['spacingMm'], message: `${view} takes ${dimensions} spacings` });
  if (size.reduce((product, one) => product * one, 1) > VOXELS_MAX)
    found.push({ path: ['size'], message: `the patch has more than ${VOXELS_MAX} samples` });
  if (view === 'orthogonal') {
    // The three planes are channels of one picture, so that they must be of one shape.
    if (size[0] !== size[1]) found.push({ path: ['size'], message: 'orthogonal planes are square' });
    if (spacingMm[0] !== spacingMm[1])
      found.push({ path: ['spacingMm'], message: 'orthogonal planes have one spacing' });
    if (channels !== 1) found.push({ path: ['channels'], message: 'orthogonal planes are three channels already' });
  }
  const count = channelsOf({ view, channels });
  for (const key of ['mean', 'sd'] as const)
    if (scaled !== undefined && scaled[key].length !== count)
      found.push({ path: ['scale', key], message: `there are ${count} channels, and so many numbers it takes` });
  return found;
}

export const channelsOf = ({ view, channels }: Pick<DeepSettings, 'view' | 'channels'>): number =>
  view === 'orthogonal' ? 3 : channels;

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

/** SHA-256 of what decides the features' values: the settings and the encoder's bytes, not the name of its file. */
export function deepDigest({ encoder: _, ...settings }: DeepSettings): string {
  return settingsDigest({ format: 1, profile: 'deep', settings });
}

/** SHA-256 of what decides a proposed mask beside the image: the settings and the model's bytes. */
export function segmentDigest(settings: SegmentSettings, modelSha256: string): string {
  return settingsDigest({ format: 1, profile: 'segment', settings: { ...settings, sha256: modelSha256 } });
}
