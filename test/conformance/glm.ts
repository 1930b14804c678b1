import type { ModelSummary } from '../../shared/computations/frame.js';
import { logistic as logisticFunction } from '../../shared/metrics/calibration.js';
import type { ConformanceCase } from './case-model.js';
import { binaryRows, inputOf } from './case-table.js';
import type { CaseRows } from './federation.js';
import { twoSidedP } from './normal.js';
import {
  type At,
  covarianceOf,
  type Derivatives,
  derivativesAt,
  Federation,
  quadraticForm,
  UNPENALIZED,
} from './product.js';
import { isRecord, numeric } from './readers.js';
import type { KindRunner, Sheet } from './sheet.js';
import { Reported } from './sheet.js';

/** glm: the federated logistic regression against R's glm, its site sums, Newton steps and ridge fits. */
export const glmRunner: KindRunner = {
  quantityOf: (_file, path) =>
    (path[0] === 'per_site_at_zero' ? ['per_site_at_zero', ...path.slice(2)] : path).join('.'),
  run(one, sheet) {
    for (const file of Object.keys(one.document.files).filter((name) => name.endsWith('.json'))) {
      const golden = sheet.json(file);
      const family = one.document.family ?? String(golden['family'] ?? '');
      if (family !== 'binomial') {
        const texts = ['formula', 'family', 'link', 'design_columns', 'per_site_XtX_XtWz_note'];
        for (const key of Object.keys(golden).filter((name) => !texts.includes(name)))
          sheet.unsupported(
            { file, path: [key] },
            `the ${family} family: part of the statistics issue`,
            nestedName(key),
          );
        continue;
      }
      compareGolden(one, sheet, file);
    }
  },
};

/** Quantities that classes.ts knows by their parts. */
function nestedName(key: string): string {
  return ['site_intercepts_model', 'per_site_at_zero', 'newton_trace_from_zero'].includes(key) ? `${key}.all` : key;
}

function compareGolden(one: ConformanceCase, sheet: Sheet, file: string): void {
  const golden = sheet.json(file);
  const { features } = one.document;
  const rows = binaryRows(one, inputOf(one), features);
  const place = (...path: string[]) => ({ file, path });
  const has = (key: string): boolean => key in golden;
  const separated = sheet.expectation(`${file}#coef`);
  const without = separated?.outcome === 'error' ? ['coef', ...stringsOf(separated['alsoNotComparable'])] : [];
  if (separated?.outcome === 'error')
    sheet.refusal(`${file}#coef`, 'refusal', () =>
      refuseSeparation(new Federation(rows, 'sites').logistic(UNPENALIZED)),
    );
  for (const key of without.filter(has))
    sheet.unsupported(
      place(key),
      `not comparable: ${String(separated?.['message'] ?? 'no estimate exists')}`,
      nestedName(key),
    );
  for (const key of ['firth', 'ridge_sumscale']) sheet.expectation(`${file}#${key}`);

  const answer = lazily(() => fitted(rows));
  const design = stringsOf(golden['design_columns']);
  const order = design.length > 0 ? design : Object.keys(isRecord(golden['coef']) ? golden['coef'] : {});
  const arranged = (values: ArrayLike<number>): number[] =>
    order.map((name) => values[name === '(Intercept)' ? 0 : features.indexOf(name) + 1]!);
  const label = (index: number): string => order[index] ?? `value ${index + 1}`;
  const compare = (
    key: string,
    tolerance: string,
    got: () => ArrayLike<number>,
    atWeights?: () => ArrayLike<number>,
  ): void => {
    if (!has(key) || without.includes(key)) return;
    const otherwise = atWeights === undefined ? {} : { otherwise: { got: atWeights, note: GLM_WEIGHTS } };
    sheet.compare(place(key), got, { tolerance: [tolerance], label, ...otherwise });
  };
  const atGlm = lazily(() => glmCovariance(rows));
  const glmSe = () => atGlm().coefficients.map((_, j) => Math.sqrt(atGlm().covariance[j * (atGlm().size + 1)]!));
  const glmRatio = () => glmSe().map((se, j) => answer().coefficients[j]! / se);
  const ratio = () => answer().coefficients.map((value, j) => value / answer().se[j]!);
  compare('coef', 'coefficient', () => arranged(answer().coefficients));
  compare(
    'se',
    'standardError',
    () => arranged(answer().se),
    () => arranged(glmSe()),
  );
  compare(
    'z',
    'standardError',
    () => arranged(ratio()),
    () => arranged(glmRatio()),
  );
  compare(
    'p',
    'standardError',
    () => arranged(ratio().map(twoSidedP)),
    () => arranged(glmRatio().map(twoSidedP)),
  );
  const covariance = (matrix: Float64Array) => reordered(matrix, order, features);
  compare(
    'vcov',
    'standardError',
    () => covariance(answer().covariance),
    () => covariance(atGlm().covariance),
  );
  compare('deviance', 'deviance', () => [-2 * answer().logLikelihood]);
  compare('null_deviance', 'deviance', () => [-2 * answer().nullLogLikelihood]);
  compare('loglik', 'deviance', () => [answer().logLikelihood]);
  compare('aic', 'deviance', () => [-2 * answer().logLikelihood + 2 * answer().estimated]);
  compare('fitted_first10', 'coefficient', () => fittedMeans(rows, answer().coefficients, 10));
  if (has('n')) sheet.compare(place('n'), () => [answer().n], { tolerance: ['siteSums', 'counts', 'deviance'] });
  siteIntercepts(one, sheet, file, rows);
  perSiteAtZero(sheet, file, rows);
  newtonTrace(sheet, file, rows, without);
  ridge(sheet, file, rows);
}

interface Fitted {
  readonly coefficients: number[];
  readonly se: number[];
  /** Intercept first, then the case's features. */
  readonly covariance: Float64Array;
  readonly logLikelihood: number;
  readonly nullLogLikelihood: number;
  readonly estimated: number;
  readonly n: number;
}

/** What the federated fit says of itself. */
function fitted(rows: CaseRows): Fitted {
  const summary = new Federation(rows, 'sites').logistic(UNPENALIZED);
  return {
    coefficients: [summary.intercept ?? Number.NaN, ...summary.coefficients.map(estimateOf)],
    se: [summary.interceptSe ?? Number.NaN, ...summary.coefficients.map((one) => one.se ?? Number.NaN)],
    covariance: summary.covariance ?? new Float64Array(0),
    logLikelihood: summary.logLikelihood ?? Number.NaN,
    nullLogLikelihood: summary.nullLogLikelihood ?? Number.NaN,
    estimated: 1 + summary.coefficients.filter((one) => one.status === 'ok').length,
    n: summary.n,
  };
}

/** An aliased coefficient is no estimate: R has NA there, Concordat the value 0 with a status. */
export function estimateOf(one: ModelSummary['coefficients'][number]): number {
  return one.status === 'aliased' ? Number.NaN : one.value;
}

const GLM_WEIGHTS = 'glm takes the information at its last but one iterate, and so it is taken here';

/**
 * The covariance as R's glm has it: from the weights of its last iteration, which are those of the iterate before. Its
 * iterates from sums over sites: glm starts at fitted values 1/4 and 3/4, so its first iterate is (log 3 + 4/3)/2 times
 * a Newton step from zero; Newton steps follow until the relative change of the deviance is below 1e-15.
 */
function glmCovariance(rows: CaseRows): { coefficients: number[]; covariance: Float64Array; size: number } {
  let beta = new Array<number>(1 + rows.featureNames.length).fill(0);
  let step = (Math.log(3) + 4 / 3) / 2;
  let covariance: Float64Array = new Float64Array(0);
  let deviance = Number.NaN;
  let size = beta.length;
  for (let iteration = 0; iteration < 200; iteration++) {
    const here = derivativesAt(rows, [{ intercept: beta[0]!, beta: beta.slice(1) }], {
      model: 'logistic',
      holding: 'sites',
    })[0]!;
    const now = -2 * here.logLikelihood;
    if (iteration > 1 && Math.abs(now - deviance) / (Math.abs(now) + 0.1) < 1e-15) break;
    deviance = now;
    size = here.size;
    const inverse = covarianceOf(here.information, size);
    covariance = inverse;
    beta = beta.map(
      (value, i) => value + step * here.gradient.reduce((sum, g, j) => sum + inverse[i * size + j]! * g, 0),
    );
    step = 1;
  }
  return { coefficients: beta, covariance, size };
}

/** Separation is well answered by an error, or by naming coefficients infinite; a finite "estimate" is not an answer. */
function refuseSeparation(summary: ModelSummary): void {
  const named = summary.coefficients.filter((one) => one.status === 'infinite').map((one) => one.feature);
  if (named.length > 0) throw new Reported(`infinite: ${named.join(', ')}`);
}

/** y ~ 0 + factor(site) + features: an intercept and dummies of all sites but the first give the same fit. */
function siteIntercepts(one: ConformanceCase, sheet: Sheet, file: string, rows: CaseRows): void {
  const model = sheet.json(file)['site_intercepts_model'];
  if (!isRecord(model)) return;
  const labels = [...new Set(rows.site)].sort();
  const others = labels.slice(1);
  const dummies = others.map((label) => Float64Array.from(rows.site, (site) => (site === label ? 1 : 0)));
  const widened: CaseRows = {
    ...rows,
    featureNames: [...others.map((label) => `site ${label}`), ...rows.featureNames],
    features: [...dummies, ...rows.features],
  };
  const answer = lazily(() => fitted(widened));
  const names = Object.keys(isRecord(model['coef']) ? model['coef'] : {});
  // Rows of the map from (intercept, dummies, features) to (one intercept per site, features).
  const mapOf = (name: string): number[] => {
    const weights = new Array<number>(1 + widened.featureNames.length).fill(0);
    const feature = one.document.features.indexOf(name);
    if (feature >= 0) weights[1 + others.length + feature] = 1;
    else {
      weights[0] = 1;
      const site = others.findIndex((label) => name === `factor(site)${label}` || name.endsWith(`)${label}`));
      if (site >= 0) weights[1 + site] = 1;
    }
    return weights;
  };
  const coefficient = (name: string) => mapOf(name).reduce((sum, w, j) => sum + w * answer().coefficients[j]!, 0);
  const label = (index: number): string => names[index] ?? '';
  const place = (key: string) => ({ file, path: ['site_intercepts_model', key] });
  if ('coef' in model)
    sheet.compare(place('coef'), () => names.map(coefficient), { tolerance: ['coefficient'], label });
  // Standard error of a sum of coefficients, from a covariance over (intercept, dummies, features).
  const spread = (weights: readonly number[], covariance: Float64Array): number =>
    Math.sqrt(quadraticForm(weights, covariance, weights));
  if ('se' in model)
    sheet.compare(place('se'), () => names.map((name) => spread(mapOf(name), answer().covariance)), {
      tolerance: ['standardError'],
      label,
      otherwise: {
        got: () => {
          const { covariance } = glmCovariance(widened);
          return names.map((name) => spread(mapOf(name), covariance));
        },
        note: GLM_WEIGHTS,
      },
    });
  if ('deviance' in model)
    sheet.compare(place('deviance'), () => [-2 * answer().logLikelihood], { tolerance: ['deviance'] });
}

/** What each site alone contributes at coefficients of zero. */
function perSiteAtZero(sheet: Sheet, file: string, rows: CaseRows): void {
  const sites = sheet.json(file)['per_site_at_zero'];
  if (!isRecord(sites)) return;
  const zero = { intercept: 0, beta: new Float64Array(rows.featureNames.length) };
  for (const [site, block] of Object.entries(sites)) {
    if (!isRecord(block)) continue;
    const derivatives = lazily(
      () => derivativesAt(rows, [zero], { model: 'logistic', holding: 'sites', sites: [site] })[0]!,
    );
    const place = (key: string) => ({ file, path: ['per_site_at_zero', site, key] });
    // At zero every weight is 1/4, so the information of the intercept is n/4.
    if ('n' in block) sheet.compare(place('n'), () => [4 * derivatives().information[0]!], { tolerance: ['siteSums'] });
    if ('gradient' in block)
      sheet.compare(place('gradient'), () => derivatives().gradient, { tolerance: ['siteSums'] });
    if ('information' in block)
      sheet.compare(place('information'), () => derivatives().information, { tolerance: ['siteSums'] });
  }
}

/** Full Newton steps from zero, every one of them a round of sums over the sites. */
function newtonTrace(sheet: Sheet, file: string, rows: CaseRows, without: readonly string[]): void {
  const trace = sheet.json(file)['newton_trace_from_zero'];
  const place = { file, path: ['newton_trace_from_zero'] };
  if (Array.isArray(trace) && !without.includes('newton_trace_from_zero')) {
    const own = lazily(() => newtonSteps(rows, trace.length));
    const part = (key: string): number[] =>
      trace.flatMap((step: unknown) => numeric(isRecord(step) ? step[key] : null) ?? []);
    const quantity = (key: string): string => `newton_trace_from_zero.${key}`;
    sheet.compare(place, () => own().flatMap((step) => step.beta), {
      want: part('beta'),
      quantity: quantity('beta'),
      tolerance: ['coefficient'],
    });
    sheet.compare(place, () => own().map((step) => step.logLikelihood), {
      want: part('loglik'),
      quantity: quantity('loglik'),
      tolerance: ['deviance'],
    });
    sheet.compare(place, () => own().map((step) => step.largestGradient), {
      want: part('grad_inf'),
      quantity: quantity('grad_inf'),
      tolerance: ['siteSums'],
    });
  }
  if ('newton_final' in sheet.json(file) && !without.includes('newton_final')) {
    const steps = Array.isArray(trace) ? trace.length : 8;
    sheet.compare({ file, path: ['newton_final'] }, () => newtonSteps(rows, steps).at(-1)!.beta, {
      tolerance: ['coefficient'],
    });
  }
}

function newtonSteps(rows: CaseRows, count: number) {
  const steps: { beta: number[]; logLikelihood: number; largestGradient: number }[] = [];
  let beta = new Array<number>(1 + rows.featureNames.length).fill(0);
  for (let step = 0; step < count; step++) {
    const at: At = { intercept: beta[0]!, beta: beta.slice(1) };
    const here: Derivatives = derivativesAt(rows, [at], { model: 'logistic', holding: 'sites' })[0]!;
    steps.push({
      beta,
      logLikelihood: here.logLikelihood,
      largestGradient: here.gradient.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0),
    });
    const inverse = covarianceOf(here.information, here.size);
    beta = beta.map(
      (value, i) => value + here.gradient.reduce((sum, g, j) => sum + inverse[i * here.size + j]! * g, 0),
    );
  }
  return steps;
}

/** Maximum of loglik - lambda/2 sum b^2: in glmnet's units alpha 0, unscaled predictors and lambda / n. */
function ridge(sheet: Sheet, file: string, rows: CaseRows): void {
  const block = sheet.json(file)['ridge_sumscale'];
  if (!isRecord(block)) return;
  const federation = lazily(() => new Federation(rows, 'sites'));
  for (const key of Object.keys(block)) {
    const got = (): number[] => {
      const penalty = { ...UNPENALIZED, alpha: 0, lambda: Number(key) / rows.n, standardize: false };
      const summary = federation().logistic(penalty);
      return [summary.intercept ?? Number.NaN, ...summary.coefficients.map((one) => one.value)];
    };
    sheet.compare({ file, path: ['ridge_sumscale', key] }, got, {
      quantity: 'ridge_sumscale',
      tolerance: ['penalized', 'coefficient'],
    });
  }
}

function fittedMeans(rows: CaseRows, coefficients: readonly number[], count: number): number[] {
  return Array.from({ length: Math.min(count, rows.n) }, (_, row) =>
    logisticFunction(
      rows.features.reduce((sum, column, j) => sum + column[row]! * coefficients[j + 1]!, coefficients[0]!),
    ),
  );
}

function reordered(matrix: Float64Array, order: readonly string[], features: readonly string[]): number[] {
  const size = features.length + 1;
  const index = order.map((name) => (name === '(Intercept)' ? 0 : features.indexOf(name) + 1));
  return index.flatMap((i) => index.map((j) => matrix[i * size + j]!));
}

export function stringsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];
}

/** Computed at the first call only, so that what nobody asks for is not fitted. */
export function lazily<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
