import { expect, it } from 'vitest';
import {
  curveInterval,
  kaplanMeier,
  medianTime,
  restrictedMean,
  riskTable,
} from '../../shared/metrics/kaplan-meier.js';

// Remission on 6-mercaptopurine, weeks (Freireich et al. 1963); the estimates are the textbook ones, e.g. Collett,
// "Modelling Survival Data in Medical Research", and survfit(Surv(t, e) ~ 1) in R.
const WEEKS = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35];
const RELAPSE = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0];
const table = riskTable(Float64Array.from(WEEKS), Uint8Array.from(RELAPSE));
const curve = kaplanMeier(table);
const PUBLISHED: [week: number, survival: number, se: number][] = [
  [6, 0.857, 0.0764],
  [7, 0.807, 0.0869],
  [10, 0.753, 0.0963],
  [13, 0.69, 0.1068],
  [16, 0.627, 0.1141],
  [22, 0.538, 0.1282],
  [23, 0.448, 0.1346],
];

it('gives the published survival and Greenwood errors', () => {
  for (const [week, survival, se] of PUBLISHED) {
    const at = table.time.indexOf(week);
    expect(curve.survival[at]).toBeCloseTo(survival, 3);
    expect(curve.logSe[at]! * curve.survival[at]!).toBeCloseTo(se, 4);
  }
  expect(medianTime(table.time, curve.survival)).toBe(23);
});

it('keeps log and log-log limits inside (0, 1] and around the curve', () => {
  for (const scale of ['log', 'log-log', 'plain'] as const) {
    const { low, high } = curveInterval(curve, scale);
    for (let k = 0; k < table.time.length; k++) {
      expect(low[k]!).toBeLessThanOrEqual(curve.survival[k]!);
      expect(high[k]!).toBeGreaterThanOrEqual(curve.survival[k]!);
      expect(high[k]!).toBeLessThanOrEqual(1);
    }
  }
});

it('gives as restricted mean the plain mean where nobody is censored', () => {
  const times = [1, 2, 2, 5];
  const all = riskTable(Float64Array.from(times), new Uint8Array(4).fill(1));
  expect(restrictedMean(all, kaplanMeier(all), 5).value).toBeCloseTo(2.5, 12);
  expect(restrictedMean(all, kaplanMeier(all), 3).value).toBeCloseTo((1 + 2 + 2 + 3) / 4, 12);
});

it('takes the middle of a stretch at exactly one half as the median', () => {
  const all = riskTable(Float64Array.from([1, 2, 3, 4]), new Uint8Array(4).fill(1));
  expect(medianTime(all.time, kaplanMeier(all).survival)).toBe(2.5);
});
