import { z } from 'zod';
import { didYouMean } from '../../shared/did-you-mean.js';
import { FEATURE_CLASSES, type FeatureClassName, knownFeatures } from './feature-names.js';
import { WAVELET_NAMES } from './filters/wavelet-taps.js';

/**
 * The schema of a parameter file: PyRadiomics' own (its paramSchema.yaml), so that such a file works as it is.
 * An empty value counts as not given, as in PyRadiomics.
 *
 * Source: PyRadiomics 3, radiomics/schemas/paramSchema.yaml and its documentation, "Customizing the extraction".
 */
export const INTERPOLATORS = [
  'sitkNearestNeighbor',
  'sitkLinear',
  'sitkBSpline',
  'sitkGaussian',
  'sitkHammingWindowedSinc',
  'sitkCosineWindowedSinc',
  'sitkWelchWindowedSinc',
  'sitkLanczosWindowedSinc',
  'sitkBlackmanWindowedSinc',
] as const;
export type Interpolator = (typeof INTERPOLATORS)[number];

/** SimpleITK's number of each interpolator. The fifth, sitkLabelGaussian, is for masks and not offered. */
const INTERPOLATOR_NUMBERS = [1, 2, 3, 4, 6, 7, 8, 9, 10] as const;

const positive = z.number().positive();
const count = z.int().positive();
const natural = z.int().nonnegative();

const interpolator = z.union([z.string(), z.int()]).transform((value, context): Interpolator => {
  const known = INTERPOLATORS.find((name, index) => name === value || INTERPOLATOR_NUMBERS[index] === value);
  if (known !== undefined) return known;
  const supported = INTERPOLATORS.map((name, index) => `"${name}" (${INTERPOLATOR_NUMBERS[index]})`).join(', ');
  const message = `the interpolator ${JSON.stringify(value)} is not supported, supported are ${supported}`;
  context.addIssue({ code: 'custom', message: `${message}${didYouMean(String(value), INTERPOLATORS)}` });
  return z.NEVER;
});

/** PyWavelets also lists continuous wavelets, which have no stationary transform. */
const wavelet = z.string().superRefine((name, context) => {
  if (WAVELET_NAMES.includes(name)) return;
  const message = `no discrete wavelet is called ${JSON.stringify(name)}${didYouMean(name, WAVELET_NAMES)}`;
  context.addIssue({ code: 'custom', message });
});

/** The keys of `setting`, which every image type may set for itself. */
const settingFields = {
  minimumROIDimensions: z.int().min(1).max(3).nullish(),
  minimumROISize: count.nullish(),
  geometryTolerance: positive.nullish(),
  correctMask: z.boolean().nullish(),
  additionalInfo: z.boolean().nullish(),
  label: count.nullish(),
  label_channel: natural.nullish(),
  binWidth: positive.nullish(),
  binCount: count.nullish(),
  normalize: z.boolean().nullish(),
  normalizeScale: positive.nullish(),
  removeOutliers: positive.nullish(),
  resampledPixelSpacing: z.array(z.number().nonnegative()).min(2).max(3).nullish(),
  interpolator: interpolator.nullish(),
  padDistance: natural.nullish(),
  distances: z.array(count).min(1).nullish(),
  force2D: z.boolean().nullish(),
  force2Ddimension: z.int().min(0).max(2).nullish(),
  resegmentRange: z.array(z.number()).min(1).max(2).nullish(),
  resegmentMode: z.enum(['absolute', 'relative', 'sigma']).nullish(),
  resegmentShape: z.boolean().nullish(),
  preCrop: z.boolean().nullish(),
  sigma: z.array(positive).nullish(),
  // Each level's sums are up to eight times those of the one before: floating point ends not far beyond.
  start_level: natural.max(100).nullish(),
  level: count.max(100).nullish(),
  wavelet: wavelet.nullish(),
  gradientUseSpacing: z.boolean().nullish(),
  lbp2DRadius: positive.nullish(),
  lbp2DSamples: count.max(1024).nullish(),
  lbp2DMethod: z.enum(['default', 'ror', 'uniform', 'var']).nullish(),
  lbp3DLevels: count.max(100).nullish(),
  lbp3DIcosphereRadius: positive.nullish(),
  // Each step has four times the points of the one before: five are 10,242.
  lbp3DIcosphereSubdivision: natural.max(5).nullish(),
  voxelArrayShift: z.number().nullish(),
  symmetricalGLCM: z.boolean().nullish(),
  weightingNorm: z.enum(['euclidean', 'manhattan', 'infinity', 'no_weighting']).nullish(),
  gldm_a: natural.nullish(),
};

export const settingSchema = z.strictObject(settingFields);
export type SettingFile = z.output<typeof settingSchema>;
export type SettingName = keyof SettingFile;

export const IMAGE_TYPES = [
  'Original',
  'LoG',
  'Wavelet',
  'Square',
  'SquareRoot',
  'Logarithm',
  'Exponential',
  'Gradient',
  'LBP2D',
  'LBP3D',
] as const;
export type ImageType = (typeof IMAGE_TYPES)[number];

const imageTypes = Object.fromEntries(IMAGE_TYPES.map((name) => [name, settingSchema.nullish()])) as Record<
  ImageType,
  z.ZodOptional<z.ZodNullable<typeof settingSchema>>
>;

const featureClasses = Object.fromEntries(
  FEATURE_CLASSES.map((name) => [name, z.array(z.enum(knownFeatures(name))).nullish()]),
) as unknown as Record<FeatureClassName, z.ZodOptional<z.ZodNullable<z.ZodArray<z.ZodType<string>>>>>;

const voxelSetting = z.strictObject({
  kernelRadius: count.nullish(),
  maskedKernel: z.boolean().nullish(),
  // JSON as Python writes it has the word NaN.
  initValue: z.union([z.number(), z.nan(), z.literal('NaN').transform(() => Number.NaN)]).nullish(),
  voxelBatch: count.nullish(),
});

/** What PyRadiomics does not have, apart from its own keys so that none is taken for one of them. */
const concordat = z.strictObject({
  clip: z
    .tuple([z.number(), z.number()])
    .refine(([low, high]) => low < high, 'the first intensity is not below the second')
    .nullish(),
});

export const parameterSchema = z.strictObject({
  imageType: z.strictObject(imageTypes).nullish(),
  featureClass: z.strictObject(featureClasses).nullish(),
  setting: settingSchema.nullish(),
  voxelSetting: voxelSetting.nullish(),
  concordat: concordat.nullish(),
});

export type ParameterFile = z.output<typeof parameterSchema>;
