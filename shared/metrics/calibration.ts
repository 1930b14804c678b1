/**
 * Gradient and information of the two calibration models at given coefficients, summed over patients, so that sites can
 * add them: y ~ a + b * logit (slope and joint intercept) and y ~ c + offset(logit) (calibration in the large).
 * Order: [g_a, g_b, I_aa, I_ab, I_bb, g_c, I_cc].
 */
export const CALIBRATION_SUMS = 7;

export interface CalibrationCoefficients {
  /** Joint intercept a and slope b. */
  readonly intercept: number;
  readonly slope: number;
  /** Intercept c with the slope held at 1. */
  readonly inTheLarge: number;
}

export const CALIBRATION_START: CalibrationCoefficients = { intercept: 0, slope: 1, inTheLarge: 0 };

export function calibrationSums(logit: Float64Array, y: Uint8Array, at: CalibrationCoefficients): Float64Array {
  const sums = new Float64Array(CALIBRATION_SUMS);
  for (let i = 0; i < logit.length; i++) {
    const x = logit[i]!;
    const p = logistic(at.intercept + at.slope * x);
    const residual = y[i]! - p;
    const weight = p * (1 - p);
    sums[0]! += residual;
    sums[1]! += residual * x;
    sums[2]! += weight;
    sums[3]! += weight * x;
    sums[4]! += weight * x * x;
    const q = logistic(at.inTheLarge + x);
    sums[5]! += y[i]! - q;
    sums[6]! += q * (1 - q);
  }
  return sums;
}

export interface CalibrationStep {
  readonly next: CalibrationCoefficients;
  /** Largest change of a coefficient in this Newton step. */
  readonly change: number;
  readonly slopeSe: number;
  readonly interceptSe: number;
  readonly inTheLargeSe: number;
}

/** One Newton step; null where the information is singular (all scores equal) or a step runs away (separation). */
export function calibrationStep(sums: Float64Array, at: CalibrationCoefficients): CalibrationStep | null {
  const [ga, gb, iaa, iab, ibb, gc, icc] = sums as unknown as [number, number, number, number, number, number, number];
  const determinant = iaa * ibb - iab * iab;
  if (!(determinant > 1e-10 * iaa * ibb) || !(icc > 0)) return null;
  const da = (ibb * ga - iab * gb) / determinant;
  const db = (iaa * gb - iab * ga) / determinant;
  const dc = gc / icc;
  const next = { intercept: at.intercept + da, slope: at.slope + db, inTheLarge: at.inTheLarge + dc };
  const sizes = [next.intercept, next.slope, next.inTheLarge].map(Math.abs);
  if (!sizes.every((size) => size < DIVERGED)) return null;
  return {
    next,
    change: Math.max(Math.abs(da), Math.abs(db), Math.abs(dc)),
    slopeSe: Math.sqrt(iaa / determinant),
    interceptSe: Math.sqrt(ibb / determinant),
    inTheLargeSe: Math.sqrt(1 / icc),
  };
}

/** A coefficient beyond this is an estimate on its way to infinity. */
const DIVERGED = 50;
export const CALIBRATION_TOLERANCE = 1e-10;
export const CALIBRATION_STEPS_MAX = 30;

export interface Calibration extends CalibrationCoefficients {
  readonly interceptSe: number;
  readonly slopeSe: number;
  readonly inTheLargeSe: number;
}

/**
 * Calibration of predicted logits in one group: intercept and slope of y ~ logit (Cox 1958) and calibration in the large
 * (Van Calster et al. 2019), by Newton's method. Null where the estimate does not exist (constant scores, separation, one class).
 */
export function calibrate(logit: Float64Array, y: Uint8Array): Calibration | null {
  let at = CALIBRATION_START;
  for (let step = 0; step < CALIBRATION_STEPS_MAX; step++) {
    const result = calibrationStep(calibrationSums(logit, y, at), at);
    if (result === null) return null;
    at = result.next;
    if (result.change < CALIBRATION_TOLERANCE)
      return { ...at, slopeSe: result.slopeSe, interceptSe: result.interceptSe, inTheLargeSe: result.inTheLargeSe };
  }
  return null;
}

/** 1 / (1 + exp(-x)) without overflow. */
export function logistic(x: number): number {
  if (x >= 0) return 1 / (1 + Math.exp(-x));
  const e = Math.exp(x);
  return e / (1 + e);
}

/** Sum of squared errors of predicted probabilities; the Brier score is this over n (Brier 1950). */
export function brierSum(probability: Float64Array, y: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < y.length; i++) {
    const error = probability[i]! - y[i]!;
    sum += error * error;
  }
  return sum;
}
