import type { ModelSummary } from '../../shared/computations/frame.js';
import { concordanceOf, concordancePairSums, type PairSums } from '../../shared/metrics/index.js';
import { inputOf, survivalRows } from './case-table.js';
import { type CaseRows, holdersOf } from './federation.js';
import { estimateOf, lazily } from './glm.js';
import { kaplanMeierBlocks } from './kaplan-meier.js';
import {
  type CoxOptions,
  countsOf,
  covarianceOf,
  derivativesAt,
  Federation,
  type Holding,
  quadraticForm,
  ringSum,
  UNPENALIZED,
} from './product.js';
import { isRecord, numeric } from './readers.js';
import type { KindRunner, Sheet } from './sheet.js';

const TIES = ['efron', 'breslow'] as const;

/** survival: stratified Cox regression over sites; unstratified risk sets and survival curves with one holder. */
export const survivalRunner: KindRunner = {
  quantityOf(file, path, one) {
    const output = one.document.files[file]?.['output'];
    if (path.length === 0) return typeof output === 'string' ? output : 'survival';
    const below = (TIES as readonly string[]).includes(path[0]!) && path.length > 1 ? path.slice(1) : path;
    // Curves by group name their group in between.
    if (below[0] === 'km_by_group' && below.length > 2) return ['km_by_group', ...below.slice(2)].join('.');
    return below.join('.');
  },
  run(one, sheet) {
    for (const file of Object.keys(one.document.files).filter((name) => name.endsWith('.json'))) {
      const golden = sheet.json(file);
      const table = inputOf(one);
      const { features } = one.document;
      const stratified = lazily(() => new Model(survivalRows(one, table, features, true), 'sites', 'stratified'));
      const pooled = lazily(() => new Model(survivalRows(one, table, features, false), 'one', 'none'));
      for (const ties of TIES) {
        if (!isRecord(golden[ties])) continue;
        const block = (name: string): string[] => [ties, name];
        coxBlock(sheet, file, block('stratified_by_site'), stratified, ties);
        coxBlock(sheet, file, block('pooled'), pooled, ties);
        derivativeBlock(sheet, file, block('stratified_at_zero'), stratified, ties);
        derivativeBlock(sheet, file, block('at_zero'), pooled, ties);
        derivativeBlock(sheet, file, block('at_point'), pooled, ties);
        concordanceBlock(sheet, file, block('concordance_strat'), stratified, ties);
        concordanceBlock(sheet, file, block('concordance'), pooled, ties);
        linearPredictors(sheet, file, block('lp_uncentered_first10'), pooled, ties);
      }
      derivativeBlock(sheet, file, ['webdisco_check'], pooled, 'breslow');
      kaplanMeierBlocks(one, sheet, file, table);
    }
  },
};

/** One way of fitting a case: its rows, who holds them, and the fits by ties, computed when asked for. */
class Model {
  private readonly fits = new Map<string, { summary: ModelSummary; federation: Federation }>();

  constructor(
    readonly rows: CaseRows,
    readonly holding: Holding,
    readonly strata: CoxOptions['strata'],
  ) {}

  options(ties: CoxOptions['ties']) {
    return { model: 'cox' as const, holding: this.holding, cox: { ties, strata: this.strata } };
  }

  fit(ties: CoxOptions['ties']) {
    const known = this.fits.get(ties);
    if (known !== undefined) return known;
    const federation = new Federation(this.rows, this.holding);
    const fitted = { summary: federation.cox(UNPENALIZED, { ties, strata: this.strata }), federation };
    this.fits.set(ties, fitted);
    return fitted;
  }

  beta(ties: CoxOptions['ties']): number[] {
    return this.fit(ties).summary.coefficients.map((one) => one.value);
  }

  derivatives(ties: CoxOptions['ties'], beta: ArrayLike<number>) {
    return derivativesAt(this.rows, [{ intercept: 0, beta }], this.options(ties))[0]!;
  }
}

function coxBlock(
  sheet: Sheet,
  file: string,
  path: readonly string[],
  model: () => Model,
  ties: CoxOptions['ties'],
): void {
  const golden = blockAt(sheet, file, path);
  if (golden === undefined) return;
  const summary = () => model().fit(ties).summary;
  const zero = () => new Float64Array(model().rows.featureNames.length);
  const atZero = lazily(() => model().derivatives(ties, zero()));
  const atFit = lazily(() => model().derivatives(ties, model().beta(ties)));
  const counts = lazily(() => countsOf(model().rows, model().options(ties)));
  const label = (index: number): string => model().rows.featureNames[index] ?? `value ${index + 1}`;
  const compare = (key: string, tolerance: string, got: () => ArrayLike<number>): void => {
    if (key in golden) sheet.compare({ file, path: [...path, key] }, got, { tolerance: [tolerance], label });
  };
  compare('coef', 'coefficient', () => summary().coefficients.map(estimateOf));
  compare('se', 'standardError', () => summary().coefficients.map((one) => one.se ?? Number.NaN));
  compare('vcov', 'standardError', () => covarianceOf(atFit().information, atFit().size));
  compare('loglik_null', 'logLikelihood', () => [summary().nullLogLikelihood ?? Number.NaN]);
  compare('loglik', 'logLikelihood', () => [summary().logLikelihood ?? Number.NaN]);
  compare('score_test', 'test', () => {
    const { gradient, information, size } = atZero();
    return [quadraticForm(gradient, covarianceOf(information, size), gradient)];
  });
  compare('wald_test', 'test', () => [quadraticForm(model().beta(ties), atFit().information, model().beta(ties))]);
  compare('lr_test', 'test', () => [
    2 * ((summary().logLikelihood ?? Number.NaN) - (summary().nullLogLikelihood ?? Number.NaN)),
  ]);
  if ('means' in golden)
    sheet.compare(
      { file, path: [...path, 'means'] },
      () => Object.values(model().fit(ties).federation.moments.fits)[0]!.mean,
      {
        tolerance: ['coefficient'],
        label,
        skip: (index) => model().rows.features[index]!.every((value) => [-1, 0, 1].includes(value)),
        note: 'coxph does not centre columns of -1, 0 and 1; those are left out',
      },
    );
  compare('n', 'counts', () => [counts().n]);
  compare('nevent', 'counts', () => [counts().events]);
}

function derivativeBlock(
  sheet: Sheet,
  file: string,
  path: readonly string[],
  model: () => Model,
  ties: CoxOptions['ties'],
): void {
  const golden = blockAt(sheet, file, path);
  if (golden === undefined) return;
  const beta = numeric(golden['beta']) ?? [];
  const at = lazily(() => model().derivatives(ties, beta));
  const compare = (key: string, tolerance: string, got: () => ArrayLike<number>): void => {
    if (key in golden) sheet.compare({ file, path: [...path, key] }, got, { tolerance: [tolerance] });
  };
  compare('loglik', 'logLikelihood', () => [at().logLikelihood]);
  compare('gradient', 'gradient', () => at().gradient);
  compare('information', 'gradient', () => at().information);
}

/** Harrell's C: every site counts its own pairs and adds them; one holder of all rows counts every pair. */
function concordanceBlock(
  sheet: Sheet,
  file: string,
  path: readonly string[],
  model: () => Model,
  ties: CoxOptions['ties'],
): void {
  const golden = blockAt(sheet, file, path);
  if (golden === undefined) return;
  const sums = lazily(() => pairSums(model(), ties));
  const value = lazily(() => concordanceOf(sums()) ?? { value: Number.NaN, se: Number.NaN });
  const compare = (key: string, tolerance: string, got: () => ArrayLike<number>): void => {
    if (key in golden) sheet.compare({ file, path: [...path, key] }, got, { tolerance: [tolerance] });
  };
  compare('C', 'concordance', () => [value().value]);
  compare('se', 'standardError', () => [value().se]);
  compare('n', 'counts', () => [model().rows.n]);
  const counts = golden['counts'];
  if (!isRecord(counts)) return;
  const count = (key: string): number => numeric(counts[key])?.[0] ?? Number.NaN;
  sheet.compare({ file, path: [...path, 'counts'] }, () => [sums().concordant, sums().pairs], {
    want: [count('concordant') + count('tied.x') / 2, count('concordant') + count('discordant') + count('tied.x')],
    tolerance: ['counts'],
    note: 'as concordant pairs with ties half, and all comparable pairs; pairs tied in time are not counted',
  });
}

function pairSums(model: Model, ties: CoxOptions['ties']): PairSums {
  const beta = model.beta(ties);
  const p = beta.length;
  const parts = holdersOf(model.rows, model.holding).map(({ view: { cohort } }) => {
    const score = Float64Array.from({ length: cohort.n }, (_, row) =>
      beta.reduce((sum, value, j) => sum + value * cohort.features[row * p + j]!, 0),
    );
    const { outcome } = cohort;
    if (outcome.type !== 'survival') throw new Error('a survival case has times');
    const own = concordancePairSums(score, outcome.time, outcome.event);
    return Float64Array.of(own.concordant, own.pairs, own.sumAA, own.sumAU, own.sumUU);
  });
  const [concordant, pairs, sumAA, sumAU, sumUU] = ringSum(parts);
  return { concordant: concordant!, pairs: pairs!, sumAA: sumAA!, sumAU: sumAU!, sumUU: sumUU! };
}

function linearPredictors(
  sheet: Sheet,
  file: string,
  path: readonly string[],
  model: () => Model,
  ties: CoxOptions['ties'],
): void {
  const golden = numeric(valueIn(sheet, file, path));
  if (golden === undefined) return;
  sheet.compare(
    { file, path },
    () => {
      const beta = model().beta(ties);
      return golden.map((_, row) => model().rows.features.reduce((sum, column, j) => sum + column[row]! * beta[j]!, 0));
    },
    { tolerance: ['coefficient'] },
  );
}

function blockAt(sheet: Sheet, file: string, path: readonly string[]): Record<string, unknown> | undefined {
  const value = valueIn(sheet, file, path);
  return isRecord(value) ? value : undefined;
}

function valueIn(sheet: Sheet, file: string, path: readonly string[]): unknown {
  let value: unknown = sheet.json(file);
  for (const key of path) value = isRecord(value) ? value[key] : undefined;
  return value;
}
