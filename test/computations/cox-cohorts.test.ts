import { describe, expect, it } from 'vitest';
import { coxCoordinator } from '../../shared/computations/cox/advance.coordinator.js';
import { coxSite } from '../../shared/computations/cox/contribute.site.js';
import { coxDeclaration } from '../../shared/computations/cox/declaration.js';
import type { CoxSpec, ModelSummary } from '../../shared/computations/frame.js';
import { runInMemory } from '../../shared/computations/run-in-memory.js';
import { expectClose, readJson, readRows, referenceFolder } from '../support/reference.js';
import { fitsOfTable, frameOfTable, preparedViews, type TestTable } from '../support/views.js';

const cox = { declaration: coxDeclaration, site: coxSite, coordinator: coxCoordinator };

function fitted(table: TestTable, options: Partial<CoxSpec>, holderOf?: (row: number) => string): ModelSummary {
  const frame = frameOfTable(table);
  const fits = fitsOfTable(frame);
  const { views, results } = preparedViews(table, frame, fits, holderOf);
  const spec: CoxSpec = {
    frame,
    fits,
    model: 'cox',
    covariates: true,
    alpha: 0,
    lambda: 0,
    rule: '1se',
    nlambda: 30,
    lambdaMinRatio: 0.02,
    standardize: true,
    ties: 'efron',
    strata: 'stratified',
    penaltyScale: 'mean',
    ...options,
  };
  return runInMemory(cox, spec, views, results).result.summaries['none:all']!;
}

const brca = referenceFolder('CONCORDAT_DATA', 'fed_tcga_brca');
describe.skipIf(brca === null)('Fed-TCGA-BRCA, train split, against coxph of survival 3.5-3', () => {
  const rows = brca === null ? [] : readRows(brca, 'fed_tcga_brca.csv').filter((row) => row['split'] === 'train');
  const reference = brca === null ? [] : readRows(brca, 'reference_cox_exact_coefs.csv');
  const features = reference.map((row) => row['']!);
  const table: TestTable = {
    site: rows.map((row) => row['center']!),
    features,
    x: rows.map((row) => features.map((name) => Number(row[name]))),
    time: rows.map((row) => Number(row['time_days'])),
    event: rows.map((row) => Number(row['event'])),
  };
  /** R's scale(): divisor n - 1. */
  const sd = features.map((_, j) => {
    const column = table.x.map((row) => row[j]!);
    const mean = column.reduce((sum, value) => sum + value, 0) / column.length;
    return Math.sqrt(column.reduce((sum, value) => sum + (value - mean) * (value - mean), 0) / (column.length - 1));
  });

  for (const theta of [1, 5])
    for (const kind of ['stratified_ridge', 'ridge'])
      it(`${kind} theta ${theta}, Efron, z-scored columns`, () => {
        const column = `${kind}_theta${theta}_efron_zscored`;
        const want = reference.map((row) => Number(row[column]));
        const pooled = kind === 'ridge';
        const options = { lambda: theta, penaltyScale: 'sum', strata: pooled ? 'none' : 'stratified' } as const;
        const summary = fitted(table, options, pooled ? () => 'all' : undefined);
        const got = summary.coefficients.map(({ value }, j) => value * sd[j]!);
        expect(summary.converged).toBe(true);
        expectClose(got, want, { abs: 1e-6, rel: 0, source: column });
      });

  for (const ties of ['efron', 'breslow'] as const)
    it(`unpenalised, ${ties}, one holder: identified finite coefficients, aliased and infinite ones named`, () => {
      const summary = fitted(table, { ties, strata: 'none' }, () => 'all');
      const want = reference.map((row) => Number(row[`unpenalised_${ties}`]));
      const named = (status: string) =>
        summary.coefficients.filter((entry) => entry.status === status).map(({ feature }) => feature);
      // R reports the aliased ones as NA (0 in the file) and, where the likelihood is monotone, iterates of 11 to 14.
      expect(named('aliased')).toEqual(features.filter((_, j) => want[j] === 0));
      expect(named('aliased')).toHaveLength(7);
      expect(named('infinite')).toEqual(features.filter((_, j) => Math.abs(want[j]!) > 10));
      for (const [j, entry] of summary.coefficients.entries()) {
        if (entry.status === 'infinite') expect(entry.value).toBe(Math.sign(want[j]!) * Infinity);
        if (entry.status !== 'ok') expect(entry.se).toBeNull();
      }
      const finite = [...features.keys()].filter((j) => summary.coefficients[j]!.status === 'ok');
      expect(finite).toHaveLength(26);
      const got = finite.map((j) => summary.coefficients[j]!.value);
      const source = `unpenalised ${ties}`;
      expectClose(
        got,
        finite.map((j) => want[j]!),
        { abs: 1e-6, rel: 0, source },
      );
      expect(summary.converged).toBe(false);
      for (const feature of [...named('aliased'), ...named('infinite')])
        expect(summary.notes.join()).toContain(feature);
    });
});

interface LihcFit {
  readonly n: number;
  readonly events: number;
  readonly coef: Record<string, number>;
  readonly se: Record<string, number>;
  readonly loglik_null: number;
  readonly loglik: number;
}

const lihc = referenceFolder('CONCORDAT_DATA', 'tcga_lihc_cdr');
describe.skipIf(lihc === null)('TCGA-LIHC (real HCC, six sites) against coxph of survival 3.5-3', () => {
  const reference =
    lihc === null ? {} : (readJson(lihc, 'reference_cox.json') as { results: Record<string, LihcFit> }).results;
  const rows = lihc === null ? [] : readRows(lihc, 'tcga_lihc_cdr.csv');
  // Coding as the reference states it: complete cases with time > 0, substages collapsed, male = 1.
  const tableOf = (endpoint: string): TestTable => {
    const stages = ['Stage I', 'Stage II', 'Stage III', 'Stage IV'];
    const stageOf = (row: Record<string, string>) => stages.indexOf(row['stage']!.replace(/[ABC]$/, '')) + 1;
    const used = rows.filter(
      (row) =>
        row['age'] !== '' &&
        row['gender'] !== '' &&
        stageOf(row) > 0 &&
        row[endpoint] !== '' &&
        Number(row[`${endpoint}_days`]) > 0,
    );
    return {
      site: used.map((row) => row['fed_site']!),
      features: ['age', 'male', 'stage_num'],
      x: used.map((row) => [Number(row['age']), row['gender'] === 'MALE' ? 1 : 0, stageOf(row)]),
      time: used.map((row) => Number(row[`${endpoint}_days`])),
      event: used.map((row) => Number(row[endpoint])),
    };
  };

  for (const endpoint of ['OS', 'PFI'])
    for (const kind of ['pooled', 'stratified_by_fed_site'])
      for (const ties of ['efron', 'breslow'] as const)
        it(`${endpoint}, ${kind}, ${ties}`, () => {
          const source = `${endpoint}|${kind}|${ties}`;
          const want = reference[source]!;
          const table = tableOf(endpoint);
          expect([table.site.length, table.event!.reduce((sum, e) => sum + e, 0)]).toEqual([want.n, want.events]);
          const pooled = kind === 'pooled';
          const summary = fitted(
            table,
            { ties, strata: pooled ? 'none' : 'stratified' },
            pooled ? () => 'all' : undefined,
          );
          // The reference is printed with 11 significant digits.
          const tolerance = { abs: 1e-12, rel: 2e-10, source };
          expectClose(
            summary.coefficients.map(({ value }) => value),
            Object.values(want.coef),
            tolerance,
          );
          expectClose(
            summary.coefficients.map(({ se }) => se!),
            Object.values(want.se),
            tolerance,
          );
          expectClose([summary.nullLogLikelihood!, summary.logLikelihood!], [want.loglik_null, want.loglik], tolerance);
        });
});
