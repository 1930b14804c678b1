import { describe, expect, it } from 'vitest';
import type { LogisticSpec, ModelResult } from '../../shared/computations/frame.js';
import { logisticCoordinator } from '../../shared/computations/logistic/advance.coordinator.js';
import { logisticSite } from '../../shared/computations/logistic/contribute.site.js';
import { logisticDeclaration } from '../../shared/computations/logistic/declaration.js';
import { runInMemory } from '../../shared/computations/run-in-memory.js';
import type { Fit } from '../../shared/fits.js';
import { expectClose, readJson, readRows, referenceFolder } from '../support/reference.js';
import { fitsOfTable, frameOfTable, preparedViews, type TestTable } from '../support/views.js';

const logistic = { declaration: logisticDeclaration, site: logisticSite, coordinator: logisticCoordinator };

function run(
  table: TestTable,
  options: Partial<LogisticSpec> & { fits?: Fit[] } = {},
  holderOf?: (row: number) => string,
): { result: ModelResult; rounds: number } {
  const frame = frameOfTable(table);
  const fits = options.fits ?? fitsOfTable(frame);
  const { views, results } = preparedViews(table, frame, fits, holderOf);
  const spec: LogisticSpec = {
    frame,
    model: 'logistic',
    covariates: true,
    alpha: 1,
    lambda: 0,
    rule: '1se',
    nlambda: 30,
    lambdaMinRatio: 0.02,
    standardize: true,
    keepPath: true,
    ...options,
    fits,
  };
  return runInMemory(logistic, spec, views, results);
}

interface Tolerance {
  readonly abs: number;
  readonly rel: number;
}

function tableOf(folder: string): { table: TestTable; tolerance: Record<string, Tolerance> } {
  const info = readJson(folder, 'case.json') as {
    site: string;
    response: string;
    features: string[];
    foldid?: string;
    tolerance: Record<string, Tolerance>;
  };
  const rows = readRows(folder, 'input.csv');
  const table: TestTable = {
    site: rows.map((row) => row[info.site]!),
    features: info.features,
    x: rows.map((row) => info.features.map((name) => Number(row[name]))),
    y: rows.map((row) => Number(row[info.response])),
    ...(info.foldid === undefined ? {} : { cell: rows.map((row) => Number(row[info.foldid!]) - 1) }),
  };
  return { table, tolerance: info.tolerance };
}

interface GlmGolden {
  readonly coef: Record<string, number>;
  readonly se: Record<string, number>;
  readonly vcov: number[][];
  readonly deviance: number;
  readonly null_deviance: number;
  readonly ridge_sumscale: Record<string, number[]>;
}

const glm = referenceFolder('CONCORDAT_REFERENCE', 'stats/glm');
describe.skipIf(glm === null)('logistic regression against glm of R 4.2.2', () => {
  for (const name of ['birthwt', 'pima_tr', 'synth_multisite'])
    for (const holder of ['sites', 'one holder'])
      it(`${name}, ${holder}: coefficients, standard errors, covariance, deviances`, () => {
        const { table, tolerance } = tableOf(`${glm}/${name}`);
        const golden = readJson(glm!, name, 'golden.json') as GlmGolden;
        const { result, rounds } = run(table, {}, holder === 'sites' ? undefined : () => 'all');
        const summary = result.summaries['none:all']!;
        expect(summary.converged).toBe(true);
        expect(rounds).toBeLessThan(12);
        const source = `glm ${name}`;
        const values = [summary.intercept!, ...summary.coefficients.map(({ value }) => value)];
        expectClose(values, Object.values(golden.coef), {
          ...tolerance['coefficient']!,
          source: `${source} coefficients`,
        });
        const errors = [summary.interceptSe!, ...summary.coefficients.map(({ se }) => se!)];
        expectClose(errors, Object.values(golden.se), { ...tolerance['standardError']!, source: `${source} SE` });
        expectClose(summary.covariance!, golden.vcov.flat(), { abs: 1e-12, rel: 1e-7, source: `${source} vcov` });
        const deviances = [-2 * summary.logLikelihood!, -2 * summary.nullLogLikelihood!];
        expectClose(deviances, [golden.deviance, golden.null_deviance], { ...tolerance['deviance']!, source });
      });

  for (const name of ['birthwt', 'pima_tr', 'synth_multisite', 'perfect_separation'])
    it(`${name}: ridge on the summed log-likelihood, original scale`, () => {
      const { table, tolerance } = tableOf(`${glm}/${name}`);
      const golden = readJson(glm!, name, 'golden.json') as GlmGolden;
      for (const [lambda, want] of Object.entries(golden.ridge_sumscale)) {
        const { result } = run(table, { alpha: 0, lambda: Number(lambda) / table.site.length, standardize: false });
        const summary = result.summaries['none:all']!;
        const values = [summary.intercept!, ...summary.coefficients.map(({ value }) => value)];
        expectClose(values, want, { ...tolerance['penalized']!, source: `${name} ridge ${lambda}` });
      }
    });

  it('perfect separation: no coefficient is presented as an estimate', () => {
    const { table } = tableOf(`${glm}/perfect_separation`);
    const summary = run(table).result.summaries['none:all']!;
    expect(summary.converged).toBe(false);
    expect(summary.coefficients[0]).toEqual({ feature: 'x1', value: Infinity, se: null, status: 'infinite' });
    expect(summary.intercept).toBeNull();
    expect(summary.notes.join()).toContain('no maximum likelihood estimate exists');
  });
});

interface NetRun {
  readonly alpha: number;
  readonly standardize: boolean;
  readonly lambda: number[];
  readonly intercept: number[];
  readonly beta_lambda_by_feature: number[][];
  readonly 'dev.ratio': number[];
  readonly df: number[];
  readonly cv: { cvm: number[]; cvsd: number[]; 'lambda.min': number; 'lambda.1se': number };
}

const glmnet = referenceFolder('CONCORDAT_REFERENCE', 'stats/glmnet');
describe.skipIf(glmnet === null)('elastic-net paths and cross-validation against glmnet 4.1-6', () => {
  for (const name of ['synth_binomial', 'pima_tr', 'wide_p_gt_n']) {
    it(`${name}: every run`, () => {
      const { table, tolerance } = tableOf(`${glmnet}/${name}`);
      const { runs } = readJson(glmnet!, name, 'golden.json') as { runs: Record<string, NetRun> };
      for (const [key, golden] of Object.entries(runs)) {
        const { alpha, standardize } = golden;
        const frame = frameOfTable(table);
        const fits = fitsOfTable(frame, { inner: true });
        const lambdaMinRatio = alpha === 0 ? 1e-4 : 0.02;
        const { result, rounds } = run(table, { alpha, standardize, lambda: 'cv', lambdaMinRatio, fits });
        const path = result.paths!['none:all']!;
        const cv = result.summaries['none:all']!.cv!;
        process.stderr.write(`${name} ${key}: ${rounds} rounds, kkt ${Math.max(...path.kkt)}\n`);
        // glmnet's first column for alpha = 0 is the all-zero fit, not a solution at its lambda (case.json).
        const first = alpha === 0 ? 1 : 0;
        const p = table.features.length;
        const source = `${name} ${key}`;
        expectClose(path.lambda, golden.lambda, { ...tolerance['lambda']!, source: `${source} lambda` });
        expectClose(path.intercept.slice(first), golden.intercept.slice(first), {
          ...tolerance['coefficient']!,
          source,
        });
        const want = golden.beta_lambda_by_feature.slice(first).flat();
        expectClose(path.beta.slice(first * p), want, { ...tolerance['coefficient']!, source: `${source} beta` });
        expectClose(path.df.slice(first), golden.df.slice(first), { abs: 0, rel: 0, source: `${source} df` });
        expectClose(path.devRatio.slice(first), golden['dev.ratio'].slice(first), { abs: 1e-8, rel: 0, source });
        expect(Math.max(...path.kkt)).toBeLessThan(1e-10);
        expectClose(cv.mean.slice(first), golden.cv.cvm.slice(first), {
          ...tolerance['cvm']!,
          source: `${source} cvm`,
        });
        expectClose(cv.se.slice(first), golden.cv.cvsd.slice(first), {
          ...tolerance['cvm']!,
          source: `${source} cvsd`,
        });
        expect(path.lambda[cv.indexMin]).toBeCloseTo(golden.cv['lambda.min'], 9);
        expect(path.lambda[cv.index1se]).toBeCloseTo(golden.cv['lambda.1se'], 9);
        expect(rounds).toBeLessThan(60);
      }
    });
  }
});
