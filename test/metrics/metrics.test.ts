import { describe, expect, it } from 'vitest';
import {
  addPairSums,
  aucPairSums,
  calibrate,
  concordanceOf,
  concordancePairSums,
  confusionAt,
  delong,
  logistic,
  midranks,
  NO_PAIRS,
  probabilityBin,
  wilsonInterval,
  youdenFromHistogram,
} from '../../shared/metrics/index.js';
import { seededRandom } from '../../shared/rng.js';
import { delongBySquare } from '../twins/auc.js';
import { concordanceBySquare, type Patient } from '../twins/concordance.js';

/** Scores on a coarse grid, so that ties are frequent. */
function randomTable(seed: number, n: number, grid: number) {
  const random = seededRandom('metrics test', seed);
  const score = Float64Array.from({ length: n }, () => random.integer(grid) / grid);
  const y = Uint8Array.from(score, (value, i) => (i < 4 ? i % 2 : random.uniform() < 0.2 + 0.5 * value ? 1 : 0));
  return { random, score, y };
}

describe('AUC', () => {
  it('equals the O(n^2) definition of DeLong 1988 on random tables with ties', () => {
    for (let seed = 0; seed < 60; seed++) {
      const { score, y } = randomTable(seed, 8 + seed, seed % 2 === 0 ? 5 : 1000);
      const got = delong(score, y);
      const twin = delongBySquare([...score], [...y]);
      expect(Math.abs(got.auc - twin.auc)).toBeLessThan(1e-14);
      expect(Math.abs(got.variance - twin.variance)).toBeLessThan(1e-14);
    }
  });

  it('pair sums give the same AUC, and add over sites', () => {
    for (let seed = 0; seed < 20; seed++) {
      const { score, y } = randomTable(seed, 40, 7);
      expect(concordanceOf(aucPairSums(score, y))!.value).toBe(delong(score, y).auc);
      const patients = Array.from(score, (value, i) => ({
        score: value,
        time: 1 - y[i]!,
        event: y[i]!,
        stratum: i % 3,
      }));
      let sums = NO_PAIRS;
      for (const stratum of [0, 1, 2]) {
        const own = Array.from(score, (_, i) => i).filter((i) => i % 3 === stratum);
        const part = aucPairSums(
          Float64Array.from(own, (i) => score[i]!),
          Uint8Array.from(own, (i) => y[i]!),
        );
        sums = addPairSums(sums, part);
      }
      const twin = concordanceBySquare(patients);
      const got = concordanceOf(sums)!;
      expect(Math.abs(got.value - twin.value)).toBeLessThan(1e-14);
      // The twin differentiates numerically: central differences of step 1e-5 are good to about 1e-10.
      expect(Math.abs(got.se - twin.se)).toBeLessThan(1e-8);
    }
  });

  it('is NaN without one class, and midranks share tied places', () => {
    expect(delong(new Float64Array([1, 2]), new Uint8Array([1, 1])).auc).toBeNaN();
    expect([...midranks(new Float64Array([3, 1, 3, 2]))]).toEqual([3.5, 1, 3.5, 2]);
  });
});

describe('concordance', () => {
  it('equals all pairs, value and standard error, with ties in time and score', () => {
    for (let seed = 0; seed < 30; seed++) {
      const random = seededRandom('concordance test', seed);
      const patients: Patient[] = Array.from({ length: 25 }, (_, i) => ({
        score: random.integer(6),
        time: random.integer(8),
        event: i === 0 ? 1 : random.integer(2),
        stratum: 0,
      }));
      const sums = concordancePairSums(
        Float64Array.from(patients, (patient) => patient.score),
        Float64Array.from(patients, (patient) => patient.time),
        Uint8Array.from(patients, (patient) => patient.event),
      );
      const twin = concordanceBySquare(patients);
      expect(Math.abs(concordanceOf(sums)!.value - twin.value)).toBeLessThan(1e-14);
      expect(Math.abs(concordanceOf(sums)!.se - twin.se)).toBeLessThan(1e-8);
    }
  });

  it('is null where nobody can be ordered', () => {
    const sums = concordancePairSums(new Float64Array([1, 2]), new Float64Array([5, 5]), new Uint8Array([1, 1]));
    expect(concordanceOf(sums)).toBeNull();
  });
});

describe('calibration', () => {
  it('does not exist for constant scores, separated classes or one class', () => {
    const y = new Uint8Array([0, 0, 1, 1, 0, 1]);
    expect(calibrate(new Float64Array(6).fill(0.3), y)).toBeNull();
    expect(
      calibrate(
        Float64Array.from(y, (value) => (value === 1 ? 1 : -1)),
        y,
      ),
    ).toBeNull();
    expect(calibrate(new Float64Array([-1, 0, 1]), new Uint8Array(3))).toBeNull();
  });

  it('solves the score equations of both models', () => {
    const { score, y } = randomTable(3, 200, 1000);
    const logit = score.map((value) => 4 * value - 2);
    const fit = calibrate(logit, y)!;
    let a = 0;
    let b = 0;
    let c = 0;
    for (let i = 0; i < y.length; i++) {
      const residual = y[i]! - logistic(fit.intercept + fit.slope * logit[i]!);
      a += residual;
      b += residual * logit[i]!;
      c += y[i]! - logistic(fit.inTheLarge + logit[i]!);
    }
    for (const equation of [a, b, c]) expect(Math.abs(equation)).toBeLessThan(1e-9);
  });
});

describe('Youden threshold from a histogram', () => {
  it('is an edge whose index is exact, and no threshold beats it by more than the bound', () => {
    let worstSlack = 0;
    for (let seed = 0; seed < 40; seed++) {
      const { score, y } = randomTable(seed, 60, 997);
      const bins = 12;
      const counts = [new Float64Array(bins), new Float64Array(bins)];
      for (let i = 0; i < y.length; i++) counts[y[i]!]![probabilityBin(score[i]!, bins)]!++;
      const got = youdenFromHistogram(counts[1]!, counts[0]!)!;
      const indexAt = (threshold: number) => {
        const at = confusionAt(score, y, threshold);
        return at.tp / (at.tp + at.fn) + at.tn / (at.tn + at.fp) - 1;
      };
      expect(indexAt(got.threshold)).toBeCloseTo(got.youden, 12);
      const best = Math.max(...Array.from(score, indexAt));
      expect(best - got.youden).toBeLessThanOrEqual(got.bound + 1e-12);
      worstSlack = Math.max(worstSlack, best - got.youden);
    }
    // Some seed needs the bound: were it zero this test would fail.
    expect(worstSlack).toBeGreaterThan(0.01);
  });

  it('is null without one class', () => {
    expect(youdenFromHistogram(new Float64Array(4), new Float64Array([1, 2, 3, 4]))).toBeNull();
  });

  it('bins agree with the edges they stand for', () => {
    for (let bins = 1; bins <= 200; bins++)
      for (let edge = 0; edge < bins; edge++) expect(probabilityBin(edge / bins, bins)).toBe(edge);
    expect(probabilityBin(1, 10)).toBe(9);
  });
});

it('a Wilson interval reaches 0 and 1 at the ends', () => {
  expect(wilsonInterval(0, 9).low).toBe(0);
  expect(wilsonInterval(9, 9).high).toBe(1);
});
