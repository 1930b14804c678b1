import { describe, expect, it } from 'vitest';
import { coxCoordinator } from '../../shared/computations/cox/advance.coordinator.js';
import { coxSite } from '../../shared/computations/cox/contribute.site.js';
import { coxDeclaration } from '../../shared/computations/cox/declaration.js';
import type { CoxSpec, Frame, ModelResult } from '../../shared/computations/frame.js';
import { runInMemory } from '../../shared/computations/run-in-memory.js';
import type { Fit } from '../../shared/fits.js';
import { expectClose, readJson, readRows, referenceFolder } from '../support/reference.js';
import { fitsOfTable, frameOfTable, preparedViews, type TestTable } from '../support/views.js';

const cox = { declaration: coxDeclaration, site: coxSite, coordinator: coxCoordinator };
const ONE_HOLDER = () => 'all';

function run(
  table: TestTable,
  options: Partial<CoxSpec> & { fits?: Fit[]; frame?: Frame } = {},
  holderOf?: (row: number) => string,
): { result: ModelResult; rounds: number } {
  const frame = options.frame ?? frameOfTable(table);
  const fits = options.fits ?? fitsOfTable(frame);
  const { views, results } = preparedViews(table, frame, fits, holderOf);
  const spec: CoxSpec = {
    model: 'cox',
    covariates: true,
    alpha: 1,
    lambda: 0,
    rule: '1se',
    nlambda: 30,
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
  return runInMemory(cox, spec, views, results);
}

interface Tolerance {
  readonly abs: number;
  readonly rel: number;
}

function tableOf(folder: string, count?: number): { table: TestTable; tolerance: Record<string, Tolerance> } {
  const info = readJson(folder, 'case.json') as {
    site: string;
    time: string;
    event: string;
    features: string[];
    foldid?: string;
    tolerance: Record<string, Tolerance>;
  };
  const rows = readRows(folder, 'input.csv');
  const features = info.features.slice(0, count);
  const table: TestTable = {
    site: rows.map((row) => row[info.site]!),
    features,
    x: rows.map((row) => features.map((name) => Number(row[name]))),
    time: rows.map((row) => Number(row[info.time])),
    event: rows.map((row) => Number(row[info.event])),
    ...(info.foldid === undefined ? {} : { cell: rows.map((row) => Number(row[info.foldid!]) - 1) }),
  };
  return { table, tolerance: info.tolerance };
}

interface CoxFit {
  readonly coef: Record<string, number>;
  readonly se: Record<string, number>;
  readonly vcov: number[][];
  readonly loglik_null: number;
  readonly loglik: number;
}

function compareFit(result: ModelResult, golden: CoxFit, tolerance: Record<string, Tolerance>, source: string): void {
  const summary = result.summaries['none:all']!;
  expect(summary.converged, source).toBe(true);
  const values = summary.coefficients.map(({ value }) => value);
  expectClose(values, Object.values(golden.coef), { ...tolerance['coefficient']!, source: `${source} coefficients` });
  const errors = summary.coefficients.map(({ se }) => se!);
  expectClose(errors, Object.values(golden.se), { ...tolerance['standardError']!, source: `${source} SE` });
  const fitted = [summary.nullLogLikelihood!, summary.logLikelihood!];
  expectClose(fitted, [golden.loglik_null, golden.loglik], { ...tolerance['logLikelihood']!, source });
}

const survival = referenceFolder('CONCORDAT_REFERENCE', 'stats/survival');
describe.skipIf(survival === null)('Cox regression against coxph of survival 3.5-3', () => {
  for (const name of ['lung_inst', 'veteran', 'synth_ties'])
    for (const ties of ['efron', 'breslow'] as const)
      it(`${name}, ${ties}: stratified by site, and pooled with one holder`, () => {
        const { table, tolerance } = tableOf(`${survival}/${name}`);
        const golden = readJson(survival!, name, 'golden.json') as Record<
          'efron' | 'breslow',
          { pooled: CoxFit; stratified_by_site: CoxFit }
        >;
        const stratified = golden[ties].stratified_by_site;
        compareFit(run(table, { ties }).result, stratified, tolerance, `${name} ${ties} sites`);
        compareFit(run(table, { ties }, ONE_HOLDER).result, stratified, tolerance, `${name} ${ties} one holder`);
        const pooled = run(table, { ties, strata: 'none' }, ONE_HOLDER).result;
        compareFit(pooled, golden[ties].pooled, tolerance, `${name} ${ties} pooled`);
        expect(pooled.disclosive).toBe(true);
      });

  it('the gridded baseline lies near basehaz(centered = FALSE), by what the grid costs', () => {
    const { table } = tableOf(`${survival}/lung_inst`);
    const golden = readJson(survival!, 'lung_inst', 'golden.json') as Record<
      'breslow',
      { baseline_hazard_uncentered: { time: number[]; cumhaz: number[] } }
    >;
    const { time, cumhaz } = golden.breslow.baseline_hazard_uncentered;
    const frame: Frame = { ...frameOfTable(table), endpoint: { type: 'survival', unit: 'days', horizon: 730 } };
    const summary = run(table, { ties: 'breslow', strata: 'none', frame }, ONE_HOLDER).result.summaries['none:all']!;
    const shift = summary.coefficients.reduce((sum, { value }, j) => {
      const mean = table.x.reduce((total, row) => total + row[j]!, 0) / table.x.length;
      return sum + value * mean;
    }, 0);
    for (const [g, end] of summary.baseline!.times.entries()) {
      const want = cumhaz[time.filter((t) => t <= end).length - 1] ?? 0;
      // 20 intervals of 36 days: hazard and censoring vary little inside one.
      expect(Math.abs(summary.baseline!.cumulativeHazard[g]! * Math.exp(-shift) - want)).toBeLessThan(0.02 * want);
    }
  });

  it('unstratified risk sets are refused to a holder of only some sites', () => {
    const { table } = tableOf(`${survival}/veteran`);
    expect(() => run(table, { strata: 'none' })).toThrow(expect.objectContaining({ code: 'POLICY_RISK_SETS_POOLED' }));
  });
});

interface NetRun {
  readonly alpha: number;
  readonly lambda: number[];
  readonly beta_lambda_by_feature: number[][];
  readonly 'dev.ratio': number[];
  readonly nulldev: number;
  readonly cv: { cvm: number[]; cvsd: number[]; 'lambda.min': number; 'lambda.1se': number };
}

interface EfronRun {
  readonly lambda_max: number;
  readonly lambda: number[];
  readonly beta_lambda_by_feature: number[][];
  readonly loglik: number[];
}

const glmnet = referenceFolder('CONCORDAT_REFERENCE', 'stats/glmnet');
describe.skipIf(glmnet === null)('elastic-net Cox', () => {
  for (const name of ['veteran_cox', 'synth_cox']) {
    it(`${name}: unstratified Breslow paths and cross-validation against glmnet 4.1-6`, () => {
      const { table, tolerance } = tableOf(`${glmnet}/${name}`);
      const { runs } = readJson(glmnet!, name, 'golden.json') as { runs: Record<string, NetRun> };
      for (const [key, golden] of Object.entries(runs)) {
        const frame = frameOfTable(table);
        const fits = fitsOfTable(frame, { inner: true });
        const { result, rounds } = run(
          table,
          { alpha: golden.alpha, lambda: 'cv', ties: 'breslow', strata: 'none', frame, fits },
          ONE_HOLDER,
        );
        const path = result.paths!['none:all']!;
        const cv = result.summaries['none:all']!.cv!;
        const source = `${name} ${key}`;
        process.stderr.write(`${source}: ${rounds} rounds, kkt ${Math.max(...path.kkt)}\n`);
        expectClose(path.lambda, golden.lambda, { ...tolerance['lambda']!, source: `${source} lambda` });
        const want = golden.beta_lambda_by_feature.flat();
        expectClose(path.beta, want, { ...tolerance['coefficient']!, source: `${source} beta` });
        expectClose([path.nullDeviance], [golden.nulldev], { abs: 0, rel: 1e-10, source: `${source} nulldev` });
        expectClose(path.devRatio, golden['dev.ratio'], { abs: 1e-8, rel: 0, source: `${source} dev.ratio` });
        expect(Math.max(...path.kkt)).toBeLessThan(1e-10);
        // cv.glmnet ran with thresh 1e-16, not 1e-20 as the path did. Towards the small lambdas of synth_cox, where the
        // held-out deviance has tripled, its inner fits stop short: ours move by less than 1e-9 when the optimality
        // tolerance goes from 1e-10 to 1e-14, the reference is up to 6e-6 (3e-7 relative) away from both.
        const cvm = name === 'synth_cox' ? { abs: 1e-7, rel: 4e-7 } : tolerance['cvm']!;
        expectClose(cv.mean, golden.cv.cvm, { ...cvm, source: `${source} cvm` });
        expectClose(cv.se, golden.cv.cvsd, {
          ...cvm,
          rel: name === 'synth_cox' ? 4e-6 : cvm.rel,
          source: `${source} cvsd`,
        });
        expect(path.lambda[cv.indexMin]).toBeCloseTo(golden.cv['lambda.min'], 9);
        expect(path.lambda[cv.index1se]).toBeCloseTo(golden.cv['lambda.1se'], 9);
      }
    });

    it(`${name}: single lambdas, both ties, plain and stratified, against a proximal Newton on coxph derivatives`, () => {
      const golden = readJson(glmnet!, name, 'efron_and_stratified_golden.json') as {
        runs: Record<string, EfronRun>;
        features: string[];
      };
      const { table, tolerance } = tableOf(`${glmnet}/${name}`, golden.features.length);
      expect(table.features).toEqual(golden.features);
      for (const [key, wanted] of Object.entries(golden.runs)) {
        const ties = key.startsWith('efron') ? 'efron' : 'breslow';
        const strata = key.includes('_strata') ? 'stratified' : 'none';
        const alpha = Number(/alpha([\d.]+)$/.exec(key)![1]);
        const holderOf = strata === 'none' ? ONE_HOLDER : undefined;
        for (const [k, lambda] of wanted.lambda.entries()) {
          const { result } = run(table, { ties, strata, alpha, lambda }, holderOf);
          const summary = result.summaries['none:all']!;
          const source = `${name} ${key} lambda ${lambda}`;
          expect(summary.converged, source).toBe(true);
          const values = summary.coefficients.map(({ value }) => value);
          expectClose(values, wanted.beta_lambda_by_feature[k]!, { ...tolerance['coefficient']!, source });
          expectClose([summary.logLikelihood!], [wanted.loglik[k]!], { abs: 1e-6, rel: 0, source });
        }
      }
    });
  }
});
