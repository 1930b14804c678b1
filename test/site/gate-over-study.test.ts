import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { COORDINATOR_COMPUTATIONS } from '../../coordinator/computations.js';
import { advanceRun, startRun } from '../../coordinator/study-run.js';
import type { Cohort } from '../../shared/cohort.site.js';
import { type LedgerEntry, ledgerEntry, verifyLedger } from '../../shared/egress-ledger.js';
import { addInto, decodeTotal, encodeContribution } from '../../shared/fixed-point.js';
import { planStudy } from '../../shared/plan.js';
import { type Study, studySites } from '../../shared/study.js';
import { parseStudy, resolveFeatures } from '../../shared/study-parse.js';
import { cohortOf } from '../../site-agent/cohort.site.js';
import { parseCohortConfig } from '../../site-agent/cohort-config.js';
import { parseTable } from '../../site-agent/cohort-table.site.js';
import { SITE_COMPUTATIONS } from '../../site-agent/computations.js';
import { checkRelease } from '../../site-agent/egress.js';
import { EMPTY_GUARD, guardDecision, guardRequest, ownCohort } from '../../site-agent/guard.js';
import { DEFAULT_POLICY, type Policy } from '../../site-agent/policy.js';
import { contributionOf, leavesOf, siteView } from '../../site-agent/site-run.site.js';
import { simulateCohort } from '../support/simulated-cohort.js';

/** A whole study, every contribution of every site through gate, guard and ledger, as the agents do it. */
const simulated = simulateCohort(11);
const header = simulated.pooledCsv.split('\n', 1)[0]!.split(',');
const study: Study = (() => {
  const parsed = parseStudy(simulated.studyYaml, 'study.yaml');
  const validation = { ...parsed.validation, folds: 2 };
  return resolveFeatures({ ...parsed, comparators: [], validation }, header, ['hospital', 'patient_id']);
})();
const cohorts: Cohort[] = simulated.sites.map((site) => {
  const config = parseCohortConfig(site.cohortYaml, 'cohort.yaml');
  return cohortOf(study, config, parseTable(site.casesCsv, 'cases.csv', config.separator), site.name).cohort;
});
const POLICY: Policy = { ...DEFAULT_POLICY, visibility: { metrics: true, descriptions: true, aggregate: true } };

function throughTheGate(asked: Study): { rounds: number; refused: string | null; ledgers: LedgerEntry[][] } {
  const plan = planStudy(asked);
  const cells = Math.max(1, asked.validation.folds);
  const sites = studySites(asked);
  const guards = cohorts.map(() => EMPTY_GUARD);
  const ledgers: LedgerEntry[][] = cohorts.map(() => []);
  const memos = cohorts.map(() => new Map<string, unknown>());
  let run = startRun(plan, COORDINATOR_COMPUTATIONS);
  let rounds = 0;
  for (let request = run.request; request !== null; request = run.request) {
    const leaves = leavesOf(plan, SITE_COMPUTATIONS, request);
    // Site and coordinator declare the same; compared as text because there are thousands of small objects.
    expect(JSON.stringify(leaves) === JSON.stringify(request.leaves)).toBe(true);
    let sum: BigUint64Array[] | undefined;
    for (const [index, cohort] of cohorts.entries()) {
      const site = cohort.holder;
      const contribution = contributionOf(
        plan,
        SITE_COMPUTATIONS,
        request,
        siteView(asked, plan, cohort, run.results, memos[index]!),
      );
      checkRelease(leaves, contribution, {
        site,
        policy: POLICY,
        showAggregate: asked.privacy.showAggregate,
        patients: cohort.n,
        minimumCohort: asked.privacy.minimumCohort,
      });
      const decision = guardDecision(guards[index]!, guardRequest(leaves, sites, 'demo', cells), {
        minSites: 3,
        showAggregate: asked.privacy.showAggregate,
        minimumCohort: asked.privacy.minimumCohort,
        own: ownCohort(site, 'demo', cells, cohort.cellOf, cohort.train),
      });
      if (!decision.ok) return { rounds, refused: `${decision.code} ${decision.message}`, ledgers };
      guards[index] = decision.state;
      const words = encodeContribution(leaves, contribution, sites.length);
      const hash = createHash('sha256');
      for (const block of words) hash.update(new Uint8Array(block.buffer, block.byteOffset, block.byteLength));
      const ledger = ledgers[index]!;
      ledger.push(
        ledgerEntry(ledger[ledger.length - 1] ?? null, {
          time: '2026-01-01T00:00:00.000Z',
          study: asked.name,
          computation: request.instance,
          round: request.round,
          attempt: 1,
          leaves,
          patients: cohort.n,
          sha256: hash.digest('hex'),
          masked: true,
        }),
      );
      if (sum === undefined) sum = words;
      else for (const [at, leaf] of leaves.entries()) addInto(sum[at]!, words[at]!, leaf.ring);
    }
    rounds++;
    run = advanceRun(run, COORDINATOR_COMPUTATIONS, { sites, values: decodeTotal(leaves, sum!) });
  }
  return { rounds, refused: null, ledgers };
}

describe('gate, guard and ledger over a whole study', () => {
  it('pass the study that declares what it shows, with one verified ledger entry a round', () => {
    const { rounds, refused, ledgers } = throughTheGate(study);
    expect(refused).toBeNull();
    expect(rounds).toBeGreaterThan(10);
    for (const ledger of ledgers) {
      expect(ledger).toHaveLength(rounds);
      expect(() => verifyLedger(ledger)).not.toThrow();
    }
    // Ledgers tell sizes and hashes, never an id or a value.
    expect(JSON.stringify(ledgers)).not.toMatch(/SIM-/);
  });

  it('refuse the same study where one site has not declared it, before its first leave-one-site-out total', () => {
    const silent: Study = { ...study, privacy: { ...study.privacy, showAggregate: ['alder', 'birch', 'cedar'] } };
    const { refused, ledgers } = throughTheGate(silent);
    expect(refused).toContain('POLICY_GUARD_ISOLATES');
    expect(refused).toContain('dogwood');
    const folds = new Set(ledgers.flat().flatMap((entry) => entry.tensors.map(({ name }) => /without-/.test(name))));
    expect(folds.has(true)).toBe(false);
  });
});
