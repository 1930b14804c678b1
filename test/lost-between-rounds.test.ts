import { describe, expect, it } from 'vitest';
import { COORDINATOR_COMPUTATIONS } from '../coordinator/computations.js';
import { advanceRun, type StudyRun, startRun } from '../coordinator/study-run.js';
import type { Cohort } from '../shared/cohort.site.js';
import type { DescribeResult } from '../shared/computations/describe/declaration.js';
import type { HabitatsSpec } from '../shared/computations/habitats/declaration.js';
import type { LandmarksSpec } from '../shared/computations/landmarks/declaration.js';
import { addInto, decodeTotal, encodeContribution, zeroWords } from '../shared/fixed-point.js';
import { LANDMARK_PERCENTILES } from '../shared/imaging-learned.js';
import { type Plan, planStudy } from '../shared/plan.js';
import { seededRandom } from '../shared/rng.js';
import type { Study } from '../shared/study.js';
import { cohortsFromTable } from '../site-agent/cohort.site.js';
import { PLAIN_MAPPING } from '../site-agent/cohort-config.js';
import { parseTable } from '../site-agent/cohort-table.site.js';
import { SITE_COMPUTATIONS } from '../site-agent/computations.js';
import { contributionOf, siteView } from '../site-agent/site-run.site.js';
import { cohortRows, csvOf, FEATURES, studyOf } from './study-properties-table.js';

/**
 * `onMissingSite: continue`: a site is lost for good before any one round of a study. Whatever the round, the results are those
 * of the study that lost it before the first round of that computation (the restart point of docs/operations.md); those of
 * `describe`, which is not run again, are null where they would be sums over fewer patients than they are divided by.
 */
const SIZES = { alder: 24, birch: 26, cedar: 22, dogwood: 25, elm: 24, fir: 23 };
const SITE_LIST = '{training: [alder, birch, cedar, dogwood], external: [elm, fir]}';
const ROWS = cohortRows(5, SIZES);
// Missing values, so that what is imputed and how often a column was observed matter.
for (const [at, row] of ROWS.entries()) if (at % 9 === 0) row['age'] = '';

const common = { sites: SITE_LIST, privacy: '{minimumCohort: 10, minimumCount: 4}' };
const STUDIES: Record<string, Study> = {
  'ComBat, elastic net, perceptron, threshold and pooled calibration': studyOf({
    ...common,
    harmonization: '{method: combat, covariates: [sex, age], calibrationCases: 6}',
    model: '{type: logistic, alpha: 0.5, lambda: 0.1}',
    comparators: '[{type: mlp, hidden: [2], maxRounds: 3, patience: 2}]',
    validation: '{folds: 2}',
    selection: '{stability: {minimum: 0}}',
  }),
  'stratified Cox with a horizon': studyOf({
    ...common,
    cohort: `{endpoint: {type: survival, time: days, event: died, horizon: 730}, features: [${FEATURES.join(', ')}]}`,
    harmonization: '{method: none}',
    model: '{type: cox, lambda: 0}',
    validation: '{folds: 0}',
  }),
};

/** What images would give: a second reading of every feature, landmarks of one phase, and voxels of every lesion. */
function measured(cohort: Cohort): Cohort {
  const random = seededRandom('lost between rounds', cohort.holder);
  const p = FEATURES.length;
  const { n } = cohort;
  const repeats = new Float64Array(n * 2 * p);
  for (let row = 0; row < n; row++)
    for (let at = 0; at < 2 * p; at++)
      repeats[row * 2 * p + at] = cohort.features[row * p + (at % p)]! + random.normal();
  const landmarks = Float64Array.from({ length: n * LANDMARK_PERCENTILES.length }, (_, at) => at + random.uniform());
  const points = Array.from({ length: n }, () => Float64Array.from({ length: 24 }, () => random.uniform()));
  return { ...cohort, repeats: { count: 2, values: repeats }, learned: { landmarks, points } };
}

/** The study's plan, and what it would have learned from images beside it. */
function planOf(study: Study): Plan {
  const plan = planStudy(study);
  const { frame } = plan;
  const landmarks: LandmarksSpec = { frame, phases: ['arterial'], within: 'foreground', scale: [0, 100] };
  const habitats: HabitatsSpec = {
    frame,
    phase: 'arterial',
    range: [0, 100],
    radiusMm: 3,
    bins: 8,
    voxels: 12,
    count: 2,
    iterations: 4,
    standardized: null,
  };
  const [described, ...rest] = plan.computations;
  const learned = [
    { instance: 'landmarks', computation: 'landmarks', spec: landmarks },
    { instance: 'habitats', computation: 'habitats', spec: habitats },
  ] as const;
  return { ...plan, computations: [described!, ...learned, ...rest] };
}

interface Done {
  readonly run: StudyRun;
  /** Instance of each round, from 1, and whom it asked. */
  readonly rounds: readonly { readonly instance: string; readonly asked: ReadonlySet<string> }[];
}

function federation(study: Study, rows = ROWS) {
  const table = parseTable(csvOf(rows), 'table.csv');
  const loads = cohortsFromTable(study, { ...PLAIN_MAPPING, id: 'id' }, table, 'hospital', { oneHolder: false });
  const cohorts = loads.map(({ cohort }) => measured(cohort));
  const plan = planOf(study);
  return (isHere: (site: string, round: number) => boolean): Done => {
    const memos = cohorts.map(() => new Map<string, unknown>());
    const rounds: { instance: string; asked: Set<string> }[] = [];
    let run = startRun(plan, COORDINATOR_COMPUTATIONS);
    for (let request = run.request; request !== null; request = run.request) {
      const { leaves, round, instance } = request;
      const asked = leaves.flatMap(({ contributors }) => contributors.map(({ site }) => site));
      if (rounds.length > 300) throw new Error(`${instance} does not end`);
      rounds.push({ instance, asked: new Set(asked) });
      const words = zeroWords(leaves);
      const sites: string[] = [];
      for (const [index, cohort] of cohorts.entries()) {
        if (!isHere(cohort.holder, round)) continue;
        sites.push(cohort.holder);
        const view = siteView(study, plan, cohort, run.results, memos[index]!);
        const contribution = contributionOf(plan, SITE_COMPUTATIONS, request, view);
        const encoded = encodeContribution(leaves, contribution, cohorts.length);
        for (const [at, leaf] of leaves.entries()) addInto(words[at]!, encoded[at]!, leaf.ring);
      }
      run = advanceRun(run, COORDINATOR_COMPUTATIONS, { sites, values: decodeTotal(leaves, words) });
    }
    return { run, rounds };
  };
}

/** Without what counts rounds and tells of the restart: how often a model was asked for, and its notes. */
function shown(value: unknown): string {
  return JSON.stringify(value, (key, item) => {
    if (key === 'iterations' || key === 'notes') return undefined;
    if (ArrayBuffer.isView(item)) return Array.from(item as Float64Array, String);
    return typeof item === 'number' ? String(item) : item;
  });
}

describe.each(Object.entries(STUDIES))('a site lost before any one round: %s', (_, study) => {
  const runWith = federation(study);
  const whole = runWith(() => true);

  it.each(['cedar', 'fir'])('%s', (victim) => {
    const lostBefore = (from: number) => runWith((site, round) => site !== victim || round < from);
    const references = new Map<number, Done>();
    for (let round = 5; round <= whole.rounds.length; round++) {
      const { instance } = whole.rounds[round - 1]!;
      const ofThis = [...whole.rounds.entries()].filter(([, other]) => other.instance === instance);
      const isAskedYet = ofThis.some(([at, { asked }]) => at + 1 >= round && asked.has(victim));
      // All that the computation asked of it is in the totals: then it is lost before the next one.
      const first = isAskedYet ? ofThis[0]![0] + 1 : ofThis.at(-1)![0] + 2;
      if (round === first) continue;
      const reference = references.get(first) ?? lostBefore(first);
      references.set(first, reference);
      const { run } = lostBefore(round);
      for (const [name, result] of run.results)
        expect([round, name, shown(result) === shown(reference.run.results.get(name))]).toEqual([round, name, true]);
    }
  });

  it('in describe: what is shown is over everybody, or null', () => {
    const all = whole.run.results.get('describe') as DescribeResult;
    for (let round = 2; round <= 4; round++) {
      const { run } = runWith((site, at) => site !== 'cedar' || at < round);
      const described = run.results.get('describe') as DescribeResult;
      for (const [name, column] of Object.entries(described.columns))
        for (const [key, value] of Object.entries(column))
          if (value !== null)
            expect([round, name, key, value]).toEqual([round, name, key, Reflect.get(all.columns[name]!, key)]);
      expect(described.outcome.n).toBe(all.outcome.n);
      if (round > 2) expect(described.outcome).toEqual(all.outcome);
      else expect(described.outcome.events).toEqual({ suppressed: true });
    }
  });

  it('from the first round on it is named, with no count that nobody told', () => {
    const { run } = runWith((site) => site !== 'cedar');
    const described = run.results.get('describe') as DescribeResult;
    const suppressed = { suppressed: true };
    const absent = { name: 'cedar', role: 'excluded', absent: true, n: suppressed, events: suppressed, exclusions: [] };
    expect(described.sites.find(({ name }) => name === 'cedar')).toEqual(absent);
    expect(described.excludedSites).toEqual(['cedar']);
  });
});

it('events of hidden sites are added up over all of them, or not told', () => {
  const few = ['alder', 'birch', 'cedar'];
  const seen = new Map<string, number>();
  const rows = ROWS.map((row) => {
    const at = (seen.get(row['hospital']!) ?? 0) + 1;
    seen.set(row['hospital']!, at);
    const isEvent = few.includes(row['hospital']!) ? at <= 2 : at % 2 === 0;
    return { ...row, mvi: isEvent ? '1' : '0' };
  });
  const study = studyOf({ ...common, model: '{type: logistic, lambda: 1}', validation: '{folds: 0, threshold: 0.5}' });
  const runWith = federation(study, rows);
  const described = (isHere: Parameters<typeof runWith>[0]) =>
    runWith(isHere).run.results.get('describe') as DescribeResult;
  const whole = described(() => true);
  expect(few.every((site) => whole.hidden.whole.includes(site))).toBe(true);
  expect(whole.outcome.events).toBeGreaterThan(6);
  expect(described((site, round) => site !== 'cedar' || round < 2).outcome.events).toEqual({ suppressed: true });
});

it('a site that comes and goes in one computation ends the study with a code, not with a mixture', () => {
  const runWith = federation(STUDIES['stratified Cox with a horizon']!);
  const { rounds } = runWith(() => true);
  const moments = rounds.findIndex(({ instance }) => instance === 'moments') + 1;
  expect(() => runWith((site, round) => site !== 'birch' || round < moments || round % 2 === 0)).toThrow(
    expect.objectContaining({ code: 'STUDY_SITES_UNSTEADY' }),
  );
});
