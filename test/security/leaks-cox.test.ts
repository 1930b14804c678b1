import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { coxCoordinator } from '../../shared/computations/cox/advance.coordinator.js';
import { coxSite } from '../../shared/computations/cox/contribute.site.js';
import { coxDeclaration } from '../../shared/computations/cox/declaration.js';
import type { CoxSpec } from '../../shared/computations/frame.js';
import { runInMemory } from '../../shared/computations/run-in-memory.js';
import { planStudy } from '../../shared/plan.js';
import { seededRandom } from '../../shared/rng.js';
import { type Study, studySchema } from '../../shared/study.js';
import { checkStudyPlan } from '../../shared/study-check.js';
import { evaluateStudy, parsePolicy } from '../../site-agent/policy.js';
import { leavesByComputation } from '../../site-agent/preview.js';
import { OPEN_POLICY } from '../e2e/support.js';
import { fitsOfTable, frameOfTable, preparedViews, type TestTable } from '../support/views.js';
import { Composed, until } from './composed.js';

/**
 * Known leak: exact risk sets. An unstratified Cox model needs, at every event time, sums over the patients of all sites
 * that are still at risk. Sums at neighbouring event times differ by those who left in between: mostly one patient.
 */
const SITES = ['alder', 'birch', 'cedar'];
const FEATURES = ['f1', 'f2', 'f3', 'f4'];

function simulated(perSite: number): TestTable {
  const random = seededRandom('cox attacker', perSite);
  const site = SITES.flatMap((name) => new Array<string>(perSite).fill(name));
  return {
    site,
    features: FEATURES,
    x: site.map(() => FEATURES.map(() => random.normal())),
    // Days with a fraction: few ties, as in real follow-up of few patients.
    time: site.map(() => -400 * Math.log(1 - random.uniform())),
    event: site.map(() => Number(random.uniform() < 0.6)),
  };
}

/** Sum over all sites of the rows at risk at each event time: what a protocol with exact risk sets adds up, at beta = 0. */
function riskSetTotals(table: TestTable): { n: number; x: number[] }[] {
  const times = [...new Set(table.time!.filter((_, row) => table.event![row] === 1))].sort((a, b) => a - b);
  return times.map((time) => {
    const atRisk = table.x.filter((_, row) => table.time![row]! >= time);
    return { n: atRisk.length, x: FEATURES.map((_, j) => atRisk.reduce((sum, row) => sum + row[j]!, 0)) };
  });
}

/** Differences of neighbours that are one patient. */
function attack(totals: readonly { n: number; x: readonly number[] }[]): number[][] {
  return totals.slice(1).flatMap((next, at) => {
    const before = totals[at]!;
    return before.n - next.n === 1 ? [before.x.map((value, j) => value - next.x[j]!)] : [];
  });
}

const isPatient = (table: TestTable, row: readonly number[], tolerance: number) =>
  table.x.some((own) => own.every((value, j) => Math.abs(value - row[j]!) < tolerance));

function specOf(table: TestTable): { spec: CoxSpec; prepared: ReturnType<typeof preparedViews> } {
  const frame = frameOfTable(table);
  const fits = fitsOfTable(frame);
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
    frame,
    fits,
  };
  return { spec, prepared: preparedViews(table, frame, fits) };
}

/** Every total of a stratified fit as the coordinator gets it, as numbers by tensor. */
function totalsOf(table: TestTable): Map<string, number[]>[] {
  const { spec, prepared } = specOf(table);
  const seen: Map<string, number[]>[] = [];
  const coordinator = {
    ...coxCoordinator,
    advance: ((given, state, total) => {
      seen.push(new Map([...total.values].map(([name, values]) => [name, [...values]])));
      return coxCoordinator.advance(given, state, total);
    }) as typeof coxCoordinator.advance,
  };
  runInMemory({ declaration: coxDeclaration, site: coxSite, coordinator }, spec, prepared.views, prepared.results);
  return seen;
}

describe('exact risk sets', () => {
  it('with the guard off give one in three patients who had the event, and more, row by row, from sums over all sites', () => {
    const table = simulated(20);
    const rows = attack(riskSetTotals(table));
    for (const row of rows) expect(isPatient(table, row, 1e-9)).toBe(true);
    const events = table.event!.filter((event) => event === 1).length;
    expect(rows.length).toBeGreaterThan(events / 3);
  });

  it('are not sent by a stratified fit: neither a total nor a difference of two is a patient', () => {
    const table = simulated(20);
    const standardized = { ...table, x: standardizedRows(table) };
    const rounds = totalsOf(table);
    const scores = rounds.flatMap((round) =>
      [...round].filter(([name]) => name.endsWith('/score')).map(([, values]) => values.slice(0, FEATURES.length)),
    );
    expect(scores.length).toBeGreaterThan(3);
    const candidates = [...scores, ...scores.flatMap((a) => scores.map((b) => a.map((value, j) => value - b[j]!)))];
    for (const candidate of candidates)
      if (candidate.some((value) => Math.abs(value) > 1e-6))
        for (const cohort of [table, standardized]) expect(isPatient(cohort, candidate, 1e-3)).toBe(false);
  });

  it('and as many numbers leave in a round whether there are twelve events or two hundred', () => {
    const width = (perSite: number) =>
      Math.max(
        ...totalsOf(simulated(perSite)).map((round) => [...round.values()].reduce((sum, v) => sum + v.length, 0)),
      );
    expect(width(120)).toBe(width(15));
  });
});

describe('a study that asks for them', () => {
  const study: Study = studySchema.parse({
    concordat: 1,
    name: 'pooled-risk-sets',
    cohort: { endpoint: { type: 'survival', time: 'days', event: 'os', unit: 'days' }, features: FEATURES },
    sites: { training: [...SITES, 'dogwood'] },
    harmonization: { method: 'none' },
    model: { type: 'cox', strata: 'none' },
    validation: { folds: 0 },
    quorum: 3,
    seed: 3,
  });
  const stratified: Study = studySchema.parse({ ...study, model: { type: 'cox', strata: 'site' } });
  const leaves = leavesByComputation(planStudy(study));

  it('does not pass `study check`; the same study with strata: site does', () => {
    const rounds = Object.values(leaves).map((list) => [...list]);
    expect(checkStudyPlan(rounds, study, null)).toMatchObject({ ok: false, disclosive: ['cox'] });
    expect(checkStudyPlan(rounds, stratified, null)).toMatchObject({ ok: true, disclosive: [] });
  });

  it("is refused by every site's policy, the most open one too", () => {
    const policy = parsePolicy(OPEN_POLICY, 'policy.yaml');
    expect(evaluateStudy(policy, stratified, leaves, 'alder')).toEqual({ allowed: true });
    const decision = evaluateStudy(policy, study, leaves, 'alder');
    expect(decision.allowed ? '' : decision.reasons.join()).toMatch(/unstratified Cox/);
  });

  it('is refused by the half that sees patients, whatever was approved', () => {
    const table = simulated(15);
    const { spec, prepared } = specOf(table);
    const halves = { declaration: coxDeclaration, site: coxSite, coordinator: coxCoordinator };
    expect(() => runInMemory(halves, { ...spec, strata: 'none' }, prepared.views, prepared.results)).toThrow(
      expect.objectContaining({ code: 'POLICY_RISK_SETS_POOLED' }),
    );
  });

  it('is not taken by a coordinator', async () => {
    const of = new Composed([...SITES, 'dogwood']);
    try {
      await of.start();
      of.propose(study);
      const inbox = path.join(of.root, 'inbox');
      const answered = () => (existsSync(inbox) ? readdirSync(inbox).filter((file) => file.endsWith('.done')) : []);
      await until(
        () => answered().length === 1,
        () => 'an answer',
      );
      const answer = JSON.parse(readFileSync(path.join(inbox, answered()[0]!), 'utf8'));
      expect(answer).toMatchObject({ ok: false, code: 'STUDY_DISCLOSIVE' });
    } finally {
      await of.close();
    }
  });
});

function standardizedRows(table: TestTable): number[][] {
  const n = table.x.length;
  const mean = FEATURES.map((_, j) => table.x.reduce((sum, row) => sum + row[j]!, 0) / n);
  const sd = FEATURES.map((_, j) => Math.sqrt(table.x.reduce((sum, row) => sum + (row[j]! - mean[j]!) ** 2, 0) / n));
  return table.x.map((row) => row.map((value, j) => (value - mean[j]!) / sd[j]!));
}
