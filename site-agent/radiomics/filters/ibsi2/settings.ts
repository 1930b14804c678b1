import { z } from 'zod';

/**
 * The convolutional filters of IBSI 2 (A. Depeursinge et al., Standardised convolutional filtering for radiomics, arXiv:2006.05470;
 * P. Whybra et al., Radiology 310 (2024) e231319). Lengths in mm are divided by the spacing of each axis.
 */
const positive = z.number().positive();

/** Orders along x, y, z (x, y in 2D) of the Riesz transform that is applied to the filter. */
const riesz = z.array(z.int().min(0).max(10)).min(2).max(3).optional();

const filter = z.discriminatedUnion('kind', [
  /** Support in voxels, odd. */
  z.strictObject({ kind: z.literal('mean'), sizeVoxels: z.int().min(1) }),
  /** Laplacian of Gaussian, its kernel cut off at `truncate` σ. */
  z.strictObject({ kind: z.literal('log'), sigmaMm: positive, truncate: positive.default(4), riesz }),
  /** Laws kernels in the order x, y, z, as `L5E5E5`; with `energyDistance` the mean magnitude within that Chebyshev distance. */
  z.strictObject({
    kind: z.literal('laws'),
    kernels: z.string().regex(/^(L5|E5|S5|W5|R5|L3|E3|S3){2,3}$/),
    energyDistance: z.int().min(0).optional(),
  }),
  /** In the axial plane, or averaged over the three planes; with `thetaStepDegrees` pooled over all orientations. */
  z.strictObject({
    kind: z.literal('gabor'),
    sigmaMm: positive,
    lambdaMm: positive,
    gamma: positive,
    thetaDegrees: z.number().default(0),
    thetaStepDegrees: positive.optional(),
    planes: z.enum(['axial', 'orthogonal']).default('axial'),
    response: z.enum(['modulus', 'real', 'imaginary', 'angle']).default('modulus'),
  }),
  /** Undecimated, à trous; one letter an axis in the order x, y, z, as `LHL`. */
  z.strictObject({
    kind: z.literal('wavelet'),
    family: z.string(),
    bands: z.string().regex(/^[LH]{2,3}$/),
    level: z.int().min(1).default(1),
  }),
  /** The band-pass (B) map of a level. */
  z.strictObject({ kind: z.literal('simoncelli'), level: z.int().min(1).default(1), riesz }),
]);

export const ibsi2Schema = z.strictObject({
  filter,
  /** '2D' filters each axial slice by itself. */
  dimension: z.enum(['2D', '3D']).default('3D'),
  /** Outside the image: zero, the edge voxel, periodic, or mirrored with the edge voxel repeated. */
  boundary: z.enum(['constant', 'nearest', 'wrap', 'reflect']).default('reflect'),
  /** How the responses of all right-angle rotations (24, or 4 in 2D) or orientations become one; no rotations where missing. */
  pooling: z.enum(['max', 'min', 'mean']).optional(),
});

export type Ibsi2Settings = z.output<typeof ibsi2Schema>;
export type Ibsi2Filter = Ibsi2Settings['filter'];
export type Boundary = Ibsi2Settings['boundary'];
export type Pooling = NonNullable<Ibsi2Settings['pooling']>;
