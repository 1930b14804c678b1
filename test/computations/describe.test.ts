import { describe, expect, it } from 'vitest';
import type { Cohort } from '../../shared/cohort.site.js';
import { describeCoordinator } from '../../shared/computations/describe/advance.coordinator.js';
import { chiSquareUpperTail } from '../../shared/computations/describe/chi-square.js';
import { describeSite } from '../../shared/computations/describe/contribute.site.js';
import {
  type CategoricalDescription,
  type DescribeResult,
  describeDeclaration,
  type NumericDescription,
} from '../../shared/computations/describe/declaration.js';
import type { CovariateColumn, DescribeSpec, Frame } from '../../shared/computations/frame.js';
import { runInMemory } from '../../shared/computations/run-in-memory.js';
import { seededRandom } from '../../shared/rng.js';
import { cohortOf, frameOf, holdersOf, type Row, viewOf } from '../harmonization/support.js';

const halves = { declaration: describeDeclaration, site: describeSite, coordinator: describeCoordinator };
const FEATURES = ['f001', 'f002', 'constant', 'nobody'];
const COVARIATES: CovariateColumn[] = [
  { name: 'age', levels: null },
  { name: 'etiology', levels: ['HBV', 'HCV', 'other', 'rare'] },
];
const QUANTILES = [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1];

/** Rows of six sites; events are few at `elm`, and `fir` is below the minimum cohort. */
function table(seed: number): Row[] {
  const random = seededRandom('describe', seed);
  const sizes = { alder: 60, birch: 45, cedar: 31, dogwood: 25, elm: 40, fir: 7 };
  return Object.entries(sizes).flatMap(([site, size]) =>
    Array.from({ length: size }, (_, at): Row => {
      const gap = random.uniform() < 0.1;
      return {
        id: `${site}-${at}`,
        site,
        features: [1e6 + random.normal(), gap ? Number.NaN : 1e-9 * Math.exp(random.normal()), 7.25, Number.NaN],
        covariates: [
          random.uniform() < 0.05 ? Number.NaN : 40 + random.integer(40),
          at === 3 && ['alder', 'birch', 'cedar'].includes(site) ? 3 : random.integer(3),
        ],
        y: site === 'elm' ? (at < 2 ? 1 : 0) : random.uniform() < 0.4 ? 1 : 0,
      };
    }),
  );
}

const frame: Frame = frameOf(['alder', 'birch', 'cedar', 'dogwood'], FEATURES, COVARIATES, {
  external: ['elm', 'fir'],
  cells: 5,
});
const specOf = (of: Frame): DescribeSpec => ({
  frame: of,
  outers: [of.training],
  hasSplit: false,
  showAggregate: [],
  quantiles: QUANTILES,
});
const spec = specOf(frame);

/** Under `continue`: cedar is away in the given round, after it was counted. */
function runWithout(phase: string): DescribeResult {
  let asked = '';
  const away: typeof halves = {
    ...halves,
    site: {
      ...describeSite,
      contribute(of, broadcast, view) {
        asked = broadcast.phase;
        const isAway = asked === phase && view.cohort.sites.includes('cedar');
        return isAway ? new Map() : describeSite.contribute(of, broadcast, view);
      },
    },
    coordinator: {
      ...describeCoordinator,
      advance: (of, state, total) => {
        const sites = total.sites.filter((site) => asked !== phase || site !== 'cedar');
        return describeCoordinator.advance(of, state, { ...total, sites });
      },
    },
  };
  const views = holdersOf(table(1), 'sites', FEATURES, COVARIATES).map((cohort) => viewOf(cohort, frame));
  return runInMemory(away, spec, views).result;
}

function run(cohorts: readonly Cohort[]): { result: DescribeResult; rounds: number } {
  return runInMemory(
    halves,
    spec,
    cohorts.map((cohort) => viewOf(cohort, frame)),
  );
}

const rows = table(1);
/** Columns describe the training sites: two external ones are too few to be summed with them. */
const taking = rows.filter((row) => frame.training.includes(row.site));
const valuesOf = (pick: (row: Row) => number) => taking.map(pick).filter((value) => !Number.isNaN(value));

describe('describe', () => {
  const { result, rounds } = run(holdersOf(rows, 'sites', FEATURES, COVARIATES));
  const numeric = (name: string) => result.columns[name] as NumericDescription;

  it('describes columns of external sites only where there are minSites of them, so that none is had by subtraction', () => {
    expect(result.describedSites).toEqual(['alder', 'birch', 'cedar', 'dogwood']);
    const many = frameOf(['alder', 'birch', 'cedar'], FEATURES, COVARIATES, {
      external: ['dogwood', 'elm', 'fir'],
      cells: 5,
    });
    const sums = (of: Frame) =>
      describeDeclaration
        .leaves(specOf(of), { phase: 'counts' })
        // Marks of sites, not sums over patients, are of the training sites always.
        .filter((leaf) => leaf.visibility === 'total' && leaf.kind !== 'describe.levelSites')
        .map((leaf) => leaf.contributors.map(({ site }) => site));
    for (const sites of sums(frame)) expect(sites).toEqual(frame.training);
    for (const sites of sums(many)) expect(sites).toHaveLength(6);
  });

  it('takes four rounds', () => expect(rounds).toBe(4));

  it.each([
    ['f001', (row: Row) => row.features[0]!],
    ['f002', (row: Row) => row.features[1]!],
    ['age', (row: Row) => row.covariates![0]!],
  ] as const)('n, missing, mean and sd of %s as from the pooled values', (name, pick) => {
    const values = valuesOf(pick);
    const mean = values.reduce((a, b) => a + (b - values[0]!), 0) / values.length + values[0]!;
    const sd = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1));
    const got = numeric(name);
    expect(got.n).toBe(values.length);
    expect(got.missing).toBe(taking.length - values.length);
    // f001 has mean / sd = 1e6: ten of sixteen digits of its spread survive in the table itself.
    expect(Math.abs((got.mean as number) - mean) / sd).toBeLessThan(1e-9);
    expect(Math.abs((got.sd as number) - sd) / sd).toBeLessThan(1e-9);
  });

  it.each([
    ['f001', (row: Row) => row.features[0]!],
    ['f002', (row: Row) => row.features[1]!],
    ['age', (row: Row) => row.covariates![0]!],
  ] as const)('every quantile of %s lies within the stated resolution of the order statistic', (name, pick) => {
    const sorted = valuesOf(pick).sort((a, b) => a - b);
    const got = numeric(name);
    expect(got.resolution!).toBeLessThan((got.sd as number) / 2);
    let compared = 0;
    for (const { p, value } of got.quantiles!) {
      const exact = sorted[Math.max(1, Math.ceil(p * sorted.length - 1e-9)) - 1]!;
      if (p === 0 || p === 1) expect(value).toEqual({ suppressed: true });
      else if (typeof value === 'number') {
        compared++;
        expect(Math.abs(value - exact)).toBeLessThanOrEqual(got.resolution!);
      }
    }
    expect(compared).toBe(5);
  });

  it.each([
    ['sums', { mean: null, sd: null, quantiles: null, resolution: null }],
    ['central', { mean: expect.any(Number), sd: null, quantiles: null, resolution: null }],
    ['histograms', { mean: expect.any(Number), sd: expect.any(Number), quantiles: null, resolution: null }],
  ])(
    'a site that goes missing in the round of %s leaves no wrong number behind, and no site is accused',
    (phase, left) => {
      const { columns } = runWithout(phase);
      for (const name of ['f001', 'f002', 'age']) expect(columns[name]).toMatchObject(left);
    },
  );

  it('has no more histogram bins than one for every minimumCount patients', () => {
    let checked = 0;
    const views = holdersOf(rows, 'one', FEATURES, COVARIATES).map((cohort) => viewOf(cohort, frame));
    const spying = {
      ...halves,
      declaration: {
        name: 'describe',
        leaves: (given: DescribeSpec, broadcast: Parameters<typeof describeDeclaration.leaves>[1]) => {
          if (broadcast.phase === 'histograms')
            for (const { bins } of broadcast.binnings) {
              checked++;
              expect(bins).toBeLessThanOrEqual(taking.length / frame.minimumCount);
            }
          return describeDeclaration.leaves(given, broadcast);
        },
      },
    };
    runInMemory(spying, spec, views);
    expect(checked).toBe(5);
  });

  it('a constant column has its value as every quantile, and one that nobody has is all null', () => {
    expect(numeric('constant')).toMatchObject({ mean: 7.25, sd: 0, resolution: 0 });
    expect(numeric('constant').quantiles!.every(({ value }) => value === 7.25)).toBe(true);
    expect(numeric('nobody')).toEqual({
      n: 0,
      missing: taking.length,
      mean: null,
      sd: null,
      quantiles: null,
      resolution: null,
    });
  });

  it('suppresses a rare level, and a second one so that the rest does not tell it', () => {
    const { levels, n } = result.columns['etiology'] as CategoricalDescription;
    const hidden = levels.filter((entry) => typeof entry.n !== 'number').map((entry) => entry.level);
    expect(hidden).toContain('rare');
    expect(hidden).toHaveLength(2);
    expect(n).toBe(taking.length);
  });

  it('names a site below the minimum cohort, keeps it out of every sum and suppresses few events', () => {
    expect(result.excludedSites).toEqual(['fir']);
    const bySite = Object.fromEntries(result.sites.map((site) => [site.name, site]));
    expect(bySite['fir']).toMatchObject({ role: 'excluded', n: 7, events: { suppressed: true } });
    expect(bySite['elm']).toMatchObject({ role: 'external', n: 40, events: { suppressed: true } });
    const events = rows.filter((row) => row.site === 'alder' && row.y === 1).length;
    expect(bySite['alder']).toMatchObject({ role: 'training', n: 60, events });
    expect(result.outcome.n).toBe(rows.filter((row) => row.site !== 'fir').length);
    // One suppressed site: the total over all would give it away, so it is suppressed too.
    expect(result.outcome.events).toEqual({ suppressed: true });
    expect(result.association.sites).not.toContain('elm');
    expect(result.association.note).toMatch(/suppressed: elm/);
  });

  it('adds suppressed events up only over at least minSites such sites', () => {
    const few = rows.map((row) => ({
      ...row,
      y: row.site === 'alder' ? row.y! : Number(row.id.split('-')[1]) < 2 ? 1 : 0,
    }));
    // elm alone among the external sites: all sites' events minus those that the models count would be elm's.
    expect(run(holdersOf(few, 'sites', FEATURES, COVARIATES)).result.outcome.events).toEqual({ suppressed: true });
    const large = few.map((row, at) => (row.site === 'elm' ? { ...row, y: at % 3 === 0 ? 1 : 0 } : row));
    const { result: pooled } = run(holdersOf(large, 'sites', FEATURES, COVARIATES));
    const want = large.filter((row) => row.site !== 'fir' && row.y === 1).length;
    expect(pooled.outcome.events).toBe(want);
    expect(pooled.hidden).toEqual({ whole: ['birch', 'cedar', 'dogwood'], parts: ['birch', 'cedar', 'dogwood'] });
  });

  it('counts what was left out by reason, suppressed when small', () => {
    const cohorts = holdersOf(rows, 'sites', FEATURES, COVARIATES).map((cohort) =>
      cohort.holder === 'cedar'
        ? {
            ...cohort,
            exclusions: [
              { site: 'cedar', reason: 'outcome missing', count: 9 },
              { site: 'cedar', reason: 'a reason nobody foresaw', count: 2 },
            ],
          }
        : cohort,
    );
    const cedar = run(cohorts).result.sites.find((site) => site.name === 'cedar')!;
    expect(cedar.exclusions).toEqual([
      { reason: 'outcome missing', count: 9 },
      { reason: 'other', count: { suppressed: true } },
    ]);
  });

  it('is the same from one holder of all rows (within rounding) and bit for bit in any table order', () => {
    const one = run(holdersOf(rows, 'one', FEATURES, COVARIATES)).result;
    const shuffled = run(holdersOf([...rows].reverse(), 'one', FEATURES, COVARIATES)).result;
    expect(shuffled).toEqual(one);
    for (const name of ['f001', 'f002', 'age']) {
      const [a, b] = [numeric(name), one.columns[name]].map((column) => {
        const { mean, sd } = column as NumericDescription;
        return { mean: mean as number, sd: sd as number };
      }) as [{ mean: number; sd: number }, { mean: number; sd: number }];
      // A sum is rounded once at each holder: one unit in the last place of the mean, in standard deviations.
      const rounding = (Math.abs(b.mean) / b.sd) * 2 ** -52;
      expect(Math.abs(a.mean - b.mean) / a.sd).toBeLessThan(1e-12 + rounding);
      expect(Math.abs(a.sd - b.sd) / a.sd).toBeLessThan(1e-12);
    }
    expect(one.sites).toEqual(result.sites);
  });

  it("a holder's rows of a site outside the study do not enter", () => {
    const strangers = rows.slice(0, 30).map((row) => ({ ...row, id: `x-${row.id}`, site: 'stranger' }));
    const one = run(holdersOf([...rows, ...strangers], 'one', FEATURES, COVARIATES)).result;
    expect(one).toEqual(run(holdersOf(rows, 'one', FEATURES, COVARIATES)).result);
  });

  it('a site with no usable case and a holder without rows do not stop it', () => {
    const cohorts = [
      ...holdersOf(taking, 'sites', FEATURES, COVARIATES),
      {
        ...cohortOf('fir', [], FEATURES, COVARIATES),
        exclusions: [{ site: 'fir', reason: 'outcome missing', count: 12 }],
      },
    ];
    const fir = run(cohorts).result.sites.find((site) => site.name === 'fir')!;
    expect(fir).toEqual({
      name: 'fir',
      role: 'excluded',
      n: 0,
      events: 0,
      exclusions: [{ reason: 'outcome missing', count: 12 }],
    });
  });
});

describe('association of site with outcome', () => {
  // Pearson chi-square by its textbook formula over the full table, other than the computation's shortcut.
  it('is Pearson chi-square of the site x outcome table, with a warning at p < 0.05', () => {
    const counts: [string, number, number][] = [
      ['alder', 40, 10],
      ['birch', 40, 22],
      ['cedar', 50, 15],
    ];
    const made = counts.flatMap(([site, n, events]) =>
      Array.from(
        { length: n },
        (_, at): Row => ({ id: `${site}-${at}`, site, features: [at, at % 7], y: at < events ? 1 : 0 }),
      ),
    );
    const smallFrame = frameOf(['alder', 'birch', 'cedar'], ['a', 'b']);
    const views = holdersOf(made, 'sites', ['a', 'b']).map((cohort) => viewOf(cohort, smallFrame));
    const { association } = runInMemory(halves, specOf(smallFrame), views).result;
    let want = 0;
    for (const [, n, events] of counts)
      for (const [observed, column] of [
        [events, 47],
        [n - events, 83],
      ] as const)
        want += (observed - (n * column) / 130) ** 2 / ((n * column) / 130);
    expect(association.statistic).toBeCloseTo(want, 12);
    expect(association.df).toBe(2);
    // For 2 degrees of freedom the tail is exp(-x/2).
    expect(association.p).toBeCloseTo(Math.exp(-want / 2), 12);
    expect(association.warning).toBe(true);
  });

  // Values of the regularized upper incomplete gamma function Q(df/2, x/2), series summed with 50 decimal digits.
  it.each([
    [3.5, 1, 0.06136882913940217],
    [12, 1, 0.0005320055051392497],
    [14, 1, 0.00018281063298183504],
    [10, 3, 0.018566135463043233],
    [0.3, 5, 0.9976430862605289],
    [30, 5, 1.4748581038443052e-5],
    [4, 2, 0.1353352832366127],
    [9, 6, 0.17357807091003605],
    [60, 15, 2.5220850786961436e-7],
  ])('tail of chi-square at %d with %d degrees of freedom', (x, df, want) => {
    expect(Math.abs(chiSquareUpperTail(x, df) - want)).toBeLessThan(1e-13);
  });
});
