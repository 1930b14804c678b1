import { cropGrid, growBox } from '../../imaging/crop.js';
import { type Interpolator, rangeOf, resampleVolume } from '../../imaging/interpolate.js';
import { type Box, roiOf } from '../../imaging/roi.js';
import {
  type Grid,
  gridOf,
  type Mask,
  physicalPoint,
  type Samples,
  type Vec3,
  type Volume,
} from '../../imaging/volume.js';
import type { Step } from './steps.js';

/** Image around the lesion that a perturbation reaches, in mm: far beyond what filters of usual widths see from the lesion. */
const AROUND_MM = 40;
/** The same in voxels, for thick slices. */
const AROUND_VOXELS = 10;

/**
 * Where the image is perturbed: the lesion's box and 40 mm (and 10 voxels) around it. The image beyond stays as it is, so that a perturbation
 * of a lesion in a large scan costs what the lesion costs.
 */
export function perturbedBox(lesion: Mask): Box | null {
  const { box } = roiOf(lesion);
  if (box === null) return null;
  const margin = ([0, 1, 2] as const).map((axis) =>
    Math.max(AROUND_VOXELS, Math.ceil(AROUND_MM / lesion.spacingMm[axis])),
  );
  return growBox(box, [margin[0]!, margin[1]!, margin[2]!], lesion.size);
}

/** A rigid motion of space in mm: p goes to `turn` (p - centre) + centre + shift. */
export interface Motion {
  /** 3 × 3, row-major. */
  readonly turn: readonly number[];
  readonly centre: Vec3;
  readonly shift: Vec3;
}

/** The motion of a step, about the lesion's centre of mass. Angles turn the first axis of a slice toward the second. */
export function motionOf(step: Step & { readonly kind: 'move' }, lesion: Mask): Motion {
  const { direction } = lesion;
  const angle = (step.rotateDegrees * Math.PI) / 180;
  // A quarter turn is exact: cos(π/2) is not 0 in floating point.
  const quarter = step.rotateDegrees % 90 === 0 ? (((step.rotateDegrees / 90) % 4) + 4) % 4 : null;
  const c = quarter === null ? Math.cos(angle) : [1, 0, -1, 0][quarter]!;
  const s = quarter === null ? Math.sin(angle) : [0, 1, 0, -1][quarter]!;
  const inSlice = [c, -s, 0, s, c, 0, 0, 0, 1];
  const turn = product(product(direction, inSlice), transposed(direction));
  const shift = times(direction, step.translateMm);
  return { turn, centre: centreOf(lesion), shift };
}

function centreOf(mask: Mask): Vec3 {
  const { indices } = roiOf(mask);
  const [nx, ny] = mask.size;
  const sum = [0, 0, 0];
  for (const index of indices) {
    const row = Math.floor(index / nx);
    sum[0]! += index - row * nx;
    sum[1]! += row % ny;
    sum[2]! += Math.floor(row / ny);
  }
  const n = Math.max(1, indices.length);
  return physicalPoint(mask, [sum[0]! / n, sum[1]! / n, sum[2]! / n]);
}

/** The image moved within `box`: its values there are interpolated by cubic B-splines, rounded where it holds integers. */
export function movedImage(image: Volume, motion: Motion, box: Box): Volume {
  const found = moved(image, motion, box, 'bspline');
  return withSamples(image, box, found);
}

/** The mask moved within `box`: inside where the interpolated one is at least a half. */
export function movedMask(mask: Mask, motion: Motion, box: Box): Mask {
  const found = moved(mask, motion, box, 'linear');
  const half = 0.5 - 1e-9;
  const data = withSamples(
    mask,
    box,
    found.map((value) => (value >= half ? 1 : 0)),
  ).data;
  return { ...gridOf(mask), data: data as Uint8Array };
}

/** Values at the box's voxels of a volume that was moved; NaN where that is outside of it. */
function moved(volume: Volume, motion: Motion, box: Box, interpolator: Interpolator): Float64Array {
  // Moving the volume is looking at it on the grid that was moved back.
  const here = cropGrid(volume, box);
  const back = transposed(motion.turn);
  const { centre, shift } = motion;
  const offset = times(
    back,
    [0, 1, 2].map((axis) => here.origin[axis]! - shift[axis]! - centre[axis]!) as unknown as Vec3,
  );
  const from: Grid = {
    ...here,
    origin: [offset[0] + centre[0], offset[1] + centre[1], offset[2] + centre[2]],
    direction: product(back, here.direction),
  };
  return resampleVolume(volume, from, interpolator, { outside: Number.NaN, pixelType: new Float64Array(0) })
    .data as Float64Array;
}

/** The volume with other samples in a box; NaN leaves what was there. Integers are rounded and kept in their range. */
export function withSamples<T extends Samples>(volume: Volume<T>, box: Box, samples: Float64Array): Volume<T> {
  const data = volume.data.slice() as T;
  const [nx, ny] = volume.size;
  const isFloat = data instanceof Float32Array || data instanceof Float64Array;
  const [lowest, highest] = rangeOf(data);
  let at = 0;
  for (let z = box.lower[2]; z <= box.upper[2]; z++)
    for (let y = box.lower[1]; y <= box.upper[1]; y++) {
      const row = nx * (y + ny * z);
      for (let x = box.lower[0]; x <= box.upper[0]; x++, at++) {
        const value = samples[at]!;
        if (Number.isNaN(value)) continue;
        data[row + x] = isFloat ? value : Math.min(highest, Math.max(lowest, Math.round(value)));
      }
    }
  return { ...gridOf(volume), data };
}

const transposed = (m: readonly number[]): number[] => m.map((_, k) => m[3 * (k % 3) + Math.floor(k / 3)]!);

function product(a: readonly number[], b: readonly number[]): number[] {
  return a.map((_, k) => {
    const row = 3 * Math.floor(k / 3);
    const column = k % 3;
    return a[row]! * b[column]! + a[row + 1]! * b[3 + column]! + a[row + 2]! * b[6 + column]!;
  });
}

const times = (m: readonly number[], v: Vec3): Vec3 => [
  m[0]! * v[0] + m[1]! * v[1] + m[2]! * v[2],
  m[3]! * v[0] + m[4]! * v[1] + m[5]! * v[2],
  m[6]! * v[0] + m[7]! * v[1] + m[8]! * v[2],
];
