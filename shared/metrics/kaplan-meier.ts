import { Z_975 } from './intervals.js';
import { ascendingOrder } from './ranks.js';

/** Counts at ascending times. Over a declared time grid they are plain sums over sites; exact times are patient data. */
export interface RiskTable {
  readonly time: Float64Array;
  readonly atRisk: Float64Array;
  readonly events: Float64Array;
  readonly censored: Float64Array;
}

/** At risk, events and censored at every distinct time. time: n, any unit; event: n, 1 = event. Local use only. */
export function riskTable(time: Float64Array, event: Uint8Array): RiskTable {
  const order = ascendingOrder(time);
  const distinct = [...new Set(Array.from(order, (row) => time[row]!))];
  const position = new Map(distinct.map((value, index) => [value, index]));
  const events = new Float64Array(distinct.length);
  const censored = new Float64Array(distinct.length);
  for (let row = 0; row < time.length; row++) {
    const counts = event[row] === 1 ? events : censored;
    counts[position.get(time[row]!)!]! += 1;
  }
  let left = time.length;
  const atRisk = events.map((died, index) => {
    const now = left;
    left -= died + censored[index]!;
    return now;
  });
  return { time: Float64Array.from(distinct), atRisk, events, censored };
}

export type CurveInterval = 'log' | 'log-log' | 'plain';

export interface SurvivalCurve {
  readonly survival: Float64Array;
  /** Standard error of log S (Greenwood 1926); infinite where S is 0. */
  readonly logSe: Float64Array;
  /** Nelson-Aalen cumulative hazard. */
  readonly cumulativeHazard: Float64Array;
}

/** Kaplan and Meier 1958, with Greenwood's variance, as survival::survfit gives them. */
export function kaplanMeier(table: RiskTable): SurvivalCurve {
  const count = table.time.length;
  const survival = new Float64Array(count);
  const logSe = new Float64Array(count);
  const cumulativeHazard = new Float64Array(count);
  let product = 1;
  let variance = 0;
  let hazard = 0;
  for (let k = 0; k < count; k++) {
    const n = table.atRisk[k]!;
    const d = table.events[k]!;
    product *= (n - d) / n;
    variance += d === 0 ? 0 : d / (n * (n - d));
    hazard += d / n;
    survival[k] = product;
    logSe[k] = Math.sqrt(variance);
    cumulativeHazard[k] = hazard;
  }
  return { survival, logSe, cumulativeHazard };
}

/** 95 % limits of S on the log, log-log or plain scale; NaN where the scale has no value (S of 0, or of 1 for log-log). */
export function curveInterval(curve: SurvivalCurve, scale: CurveInterval): { low: Float64Array; high: Float64Array } {
  const limit = (sign: -1 | 1) =>
    curve.survival.map((s, k) => {
      const width = sign * Z_975 * curve.logSe[k]!;
      if (scale === 'plain') return Math.min(1, Math.max(0, s + width * s));
      if (s === 0) return Number.NaN;
      if (scale === 'log') return Math.min(1, s * Math.exp(width));
      return s === 1 ? Number.NaN : Math.exp(-Math.exp(Math.log(-Math.log(s)) + width / Math.log(s)));
    });
  return { low: limit(-1), high: limit(1) };
}

/** Time at which a curve reaches 1/2, the middle of the stretch where it equals 1/2; NaN where it stays above. */
export function medianTime(time: Float64Array, curve: Float64Array): number {
  // Products of fractions can miss 1/2 by rounding; survfit uses the same allowance.
  const allowance = Math.sqrt(Number.EPSILON);
  const first = curve.findIndex((value) => value < 0.5 + allowance);
  if (first < 0) return Number.NaN;
  const level = curve[first]!;
  const next = curve.findIndex((value, k) => k > first && value < level);
  return Math.abs(level - 0.5) < allowance && next >= 0 ? (time[first]! + time[next]!) / 2 : time[first]!;
}

/** Restricted mean survival time up to `end`, and its standard error (Irwin 1949; survival:::survmean). */
export function restrictedMean(table: RiskTable, curve: SurvivalCurve, end: number): { value: number; se: number } {
  const times = [...table.time].filter((time) => time <= end);
  // area[k] is the area under the curve from time k - 1 (0 at first) to time k, or to `end`.
  const edges = [0, ...times, end];
  const area = edges.slice(1).map((to, k) => (to - edges[k]!) * (k === 0 ? 1 : curve.survival[k - 1]!));
  let remaining = 0;
  let variance = 0;
  for (let k = times.length - 1; k >= 0; k--) {
    remaining += area[k + 1]!;
    const n = table.atRisk[k]!;
    const d = table.events[k]!;
    if (d > 0 && n > d) variance += (remaining * remaining * d) / (n * (n - d));
  }
  return { value: remaining + area[0]!, se: Math.sqrt(variance) };
}
