import { ConcordatError } from '../../../shared/errors.js';
import type { Perturbation } from '../../../shared/perturbation.js';
import { seededRandom } from '../../../shared/rng.js';
import { requireSameGrid } from '../../imaging/compare-grids.js';
import { growBox } from '../../imaging/crop.js';
import type { Mask, Vec3 } from '../../imaging/volume.js';
import type { RegionSource } from '../region-source.js';
import { motionOf, movedImage, movedMask, perturbedBox } from './motion.js';
import { withNoise } from './noise.js';
import { withContour, withMargin, withVolume } from './outline.js';
import { drawSteps, type Step } from './steps.js';

/** Where a reading's chance comes from. The same content and seed give the same reading, at whatever site and in whatever order. */
export interface PerturbationSeed {
  readonly seed: number;
  /** 1 for the first reading. */
  readonly reading: number;
  /** Digest of the lesion's mask: what is drawn for its shape is the same on every image of it. */
  readonly lesion: string;
  /** Digest of the image: its noise is its own. */
  readonly image: string;
}

/** A perturbed mask with fewer voxels than this share of the drawn one says little about the lesion. */
const LEAST_SHARE = 1 / 3;

/**
 * One reading of a perturbed lesion, its organ moved along with it.
 *
 * @throws ConcordatError IMAGE_MASK_EMPTY where nothing of the mask is left, IMAGE_ROI_TOO_SMALL where less than a third is; IMAGE_GRID_MISMATCH
 */
export function perturbed(source: RegionSource, of: Perturbation, seed: PerturbationSeed): RegionSource {
  const label = ['perturbation', seed.seed, seed.lesion, seed.reading];
  return applySteps(source, drawSteps(of, seededRandom(...label, 'amounts')), label, seed.image);
}

/** `label` names the chance of shapes; with `image` it names that of noise. */
export function applySteps(
  source: RegionSource,
  steps: readonly Step[],
  label: readonly (string | number)[],
  image = '',
): RegionSource {
  requireSameGrid(source.image, source.lesion);
  const drawn = voxels(source.lesion);
  if (drawn === 0) throw new ConcordatError('IMAGE_MASK_EMPTY', 'the region to perturb is empty');
  let now = source;
  for (const [at, step] of steps.entries()) {
    now = applied(now, step, [...label, at], image);
    const left = voxels(now.lesion);
    if (left === 0)
      throw new ConcordatError('IMAGE_MASK_EMPTY', `nothing of the region is left after a perturbation (${step.kind})`);
    if (left < LEAST_SHARE * drawn)
      throw new ConcordatError(
        'IMAGE_ROI_TOO_SMALL',
        `less than a third of the region is left after a perturbation (${step.kind})`,
      );
  }
  return now;
}

const voxels = (mask: Mask): number => mask.data.reduce((sum, value) => sum + value, 0);

function applied(
  source: RegionSource,
  step: Step,
  label: readonly (string | number)[],
  imageLabel: string,
): RegionSource {
  const { image, lesion, organ } = source;
  switch (step.kind) {
    case 'noise':
      return {
        ...source,
        image: withNoise(image, perturbedBox(lesion)!, step.factor, seededRandom(...label, imageLabel)),
      };
    case 'margin':
      return { ...source, lesion: withMargin(lesion, step.mm) };
    case 'volume':
      return { ...source, lesion: withVolume(lesion, step.share, seededRandom(...label)) };
    case 'contour':
      return { ...source, lesion: withContour(lesion, step.sdMm, step.grainMm, seededRandom(...label)) };
    case 'move': {
      const motion = motionOf(step, lesion);
      const shift = step.translateMm.map((mm, axis) =>
        Math.ceil(Math.abs(mm) / lesion.spacingMm[axis]!),
      ) as unknown as Vec3;
      const box = growBox(perturbedBox(lesion)!, shift, lesion.size);
      const movedLesion = movedMask(lesion, motion, box);
      if (step.moves === 'mask') return { ...source, lesion: movedLesion };
      return {
        image: movedImage(image, motion, box),
        lesion: movedLesion,
        organ: organ === null ? null : movedMask(organ, motion, box),
      };
    }
  }
}
