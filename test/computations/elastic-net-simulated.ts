import type { CoordinatorHalf, Declaration, SiteHalf } from '../../shared/computations/computation.js';
import { coxCoordinator } from '../../shared/computations/cox/advance.coordinator.js';
import { coxSite } from '../../shared/computations/cox/contribute.site.js';
import { coxDeclaration } from '../../shared/computations/cox/declaration.js';

import type { CoxSpec, Frame, LogisticSpec, ModelResult } from '../../shared/computations/frame.js';
import { logisticCoordinator } from '../../shared/computations/logistic/advance.coordinator.js';
import { logisticSite } from '../../shared/computations/logistic/contribute.site.js';
import { logisticDeclaration } from '../../shared/computations/logistic/declaration.js';
import { runInMemory } from '../../shared/computations/run-in-memory.js';
import { decodeDocument, encodeDocument } from '../../shared/document.js';
import type { Fit } from '../../shared/fits.js';
import { seededRandom } from '../../shared/rng.js';
import { fitsOfTable, frameOfTable, preparedViews, type TestTable } from '../support/views.js';

export const SITES = ['alder', 'birch', 'cedar', 'dogwood'];

/** Simulated patients of four sites with correlated features, a binary and a tied survival outcome. */
export function simulated(
  n: number,
  p: number,
  seed: number,
): TestTable & { y: number[]; time: number[]; event: number[] } {
  const random = seededRandom('elastic-net test', seed);
  const x = Array.from({ length: n }, () => {
    const common = random.normal();
    return Array.from({ length: p }, (_, j) => (j + 1) * (0.5 * common + random.normal()) + 10 * j);
  });
  const eta = x.map((row) => 0.9 * row[0]! - 0.3 * (row[1]! - 10) + 0.2 * (row[2]! - 20));
  const y = eta.map((value) => (random.uniform() < 1 / (1 + Math.exp(-value)) ? 1 : 0));
  const time = eta.map((value) => Math.ceil((-12 * Math.log(random.uniform())) / Math.exp(0.5 * value)));
  return {
    site: x.map((_, i) => SITES[i % 4]!),
    features: Array.from({ length: p }, (_, j) => `f${j}`),
    x,
    y,
    time,
    event: x.map(() => (random.uniform() < 0.7 ? 1 : 0)),
    cell: x.map((_, i) => Math.floor(i / 4) % 5),
  };
}

export const cox = { declaration: coxDeclaration, site: coxSite, coordinator: coxCoordinator };
export const logistic = { declaration: logisticDeclaration, site: logisticSite, coordinator: logisticCoordinator };

/** The same halves with every broadcast encoded and decoded on its way to a site. */
export function travelling<Spec, Broadcast, State, Result>(halves: {
  readonly declaration: Declaration<Spec, Broadcast>;
  readonly site: SiteHalf<Spec, Broadcast>;
  readonly coordinator: CoordinatorHalf<Spec, Broadcast, State, Result>;
}): typeof halves {
  const contribute: typeof halves.site.contribute = (spec, broadcast, view) =>
    halves.site.contribute(spec, decodeDocument(encodeDocument(broadcast)) as Broadcast, view);
  return { ...halves, site: { name: halves.site.name, contribute } };
}

export type Options = Partial<LogisticSpec & CoxSpec> & { frame?: Frame; fits?: readonly Fit[] };

export function run(
  model: 'logistic' | 'cox',
  table: ReturnType<typeof simulated>,
  options: Options = {},
  arrange: { holderOf?: (row: number) => string; reverse?: boolean } = {},
): { result: ModelResult; rounds: number } {
  const own = ownColumns(model, table);
  const frame = options.frame ?? frameOfTable(own);
  const fits = options.fits ?? fitsOfTable(frame);
  const { views, results } = preparedViews(own, frame, fits, arrange.holderOf);
  if (arrange.reverse === true) views.reverse();
  const spec = specOf(model, frame, fits, options);
  return model === 'cox' ? runInMemory(cox, spec, views, results) : runInMemory(logistic, spec, views, results);
}

export function specOf(
  model: 'logistic' | 'cox',
  frame: Frame,
  fits: readonly Fit[],
  options: Options,
): LogisticSpec & CoxSpec {
  return {
    model,
    covariates: true,
    alpha: 1,
    lambda: 0,
    rule: 'min',
    nlambda: 20,
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
}

/** The columns of the table that the model looks at. */
export function ownColumns(
  model: 'logistic' | 'cox',
  { y, time, event, ...rest }: ReturnType<typeof simulated>,
): TestTable {
  return model === 'logistic' ? { ...rest, y } : { ...rest, time, event };
}
