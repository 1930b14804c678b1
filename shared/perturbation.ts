import { z } from 'zod';

/**
 * How far a lesion's mask and image are perturbed to see which features hold: every reading draws its own amounts, uniformly
 * between minus and plus what stands here (of noise and contour the fields are drawn, not the amounts), in the order noise, motion, margin, volume, contour. After Zwanenburg et al., Sci Rep 2019;9:614.
 */
export const perturbationShape = {
  translateMm: z.number().positive().max(50).optional().describe('Shift along each axis of the image, in mm.'),
  rotateDegrees: z
    .number()
    .positive()
    .max(45)
    .optional()
    .describe('Rotation within the slice about the lesion’s centre, in degrees.'),
  moves: z
    .enum(['both', 'mask'])
    .default('both')
    .describe(
      'What shift and rotation move: image and mask together (another position in the scanner), or the mask alone.',
    ),
  marginMm: z
    .number()
    .positive()
    .max(20)
    .optional()
    .describe('Growth or shrinkage of the mask, in mm between voxel centres.'),
  volume: z
    .number()
    .positive()
    .max(0.5)
    .optional()
    .describe('Growth or shrinkage of the mask by a share of its volume, nearest voxels first.'),
  contourMm: z
    .number()
    .positive()
    .max(10)
    .optional()
    .describe('Standard deviation in mm of a smooth random displacement of the mask’s surface.'),
  contourGrainMm: z
    .number()
    .min(1)
    .max(100)
    .default(10)
    .describe('How far apart two such displacements are alike, in mm.'),
  noise: z
    .number()
    .positive()
    .max(5)
    .optional()
    .describe('Gaussian noise added to the image, in units of the noise estimated in the image itself.'),
} as const;

export const perturbationSchema = z.strictObject(perturbationShape);
export type Perturbation = z.output<typeof perturbationSchema>;

/** Without an amount every reading would be the same. */
export const perturbsNothing = ({ translateMm, rotateDegrees, marginMm, volume, contourMm, noise }: Perturbation) =>
  [translateMm, rotateDegrees, marginMm, volume, contourMm, noise].every((amount) => amount === undefined);
