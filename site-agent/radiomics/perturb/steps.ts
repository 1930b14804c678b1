import type { Perturbation } from '../../../shared/perturbation.js';
import type { SeededRandom } from '../../../shared/rng.js';
import type { Vec3 } from '../../imaging/volume.js';

/** One thing done to an image and the mask of a lesion, with its amounts settled. */
export type Step =
  /** Standard deviation of the noise as a multiple of the image's own. */
  | { readonly kind: 'noise'; readonly factor: number }
  /** A shift along the image's axes after a rotation within the slice, about the lesion's centre of mass. */
  | {
      readonly kind: 'move';
      readonly translateMm: Vec3;
      readonly rotateDegrees: number;
      readonly moves: 'both' | 'mask';
    }
  /** Above 0 the mask grows, below it shrinks. */
  | { readonly kind: 'margin'; readonly mm: number }
  | { readonly kind: 'volume'; readonly share: number }
  | { readonly kind: 'contour'; readonly sdMm: number; readonly grainMm: number };

/**
 * The steps of one reading: amounts uniform between minus and plus what the perturbation allows (the noise's and the contour's are not
 * drawn, their fields are). Draws come in a fixed order, each whether it is used or not, so that one amount more leaves the others as they are.
 */
export function drawSteps(of: Perturbation, random: SeededRandom): Step[] {
  const within = (most: number | undefined) => (most ?? 0) * (2 * random.uniform() - 1);
  const translateMm: Vec3 = [within(of.translateMm), within(of.translateMm), within(of.translateMm)];
  const rotateDegrees = within(of.rotateDegrees);
  const mm = within(of.marginMm);
  const share = within(of.volume);
  const steps: Step[] = [];
  if (of.noise !== undefined) steps.push({ kind: 'noise', factor: of.noise });
  if (of.translateMm !== undefined || of.rotateDegrees !== undefined)
    steps.push({ kind: 'move', translateMm, rotateDegrees, moves: of.moves });
  if (of.marginMm !== undefined) steps.push({ kind: 'margin', mm });
  if (of.volume !== undefined) steps.push({ kind: 'volume', share });
  if (of.contourMm !== undefined) steps.push({ kind: 'contour', sdMm: of.contourMm, grainMm: of.contourGrainMm });
  return steps;
}
