import { describe, expect, it } from 'vitest';
import { varianceBetweenSites } from '../../harmonization/diagnostics.js';
import { combatEstimates, localHarmonization } from '../../harmonization/harmonized.site.js';
import { runInMemory } from '../../shared/computations/run-in-memory.js';
import { COVARIATES, design, SITES, setUp, simulated } from './combat-simulated.js';
import { cohortOf, fitOf, moments, viewOf } from './support.js';

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
