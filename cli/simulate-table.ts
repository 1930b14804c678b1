import path from 'node:path';
import { bundleOf } from '../coordinator/bundle.js';
import type { RoundRequest, StudyRun } from '../coordinator/study-run.js';
import { localHarmonization } from '../harmonization/harmonized.site.js';
import type { Cohort } from '../shared/cohort.site.js';
import { contributingSites } from '../shared/computations/describe/declaration.js';
import type { ValidateResult } from '../shared/computations/validate/result.js';
import { ConcordatError } from '../shared/errors.js';
import {
  EMPTY_GUARD,
  type GuardRules,
  type GuardState,
  guardDecision,
  guardRequest,
} from '../shared/guard-decision.js';
import { type Study, studySites } from '../shared/study.js';
import { disclosiveModels } from '../shared/study-check.js';
import { cohortsFromTable, guessIdColumn } from '../site-agent/cohort.site.js';
import { type CohortMapping, PLAIN_MAPPING } from '../site-agent/cohort-config.js';
import { readCohortConfig, readTable, repeated, scored } from '../site-agent/cohort-files.js';
import type { Table } from '../site-agent/cohort-table.site.js';
import { DEFAULT_POLICY } from '../site-agent/policy.js';
import { guardRulesOf, guardScheme } from '../site-agent/shell/decide.js';
import { harmonizationInput } from '../site-agent/site-run.site.js';
import { runSimulation, type SimulatedRound } from './simulation.js';

export interface SimulationOutcome {
  readonly run: StudyRun;
  readonly validation: ValidateResult;
  readonly rounds: number;
  /** Bytes that one site would send. */
  readonly bytes: number;
  /** result.json and bundle/. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Site -> what never leaves it. */
  readonly local: ReadonlyMap<string, unknown>;
  readonly unmet: readonly string[];
  /** What a site's guard would have refused, where that was overruled. */
  readonly guard: readonly string[];
}

/** `concordat simulate` without its terminal: one table, split by site, through the whole study. */
export function simulateTable(
  study: Study,
  options: {
    /** A file, or a table that was read and has the features of its images. */
    readonly table: string | Table;
    readonly siteColumn: string;
    readonly oneHolder: boolean;
    readonly guard: boolean;
    readonly cohortYaml?: string;
    readonly idColumn?: string;
    readonly onRound?: (round: SimulatedRound) => void;
  },
): SimulationOutcome {
  const config = options.cohortYaml === undefined ? null : readCohortConfig(options.cohortYaml);
  const plain = typeof options.table === 'string' ? readTable(options.table, config?.separator) : options.table;
  const table = config?.clinical === undefined ? plain : scored(config, config.clinical, plain);
  const id = options.idColumn ?? config?.id ?? guessIdColumn(study, table, options.siteColumn);
  const mapping: CohortMapping = { ...(config ?? PLAIN_MAPPING), id };
  const loads = cohortsFromTable(study, mapping, table, options.siteColumn, { oneHolder: options.oneHolder });
  const folder = options.cohortYaml === undefined ? '.' : path.dirname(options.cohortYaml);
  const cohorts = loads.map(({ cohort }) =>
    config === null ? cohort : repeated(study, cohort, { ...config, id: mapping.id ?? config.id }, folder),
  );
  // One holder of all rows is the pooled analysis: there is nobody to guard against, and risk sets stay in one hand.
  if (!options.oneHolder) requireStratified(study);
  const guards = options.oneHolder ? null : new SimulatedGuards(study, cohorts, options.guard);
  let bytes = 0;
  const run = runSimulation(study, cohorts, {
    beforeRelease: (request, results) => guards?.check(request, results),
    onRound: (round) => {
      bytes += round.bytes;
      options.onRound?.(round);
    },
  });
  const simulated = (study.title ?? '').toLowerCase().includes('simulated');
  const { files, unmet } = bundleOf({ run, study, roster: null, simulated });
  return {
    run,
    validation: run.results.get('validate') as ValidateResult,
    rounds: run.totals.length === 0 ? 0 : Math.max(...roundCounts(run)),
    bytes,
    files: new Map([
      ['result.json', files.get('result.json')!],
      ...[...files].map(([name, content]) => [`bundle/${name}`, content] as const),
    ]),
    local: localFiles(study, run, cohorts),
    unmet,
    guard: guards?.overruled ?? [],
  };
}

function requireStratified(study: Study): void {
  if (disclosiveModels(study).length > 0)
    throw new ConcordatError(
      'STUDY_DISCLOSIVE',
      'exact risk sets over several sites give patients away, even when they are summed',
    );
}

function roundCounts(run: StudyRun): number[] {
  const last = new Map<string, number>();
  for (const { computation, iteration } of run.totals)
    last.set(computation, Math.max(last.get(computation) ?? 0, iteration));
  return [[...last.values()].reduce((sum, count) => sum + count, 0)];
}

function localFiles(study: Study, run: StudyRun, cohorts: readonly Cohort[]): Map<string, unknown> {
  const fit = run.plan.fits.find(({ id }) => id === `${study.harmonization.method}:all`)!;
  return new Map(
    cohorts.flatMap((cohort) => {
      const input = harmonizationInput(study, run.plan, cohort, run.results, new Map());
      return cohort.sites.map((site) => [site, localHarmonization(input, fit, site)] as const);
    }),
  );
}

/** Every site's disclosure guard over the whole simulated study. */
class SimulatedGuards {
  readonly overruled: string[] = [];
  private readonly sites: { readonly rules: GuardRules; state: GuardState }[];

  constructor(
    private readonly study: Study,
    cohorts: readonly Cohort[],
    private readonly enforce: boolean,
  ) {
    const policy = { ...DEFAULT_POLICY, minSites: study.privacy.minSites, minimumCohort: study.privacy.minimumCohort };
    this.sites = cohorts.map((cohort) => ({
      rules: guardRulesOf(study, policy, cohort.holder, { cohort, warnings: [] }),
      state: EMPTY_GUARD,
    }));
  }

  check(request: RoundRequest, results: ReadonlyMap<string, unknown>): void {
    const cells = Math.max(1, this.study.validation.folds);
    for (const site of this.sites) {
      const counted = contributingSites(studySites(this.study), results, site.rules.own?.site ?? null);
      const asked = guardRequest(request.leaves, counted, guardScheme(this.study), cells);
      const decision = guardDecision(site.state, asked, site.rules);
      if (decision.ok) site.state = decision.state;
      else if (this.enforce) throw new ConcordatError(decision.code, `${request.instance}: ${decision.message}`);
      else if (!this.overruled.includes(decision.message)) this.overruled.push(decision.message);
    }
  }
}
