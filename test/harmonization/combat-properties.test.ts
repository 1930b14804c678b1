import { describe, expect, it } from 'vitest';
import type { CombatSpec, CovariateColumn } from '../../shared/computations/frame.js';
import { runInMemory } from '../../shared/computations/run-in-memory.js';
import { decodeDocument, encodeDocument } from '../../shared/document.js';
import { ConcordatError } from '../../shared/errors.js';
import { seededRandom } from '../../shared/rng.js';
import { twinCombat } from '../twins/combat.js';
import { COVARIATES, design, names, type Options, SITES, setUp, simulated, worst } from './combat-simulated.js';
import { combat, fitOf, frameOf, holdersOf, type Row, viewOf } from './support.js';

describe('ComBat against its slow twin', () => {
  const settings: [string, Options, boolean][] = [
    ['complete, covariates', {}, true],
    ['complete, no covariates', {}, false],
    ['gaps, covariates', { gaps: true }, true],
    ['two scanners per site', { scanners: true }, true],
    ['two scanners per site, gaps', { scanners: true, gaps: true }, true],
  ];
  for (const how of ['sites', 'one'] as const)
    it.each(settings.flatMap((setting) => [1, 2, 3].map((seed) => [...setting, seed] as const)))(
      `%s (${how}, seed %#)`,
      (_, options, mod, seed) => {
        const rows = simulated(seed, options);
        const done = setUp(rows, how, mod);
        const twin = twinCombat({
          batch: rows.map((row) => `${row.site}/${row.batch ?? ''}`),
          y: rows.map((row) => row.features),
          x: rows.map((row) => (mod ? design(row) : [])),
        });
        // The twin solves by SVD with uncentred columns; feature SD is about a tenth of the mean. 1e-9 as the references.
        expect(
          worst(
            rows,
            (row) => done.harmonized.get(row.id)!,
            (_row, at) => twin.harmonized[at]!,
          ),
        ).toBeLessThan(1e-9);
      },
    );
});

describe('ComBat: properties', () => {
  it('splitting sites over holders changes nothing but the last bits', () => {
    for (const seed of [4, 5]) {
      const rows = simulated(seed, { gaps: true });
      const [split, one] = [setUp(rows, 'sites'), setUp(rows, 'one')];
      const difference = worst(
        rows,
        (row) => split.harmonized.get(row.id)!,
        (row) => one.harmonized.get(row.id)!,
      );
      // (sites + 1) * 2^-80 after scaling to [1/16, 1), and rounding of sums taken in another order.
      expect(difference).toBeLessThan(1e-12);
    }
  });

  it('the order of the table does not reach a bit', () => {
    const rows = simulated(6, { gaps: true });
    const shuffled = [...rows];
    const order = Int32Array.from(rows.keys());
    seededRandom('shuffle', 1).shuffle(order);
    order.forEach((from, to) => {
      shuffled[to] = rows[from]!;
    });
    expect(setUp(shuffled, 'one').result).toEqual(setUp(rows, 'one').result);
    expect(setUp(shuffled, 'sites').result).toEqual(setUp(rows, 'sites').result);
  });

  it('result and broadcasts survive the canonical document form', () => {
    const { result } = setUp(simulated(7), 'sites');
    expect(decodeDocument(encodeDocument(result))).toEqual(result);
  });

  it("replacing every row of a held-out site leaves that fit's bits, at its sites too, unchanged", () => {
    const rows = simulated(8, { gaps: true });
    const fits = [fitOf('combat', SITES, ['cedar']), fitOf('combat', SITES), fitOf('combat', SITES, [], 2)];
    const replaced = rows.map((row) =>
      row.site === 'cedar' ? { ...row, features: row.features.map((value) => -1e6 * value), covariates: [90, 2] } : row,
    );
    for (const how of ['sites', 'one'] as const) {
      const [before, after] = [setUp(rows, how, true, fits), setUp(replaced, how, true, fits)];
      expect(after.result.fits[fits[0]!.id]).toEqual(before.result.fits[fits[0]!.id]);
      expect(after.result.fits[fits[1]!.id]).not.toEqual(before.result.fits[fits[1]!.id]);
      for (const row of rows)
        if (row.site !== 'cedar') expect(after.harmonized.get(row.id)).toEqual(before.harmonized.get(row.id));
    }
  });

  it('an inner fold leaves out its patients only: equal to a study without them', () => {
    const rows = simulated(9);
    const inner = fitOf('combat', SITES, [], 1);
    const left = setUp(rows, 'one', true, [inner]).result.fits[inner.id]!;
    const right = setUp(
      rows.filter((row) => row.cell !== 1),
      'one',
    ).result.fits['combat:all']!;
    expect(left.coefficients).toEqual(right.coefficients);
    expect(left.grandMean).toEqual(right.grandMean);
    expect(left.pooledVariance).toEqual(right.pooledVariance);
  });

  it('all fits advance in the same rounds, three with covariates and two without', () => {
    const rows = simulated(10);
    const fits = [
      fitOf('combat', SITES),
      ...SITES.map((site) => fitOf('combat', SITES, [site])),
      fitOf('combat', SITES, [], 0),
    ];
    expect(setUp(rows, 'sites', true, fits).rounds).toBe(3);
    expect(setUp(rows, 'sites', false, fits).rounds).toBe(2);
  });

  it('no tensor, and no cell of one, is filled by one site alone', () => {
    const rows = simulated(11, { scanners: true, gaps: true });
    const features = names(6);
    const frame = frameOf(SITES, features, COVARIATES, { cells: 3 });
    const fit = fitOf('combat', SITES);
    const spec: CombatSpec = { frame, fits: [fit], covariates: ['age', 'etiology'], mode: 'converged' };
    const filled = new Map<string, number[]>();
    const counting = {
      ...combat,
      site: {
        name: 'combat',
        contribute: (...args: Parameters<typeof combat.site.contribute>) => {
          const contribution = combat.site.contribute(...args);
          for (const [name, values] of contribution) {
            // Marks of exponents are alternatives: a cell counts as fillable by all.
            if (name.endsWith('exponents')) continue;
            const cells = filled.get(name) ?? Array.from(values, () => 0);
            values.forEach((value, at) => {
              if (value !== 0) cells[at]!++;
            });
            filled.set(name, cells);
          }
          return contribution;
        },
      },
    };
    runInMemory(
      counting,
      spec,
      holdersOf(rows, 'sites', features, COVARIATES).map((cohort) => viewOf(cohort, frame)),
    );
    expect([...filled.keys()].map((name) => name.slice(fit.id.length + 1)).sort()).toEqual([
      'counts',
      'covariates',
      'cross',
      'gram',
      'gram-gappy',
      'level',
      'residual',
    ]);
    for (const [name, cells] of filled)
      for (const count of cells)
        expect(count === 0 || count >= frame.minSites, `${name} has a cell of one site`).toBe(true);
    for (const leaf of combat.declaration.leaves(spec, { phase: 'scales' })) {
      expect(leaf.visibility).toBe('total');
      expect(leaf.contributors.map((contributor) => contributor.site)).toEqual(SITES);
    }
  });

  it('two sites cannot hide in a sum, and the declaration says so', () => {
    const frame = frameOf(['alder', 'birch'], names(2));
    const spec: CombatSpec = { frame, fits: [fitOf('combat', ['alder', 'birch'])], covariates: [], mode: 'converged' };
    for (const leaf of combat.declaration.leaves(spec, { phase: 'scales' })) expect(leaf.visibility).toBe('site');
  });

  it('a missing covariate value stands at the mean of the fit, one round more', () => {
    const rows = simulated(12).map((row, at) =>
      at % 9 === 0 ? { ...row, covariates: [Number.NaN, row.covariates![1]!] } : row,
    );
    const done = setUp(rows, 'sites');
    expect(done.rounds).toBe(4);
    const ages = rows.map((row) => row.covariates![0]!).filter((age) => !Number.isNaN(age));
    const mean = ages.reduce((a, b) => a + b, 0) / ages.length;
    const filled = rows.map((row) =>
      Number.isNaN(row.covariates![0]!) ? { ...row, covariates: [mean, row.covariates![1]!] } : row,
    );
    expect(
      worst(
        rows,
        (row) => done.harmonized.get(row.id)!,
        (row) => setUp2(filled).get(row.id)!,
      ),
    ).toBeLessThan(1e-10);
  });

  it('a level that occurs nowhere in a fit has no effect and is no error', () => {
    const rows = simulated(13).map((row) => ({
      ...row,
      covariates: [row.covariates![0]!, row.covariates![1] === 2 ? 0 : row.covariates![1]!],
    }));
    const { result } = setUp(rows, 'sites');
    const fit = result.fits['combat:all']!;
    expect(fit.columns).toEqual(['age', 'etiologyHCV', 'etiologyother']);
    expect([...fit.coefficients.subarray(12, 18)]).toEqual([0, 0, 0, 0, 0, 0]);
  });

  it('refuses a feature that a batch never measured, a batch of one case, and fewer than two features', () => {
    const raised = (rows: readonly Row[]) => {
      try {
        setUp(rows, 'sites');
      } catch (error) {
        if (error instanceof ConcordatError)
          return { code: error.code, message: error.message, problems: error.problems.length };
        throw error;
      }
      return undefined;
    };
    const rows = simulated(15);
    const blank = (row: Row, which: number[]) =>
      row.features.map((value, j) => (which.includes(j) ? Number.NaN : value));
    const unmeasured = rows.map((row) => (row.site === 'birch' ? { ...row, features: blank(row, [1, 4]) } : row));
    expect(raised(unmeasured)).toEqual({
      code: 'COHORT_FEATURE_UNOBSERVED',
      message: 'feature "f002" has no value in batch "birch" of fit combat:all',
      problems: 2,
    });
    const single = rows.filter((row) => row.site !== 'dogwood' || row.id === 'dogwood-000');
    expect(raised(single)).toMatchObject({
      code: 'COHORT_BATCH_TOO_SMALL',
      message: 'ComBat fit combat:all: 1 of 4 batches has one training case, and a variance needs two',
    });
    const one = rows.map((row) => ({ ...row, features: row.features.slice(0, 1) }));
    expect(raised(one)?.code).toBe('COHORT_TOO_FEW_FEATURES');
    expect(raised(rows)).toBeUndefined();
  });

  it('a covariate that is another one in disguise is refused by name', () => {
    const rows = simulated(14);
    const features = names(6);
    const columns: CovariateColumn[] = [
      { name: 'age', levels: null },
      { name: 'months', levels: null },
    ];
    const frame = frameOf(SITES, features, columns);
    const spec: CombatSpec = {
      frame,
      fits: [fitOf('combat', SITES)],
      covariates: ['age', 'months'],
      mode: 'converged',
    };
    const views = holdersOf(
      rows.map((row) => ({ ...row, covariates: [row.covariates![0]!, 12 * row.covariates![0]! + 4] })),
      'sites',
      features,
      columns,
    ).map((cohort) => viewOf(cohort, frame));
    expect(() => runInMemory(combat, spec, views)).toThrow(ConcordatError);
    expect(() => runInMemory(combat, spec, views)).toThrow(/"months"/);
  });
});

const cache = new Map<readonly Row[], Map<string, number[]>>();
function setUp2(rows: readonly Row[]): Map<string, number[]> {
  const kept = cache.get(rows) ?? setUp(rows, 'sites').harmonized;
  cache.set(rows, kept);
  return kept;
}
