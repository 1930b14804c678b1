import { z } from 'zod';
import { ibsi2Schema } from '../filters/ibsi2/settings.js';

/**
 * Settings of the IBSI profile, as a YAML file of `profile: ibsi` says them. Every key has a default; the default is the image as it is,
 * in 3D, with intensities that are grey levels already (as in IBSI's digital phantom).
 */
const positive = z.number().positive();

const interpolation = z.strictObject({
  /** New distance between voxel centres, mm, along x, y, z; a null keeps the image's own, which slice-wise analysis needs along z. */
  spacingMm: z.tuple([positive, positive, positive.nullable()]),
  method: z.enum(['nearest', 'linear', 'cubic']).default('linear'),
  /** Rounding of interpolated intensities to whole units, as for CT. */
  round: z.boolean().default(false),
  roiMethod: z.enum(['nearest', 'linear', 'cubic']).default('linear'),
  /** Voxels with at least this part of them in the region belong to it. */
  roiThreshold: z.number().gt(0).lte(1).default(0.5),
});

const discretisation = z.discriminatedUnion('method', [
  /** Intensities are whole numbers from 1 and taken as grey levels. */
  z.strictObject({ method: z.literal('none') }),
  /** Fixed bin size: bins of `width` from the lower end of the re-segmentation range, or from the region's minimum where there is none. */
  z.strictObject({ method: z.literal('fbs'), width: positive }),
  /** Fixed bin number over the region's own range. */
  z.strictObject({ method: z.literal('fbn'), bins: z.int().min(1).max(8192) }),
]);

const ivh = z.discriminatedUnion('method', [
  z.strictObject({ method: z.literal('discrete') }),
  z.strictObject({ method: z.literal('fbs'), width: positive }),
  z.strictObject({ method: z.literal('fbn'), bins: z.int().min(1).max(1_000_000) }),
]);

const resegmentation = z.strictObject({
  /** Lowest and highest intensity kept; null leaves that end open. */
  range: z.tuple([z.number().nullable(), z.number().nullable()]).optional(),
  /** Intensities farther than this many standard deviations from the region's mean are left out. */
  sigma: positive.optional(),
});

/** '2D': a matrix a slice, features averaged. '2.5D': matrices within slices, summed over slices. '3D': neighbours in space. */
export const DIMENSIONS = ['2D', '2.5D', '3D'] as const;
export type Dimension = (typeof DIMENSIONS)[number];

export const FAMILIES = [
  'morphology',
  'localIntensity',
  'statistics',
  'histogram',
  'ivh',
  'glcm',
  'glrlm',
  'glszm',
  'gldzm',
  'ngtdm',
  'ngldm',
] as const;
export type Family = (typeof FAMILIES)[number];

export const ibsiSettingsSchema = z.strictObject({
  profile: z.literal('ibsi').default('ibsi'),
  /** Value of the region's voxels in the mask. */
  label: z.int().default(1),
  interpolation: interpolation.optional(),
  resegmentation: resegmentation.default({}),
  /** A filter of IBSI 2, applied to the whole interpolated image; intensities are then those of its response map. */
  filter: ibsi2Schema.optional(),
  discretisation: discretisation.default({ method: 'none' }),
  ivh: ivh.default({ method: 'discrete' }),
  /** '2D' and '2.5D' look at neighbours within axial slices only. */
  dimensions: z.array(z.enum(DIMENSIONS)).min(1).default(['3D']),
  families: z
    .array(z.enum(FAMILIES))
    .min(1)
    .default([...FAMILIES]),
  /** Largest difference of grey levels that counts as dependence in the NGLDM. */
  ngldmAlpha: z.number().min(0).default(0),
  /** Adds IBSI's diagnostic values (sizes, spacings, counts and intensities at each step). */
  diagnostics: z.boolean().default(false),
});

export type IbsiSettings = z.output<typeof ibsiSettingsSchema>;
