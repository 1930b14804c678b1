import { describe, expect, it } from 'vitest';

import { solvePenalizedQuadratic } from '../../shared/computations/elastic-net/quadratic.js';
import { seededRandom } from '../../shared/rng.js';
import { expectClose } from '../support/reference.js';
import { fitsOfTable, frameOfTable } from '../support/views.js';
import { coxTwin } from '../twins/cox.js';
import { kktOf, standardize } from '../twins/glmnet.js';
import { irls, logisticGradient } from '../twins/logistic.js';

import { run, simulated } from './elastic-net-simulated.js';

describe('penalised quadratic', () => {
  it('meets its optimality conditions on random problems, singular ones too', () => {
    const random = seededRandom('quadratic');
    for (let trial = 0; trial < 300; trial++) {
      const size = 1 + random.integer(12);
      const rank = 1 + random.integer(size);
      const factor = Array.from({ length: rank }, () => Array.from({ length: size }, () => random.normal()));
      const q = new Float64Array(size * size);
      for (let i = 0; i < size; i++)
        for (let k = 0; k < size; k++) q[i * size + k] = factor.reduce((sum, row) => sum + row[i]! * row[k]!, 0) / rank;
      const draw = (scale: number) => Float64Array.from({ length: size }, () => scale * random.normal());
      const ridge = trial % 3 === 0 ? 0 : 0.1;
      // c lies in the range of Q where nothing else bounds the minimum.
      const inner = draw(1);
      const c = Float64Array.from({ length: size }, (_, i) =>
        inner.reduce((sum, value, k) => sum + q[i * size + k]! * value, 0),
      );
      const l1 = Float64Array.from({ length: size }, (_, j) => (j === 0 && ridge > 0 ? 0 : 0.3 * random.uniform()));
      const l2 = new Float64Array(size).fill(ridge);
      const x0 = draw(1).map((value) => Math.max(value, 0));
      const x = solvePenalizedQuadratic({ size, q, c, x0, l1, l2 });
      for (let j = 0; j < size; j++) {
        let slope = c[j]! - l2[j]! * x[j]!;
        for (let k = 0; k < size; k++) slope -= q[j * size + k]! * (x[k]! - x0[k]!);
        const violation =
          x[j] === 0 ? Math.max(0, Math.abs(slope) - l1[j]!) : Math.abs(slope - l1[j]! * Math.sign(x[j]!));
        expect(violation, `trial ${trial}, coordinate ${j}`).toBeLessThan(1e-11);
      }
    }
  });
});

describe('logistic regression', () => {
  const table = simulated(240, 6, 1);

  it('unpenalised equals iteratively reweighted least squares in other code', () => {
    const summary = run('logistic', table).result.summaries['none:all']!;
    const twin = irls(table.x, table.y);
    const source = 'IRLS twin';
    expectClose([summary.intercept!, ...summary.coefficients.map(({ value }) => value)], twin.beta, {
      abs: 1e-11,
      rel: 1e-10,
      source,
    });
    expectClose([summary.interceptSe!, ...summary.coefficients.map(({ se }) => se!)], twin.se, {
      abs: 0,
      rel: 1e-9,
      source,
    });
  });

  for (const alpha of [1, 0.4, 0])
    it(`alpha ${alpha}: every solution on the path meets the KKT conditions of the definition`, () => {
      const frame = frameOfTable({ ...table, y: table.y });
      const { result } = run('logistic', table, {
        alpha,
        lambda: 'cv',
        frame,
        fits: fitsOfTable(frame, { inner: true }),
      });
      const { z, mean, sd } = standardize(table.x);
      const path = result.paths!['none:all']!;
      for (const [k, lambda] of path.lambda.entries()) {
        const original = Array.from(path.beta.slice(k * 6, k * 6 + 6));
        const beta = original.map((value, j) => value * sd[j]!);
        const intercept = path.intercept[k]! + original.reduce((sum, value, j) => sum + value * mean[j]!, 0);
        const [first, ...gradient] = logisticGradient(z, table.y, intercept, beta);
        expect(Math.abs(first!)).toBeLessThan(1e-10);
        expect(kktOf(gradient, beta, lambda, alpha)).toBeLessThan(1e-10);
      }
      expect(path.lambda).toHaveLength(20);
    });
});

describe('Cox regression', () => {
  const table = simulated(160, 5, 2);

  for (const ties of ['efron', 'breslow'] as const)
    it(`${ties}: the gradient of the O(n^2) definition vanishes, likelihood and SE agree`, () => {
      const summary = run('cox', table, { ties }).result.summaries['none:all']!;
      const rows = table.x.map((x, i) => ({
        x,
        time: table.time[i]!,
        event: table.event[i]!,
        stratum: table.site[i]!,
      }));
      const beta = summary.coefficients.map(({ value }) => value);
      const twin = coxTwin(rows, beta, ties);
      const { sd } = standardize(table.x);
      for (const [j, slope] of twin.gradient.entries()) expect(Math.abs(slope / sd[j]!)).toBeLessThan(1e-8);
      expect(summary.logLikelihood!).toBeCloseTo(twin.logLikelihood, 9);
      const unit = twin.information.map((row, i) =>
        row.reduce((sum, value, j) => sum + value * summary.covariance![j * 5 + i]!, 0),
      );
      // Information times covariance is the identity: its diagonal from the twin's information and our covariance.
      expectClose(unit, new Array(5).fill(1), { abs: 1e-9, rel: 0, source: 'information times covariance' });
    });

  it('every solution on an elastic-net path meets the KKT conditions of the definition', () => {
    const frame = frameOfTable({ ...table, time: table.time, event: table.event });
    const survival = { ...frame, endpoint: { type: 'survival', unit: 'days', horizon: null } } as const;
    const { result } = run('cox', table, {
      alpha: 0.7,
      lambda: 'cv',
      frame: survival,
      fits: fitsOfTable(frame, { inner: true }),
    });
    const { z, sd } = standardize(table.x);
    const rows = z.map((x, i) => ({ x, time: table.time[i]!, event: table.event[i]!, stratum: table.site[i]! }));
    const path = result.paths!['none:all']!;
    for (const [k, lambda] of path.lambda.entries()) {
      const beta = Array.from(path.beta.slice(k * 5, k * 5 + 5), (value, j) => value * sd[j]!);
      const gradient = coxTwin(rows, beta, 'efron').gradient.map((value) => value / rows.length);
      expect(kktOf(gradient, beta, lambda, 0.7)).toBeLessThan(1e-10);
    }
  });

  it('the baseline is deaths over hazard-weighted time at risk on the grid, rewritten patient by patient', () => {
    const survival = { ...frameOfTable(table), endpoint: { type: 'survival', unit: 'days', horizon: 12 } } as const;
    const summary = run('cox', table, { frame: survival }).result.summaries['none:all']!;
    const baseline = summary.baseline!;
    const { z, sd } = standardize(table.x);
    const score = z.map((row) => row.reduce((sum, v, j) => sum + v * sd[j]! * summary.coefficients[j]!.value, 0));
    const width = 12 / baseline.times.length;
    let cumulative = 0;
    for (const [g, end] of baseline.times.entries()) {
      const start = end - width;
      const inside = table.time.filter((t, i) => table.event[i] === 1 && t > start + 1e-9 && t <= end + 1e-9).length;
      const exposure = table.time.reduce(
        (sum, t, i) => sum + Math.exp(score[i]!) * Math.max(0, Math.min(t, end) - start),
        0,
      );
      cumulative += (inside * width) / exposure;
      expect(baseline.cumulativeHazard[g]!).toBeCloseTo(cumulative, 10);
    }
    expect(baseline.hazardAtHorizon).toBe(baseline.cumulativeHazard.at(-1));
    const longer = { ...survival, endpoint: { ...survival.endpoint, horizon: 1e6 } };
    const beyond = run('cox', table, { frame: longer }).result.summaries['none:all']!;
    expect(beyond.baseline).toBeNull();
    expect(beyond.notes.join()).toContain('nobody is followed to the horizon');
  });

  it('neither linear predictors of hundreds nor a time shared by everyone overflow', () => {
    const huge = { ...table, x: table.x.map((row, i) => [row[0]! + (i % 2) * 1e4, ...row.slice(1)]) };
    const summary = run('cox', { ...huge, time: table.time.map(() => 7) }).result.summaries['none:all']!;
    expect(Number.isFinite(summary.logLikelihood)).toBe(true);
  });
});
