import { describe, expect, it } from 'vitest';
import { designOf } from '../../shared/computations/design.site.js';
import type { CovariateColumn, MomentsSpec } from '../../shared/computations/frame.js';
import { runInMemory } from '../../shared/computations/run-in-memory.js';
import { seededRandom } from '../../shared/rng.js';
import { fitOf, frameOf, holdersOf, moments, type Row, viewOf } from '../harmonization/support.js';

const SITES = ['alder', 'birch', 'cedar', 'dogwood'];
const FEATURES = ['tiny', 'huge', 'offset', 'constant', 'nobody'];
const COVARIATES: CovariateColumn[] = [
  { name: 'sex', levels: ['F', 'M'] },
  { name: 'age', levels: null },
];
const frame = frameOf(SITES, FEATURES, COVARIATES, { cells: 3 });

function table(seed: number): Row[] {
  const random = seededRandom('moments', seed);
  return SITES.flatMap((site, index) =>
    Array.from({ length: 20 + 7 * index }, (_, at): Row => {
      const shift = index * 0.8;
      return {
        id: `${site}-${at}`,
        site,
        features: [
          1e-12 * (random.normal() + shift),
          random.uniform() < 0.2 ? Number.NaN : 1e12 * (random.normal() + shift),
          1e7 + random.normal() + shift,
          0.1,
          Number.NaN,
        ],
        covariates: [random.integer(2), random.uniform() < 0.1 ? Number.NaN : 50 + random.integer(30)],
        cell: at % 3,
      };
    }),
  );
}

/** Slow twin: two passes over the pooled rows. */
function pooled(rows: readonly Row[], pick: (row: Row) => number) {
  const values = rows.map(pick).filter((value) => !Number.isNaN(value));
  const mean = values.reduce((sum, value) => sum + (value - values[0]!), 0) / values.length + values[0]!;
  const squares = (list: number[], center: number) => list.reduce((sum, value) => sum + (value - center) ** 2, 0);
  const within = SITES.reduce((sum, site) => {
    const own = rows
      .filter((row) => row.site === site)
      .map(pick)
      .filter((value) => !Number.isNaN(value));
    const center = own.reduce((a, b) => a + (b - own[0]!), 0) / own.length + (own[0] ?? 0);
    return sum + (own.length > 0 ? squares(own, center) : 0);
  }, 0);
  const total = squares(values, mean);
  return { n: values.length, mean, sd: Math.sqrt(total / values.length), between: 1 - within / total };
}

const picks: ((row: Row) => number)[] = [
  (row) => row.features[0]!,
  (row) => row.features[1]!,
  (row) => row.features[2]!,
  (row) => row.features[3]!,
  (row) => row.features[4]!,
  (row) => row.covariates![0]!,
  (row) => row.covariates![1]!,
];

const fits = [
  fitOf('none', SITES),
  fitOf('none', SITES, ['cedar']),
  fitOf('none', SITES, [], 1),
  fitOf('zscore', SITES),
];
const spec: MomentsSpec = { frame, fits };

describe('moments', () => {
  const rows = table(1);
  const split = runInMemory(
    moments,
    spec,
    holdersOf(rows, 'sites', FEATURES, COVARIATES).map((cohort) => viewOf(cohort, frame)),
  );
  const together = runInMemory(
    moments,
    spec,
    holdersOf(rows, 'one', FEATURES, COVARIATES).map((cohort) => viewOf(cohort, frame)),
  );

  it('takes three rounds for all fits together', () => expect(split.rounds).toBe(3));

  it.each([
    [0, rows],
    [1, rows.filter((row) => row.site !== 'cedar')],
    [2, rows.filter((row) => row.cell !== 1)],
  ] as const)('mean, sd (1/n) and counts of fit %i equal two passes over the pooled rows', (index, own) => {
    for (const run of [split, together]) {
      const fit = run.result.fits[fits[index]!.id]!;
      expect(fit.n).toBe(own.length);
      for (const at of [0, 1, 2, 5, 6]) {
        const want = pooled(own, picks[at]!);
        expect(fit.observed![at]).toBe(want.n);
        // `offset` has mean / sd = 1e7, which costs seven of the sixteen digits whoever computes it.
        expect(Math.abs(fit.mean[at]! - want.mean) / want.sd).toBeLessThan(1e-8);
        expect(Math.abs(fit.sd[at]! - want.sd) / want.sd).toBeLessThan(1e-8);
        if (fits[index]!.inner === null) expect(Math.abs(fit.betweenSites![at]! - want.between)).toBeLessThan(1e-8);
      }
      expect(fit.sd[3]).toBe(0);
      // 43 times 0.1 is rounded before it is divided: one ulp.
      expect(Math.abs(fit.mean[3]! - 0.1)).toBeLessThan(2e-17);
      expect([fit.observed![4], fit.mean[4], fit.sd[4]]).toEqual([0, 0, 0]);
    }
  });

  it('site z-scores leave no variance between sites', () => {
    const fit = split.result.fits['zscore:all']!;
    for (const at of [0, 1, 2]) expect(fit.betweenSites![at]!).toBeLessThan(1e-14);
    expect(split.result.fits['none:all']!.betweenSites![0]!).toBeGreaterThan(0.2);
  });

  it('holders agree: one per site and one of all', () => {
    for (const fit of fits) {
      const [a, b] = [split.result.fits[fit.id]!, together.result.fits[fit.id]!];
      a.sd.forEach((sd, at) => {
        expect(Math.abs(sd - b.sd[at]!)).toBeLessThanOrEqual(1e-12 * sd);
        // Exact sums are rounded once by one holder and once per site otherwise: some ulps of the largest value.
        expect(Math.abs(a.mean[at]! - b.mean[at]!)).toBeLessThanOrEqual(1e-15 * Math.abs(b.mean[at]!) + 1e-15 * sd);
      });
    }
  });

  it("replacing a held-out site's rows leaves the bits of the fit without it", () => {
    const replaced = rows.map((row) =>
      row.site === 'cedar'
        ? { ...row, features: row.features.map((value) => value * -1e9 + 3), covariates: [1, 1e6] }
        : row,
    );
    for (const how of ['sites', 'one'] as const) {
      const views = holdersOf(replaced, how, FEATURES, COVARIATES).map((cohort) => viewOf(cohort, frame));
      const again = runInMemory(moments, spec, views).result;
      const before = (how === 'sites' ? split : together).result;
      expect(again.fits['none:without-cedar']).toEqual(before.fits['none:without-cedar']);
      expect(again.fits['none:all']).not.toEqual(before.fits['none:all']);
    }
  });

  it('no tensor of three or more sites is shown per site, and two sites are', () => {
    const two = frameOf(['a', 'b'], ['f']);
    const leaves = moments.declaration.leaves(
      { frame: two, fits: [fitOf('none', ['a', 'b'])] },
      { phase: 'exponents' },
    );
    expect(leaves.map((leaf) => leaf.visibility)).toEqual(['site', 'site']);
    for (const leaf of moments.declaration.leaves(spec, { phase: 'exponents' })) {
      expect(leaf.visibility).toBe('total');
      expect(leaf.contributors.length).toBeGreaterThanOrEqual(3);
    }
  });
});

describe('design matrix', () => {
  it('standardizes by the moments of its fit: 0 where missing or constant, features before covariates', () => {
    const rows = table(2);
    const [cohort] = holdersOf(rows, 'one', FEATURES, COVARIATES);
    const fit = fits[1]!;
    const { result } = runInMemory(moments, spec, [viewOf(cohort!, frame)]);
    const view = viewOf(cohort!, frame, new Map([['moments', result]]));
    const design = designOf(view, fit, true);
    expect(design.p).toBe(7);
    const own = cohort!.ids.map((id) => rows.find((row) => row.id === id)!);
    const trained = own.filter((row) => row.site !== 'cedar');
    expect([...design.rows]).toEqual(own.map((row) => (row.site === 'cedar' ? 0 : 1)));
    for (const at of [0, 1, 2, 5, 6]) {
      const { mean, sd } = pooled(trained, picks[at]!);
      own.forEach((row, index) => {
        const value = picks[at]!(row);
        const want = Number.isNaN(value) ? 0 : (value - mean) / sd;
        expect(Math.abs(design.z[index * 7 + at]! - want)).toBeLessThan(1e-7);
      });
    }
    own.forEach((_, index) => {
      expect([design.z[index * 7 + 3], design.z[index * 7 + 4]]).toEqual([0, 0]);
    });
    const narrow = designOf(view, fit, false);
    expect(narrow.p).toBe(5);
    own.forEach((_, index) => {
      expect([...narrow.z.subarray(index * 5, index * 5 + 5)]).toEqual([
        ...design.z.subarray(index * 7, index * 7 + 5),
      ]);
    });
    expect(designOf(view, fit, true)).toBe(design);
  });
});
