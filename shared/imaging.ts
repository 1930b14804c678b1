import { z } from 'zod';
import { deepContradictions, studyEncoderSchema } from './imaging-deep.js';
import { habitatsSchema, learnedContradictions, learnSchema, standardizeSchema } from './imaging-learned.js';

/**
 * The `imaging` section of a study: what every site extracts from its images, and how. The settings themselves are those of a PyRadiomics parameter
 * file and are checked where extraction is at home, by `concordat study check` and by every site before it approves.
 */
const part = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'use lower-case letters, digits and hyphens')
  .refine((text) => !(text in Object.prototype), 'this name is reserved');

const region = z.strictObject({
  name: part.describe('Name in feature names; the region called `lesion` goes without.'),
  kind: z
    .enum(['lesion', 'ring', 'dilated', 'eroded', 'rim'])
    .describe('The lesion itself, the ring around it, lesion and ring, the lesion without its border, or that border.'),
  mm: z.number().positive().max(100).optional().describe('Width in mm, for all but the lesion itself.'),
  withinOrgan: z
    .boolean()
    .default(true)
    .describe('Rings and dilations end where the organ mask ends, for cases that have one.'),
});

export const imagingSchema = z.strictObject({
  profile: z.enum(['pyradiomics', 'ibsi']).default('pyradiomics').describe('Whose definitions and names of features.'),
  settings: z
    .record(z.string(), z.unknown())
    .default({})
    .describe('A PyRadiomics parameter file (imageType, featureClass, setting), or IBSI settings under that profile.'),
  phases: z.array(part).min(1).describe('Phases or sequences that a case has; features are named by them.'),
  timepoints: z.array(part).default([]).describe('Time points that a case has, earliest first; none = one.'),
  regions: z
    .array(region)
    .min(1)
    .default([{ name: 'lesion', kind: 'lesion', withinOrgan: true }])
    .describe('Regions whose features are extracted.'),
  lesions: z
    .enum(['largest', 'volume-weighted', 'all'])
    .default('largest')
    .describe(
      'Several lesions of a patient: the largest one, means weighted by volume, or mean, smallest and largest value over all. The patient stays the unit.',
    ),
  difference: z
    .array(z.tuple([part, part]))
    .default([])
    .describe('Pairs of phases [a, b]: features of a minus those of b.'),
  ratio: z
    .array(z.tuple([part, part]))
    .default([])
    .describe('Pairs of phases [a, b]: features of a over those of b.'),
  delta: z
    .strictObject({
      from: part.describe('Earlier time point.'),
      to: part.describe('Later time point.'),
      kind: z
        .enum(['absolute', 'relative', 'per-day'])
        .default('relative')
        .describe('Difference, share of the earlier value, or difference a day.'),
      acquisition: z
        .enum(['exclude', 'remark'])
        .optional()
        .describe(
          'Where DICOM headers show another kernel, tube voltage, slice thickness, field strength or sequence: no delta features (also when left out), or a remark at the site. Voxel sizes must match in any case.',
        ),
    })
    .optional()
    .describe('Delta features between two time points; the acquisition must match.'),
  learn: learnSchema
    .optional()
    .describe('What the study learns from the images of its training sites, for a later study to take over.'),
  habitats: habitatsSchema
    .optional()
    .describe('Further regions `habitat1`, `habitat2`, ...: parts of the lesion by the habitats of an earlier study.'),
  deep: z
    .array(studyEncoderSchema)
    .min(1)
    .optional()
    .describe('Encoders (ONNX) whose deep features stand beside the others; every site holds the model files itself.'),
  standardize: standardizeSchema
    .optional()
    .describe(
      'MRI intensities are put on a standard scale before anything else (Nyúl), by landmarks of an earlier study.',
    ),
});

export type Imaging = z.output<typeof imagingSchema>;
/** A part of the lesion, by habitats of an earlier study. */
export interface HabitatRegion {
  readonly name: string;
  readonly kind: 'habitat';
  /** From 1. */
  readonly habitat: number;
  readonly map: NonNullable<Imaging['habitats']>;
}
export type ImagingRegion = Imaging['regions'][number] | HabitatRegion;

/** Regions of images of one phase: those that the study names, then its habitats where the phase has them. */
export function regionsOf({ regions, habitats }: Imaging, phase: string): ImagingRegion[] {
  if (habitats?.phase !== phase) return [...regions];
  const own = habitats.centroids.map(
    (_, at): HabitatRegion => ({ name: `habitat${at + 1}`, kind: 'habitat', habitat: at + 1, map: habitats }),
  );
  return [...regions, ...own];
}

/** What the schema alone cannot say about an imaging section; paths are relative to it. */
export function imagingContradictions(imaging: Imaging): { path: (string | number)[]; message: string }[] {
  const found: { path: (string | number)[]; message: string }[] = [];
  const twice = (list: readonly string[], path: string) => {
    for (const [at, name] of list.entries())
      if (list.indexOf(name) < at) found.push({ path: [path, at], message: `"${name}" is listed twice` });
  };
  twice(imaging.phases, 'phases');
  twice(imaging.timepoints, 'timepoints');
  twice(
    imaging.regions.map(({ name }) => name),
    'regions',
  );
  for (const [at, { kind, mm, name }] of imaging.regions.entries()) {
    if (kind !== 'lesion' && mm === undefined)
      found.push({ path: ['regions', at], message: `region "${name}" needs its width in mm` });
    if (kind === 'lesion' && mm !== undefined)
      found.push({ path: ['regions', at, 'mm'], message: 'the lesion itself has no width' });
  }
  for (const list of ['difference', 'ratio'] as const)
    for (const [at, pair] of imaging[list].entries()) {
      for (const phase of pair)
        if (!imaging.phases.includes(phase))
          found.push({ path: [list, at], message: `"${phase}" is not among phases` });
      if (pair[0] === pair[1]) found.push({ path: [list, at], message: 'a phase is compared with itself' });
    }
  found.push(...learnedContradictions(imaging), ...deepContradictions(imaging));
  const { delta } = imaging;
  if (delta !== undefined) {
    const at = [delta.from, delta.to].map((name) => imaging.timepoints.indexOf(name));
    for (const [end, index] of at.entries())
      if (index < 0)
        found.push({ path: ['delta', end === 0 ? 'from' : 'to'], message: 'this is not among timepoints' });
    if (at[0]! >= 0 && at[1]! >= 0 && at[0]! >= at[1]!)
      found.push({ path: ['delta'], message: '"from" must come before "to" in timepoints' });
  }
  return found;
}
