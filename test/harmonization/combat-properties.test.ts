import { describe, expect, it } from 'vitest';
import { varianceBetweenSites } from '../../harmonization/diagnostics.js';
import { combatEstimates, localHarmonization } from '../../harmonization/harmonized.site.js';
import type { CombatSpec, CovariateColumn } from '../../shared/computations/frame.js';
import { runInMemory } from '../../shared/computations/run-in-memory.js';
import { decodeDocument, encodeDocument } from '../../shared/document.js';
import { ConcordatError } from '../../shared/errors.js';
import { seededRandom } from '../../shared/rng.js';
import { twinCombat } from '../twins/combat.js';
import { cohortOf, combat, fitOf, frameOf, holdersOf, moments, type Row, viewOf } from './support.js';

const SITES = ['alder', 'birch', 'cedar', 'dogwood'];
const COVARIATES: CovariateColumn[] = [
  { name: 'age', levels: null },
  { name: 'etiology', levels: ['HBV', 'HCV', 'other'] },
];

interface Options {
  readonly p?: number;
  readonly gaps?: boolean;
  readonly scanners?: boolean;
}

/** Multi-site data with location and scale effects per batch, feature scales from 1e-12 to 1e12, case mix by site. */
function simulated(seed: number, { p = 6, gaps = false, scanners = false }: Options = {}): Row[] {
  const random = seededRandom('combat properties', seed);
  const scales = [1e-12, 1e12, 1, 1e-5, 1e8, 30, 1, 1];
  return SITES.flatMap((site, index) => {
    const size = 14 + random.integer(12);
    const effects = ['GE', 'Siemens'].map(() =>
      Array.from({ length: p }, () => ({ shift: random.normal(), spread: Math.exp(0.4 * random.normal()) })),
    );
    return Array.from({ length: size }, (_, at): Row => {
      const age = 50 + 5 * index + 8 * random.normal();
      const etiology = random.integer(3);
      const scanner = scanners && at % 2 === 1 ? 1 : 0;
      const features = Array.from({ length: p }, (_, j) => {
        if (gaps && random.uniform() < 0.12 && at > 5) return Number.NaN;
        const { shift, spread } = effects[scanner]![j]!;
        return scales[j]! * (10 + shift + 0.03 * age + 0.4 * (etiology === 1 ? 1 : 0) + spread * random.normal());
      });
      return {
        id: `${site}-${String(at).padStart(3, '0')}`,
        site,
        ...(scanners ? { batch: scanner === 1 ? 'Siemens' : 'GE' } : {}),
        features,
        covariates: [age, etiology],
        y: random.integer(2),
        cell: at % 3,
        calibration: at < 8,
      };
    });
  });
}

const names = (p: number) => Array.from({ length: p }, (_, j) => `f${String(j + 1).padStart(3, '0')}`);

function setUp(rows: readonly Row[], how: 'sites' | 'one', mod = true, fits = [fitOf('combat', SITES)]) {
  const features = names(rows[0]!.features.length);
  const frame = frameOf(SITES, features, COVARIATES, { cells: 3 });
  const spec: CombatSpec = { frame, fits, covariates: mod ? ['age', 'etiology'] : [], mode: 'converged' };
  const cohorts = holdersOf(rows, how, features, COVARIATES);
  const { result, rounds } = runInMemory(
    combat,
    spec,
    cohorts.map((cohort) => viewOf(cohort, frame)),
  );
  const results = new Map<string, unknown>([['combat', result]]);
  const harmonized = new Map<string, number[]>();
  for (const cohort of cohorts) {
    const values = viewOf(cohort, frame, results, spec).harmonized(fits[0]!);
    cohort.ids.forEach((id, row) => {
      harmonized.set(id, [...values.subarray(row * features.length, (row + 1) * features.length)]);
    });
  }
  return { frame, spec, fits, cohorts, result, results, rounds, harmonized, features };
}

function sdsOf(rows: readonly Row[]): number[] {
  return rows[0]!.features.map((_, j) => {
    const values = rows.map((row) => row.features[j]!).filter((value) => !Number.isNaN(value));
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1));
  });
}

function worst(
  rows: readonly Row[],
  a: (row: Row, at: number) => readonly number[],
  b: (row: Row, at: number) => readonly number[],
) {
  const sds = sdsOf(rows);
  let most = 0;
  rows.forEach((row, at) => {
    const [left, right] = [a(row, at), b(row, at)];
    left.forEach((value, j) => {
      expect(Number.isNaN(value)).toBe(Number.isNaN(right[j]!));
      if (!Number.isNaN(value)) most = Math.max(most, Math.abs(value - right[j]!) / sds[j]!);
    });
  });
  return most;
}

const design = (row: Row) => [row.covariates![0]!, row.covariates![1] === 1 ? 1 : 0, row.covariates![1] === 2 ? 1 : 0];

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

describe('held-out sites', () => {
  const rows = simulated(20);
  const fit = fitOf('combat', SITES, ['cedar']);
  const zscore = fitOf('zscore', SITES, ['cedar']);
  const done = setUp(rows, 'one', true, [fit]);
  const cohort = done.cohorts[0]!;
  const at = (how: 'calibration' | 'none' | 'transductive', which = fit, given = cohort) =>
    viewOf(given, done.frame, done.results, done.spec, how).harmonized(which);
  const p = done.features.length;
  const cedar = cohort.ids.flatMap((id, row) => (id.startsWith('cedar') ? [row] : []));

  it('mode none leaves their values raw, whatever the arm', () => {
    for (const which of [fit, zscore])
      for (const row of cedar)
        expect(at('none', which).subarray(row * p, (row + 1) * p)).toEqual(
          cohort.features.subarray(row * p, (row + 1) * p),
        );
  });

  it('mode calibration uses the calibration cases and no others', () => {
    const scoredChanged = rows.map((row) =>
      row.site === 'cedar' && row.calibration !== true && row.id !== 'cedar-010'
        ? { ...row, features: row.features.map((value) => value * 7) }
        : row,
    );
    const other = cohortOf('all', scoredChanged, done.features, COVARIATES);
    const row = cohort.ids.indexOf('cedar-010');
    for (const which of [fit, zscore]) {
      const cells = (values: Float64Array) => values.subarray(row * p, (row + 1) * p);
      expect(cells(at('calibration', which, other))).toEqual(cells(at('calibration', which)));
      expect(cells(at('transductive', which, other))).not.toEqual(cells(at('transductive', which)));
      expect(cells(at('calibration', which))).not.toEqual(cells(at('none', which)));
    }
  });

  it('training rows are the same whatever is done to held-out sites', () => {
    for (const which of [fit, zscore])
      for (const how of ['none', 'transductive'] as const)
        cohort.ids.forEach((id, row) => {
          if (!id.startsWith('cedar')) expect(at(how, which)[row * p]).toBe(at('calibration', which)[row * p]);
        });
  });

  it('the scoring file reproduces every harmonized value from raw values and the public fit', () => {
    const estimatesInput = {
      cohort,
      results: done.results,
      frame: done.frame,
      combatSpec: done.spec,
      heldOut: 'calibration' as const,
      memo: new Map(),
    };
    for (const which of [fit, zscore]) {
      const isCombat = which.arm === 'combat';
      const { grandMean, pooledVariance, coefficients, columns } = done.result.fits[fit.id]!;
      const harmonized = at('calibration', which);
      for (const site of SITES) {
        const local = JSON.parse(JSON.stringify(localHarmonization(estimatesInput, which, site))) as ReturnType<
          typeof localHarmonization
        >;
        expect(local.inputs).toEqual([...done.features, 'age', 'etiology']);
        expect(local.gamma).toHaveLength(p + 2);
        expect([local.gamma.slice(p), local.delta.slice(p)]).toEqual([
          [0, 0],
          [1, 1],
        ]);
        expect(local.estimatedFrom).toBe(site === 'cedar' ? 'calibration' : 'training');
        cohort.ids.forEach((id, row) => {
          if (!id.startsWith(site)) return;
          const x = design(rows.find((entry) => entry.id === id)!);
          for (let j = 0; j < p; j++) {
            const level = isCombat
              ? grandMean[j]! + columns.reduce((sum, _, k) => sum + x[k]! * coefficients[k * p + j]!, 0)
              : 0;
            const sd = isCombat ? Math.sqrt(pooledVariance[j]!) : 1;
            const h =
              (((cohort.features[row * p + j]! - level) / sd - local.gamma[j]!) / Math.sqrt(local.delta[j]!)) * sd +
              level;
            expect(Math.abs(h - harmonized[row * p + j]!)).toBeLessThanOrEqual(1e-12 * (Math.abs(h) + sd));
          }
        });
      }
    }
  });

  it('too small or constant calibration subsets leave values as they are instead of failing', () => {
    const single = rows.map((row) => (row.site === 'cedar' ? { ...row, calibration: row.id === 'cedar-000' } : row));
    const other = cohortOf('all', single, done.features, COVARIATES);
    for (const row of cedar)
      expect(at('calibration', fit, other).subarray(row * p, (row + 1) * p)).toEqual(
        cohort.features.subarray(row * p, (row + 1) * p),
      );
    const input = {
      cohort: other,
      results: done.results,
      frame: done.frame,
      combatSpec: done.spec,
      heldOut: 'calibration' as const,
      memo: new Map(),
    };
    const estimate = combatEstimates(input, fit).find((entry) => entry.batch === 'cedar')!;
    expect([...estimate.gammaStar]).toEqual([0, 0, 0, 0, 0, 0]);
    expect([...estimate.deltaStar]).toEqual([1, 1, 1, 1, 1, 1]);
  });
});

describe('variance between sites', () => {
  it('falls from before to after harmonization, equal to eta squared of the pooled table', () => {
    const rows = simulated(30, { p: 8 });
    const fit = fitOf('combat', SITES);
    const done = setUp(rows, 'sites', true, [fit]);
    const fits = [fitOf('none', SITES), fit];
    const views = done.cohorts.map((cohort) => viewOf(cohort, done.frame, done.results, done.spec));
    const { result } = runInMemory(moments, { frame: done.frame, fits }, views);
    const before = varianceBetweenSites(result, done.frame, 'none:all');
    const after = varianceBetweenSites(result, done.frame, 'combat:all');
    expect(after.median).toBeLessThan(before.median / 2);
    // Eta squared by its definition: weighted squares of site means about the grand mean, over all squares.
    rows[0]!.features.forEach((_, j) => {
      const values = rows.map((row) => row.features[j]!);
      const mean = values.reduce((a, b) => a + b, 0) / values.length;
      const total = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
      const between = SITES.reduce((sum, site) => {
        const own = rows.filter((row) => row.site === site).map((row) => row.features[j]!);
        return sum + own.length * (own.reduce((a, b) => a + b, 0) / own.length - mean) ** 2;
      }, 0);
      expect(Math.abs(before.shares[j]! - between / total)).toBeLessThan(1e-12);
    });
    const sorted = [...before.shares].sort((a, b) => a - b);
    expect(before.median).toBe((sorted[3]! + sorted[4]!) / 2);
  });
});
