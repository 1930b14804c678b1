import { z } from 'zod';

/**
 * Encoders that give deep features: what is cut out of an image, how it becomes numbers, and which model gets them. Every choice that changes a feature is in it; the model
 * itself is named by the SHA-256 of its file, which travels apart from any study.
 */
const VOXELS_MAX = 64_000_000;
/** More numbers than this are a picture rather than features. */
export const DEEP_FEATURES_MAX = 65_536;

export const INTERPOLATORS = ['nearest', 'linear', 'cubic', 'bspline'] as const;
export const modelDigest = z
  .string()
  .regex(/^[0-9a-f]{64}$/, 'give the SHA-256 of the model file as 64 hexadecimal digits');
export const patchLength = z.number().int().min(1).max(2048);
export const patchSpacing = z.number().positive().max(100);
export const pairOrThree = <T extends z.ZodType>(item: T) => z.array(item).min(2).max(3);

export const windowIntensity = z.strictObject({
  type: z.literal('window'),
  centre: z.number().describe('Middle of the window, in the unit of the image.'),
  width: z
    .number()
    .positive()
    .describe('Width of the window: its lower end becomes 0, its upper end 1, and what lies beyond is cut.'),
});
export const plainIntensity = z.strictObject({ type: z.literal('none') });

/** Fields of an encoder that decide its features, in a study as in a file of `concordat extract --deep`. */
export const encoderName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'use lower-case letters, digits and hyphens')
  .describe('Part of the features’ names: deep_<name>_0, deep_<name>_1, ...');
export const encoderDigest = modelDigest.describe(
  'Digest of the model file, so that every site runs the same encoder.',
);
export const patchFields = {
  output: z.string().min(1).optional().describe('Which output holds the features, where the model has several.'),
  view: z
    .enum(['volume', 'largest-slice', 'orthogonal'])
    .describe(
      'A box; the axial slice where the region is largest; or three planes through the centre as three channels.',
    ),
  spacingMm: pairOrThree(patchSpacing).describe(
    'Distance between samples in mm: three numbers for a volume, two for planes.',
  ),
  size: pairOrThree(patchLength).describe(
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
      windowIntensity,
      z.strictObject({
        type: z.literal('zscore'),
        over: z
          .enum(['region', 'patch'])
          .describe('Whose mean and standard deviation: the region’s voxels, or the patch.'),
      }),
      plainIntensity,
    ])
    .describe('How intensities become the encoder’s numbers.'),
  channels: z
    .number()
    .int()
    .min(1)
    .max(3)
    .default(1)
    .describe('How often the patch is repeated as a channel; orthogonal planes are three channels as they are.'),
  scale: z
    .strictObject({ mean: z.array(z.number()).min(1).max(3), sd: z.array(z.number().positive()).min(1).max(3) })
    .optional()
    .describe(
      'Subtracted, then divided by, one number a channel, after the intensities are set: as the encoder was trained.',
    ),
};

const encoderSchema = z.strictObject({ name: encoderName, sha256: encoderDigest, ...patchFields });
export type Encoder = z.output<typeof encoderSchema>;

export const studyEncoderSchema = z.strictObject({
  name: encoderName,
  sha256: encoderDigest,
  features: z
    .int()
    .min(1)
    .max(DEEP_FEATURES_MAX)
    .describe('How many numbers the encoder gives for one patch: the study knows its features without the model.'),
  regions: z
    .array(z.string().min(1).max(32))
    .min(1)
    .optional()
    .describe('Regions of the study that it is run on; absent = the lesion itself.'),
  ...patchFields,
});
export type StudyEncoder = z.output<typeof studyEncoderSchema>;

/** Names of an encoder's features, in the order of its numbers. */
export const deepNames = (name: string, count: number): string[] =>
  Array.from({ length: count }, (_, at) => `deep_${name}_${at}`);

/** The encoders that a study runs on a region. A habitat has none: it is no place of its own. */
export function encodersOf(
  imaging: { readonly deep?: readonly StudyEncoder[] | undefined },
  region: { readonly name: string; readonly kind: string },
): StudyEncoder[] {
  if (region.kind === 'habitat') return [];
  return (imaging.deep ?? []).filter(({ regions }) => regions?.includes(region.name) ?? region.kind === 'lesion');
}

export const channelsOf = ({ view, channels }: Pick<Encoder, 'view' | 'channels'>): number =>
  view === 'orthogonal' ? 3 : channels;

interface Contradiction {
  readonly path: readonly string[];
  readonly message: string;
}

/** What the schema of an encoder cannot say; paths are relative to it. */
export function encoderContradictions({ view, size, spacingMm, channels, scale }: Encoder): Contradiction[] {
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
    if (scale !== undefined && scale[key].length !== count)
      found.push({ path: ['scale', key], message: `there are ${count} channels, and so many numbers it takes` });
  return found;
}

/** What the schema cannot say about a study's encoders; paths are relative to the imaging section. */
export function deepContradictions({
  deep,
  regions,
}: {
  readonly deep?: readonly StudyEncoder[] | undefined;
  readonly regions: readonly { readonly name: string; readonly kind: string }[];
}): { path: (string | number)[]; message: string }[] {
  const found: { path: (string | number)[]; message: string }[] = [];
  for (const [at, encoder] of (deep ?? []).entries()) {
    if (deep!.findIndex(({ name }) => name === encoder.name) < at)
      found.push({ path: ['deep', at, 'name'], message: `two encoders are called "${encoder.name}"` });
    for (const { path, message } of encoderContradictions(encoder))
      found.push({ path: ['deep', at, ...path], message });
    for (const [index, name] of (encoder.regions ?? []).entries()) {
      if (!regions.some((region) => region.name === name))
        found.push({ path: ['deep', at, 'regions', index], message: `"${name}" is not among regions` });
      if (encoder.regions!.indexOf(name) < index)
        found.push({ path: ['deep', at, 'regions', index], message: `"${name}" is listed twice` });
    }
    if (encoder.regions === undefined && !regions.some(({ kind }) => kind === 'lesion'))
      found.push({
        path: ['deep', at],
        message: 'no region of the study is the lesion itself: say with `regions` which the encoder is run on',
      });
  }
  return found;
}
