import { cropSamples, growBox } from './crop.js';
import { boxSize, filterLines, withAxis } from './lines.js';
import type { Box } from './roi.js';
import type { Samples, Vec3 } from './volume.js';

/**
 * Cubic B-spline coefficients of an image, by the recursive filter of M. Unser, A. Aldroubi, M. Eden, IEEE Trans. Signal Process. 41
 * (1993) 821-833, with mirror boundaries (the edge sample not repeated), as ITK's BSplineDecompositionImageFilter computes them:
 * axes in the order x, y, z, float64, the causal start summed until the pole's powers fall below 1e-10.
 */
const POLE = Math.sqrt(3) - 2;
const START_TOLERANCE = 1e-10;
/** Beyond so many voxels the pole's power (1e-36) is lost in float64, so that a part of an image gives the bits of the whole. */
const REACH_VOXELS = 64;

export interface SplineCoefficients {
  /** Coefficients of the voxels of `box`, x fastest. */
  readonly data: Float64Array;
  readonly box: Box;
}

/** Coefficients for the voxels of `box`, those outside the image not included. */
export function splineCoefficients(data: Samples, size: Vec3, box: Box): SplineCoefficients {
  const around = growBox(box, REACH_VOXELS, size);
  let partSize = boxSize(around);
  let part: Samples = partSize.join() === size.join() ? data : cropSamples(data, size, around);
  for (const axis of [0, 1, 2] as const) {
    const from = box.lower[axis] - around.lower[axis];
    const to = box.upper[axis] - around.lower[axis] + 1;
    const nextSize = withAxis(partSize, axis, to - from);
    const next = new Float64Array(nextSize[0] * nextSize[1] * nextSize[2]);
    filterLines(part, partSize, axis, [from, to], next, toCoefficients);
    part = next;
    partSize = nextSize;
  }
  return { data: part as Float64Array, box };
}

function toCoefficients(input: Float64Array, c: Float64Array, length: number, lanes: number): void {
  const total = length * lanes;
  if (length === 1) {
    for (let i = 0; i < total; i++) c[i] = input[i]!;
    return;
  }
  const gain = (1 - POLE) * (1 - 1 / POLE);
  for (let i = 0; i < total; i++) c[i] = input[i]! * gain;
  startCausal(c, length, lanes);
  for (let i = lanes; i < total; i++) c[i] = c[i]! + POLE * c[i - lanes]!;
  const end = total - lanes;
  for (let b = 0; b < lanes; b++) c[end + b] = (POLE / (POLE * POLE - 1)) * (POLE * c[end - lanes + b]! + c[end + b]!);
  for (let i = end - 1; i >= 0; i--) c[i] = POLE * (c[i + lanes]! - c[i]!);
}

function startCausal(c: Float64Array, length: number, lanes: number): void {
  const horizon = Math.ceil(Math.log(START_TOLERANCE) / Math.log(Math.abs(POLE)));
  for (let b = 0; b < lanes; b++) {
    let power = POLE;
    let sum = c[b]!;
    if (horizon < length) {
      for (let n = 1; n < horizon; n++) {
        sum += power * c[n * lanes + b]!;
        power *= POLE;
      }
      c[b] = sum;
      continue;
    }
    // The line is shorter than the horizon: the mirrored signal is periodic and its sum is closed.
    let back = 1;
    for (let n = 1; n < length; n++) back *= POLE;
    sum += back * c[(length - 1) * lanes + b]!;
    back = (back * back) / POLE;
    for (let n = 1; n <= length - 2; n++) {
      sum += (power + back) * c[n * lanes + b]!;
      power *= POLE;
      back *= 1 / POLE;
    }
    c[b] = sum / (1 - power * power);
  }
}
