import { describe, expect, it } from 'vitest';
import type { CoordinatorHalf, Declaration, SiteHalf } from '../../shared/computations/computation.js';
import { coxCoordinator } from '../../shared/computations/cox/advance.coordinator.js';
import { coxSite } from '../../shared/computations/cox/contribute.site.js';
import { coxDeclaration } from '../../shared/computations/cox/declaration.js';

import { solvePenalizedQuadratic } from '../../shared/computations/elastic-net/quadratic.js';
import type { CoxSpec, Frame, LogisticSpec, ModelResult } from '../../shared/computations/frame.js';
import { logisticCoordinator } from '../../shared/computations/logistic/advance.coordinator.js';
import { logisticSite } from '../../shared/computations/logistic/contribute.site.js';
import { logisticDeclaration } from '../../shared/computations/logistic/declaration.js';
import { runInMemory } from '../../shared/computations/run-in-memory.js';
import { decodeDocument, encodeDocument } from '../../shared/document.js';
import type { Fit } from '../../shared/fits.js';
import { seededRandom } from '../../shared/rng.js';
import { expectClose } from '../support/reference.js';
import { fitsOfTable, frameOfTable, preparedViews, type TestTable } from '../support/views.js';
import { coxTwin } from '../twins/cox.js';
import { kktOf, standardize } from '../twins/glmnet.js';
import { irls, logisticGradient } from '../twins/logistic.js';

const SITES = ['alder', 'birch', 'cedar', 'dogwood'];

/** Simulated patients of four sites with correlated features, a binary and a tied survival outcome. */
function simulated(n: number, p: number, seed: number): TestTable & { y: number[]; time: number[]; event: number[] } {
  const random = seededRandom('elastic-net test', seed);
  const x = Array.from({ length: n }, () => {
    const common = random.normal();
    return Array.from({ length: p }, (_, j) => (j + 1) * (0.5 * common + random.normal()) + 10 * j);
  });
  const eta = x.map((row) => 0.9 * row[0]! - 0.3 * (row[1]! - 10) + 0.2 * (row[2]! - 20));
  const y = eta.map((value) => (random.uniform() < 1 / (1 + Math.exp(-value)) ? 1 : 0));
  const time = eta.map((value) => Math.ceil((-12 * Math.log(random.uniform())) / Math.exp(0.5 * value)));
  return {
    site: x.map((_, i) => SITES[i % 4]!),
    features: Array.from({ length: p }, (_, j) => `f${j}`),
    x,
    y,
    time,
    event: x.map(() => (random.uniform() < 0.7 ? 1 : 0)),
    cell: x.map((_, i) => Math.floor(i / 4) % 5),
  };
}

const cox = { declaration: coxDeclaration, site: coxSite, coordinator: coxCoordinator };
const logistic = { declaration: logisticDeclaration, site: logisticSite, coordinator: logisticCoordinator };

/** The same halves with every broadcast encoded and decoded on its way to a site. */
function travelling<Spec, Broadcast, State, Result>(halves: {
  readonly declaration: Declaration<Spec, Broadcast>;
  readonly site: SiteHalf<Spec, Broadcast>;
  readonly coordinator: CoordinatorHalf<Spec, Broadcast, State, Result>;
}): typeof halves {
  const contribute: typeof halves.site.contribute = (spec, broadcast, view) =>
    halves.site.contribute(spec, decodeDocument(encodeDocument(broadcast)) as Broadcast, view);
  return { ...halves, site: { name: halves.site.name, contribute } };
}

type Options = Partial<LogisticSpec & CoxSpec> & { frame?: Frame; fits?: readonly Fit[] };

function run(
  model: 'logistic' | 'cox',
  table: ReturnType<typeof simulated>,
  options: Options = {},
  arrange: { holderOf?: (row: number) => string; reverse?: boolean } = {},
): { result: ModelResult; rounds: number } {
  const own = ownColumns(model, table);
  const frame = options.frame ?? frameOfTable(own);
  const fits = options.fits ?? fitsOfTable(frame);
  const { views, results } = preparedViews(own, frame, fits, arrange.holderOf);
  if (arrange.reverse === true) views.reverse();
  const spec = specOf(model, frame, fits, options);
  return model === 'cox' ? runInMemory(cox, spec, views, results) : runInMemory(logistic, spec, views, results);
}

function specOf(
  model: 'logistic' | 'cox',
  frame: Frame,
  fits: readonly Fit[],
  options: Options,
): LogisticSpec & CoxSpec {
  return {
    model,
    covariates: true,
    alpha: 1,
    lambda: 0,
    rule: 'min',
    nlambda: 20,
    lambdaMinRatio: 0.02,
    standardize: true,
    keepPath: true,
    ties: 'efron',
    strata: 'stratified',
    penaltyScale: 'mean',
    ...options,
    frame,
    fits,
  };
}

/** The columns of the table that the model looks at. */
function ownColumns(model: 'logistic' | 'cox', { y, time, event, ...rest }: ReturnType<typeof simulated>): TestTable {
  return model === 'logistic' ? { ...rest, y } : { ...rest, time, event };
}

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

describe('properties of both', () => {
  const table = simulated(200, 8, 3);
  const frame = frameOfTable({ ...table, y: table.y });
  const outers = [undefined, ...SITES].map((site) =>
    fitsOfTable(frame, { heldOut: site === undefined ? [] : [site], inner: true }),
  );
  const all = outers.flat();

  for (const model of ['logistic', 'cox'] as const) {
    const options = { alpha: 0.8, lambda: 'cv', frame } as const;

    it(`${model}: five outer times six fits need at most two rounds more than the slowest group alone`, () => {
      const alone = outers.map((fits) => run(model, table, { ...options, fits }).rounds);
      const together = run(model, table, { ...options, fits: all }).rounds;
      process.stderr.write(`${model}: rounds alone ${alone.join(', ')}, together ${together}\n`);
      expect(together).toBeLessThanOrEqual(Math.max(...alone) + 2);
    });

    it(`${model}: unpenalised leave-one-site-out fits need at most two rounds more than the slowest alone`, () => {
      const full = outers.map((fits) => fits[0]!);
      const alone = full.map((fit) => run(model, table, { frame, fits: [fit] }).rounds);
      expect(run(model, table, { frame, fits: full }).rounds).toBeLessThanOrEqual(Math.max(...alone) + 2);
    });

    it(`${model}: the order of holders does not change a bit`, () => {
      const forward = run(model, table, { ...options, fits: all });
      const backward = run(model, table, { ...options, fits: all }, { reverse: true });
      expect(Buffer.from(encodeDocument(backward.result)).equals(Buffer.from(encodeDocument(forward.result)))).toBe(
        true,
      );
    });

    it(`${model}: other holders of the same rows change results by rounding only`, () => {
      const split = run(model, table, { ...options, fits: outers[0]! });
      const one = run(model, table, { ...options, fits: outers[0]! }, { holderOf: () => 'all' });
      const pairs = run(
        model,
        table,
        { ...options, fits: outers[0]! },
        { holderOf: (row) => (row % 4 < 2 ? 'west' : 'east') },
      );
      for (const other of [one, pairs]) {
        const got = other.result.paths!['none:all']!;
        const want = split.result.paths!['none:all']!;
        // Both stop with optimality conditions met to 1e-12; curvature on this design is above 1e-2.
        expectClose(got.beta, want.beta, { abs: 1e-9, rel: 0, source: 'split' });
        expectClose(got.lambda, want.lambda, { abs: 0, rel: 1e-13, source: 'split lambda' });
      }
    });

    it(`${model}: replacing every row of a held-out site leaves the bits of that fold's models alone`, () => {
      const fits = outers[1]!;
      const before = run(model, table, { ...options, fits }).result;
      const changed = {
        ...table,
        x: table.x.map((row, i) => (table.site[i] === 'alder' ? row.map((value) => 1e3 - 7 * value) : row)),
        y: table.y.map((value, i) => (table.site[i] === 'alder' ? 1 - value : value)),
        time: table.time.map((value, i) => (table.site[i] === 'alder' ? 3 * value + 1 : value)),
        event: table.event.map((value, i) => (table.site[i] === 'alder' ? 1 - value : value)),
      };
      const after = run(model, changed, { ...options, fits }).result;
      expect(Buffer.from(encodeDocument(after)).equals(Buffer.from(encodeDocument(before)))).toBe(true);
      const everyone = run(model, changed, { ...options, fits: outers[0]! }).result;
      expect(everyone.summaries['none:all']!.coefficients).not.toEqual(
        run(model, table, { ...options, fits: outers[0]! }).result.summaries['none:all']!.coefficients,
      );
    });

    it(`${model}: what travels is the same after encoding, and a held-out site is not even asked for its features`, () => {
      const fits = outers[1]!;
      const direct = run(model, table, { ...options, fits });
      const { views, results } = preparedViews(ownColumns(model, table), frame, fits);
      const heldOut = views.find((view) => view.cohort.holder === 'alder')!;
      const guarded = views.map((view) =>
        view === heldOut
          ? { ...view, harmonized: () => expect.fail('a held-out site was asked for its features') }
          : view,
      );
      const spec = specOf(model, frame, fits, options);
      const { result } =
        model === 'cox'
          ? runInMemory(travelling(cox), spec, guarded, results)
          : runInMemory(travelling(logistic), spec, guarded, results);
      expect(Buffer.from(encodeDocument(result)).equals(Buffer.from(encodeDocument(direct.result)))).toBe(true);
    });

    it(`${model}: a site lost half way gives the model of the sites that are left, and a note that names it`, () => {
      const own = ownColumns(model, table);
      const fits = outers[0]!;
      const { views, results } = preparedViews(own, frame, fits);
      const spec = specOf(model, frame, fits, options);
      const remaining = views.filter((view) => view.cohort.holder !== 'birch');
      for (const lostAfter of [1, 9, 24]) {
        const halves = model === 'cox' ? cox : logistic;
        let rounds = 0;
        const losing = {
          ...halves,
          coordinator: {
            ...halves.coordinator,
            advance: (...[own, state, total]: Parameters<typeof logisticCoordinator.advance>) =>
              halves.coordinator.advance(own as never, state as never, {
                ...total,
                sites: ++rounds > lostAfter ? total.sites.filter((site) => site !== 'birch') : total.sites,
              }),
          },
          site: {
            name: model,
            contribute: (...[own, broadcast, view]: Parameters<typeof logisticSite.contribute>) =>
              rounds >= lostAfter && view.cohort.holder === 'birch'
                ? new Map<string, Float64Array>()
                : halves.site.contribute(own as never, broadcast as never, view),
          },
        };
        const { result } = runInMemory(losing as never, spec as never, views, results) as { result: ModelResult };
        const want = (runInMemory(halves as never, spec as never, remaining, results) as { result: ModelResult })
          .result;
        expect(result.models).toEqual(want.models);
        expect(result.summaries['none:all']!.notes.join()).toContain('fitted again without birch');
      }
    });

    it(`${model}: a predictor that does not vary and a copy of another are aliased, and penalised fits leave them out`, () => {
      const x = table.x.map((row) => [row[0]!, 4, row[1]!, 2 * row[0]! - row[1]!, row[2]!]);
      const odd = { ...table, x, features: ['a', 'constant', 'b', 'sum', 'c'] };
      const oddFrame = { ...frame, features: odd.features };
      const plain = run(model, odd, { frame: oddFrame }).result.summaries['none:all']!;
      expect(plain.coefficients.map(({ status }) => status)).toEqual(['ok', 'aliased', 'ok', 'aliased', 'ok']);
      expect(plain.converged).toBe(true);
      const without = { ...table, x: x.map((row) => [row[0]!, row[2]!, row[4]!]), features: ['a', 'b', 'c'] };
      const smaller = run(model, without, { frame: { ...frame, features: without.features } }).result.summaries[
        'none:all'
      ]!;
      const kept = plain.coefficients.filter(({ status }) => status === 'ok').map(({ value }) => value);
      expectClose(
        kept,
        smaller.coefficients.map(({ value }) => value),
        { abs: 1e-10, rel: 0, source: 'aliased' },
      );
      const net = run(model, odd, { frame: oddFrame, lambda: 0.01, alpha: 0.5 }).result.summaries['none:all']!;
      expect(net.coefficients[1]).toEqual({ feature: 'constant', value: 0, se: null, status: 'zero' });
      expect(net.converged).toBe(true);
    });

    it(`${model}: a fit without an outcome is reported, and the others go on`, () => {
      const none = {
        ...table,
        y: table.y.map((v, i) => (table.site[i] === 'alder' ? v : 0)),
        event: table.event.map((v, i) => (table.site[i] === 'alder' ? v : 0)),
      };
      const fits = [outers[0]!, outers[1]!].flat();
      const { result } = run(model, none, { ...options, fits });
      expect(result.summaries['none:all']!.converged).toBe(true);
      const empty = result.summaries['none:without-alder']!;
      expect(empty.converged).toBe(false);
      expect(empty.lambda).toBeNull();
      expect(empty.notes.join()).toContain('no patient has the event');
      for (const fit of fits) expect(Number.isFinite(Object(result.models[fit.id]).intercept)).toBe(true);
    });

    it(`${model}: cross-validation without inner folds is refused before anything is sent`, () => {
      expect(() => run(model, table, { ...options, fits: [outers[0]![0]!] })).toThrow(
        expect.objectContaining({ code: 'STUDY_INVALID' }),
      );
    });
  }

  it('separation by one predictor names it, and a penalty makes the fit finite again', () => {
    const separated = {
      ...table,
      x: table.x.map((row, i) => [...row, table.y[i] === 1 ? 1 + (i % 3) : -(i % 2)]),
      features: [...table.features, 'telltale'],
    };
    const wide = { ...frame, features: separated.features };
    const summary = run('logistic', separated, { frame: wide }).result.summaries['none:all']!;
    expect(summary.converged).toBe(false);
    expect(summary.coefficients[8]).toEqual({ feature: 'telltale', value: Infinity, se: null, status: 'infinite' });
    const ridge = run('logistic', separated, { frame: wide, alpha: 0, lambda: 0.01 }).result.summaries['none:all']!;
    expect(ridge.converged).toBe(true);
    expect(ridge.coefficients.every(({ value }) => Number.isFinite(value))).toBe(true);
  });

  it('quasi-separation: only the diverging coefficient is infinite, the others keep their limit', () => {
    // Everyone with the marker has the event; the others' likelihood is that of the patients without it.
    const marked = table.y.map((value, i) => (value === 1 && i % 5 === 0 ? 1 : 0));
    const x = table.x.map((row, i) => [row[0]!, row[1]!, marked[i]!]);
    const quasi = { ...table, x, features: ['a', 'b', 'marker'] };
    const summary = run('logistic', quasi, { frame: { ...frame, features: quasi.features } }).result.summaries[
      'none:all'
    ]!;
    expect(summary.coefficients.map(({ status }) => status)).toEqual(['ok', 'ok', 'infinite']);
    const rest = x.map((_, i) => i).filter((i) => marked[i] === 0);
    const twin = irls(
      rest.map((i) => x[i]!.slice(0, 2)),
      rest.map((i) => table.y[i]!),
    );
    expectClose(
      summary.coefficients.slice(0, 2).map(({ value }) => value),
      twin.beta.slice(1),
      { abs: 1e-8, rel: 0, source: 'limit' },
    );
    expectClose(
      summary.coefficients.slice(0, 2).map(({ se }) => se!),
      twin.se.slice(1),
      { abs: 0, rel: 1e-6, source: 'SE of the limit' },
    );
  });
});
