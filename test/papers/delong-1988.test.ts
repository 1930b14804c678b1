import { expect, it } from 'vitest';
import { aucPairSums, concordanceOf, delong } from '../../shared/metrics/index.js';
import { seededRandom } from '../../shared/rng.js';

// DeLong, DeLong and Clarke-Pearson, "Comparing the areas under two or more correlated receiver operating
// characteristic curves: a nonparametric approach", Biometrics 44 (1988), section 2.

const random = seededRandom('delong 1988');
const y = Uint8Array.from({ length: 120 }, (_, i) => (i % 3 === 0 ? 1 : 0));
const score = Float64Array.from(y, (label) => label + random.normal());

it('section 2: the area equals the Mann-Whitney statistic, so any increasing transformation leaves it unchanged', () => {
  expect(delong(score.map(Math.exp), y).auc).toBe(delong(score, y).auc);
  expect(delong(score.map(Math.exp), y).variance).toBe(delong(score, y).variance);
});

it('section 2: turning the scores round gives 1 - area with the same variance', () => {
  const turned = delong(
    score.map((value) => -value),
    y,
  );
  expect(turned.auc).toBeCloseTo(1 - delong(score, y).auc, 14);
  expect(turned.variance).toBeCloseTo(delong(score, y).variance, 14);
});

it('eq. 5: the components are divided by (m - 1) m; the jackknife with weights divides by m^2, larger by m / (m - 1)', () => {
  const m = 40;
  const copies = 50;
  const big = Float64Array.from({ length: score.length * copies }, (_, i) => score[i % score.length]!);
  const bigY = Uint8Array.from({ length: y.length * copies }, (_, i) => y[i % y.length]!);
  const infinitesimal = (s: Float64Array, labels: Uint8Array) => {
    const { se } = concordanceOf(aucPairSums(s, labels))!;
    return se * se;
  };
  // The two definitions differ at n and meet as n grows.
  expect(delong(score, y).variance / infinitesimal(score, y)).toBeGreaterThan(1.01);
  expect(delong(score, y).variance / infinitesimal(score, y)).toBeLessThan(m / (m - 1));
  expect(delong(big, bigY).variance / infinitesimal(big, bigY)).toBeCloseTo(1, 3);
});

it('a constant score is worth nothing: area 1/2, variance 0', () => {
  expect(delong(new Float64Array(120).fill(3), y)).toMatchObject({ auc: 0.5, variance: 0 });
});
