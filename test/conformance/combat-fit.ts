import { combatCoordinator } from '../../harmonization/combat/advance.coordinator.js';
import { combatSite } from '../../harmonization/combat/contribute.site.js';
import { type CombatFitResult, type CombatResult, combatDeclaration } from '../../harmonization/combat/declaration.js';
import type { BatchEstimate } from '../../harmonization/combat/estimate.site.js';
import {
  combatEstimates,
  type HarmonizationInput,
  type HeldOutMode,
  harmonizedFeatures,
} from '../../harmonization/harmonized.site.js';
import type { CombatSpec } from '../../shared/computations/frame.js';
import { runInMemory } from '../../shared/computations/run-in-memory.js';
import { assert } from '../../shared/errors.js';
import type { Fit } from '../../shared/fits.js';
import { type CaseRows, fitsOf, frameOf, type Holder, holdersOf } from './federation.js';

export interface CombatOptions {
  readonly mode: CombatSpec['mode'];
  /** Design columns that enter as numeric covariates; none for a model without covariates. */
  readonly design: readonly { readonly name: string; readonly values: Float64Array }[];
  /** 1 where the row trains; all where absent. Sites without such a row are held out. */
  readonly train?: Uint8Array;
  readonly heldOut?: HeldOutMode;
}

/** What ComBat gives: the public joint fit, and what every site keeps to itself. */
export interface CombatAnswer {
  readonly result: CombatFitResult;
  readonly estimates: ReadonlyMap<string, BatchEstimate>;
  /** Features of the case after harmonization, one column per feature, rows as in the table. */
  readonly harmonized: readonly Float64Array[];
}

/** ComBat over sites as holders: the joint fit through the ring, estimates and application at each site. */
export function runCombat(table: CaseRows, options: CombatOptions): CombatAnswer {
  const rows: CaseRows = {
    ...table,
    covariateColumns: options.design.map(({ name }) => ({ name, levels: null })),
    covariates: options.design.map(({ values }) => values),
  };
  const train = options.train ?? new Uint8Array(rows.n).fill(1);
  const trained = [...new Set(rows.site.filter((_, row) => train[row] === 1))].sort();
  const whole = fitsOf(rows, 'combat')[0]!;
  const fit: Fit = { ...whole, sites: trained, heldOut: whole.sites.filter((site) => !trained.includes(site)) };
  const spec: CombatSpec = {
    frame: frameOf(rows),
    fits: [fit],
    covariates: options.design.map(({ name }) => name),
    mode: options.mode,
  };
  const holders = holdersOf(rows, 'sites').map((holder) => withTraining(holder, train));
  const halves = { declaration: combatDeclaration, site: combatSite, coordinator: combatCoordinator };
  const training = holders.filter((holder) => holder.view.cohort.sites.some((site) => trained.includes(site)));
  const combat: CombatResult = runInMemory(
    halves,
    spec,
    training.map((holder) => holder.view),
  ).result;
  const result = combat.fits[fit.id];
  assert(result !== undefined, `ComBat gave no result for ${fit.id}`);
  const estimates = new Map<string, BatchEstimate>();
  const harmonized = rows.featureNames.map(() => new Float64Array(rows.n));
  const p = rows.featureNames.length;
  for (const holder of holders) {
    const input: HarmonizationInput = {
      cohort: holder.view.cohort,
      results: new Map([['combat', combat]]),
      frame: spec.frame,
      combatSpec: spec,
      heldOut: options.heldOut ?? 'transductive',
      memo: new Map(),
    };
    for (const estimate of combatEstimates(input, fit)) estimates.set(estimate.batch, estimate);
    const features = harmonizedFeatures(input, fit);
    for (const [own, row] of holder.rows.entries())
      for (let j = 0; j < p; j++) harmonized[j]![row] = features[own * p + j]!;
  }
  return { result, estimates, harmonized };
}

function withTraining(holder: Holder, train: Uint8Array): Holder {
  const cohort = { ...holder.view.cohort, train: Uint8Array.from(holder.rows, (row) => train[row]!) };
  return { ...holder, view: { ...holder.view, cohort } };
}
