import { cropSamples, growBox } from './crop.js';
import { boxSize, filterLines, type LineFilter, withAxis } from './lines.js';
import type { Box } from './roi.js';
import type { Samples, Vec3 } from './volume.js';

/**
 * Cubic B-spline coefficients of an image, by the recursive filter of M. Unser, A. Aldroubi, M. Eden, IEEE Trans. Signal Process. 41
 * (1993) 821-833, with mirror boundaries (the edge sample not repeated), as ITK's BSplineDecompositionImageFilter computes them:
 * axes in the order x, y, z, float64.
 */
const ITK_POLE = Math.sqrt(3) - 2;
/** SciPy has the number itself, which differs from the rounded difference in the last bits. */
const SCIPY_POLE = -0.2679491924311227;
/** ITK sums a line's causal start until the pole's powers fall below this. */
const START_TOLERANCE = 1e-10;
/** Beyond so many voxels the pole's power (1e-36) is lost in float64, so that a part of an image gives the bits of the whole. */
const REACH_VOXELS = 64;

export interface SplineCoefficients {
  /** Coefficients of the voxels of `box`, x fastest. */
  readonly data: Float64Array;
  readonly box: Box;
}

/**
 * Coefficients for the voxels of `box`, those outside the image not included. ITK filters along x first and SciPy along z, and SciPy
 * sums a line's causal start in full; a last bit decides how equal neighbours compare.
 */
export function splineCoefficients(
  data: Samples,
  size: Vec3,
  box: Box,
  convention: 'itk' | 'scipy' = 'itk',
): SplineCoefficients {
  const isItk = convention === 'itk';
  const toCoefficients = isItk
    ? coefficientFilter(ITK_POLE, startAsItk, endAsItk)
    : coefficientFilter(SCIPY_POLE, startAsScipy, endAsScipy);
  const around = growBox(box, REACH_VOXELS, size);
  let partSize = boxSize(around);
  let part: Samples = partSize.join() === size.join() ? data : cropSamples(data, size, around);
  for (const axis of isItk ? ([0, 1, 2] as const) : ([2, 1, 0] as const)) {
    const from = box.lower[axis] - around.lower[axis];
    const to = box.upper[axis] - around.lower[axis] + 1;
    const nextSize = withAxis(partSize, axis, to - from);
    const next = new Float64Array(nextSize[0] * nextSize[1] * nextSize[2]);
    filterLines(part, partSize, axis, [from, to], [next], [toCoefficients]);
    part = next;
    partSize = nextSize;
  }
  return { data: part as Float64Array, box };
}

/** Sets the first sample of the lane b as the causal pass needs it. */
type Start = (c: Float64Array, length: number, lanes: number, b: number) => void;
/** The last coefficient from the last two samples after the causal pass. */
type End = (beforeLast: number, last: number) => number;

const coefficientFilter =
  (pole: number, start: Start, end: End): LineFilter =>
  (input, c, length, lanes) => {
    const total = length * lanes;
    if (length === 1) {
      for (let i = 0; i < total; i++) c[i] = input[i]!;
      return;
    }
    const gain = (1 - pole) * (1 - 1 / pole);
    for (let i = 0; i < total; i++) c[i] = input[i]! * gain;
    for (let b = 0; b < lanes; b++) start(c, length, lanes, b);
    for (let i = lanes; i < total; i++) c[i] = c[i]! + pole * c[i - lanes]!;
    const last = total - lanes;
    for (let b = 0; b < lanes; b++) c[last + b] = end(c[last - lanes + b]!, c[last + b]!);
    for (let i = last - 1; i >= 0; i--) c[i] = pole * (c[i + lanes]! - c[i]!);
  };

const endAsItk: End = (beforeLast, last) => (ITK_POLE / (ITK_POLE * ITK_POLE - 1)) * (ITK_POLE * beforeLast + last);
const endAsScipy: End = (beforeLast, last) =>
  ((SCIPY_POLE * beforeLast + last) * SCIPY_POLE) / (SCIPY_POLE * SCIPY_POLE - 1);

const HORIZON = Math.ceil(Math.log(START_TOLERANCE) / Math.log(Math.abs(ITK_POLE)));

const startAsItk: Start = (c, length, lanes, b) => {
  let power = ITK_POLE;
  let sum = c[b]!;
  if (HORIZON < length) {
    for (let n = 1; n < HORIZON; n++) {
      sum += power * c[n * lanes + b]!;
      power *= ITK_POLE;
    }
    c[b] = sum;
    return;
  }
  // The line is shorter than the horizon: the mirrored signal is periodic and its sum is closed.
  let back = powerOf(ITK_POLE, length - 1);
  sum += back * c[(length - 1) * lanes + b]!;
  back = (back * back) / ITK_POLE;
  for (let n = 1; n <= length - 2; n++) {
    sum += (power + back) * c[n * lanes + b]!;
    power *= ITK_POLE;
    back *= 1 / ITK_POLE;
  }
  c[b] = sum / (1 - power * power);
};

const startAsScipy: Start = (c, length, lanes, b) => {
  const farthest = powerOf(SCIPY_POLE, length - 1);
  let power = SCIPY_POLE;
  let sum = c[b]! + farthest * c[(length - 1) * lanes + b]!;
  for (let n = 1; n < length - 1; n++) {
    sum += power * (c[n * lanes + b]! + farthest * c[(length - 1 - n) * lanes + b]!);
    power *= SCIPY_POLE;
  }
  c[b] = sum / (1 - farthest * farthest);
};

function powerOf(base: number, exponent: number): number {
  let power = 1;
  for (let n = 0; n < exponent; n++) power *= base;
  return power;
}
