import { kaplanMeier, riskTable } from './kaplan-meier.js';

/** Calibration of a survival model at patients it may never have seen: at one horizon, and of its scores as such. */
export interface HorizonRisk {
  /** Share with the event by the horizon: 1 - Kaplan-Meier. */
  readonly observed: number;
  /** Mean predicted risk by the horizon. Observed over expected is 1 where the model is right on average. */
  readonly expected: number;
}

/** `survival`: predicted probability of no event by the horizon. Null where nobody is followed to the horizon. */
export function horizonRisk(
  time: Float64Array,
  event: Uint8Array,
  survival: Float64Array,
  horizon: number,
): HorizonRisk | null {
  if (!time.some((value) => value > horizon)) return null;
  const table = riskTable(time, event);
  const until = table.time.filter((value) => value <= horizon).length;
  const curve = kaplanMeier(table).survival;
  const expected = survival.reduce((sum, value) => sum + 1 - value, 0) / survival.length;
  return { observed: until === 0 ? 0 : 1 - curve[until - 1]!, expected };
}

/**
 * The calibration slope is the coefficient of the model's linear predictor in a Cox model of its own, stratified by site:
 * 1 where effects are as large as predicted, below 1 where they were overstated (van Houwelingen, Statistics in Medicine
 * 2000). Sums over strata: derivative of the log partial likelihood, and information, at a slope.
 */
export const SLOPE_SUMS = 2;

export interface SlopeStep {
  readonly next: number;
  readonly change: number;
  readonly se: number;
}

/** A slope beyond this is an estimate on its way to infinity. */
const DIVERGED = 50;
const TOLERANCE = 1e-10;
const STEPS_MAX = 30;

/** One Newton step; null where scores do not vary among those at risk, or the estimate runs away. */
export function slopeStep(sums: Float64Array, at: number): SlopeStep | null {
  const [gradient, information] = sums as unknown as [number, number];
  if (!(information > 0)) return null;
  const next = at + gradient / information;
  if (!(Math.abs(next) < DIVERGED)) return null;
  return { next, change: Math.abs(next - at), se: Math.sqrt(1 / information) };
}

/** The slope of one holder's patients. `sumsAt` gives SLOPE_SUMS at a slope. */
export function calibrationSlope(sumsAt: (slope: number) => Float64Array): { slope: number; se: number } | null {
  let slope = 1;
  for (let steps = 0; steps < STEPS_MAX; steps++) {
    const step = slopeStep(sumsAt(slope), slope);
    if (step === null) return null;
    slope = step.next;
    if (step.change < TOLERANCE) return { slope, se: step.se };
  }
  return null;
}
