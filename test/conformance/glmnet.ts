import type { ConformanceCase } from './case-model.js';
import { binaryRows, cellCount, inputOf, survivalRows } from './case-table.js';
import type { CaseRows } from './federation.js';
import { lazily, stringsOf } from './glm.js';
import {
  type CoxOptions,
  countsOf,
  derivativesAt,
  Federation,
  type Holding,
  type ModelAnswer,
  type Penalized,
  type RoundOptions,
} from './product.js';
import { isRecord, numeric } from './readers.js';
import { type KindRunner, NotCovered, type Place, type Sheet } from './sheet.js';

/**
 * glmnet: the elastic-net path at every penalty of the reference, its optimality conditions recomputed from federated
 * gradients, and cross-validation on the case's own folds.
 */
export const glmnetRunner: KindRunner = {
  quantityOf(_file, path, one) {
    if (path[0] !== 'runs' || path.length < 3) return path.join('.');
    const name = path[2] === 'beta_lambda_by_feature' ? 'beta' : path[2]!;
    return [familyName(one, path[1]!), name, ...path.slice(3)].join('.');
  },
  run(one, sheet) {
    for (const file of Object.keys(one.document.files).filter((name) => name.endsWith('.json'))) {
      const runs = sheet.json(file)['runs'];
      if (!isRecord(runs)) continue;
      for (const [key, run] of Object.entries(runs)) if (isRecord(run)) compareRun(one, sheet, file, key, run);
    }
  },
};

function familyName(one: ConformanceCase, key: string): string {
  if (one.document.family !== 'cox') return one.document.family ?? 'unknown';
  return key.includes('_strata_') ? 'cox_stratified' : 'cox';
}

/** One path: which model, over whom, with which penalty. */
interface Path {
  readonly rows: CaseRows;
  readonly holding: Holding;
  readonly cox: CoxOptions | null;
  readonly alpha: number;
  readonly standardize: boolean;
  /** Penalties of the reference, decreasing. */
  readonly lambdas: readonly number[];
}

function compareRun(
  one: ConformanceCase,
  sheet: Sheet,
  file: string,
  key: string,
  run: Readonly<Record<string, unknown>>,
): void {
  const { family } = one.document;
  if (family !== 'binomial' && family !== 'cox') return;
  const features = stringsOf(sheet.json(file)['features']);
  const columns = features.length > 0 ? features : one.document.features;
  const place = (...path: string[]): Place => ({ file, path: ['runs', key, ...path] });
  const path = lazily((): Path => {
    const table = inputOf(one);
    const stratified = key.includes('_strata_');
    const cox: CoxOptions | null =
      family === 'cox'
        ? { ties: key.startsWith('efron') ? 'efron' : 'breslow', strata: stratified ? 'stratified' : 'none' }
        : null;
    return {
      rows: cox === null ? binaryRows(one, table, columns) : survivalRows(one, table, columns, stratified),
      // Unstratified risk sets exist with one holder of all rows only.
      holding: cox !== null && !stratified ? 'one' : 'sites',
      cox,
      alpha: numeric(run['alpha'])?.[0] ?? Number(key.split('alpha')[1]),
      standardize: run['standardize'] !== false,
      lambdas: numeric(run['lambda']) ?? [],
    };
  });
  comparePath(sheet, place, run, path);
  compareCrossValidation(sheet, place, run, path);
}

/** The models along a path, on the original scale; arrays over penalties. */
interface Solutions {
  readonly intercept: readonly number[];
  readonly beta: readonly (readonly number[])[];
  readonly devRatio: readonly number[];
  readonly nullDeviance: number;
  readonly logLikelihood: readonly number[];
}

function comparePath(
  sheet: Sheet,
  place: (...path: string[]) => Place,
  run: Readonly<Record<string, unknown>>,
  path: () => Path,
): void {
  const fits = lazily(() => solutionsOf(path()));
  const own = lazily(() => [...(crossValidated(path()).lambdaPath ?? [])]);
  const p = () => path().rows.featureNames.length;
  // glmnet's first column at alpha 0 is the empty model whatever its lambda says.
  const skipsFirst = lazily(() => path().alpha === 0);
  const skipFirst = (index: number): boolean => skipsFirst() && index === 0;
  const label = (index: number): string => `lambda ${index + 1}`;
  const compare = (key: string, tolerance: string[], got: () => ArrayLike<number>): void => {
    if (key in run) sheet.compare(place(key), got, { tolerance, label, skip: skipFirst });
  };
  if ('lambda' in run)
    sheet.compare(place('lambda'), () => ownLambdas(path(), own(), run), { tolerance: ['lambda'], label });
  for (const key of ['lambda_max', 'lambda_max_formula'])
    if (key in run && numeric(run[key]) !== undefined)
      sheet.compare(place(key), () => [own()[0]!], { tolerance: ['lambda'] });
    else if (key in run) sheet.unsupported(place(key), 'the golden has a remark here, no number');
  compare('df', ['counts', 'lambda'], () => fits().beta.map((beta) => beta.filter((value) => value !== 0).length));
  compare('dev.ratio', ['cvm', 'coefficient'], () => fits().devRatio);
  if ('nulldev' in run)
    sheet.compare(place('nulldev'), () => [fits().nullDeviance], { tolerance: ['cvm', 'coefficient'] });
  if (path().cox === null) compare('intercept', ['coefficient'], () => fits().intercept);
  if ('beta_lambda_by_feature' in run)
    sheet.compare(place('beta_lambda_by_feature'), () => fits().beta.flat(), {
      tolerance: ['coefficient'],
      label: (index) => `lambda ${Math.floor(index / p()) + 1}, ${path().rows.featureNames[index % p()]}`,
      skip: (index) => skipsFirst() && index < p(),
    });
  compare('loglik', ['logLikelihood', 'cvm'], () => fits().logLikelihood);
  const kkt = lazily(() => kktViolations(path(), fits()));
  compare('kkt_by_lambda', ['kkt'], kkt);
  compare('kkt', ['kkt'], kkt);
  if ('kkt_max' in run)
    sheet.compare(place('kkt_max'), () => [Math.max(...kkt().slice(skipsFirst() ? 1 : 0))], { tolerance: ['kkt'] });
}

function penaltyOf(path: Path, lambda: number | 'cv'): Penalized {
  const { lambdas } = path;
  // The ratio is an argument of the reference's call (0.02, 1e-4), not a result of it.
  const ratio = lambdas.length > 1 ? Number((lambdas.at(-1)! / lambdas[0]!).toPrecision(6)) : 0.02;
  return { alpha: path.alpha, lambda, nlambda: lambdas.length, lambdaMinRatio: ratio, standardize: path.standardize };
}

function fitAt(path: Path, federation: Federation, lambda: number | 'cv'): ModelAnswer {
  const penalty = penaltyOf(path, lambda);
  const answer = path.cox === null ? federation.logistic(penalty) : federation.cox(penalty, path.cox);
  if (!answer.converged) throw new Error(`the fit at lambda ${lambda} did not converge`);
  return answer;
}

const validated = new WeakMap<Path, ModelAnswer>();

/** The whole path with cross-validation on the case's folds, or on two made-up ones where only the path is wanted. */
function crossValidated(path: Path): ModelAnswer {
  const known = validated.get(path);
  if (known !== undefined) return known;
  const { rows } = path;
  const folded: CaseRows =
    rows.cell === undefined ? { ...rows, cell: Int32Array.from({ length: rows.n }, (_, row) => row % 2) } : rows;
  const answer = fitAt(path, new Federation(folded, path.holding, cellCount(folded)), 'cv');
  validated.set(path, answer);
  return answer;
}

/** The models at the reference's penalties: Concordat's own path where it is the same, single fits otherwise. */
function solutionsOf(path: Path): Solutions {
  const whole = crossValidated(path).path;
  const p = path.rows.featureNames.length;
  const { lambdas } = path;
  const same =
    whole !== null &&
    whole.lambda.length === lambdas.length &&
    lambdas.every((lambda, k) => Math.abs(lambda - whole.lambda[k]!) <= 1e-9 * lambda);
  const saturated = path.cox === null ? 0 : countsOf(path.rows, roundOf(path)).saturated;
  const likelihoodOf = (ratio: number, nullDeviance: number) => saturated - ((1 - ratio) * nullDeviance) / 2;
  if (same && whole !== null) {
    const devRatio = [...whole.devRatio];
    return {
      intercept: [...whole.intercept],
      beta: lambdas.map((_, k) => [...whole.beta.subarray(k * p, (k + 1) * p)]),
      devRatio,
      nullDeviance: whole.nullDeviance,
      logLikelihood: devRatio.map((ratio) => likelihoodOf(ratio, whole.nullDeviance)),
    };
  }
  const federation = new Federation(path.rows, path.holding);
  const fits = lambdas.map((lambda) => fitAt(path, federation, lambda));
  const logLikelihood = fits.map((fit) => fit.logLikelihood ?? Number.NaN);
  const nullDeviance = 2 * (saturated - (fits[0]?.nullLogLikelihood ?? Number.NaN));
  return {
    intercept: fits.map((fit) => fit.intercept ?? 0),
    beta: fits.map((fit) => fit.coefficients.map((one) => one.value)),
    devRatio: logLikelihood.map((value) => 1 - (2 * (saturated - value)) / nullDeviance),
    nullDeviance,
    logLikelihood,
  };
}

function roundOf(path: Path): RoundOptions {
  const { cox, holding } = path;
  return cox === null ? { model: 'logistic', holding } : { model: 'cox', holding, cox };
}

/** A golden with its own short list of penalties states them as shares of its lambda_max. */
function ownLambdas(path: Path, own: readonly number[], run: Readonly<Record<string, unknown>>): readonly number[] {
  const largest = numeric(run['lambda_max'])?.[0];
  if (largest === undefined) return own;
  return path.lambdas.map((lambda) => own[0]! * Number((lambda / largest).toPrecision(6)));
}

/**
 * Largest violation of the optimality conditions per penalty in units of gradient / n, from gradients that the sites sum
 * up on the original scale at the fitted coefficients; on the penalised scale, as the golden's own proof has it.
 */
function kktViolations(path: Path, fits: Solutions): number[] {
  const { rows, alpha } = path;
  const scale = rows.features.map((column) => (path.standardize ? sdOf(column) : 1));
  const points = fits.beta.map((beta, k) => ({ intercept: path.cox === null ? fits.intercept[k]! : 0, beta }));
  const all = derivativesAt(rows, points, roundOf(path));
  const extra = path.cox === null ? 1 : 0;
  return all.map((derivatives, k) => {
    const lambda = path.lambdas[k]!;
    let worst = extra === 1 ? Math.abs(derivatives.gradient[0]!) / rows.n : 0;
    for (const [j, beta] of points[k]!.beta.entries()) {
      const sd = scale[j]!;
      if (!(sd > 0)) continue;
      const slope = derivatives.gradient[j + extra]! / rows.n / sd - lambda * (1 - alpha) * beta * sd;
      const bound = lambda * alpha;
      worst = Math.max(worst, beta === 0 ? Math.abs(slope) - bound : Math.abs(slope - bound * Math.sign(beta)));
    }
    return worst;
  });
}

/** Standard deviation with divisor n. */
function sdOf(column: Float64Array): number {
  const mean = column.reduce((sum, value) => sum + value, 0) / column.length;
  return Math.sqrt(column.reduce((sum, value) => sum + (value - mean) * (value - mean), 0) / column.length);
}

function compareCrossValidation(
  sheet: Sheet,
  place: (...path: string[]) => Place,
  run: Readonly<Record<string, unknown>>,
  path: () => Path,
): void {
  const block = run['cv'];
  if (!isRecord(block)) return;
  const cv = lazily(() => {
    if (path().rows.cell === undefined) throw new NotCovered('the case has no fold column');
    const summary = crossValidated(path());
    if (summary.cv === null) throw new Error('no cross-validation in the result');
    return { ...summary.cv, path: summary.lambdaPath ?? new Float64Array(0) };
  });
  const compare = (key: string, tolerance: string, got: () => ArrayLike<number>): void => {
    if (key in block) sheet.compare(place('cv', key), got, { tolerance: [tolerance], label: (k) => `lambda ${k + 1}` });
  };
  compare('cvm', 'cvm', () => cv().mean);
  compare('cvsd', 'cvm', () => cv().se);
  compare('lambda.min', 'lambda', () => [cv().path[cv().indexMin]!]);
  compare('lambda.1se', 'lambda', () => [cv().path[cv().index1se]!]);
  // R counts from one.
  compare('index_min', 'lambda', () => [cv().indexMin + 1]);
  compare('index_1se', 'lambda', () => [cv().index1se + 1]);
}
