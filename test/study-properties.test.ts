import { describe, expect, it } from 'vitest';
import { runSimulation } from '../cli/simulation.js';
import { COORDINATOR_COMPUTATIONS } from '../coordinator/computations.js';
import { resultBytes, studyResult } from '../coordinator/result.js';
import { advanceRun, type StudyRun, startRun } from '../coordinator/study-run.js';
import type { CombatResult } from '../harmonization/combat/declaration.js';
import type { Cohort } from '../shared/cohort.site.js';
import type { ModelResult, MomentsResult } from '../shared/computations/frame.js';
import { documentHash, encodeDocument } from '../shared/document.js';
import { addInto, decodeTotal, encodeContribution } from '../shared/fixed-point.js';
import { type Plan, planStudy } from '../shared/plan.js';
import { seededRandom } from '../shared/rng.js';
import type { Study } from '../shared/study.js';
import { cohortsFromTable } from '../site-agent/cohort.site.js';
import { PLAIN_MAPPING } from '../site-agent/cohort-config.js';
import { parseTable } from '../site-agent/cohort-table.site.js';
import { SITE_COMPUTATIONS } from '../site-agent/computations.js';
import { contributionOf, siteView } from '../site-agent/site-run.site.js';
import {
  cohortRows,
  csvOf,
  FEATURES,
  type Row,
  resultJson,
  SITES,
  simulated,
  studyOf,
} from './study-properties-table.js';

/** Laws that hold for a whole study, whatever computations it has. */
const rows = cohortRows(7);
const FULL = studyOf({
  comparators: '[{type: mlp, hidden: [3], maxRounds: 4, patience: 3}]',
  validation: '{folds: 3, leaveOneSiteOut: true, arms: [none, zscore, combat]}',
});
const SURVIVAL = studyOf({
  cohort: `{endpoint: {type: survival, time: days, event: died, horizon: 730}, features: [${FEATURES.join(', ')}], covariates: [{column: sex, levels: [F, M]}, {column: age}]}`,
  model: '{type: cox, alpha: 0.5, lambda: cv, nlambda: 6}',
});

function cohortsOf(study: Study, table: readonly Row[], siteColumn: string, oneHolder: boolean): Cohort[] {
  const mapping = { ...PLAIN_MAPPING, id: 'id' };
  const loads = cohortsFromTable(study, mapping, parseTable(csvOf(table), 'table.csv'), siteColumn, { oneHolder });
  return loads.map(({ cohort }) => cohort);
}

describe('a held-out site', () => {
  /** Everything public that belongs to fits of one outer fold: inner fits, all arms, all models, and what they rest on. */
  const bitsOf = (study: Study, run: StudyRun, outer: string): Record<string, string> => {
    const bits: Record<string, string> = {};
    const hash = (value: unknown) => documentHash(encodeDocument(value));
    for (const fit of run.plan.fits.filter((candidate) => candidate.outer === outer)) {
      const combat = (run.results.get('combat') as CombatResult | undefined)?.fits[fit.id];
      if (combat !== undefined) bits[`combat ${fit.id}`] = hash(combat);
      bits[`moments ${fit.id}`] = hash((run.results.get('moments') as MomentsResult).fits[fit.id]);
      for (const model of [study.model, ...study.comparators]) {
        const result = run.results.get(model.name ?? model.type) as ModelResult;
        if (result.models[fit.id] !== undefined) bits[`${model.type} ${fit.id}`] = hash(result.models[fit.id]);
        const summary = result.summaries[fit.id];
        if (summary !== undefined) bits[`summary of ${model.type} ${fit.id}`] = hash(summary);
      }
    }
    return bits;
  };
  const sectionsOf = (study: Study, table: readonly Row[], fold: string) => {
    const outcome = simulated(study, table);
    const result = resultJson(outcome) as {
      model: { folds: Record<string, unknown> };
      comparators?: { folds: Record<string, unknown> }[];
      validation: { thresholds: { outer: string }[] };
      totals: { fold: string; computation: string; sha256: string }[];
    };
    const own = ([id]: [string, unknown]) => id.endsWith(`:${fold}`);
    return {
      bits: bitsOf(study, outcome.run, fold),
      otherBits: bitsOf(study, outcome.run, 'all'),
      published: {
        folds: [result.model, ...(result.comparators ?? [])].map((model) => Object.entries(model.folds).filter(own)),
        thresholds: result.validation.thresholds.filter(({ outer }) => outer === fold),
        // Totals of the fold's training rounds, in order. In which round a fold's turn comes may depend on slower folds.
        totals: result.totals
          .filter((entry) => entry.fold === fold && entry.computation !== 'validate')
          .map(({ computation, sha256 }) => `${computation} ${sha256}`),
      },
    };
  };
  /** Other patients, other values on another scale, another number of them. */
  const replaced = (site: string, n: number): Row[] => {
    const others = cohortRows(99, { ...SITES, [site]: n }).filter((row) => row['hospital'] === site);
    const scaled = others.map((row): Row => {
      const cells = Object.fromEntries(
        FEATURES.map((name) => [name, row[name] === '' ? '' : String(1e4 * Number(row[name]) - 7e5)]),
      );
      return { ...row, ...cells, id: `other-${row['id']}` };
    });
    return [...rows.filter((row) => row['hospital'] !== site), ...scaled];
  };

  for (const [label, study] of Object.entries({
    'ComBat, lasso and perceptron, three arms': FULL,
    'Cox, elastic net': SURVIVAL,
  }))
    for (const [site, n] of [
      ['cedar', 71],
      ['alder', 4],
    ] as const)
      it(`${label}: replacing every row of ${site} by ${n} others leaves its fold's bits unchanged`, () => {
        const before = sectionsOf(study, rows, `without-${site}`);
        const after = sectionsOf(study, replaced(site, n), `without-${site}`);
        expect(Object.keys(before.bits).length).toBeGreaterThan(8);
        expect(after.bits).toEqual(before.bits);
        expect(after.published).toEqual(before.published);
        expect(before.published.folds[0]).toHaveLength(study === FULL ? 3 : 1);
        // The test can fail: the models that do see the site changed.
        for (const [name, hash] of Object.entries(before.otherBits))
          if (!name.startsWith('summary')) expect(after.otherBits[name], name).not.toBe(hash);
      });
});

describe('the order of a table', () => {
  it('does not reach result.json: shuffled rows and columns give the same bytes', () => {
    for (const study of [FULL, SURVIVAL]) {
      const order = Array.from(rows.keys());
      seededRandom('shuffle', 3).shuffle(order);
      const columns = Object.keys(rows[0]!).reverse();
      const shuffled = order.map((at) => Object.fromEntries(columns.map((name) => [name, rows[at]![name]!])));
      const bytes = (table: readonly Row[]) =>
        Buffer.from(simulated(study, table).files.get('result.json')!).toString();
      expect(bytes(shuffled)).toBe(bytes(rows));
    }
  });
});

describe('who holds the rows', () => {
  // Batch, stratum and fold are columns, so they stay with the row. Hospitals have two scanners each; `region` gives whole
  // hospitals to three holders, `holder` one scanner here and one there.
  const table = rows
    .filter((row) => row['hospital'] !== 'elm')
    .map((row): Row => {
      const [hospital, scanner] = [row['hospital']!, row['scanner']!];
      const region = hospital === 'alder' || hospital === 'dogwood' ? 'north' : hospital === 'birch' ? 'east' : 'west';
      const holder = ['p', 'q', 'r', 'p', 'r', 'q', 's', 's'][
        ['alder', 'birch', 'cedar', 'dogwood'].indexOf(hospital) * 2 + (scanner.endsWith('A') ? 0 : 1)
      ]!;
      return { ...row, region, holder };
    });
  const columns = { batch: 'scanner', fold: 'fold' };
  const binary = `{endpoint: {type: binary, column: mvi}, features: [${FEATURES.join(', ')}], covariates: [{column: sex, levels: [F, M]}, {column: age}], batch: ${columns.batch}, fold: ${columns.fold}}`;
  const survival = binary.replace(
    '{type: binary, column: mvi}',
    '{type: survival, time: days, event: died, unit: days}',
  );
  const studies: Record<string, Record<string, string>> = {
    'ComBat and elastic-net logistic, lambda by cross-validation': { cohort: binary },
    'ComBat and unpenalised logistic': { cohort: binary, model: '{type: logistic, lambda: 0}' },
    'ComBat and Cox stratified by scanner, elastic net by cross-validation': {
      cohort: survival,
      model: '{type: cox, strata: scanner, alpha: 0.5, lambda: cv, nlambda: 6}',
    },
    'ComBat and unpenalised Cox stratified by scanner': {
      cohort: survival,
      model: '{type: cox, strata: scanner, lambda: 0}',
    },
  };
  const holders = {
    'four hospitals': ['hospital', 'alder, birch, cedar, dogwood', false],
    'one holder of all rows': ['hospital', 'alder, birch, cedar, dogwood', true],
    'three regions': ['region', 'north, east, west', false],
    'four holders of single scanners': ['holder', 'p, q, r, s', false],
  } as const;
  /** Law 2: fixed point gives (sites + 1) 2^-80; the rest is floating point, through the condition of a few dozen rows. */
  const RELATIVE = 1e-12;

  for (const [label, more] of Object.entries(studies))
    it(`${label}: same coefficients within ${RELATIVE} (relative), from any holders`, () => {
      let reference: readonly { feature: string; value: number }[] | null = null;
      let worst = 0;
      for (const [who, [siteColumn, sites, oneHolder]] of Object.entries(holders)) {
        const study = studyOf({
          ...more,
          sites: `{training: [${sites}]}`,
          validation: '{folds: 3}',
          privacy: '{minimumCohort: 10}',
        });
        const run = runSimulation(study, cohortsOf(study, table, siteColumn, oneHolder));
        const result = run.results.get(study.model.type) as ModelResult;
        const { coefficients, converged, lambda } = result.summaries['combat:all']!;
        expect(converged, who).toBe(true);
        if (reference === null) {
          reference = coefficients;
          expect(coefficients.filter(({ value }) => value !== 0).length).toBeGreaterThan(1);
          continue;
        }
        expect(lambda).not.toBeNull();
        const scale = reference.reduce((most, { value }) => Math.max(most, Math.abs(value)), 0);
        for (const [j, { feature, value }] of coefficients.entries()) {
          expect(feature).toBe(reference[j]!.feature);
          const difference =
            Math.abs(value - reference[j]!.value) / Math.max(Math.abs(reference[j]!.value), 1e-3 * scale);
          worst = Math.max(worst, difference);
          expect(difference, `${feature}, ${who}`).toBeLessThanOrEqual(RELATIVE);
        }
      }
      console.info(`${label}: worst relative difference between holders ${worst.toExponential(1)}`);
    });
});

describe('rounds', () => {
  /** Rounds per computation when a plan is run; `validate` is left out, it waits for the models of all folds. */
  function roundsOf(study: Study, plan: Plan, cohorts: readonly Cohort[]): Record<string, number> {
    const training = { ...plan, computations: plan.computations.filter(({ instance }) => instance !== 'validate') };
    const memos = cohorts.map(() => new Map<string, unknown>());
    const sites = cohorts.flatMap((cohort) => [...cohort.sites]).sort();
    const rounds: Record<string, number> = {};
    let run = startRun(training, COORDINATOR_COMPUTATIONS);
    for (let request = run.request; request !== null; request = run.request) {
      const { leaves, instance } = request;
      rounds[instance] = (rounds[instance] ?? 0) + 1;
      const words = cohorts.map((cohort, index) => {
        const view = siteView(study, training, cohort, run.results, memos[index]!);
        return encodeContribution(leaves, contributionOf(training, SITE_COMPUTATIONS, request!, view), sites.length);
      });
      const sum = words.reduce((total, own) => {
        for (const [at, leaf] of leaves.entries()) addInto(total[at]!, own[at]!, leaf.ring);
        return total;
      });
      run = advanceRun(run, COORDINATOR_COMPUTATIONS, { sites, values: decodeTotal(leaves, sum) });
    }
    return rounds;
  }

  function onlyFold(plan: Plan, outer: string): Plan {
    const fits = plan.fits.filter((fit) => fit.outer === outer);
    const ids = new Set(fits.map(({ id }) => id));
    const computations = plan.computations.map((planned) => {
      const spec = planned.spec as { fits?: readonly { id: string }[] };
      return spec.fits === undefined
        ? planned
        : { ...planned, spec: { ...spec, fits: spec.fits.filter(({ id }) => ids.has(id)) } };
    });
    return { ...plan, fits, computations };
  }

  for (const [label, study] of Object.entries({
    'ComBat, lasso and perceptron, three arms': FULL,
    'Cox, elastic net': SURVIVAL,
  }))
    it(`${label}: all folds together take at most two rounds more than the slowest fold alone`, () => {
      const cohorts = cohortsOf(study, rows, 'hospital', false);
      const plan = planStudy(study);
      const together = roundsOf(study, plan, cohorts);
      const outers = [...new Set(plan.fits.map(({ outer }) => outer))];
      expect(outers).toHaveLength(5);
      const alone = outers.map((outer) => roundsOf(study, onlyFold(plan, outer), cohorts));
      const total = (rounds: Record<string, number>) => Object.values(rounds).reduce((sum, count) => sum + count, 0);
      const slowest = Math.max(...alone.map(total));
      for (const [instance, count] of Object.entries(together))
        expect(count, instance).toBeLessThanOrEqual(Math.max(...alone.map((rounds) => rounds[instance]!)) + 2);
      console.info(
        `${label}: ${outers.length} folds together ${total(together)} rounds, alone ${alone.map(total).join(', ')}, one after the other ${alone.map(total).reduce((sum, count) => sum + count, 0)}`,
      );
      expect(total(together)).toBeLessThanOrEqual(slowest + 2);
    });
});

describe('one study, run twice', () => {
  it('gives the same bytes, also where the pure run is used without the table around it', () => {
    const bytes = Buffer.from(simulated(FULL, rows).files.get('result.json')!).toString();
    const again = runSimulation(FULL, cohortsOf(FULL, rows, 'hospital', false));
    expect(Buffer.from(resultBytes(studyResult(FULL, again))).toString()).toBe(bytes);
  });
});
