import { afterEach, describe, expect, test } from 'vitest';
import { runSimulation } from '../../cli/simulation.js';
import { resultBytes, studyResult } from '../../coordinator/result.js';
import { contributingSites } from '../../shared/computations/describe/declaration.js';
import type { LedgerEntry } from '../../shared/egress-ledger.js';
import { EMPTY_GUARD, type GuardRules, guardDecision, guardRequest } from '../../shared/guard-decision.js';
import { type Study, studySites } from '../../shared/study.js';
import type { TensorSpec } from '../../shared/tensors.js';
import { loadCohort } from '../../site-agent/cohort-files.js';
import { decide } from '../../site-agent/shell/decide.js';
import { knownStudies } from '../../site-agent/site-records.js';
import { simulatedTable, smallStudy } from '../e2e/support.js';
import { Composed, keyOf, until } from './composed.js';

/** A site with fewer usable cases than the study's minimum cohort: it approves, sends zeros, is named, and hides nobody. */
const NAMES = ['alder', 'birch', 'cedar', 'dogwood', 'elm'];

let world: Composed | undefined;

afterEach(async () => {
  await world?.close();
  world = undefined;
});

function studyOf(name: string, changes: Record<string, unknown> = {}): Study {
  return smallStudy(name, { sites: { training: NAMES.slice(0, 4), external: ['elm'] }, quorum: 5, ...changes });
}

test('a site below the minimum cohort approves and sits out, and the result is that of simulate', async () => {
  const of = new Composed(NAMES);
  world = of;
  of.site('dogwood').table(simulatedTable('dogwood', 6));
  await of.start();
  const study = studyOf('one-sits-out');
  const hash = of.propose(study);
  await until(
    () => ['published', 'declined', 'failed'].includes(of.phase(hash)),
    () => `${of.phase(hash)} ${JSON.stringify(of.progress.slice(-5))}`,
  );
  expect([of.phase(hash), of.reason(hash)]).toEqual(['published', '']);
  expect(NAMES.flatMap((site) => of.site(site).problems())).toEqual([]);
  const text = of.registered(of.registry()[0]!, 'bundle/result.json');
  const cohorts = studySites(study).map(
    (site) => loadCohort(study, `${of.site(site).folder}/cohort.yaml`, site).cohort,
  );
  expect(text).toBe(Buffer.from(resultBytes(studyResult(study, runSimulation(study, cohorts)))).toString('utf8'));
  const shown = JSON.parse(text).sites as { name: string; role: string }[];
  expect(shown.filter(({ role }) => role === 'excluded').map(({ name }) => name)).toEqual(['dogwood']);
  const ledger = of
    .site('dogwood')
    .store.ledger()
    .map((line) => JSON.parse(line) as LedgerEntry);
  expect(ledger.length).toBeGreaterThan(3);
  expect(ledger.map(({ patients }) => patients).filter((patients) => patients !== 0)).toEqual([]);
}, 60_000);

test('where its own policy wants more cases than the study, it declines and says so', async () => {
  const of = new Composed(NAMES);
  world = of;
  of.site('dogwood').table(simulatedTable('dogwood', 6));
  await of.start();
  const hash = of.propose(studyOf('policy-wants-more', { privacy: { minimumCohort: 8 } }));
  await until(
    () => ['published', 'declined', 'failed'].includes(of.phase(hash)),
    () => of.phase(hash),
  );
  expect(of.phase(hash)).toBe('declined');
  // Every site's policy says 10; the first to decline is told.
  expect(of.reason(hash)).toMatch(/minimumCohort is 8, this site's policy wants at least 10/);
}, 60_000);

test('a study that has ended is not approved any more', async () => {
  const of = new Composed(NAMES);
  world = of;
  for (const site of NAMES.slice(1)) of.site(site).policy = 'concordat: 1\n';
  await of.start();
  const hash = of.propose(studyOf('ended-early', { privacy: { secureAggregation: false } }));
  of.abort(hash, 'no longer wanted');
  const birch = of.site('birch');
  await until(
    () => birch.progress.some((event) => event.kind === 'study' && event.state === 'withdrawn'),
    () => of.phase(hash),
  );
  const known = knownStudies(birch.store).find(({ studyHash }) => studyHash === hash)!;
  expect(known.approval).toBeNull();
  const decision = {
    site: 'birch',
    signingKey: keyOf('birch'),
    frozen: null,
    decision: 'approved',
    reason: '',
    nowMs: 1,
    rule: null,
  } as const;
  expect(() => decide(birch.store, known, decision)).toThrow(
    expect.objectContaining({ code: 'STUDY_WRONG_PHASE', message: expect.stringContaining('the study is withdrawn') }),
  );
}, 60_000);

describe('who sits out hides nobody', () => {
  const leaf = (sites: readonly string[]): TensorSpec => ({
    name: 'sum',
    kind: 'moments.sums',
    shape: [1],
    bound: 1,
    ring: 64,
    fractionBits: 20,
    contributors: sites.map((site) => ({ site, cells: [0] })),
    visibility: 'total',
    momentColumns: 0,
    fold: '',
    meaning: 'a sum',
  });
  const rules: GuardRules = { minSites: 3, showAggregate: [], minimumCohort: 10, own: null };
  const results = (excludedSites: readonly string[]) => new Map([['describe', { excludedSites }]]);
  const decision = (sites: readonly string[], own: string, excluded: readonly string[]) =>
    guardDecision(
      EMPTY_GUARD,
      guardRequest([leaf(sites)], contributingSites(sites, results(excluded), own), 'all', 1),
      rules,
    );

  test('three sites of which one sits out are two sites, and their total is refused', () => {
    const three = ['alder', 'birch', 'cedar'];
    expect(decision(three, 'alder', [])).toMatchObject({ ok: true });
    expect(decision(three, 'alder', ['cedar'])).toMatchObject({ ok: false, code: 'POLICY_GUARD_ISOLATES' });
    expect(decision([...three, 'dogwood'], 'alder', ['cedar'])).toMatchObject({ ok: true });
  });

  test('nobody can talk a site out of counting itself', () => {
    expect(contributingSites(['alder', 'birch'], results(['alder']), 'alder')).toEqual(['alder', 'birch']);
    expect(contributingSites(['alder', 'birch'], results(['alder']), 'birch')).toEqual(['birch']);
  });

  test('at the agents: of three training sites one sits out, and the sums over the other two are refused', async () => {
    const of = new Composed(NAMES.slice(0, 4));
    world = of;
    of.site('cedar').table(simulatedTable('cedar', 6));
    await of.start();
    const hash = of.propose(smallStudy('two-are-left'));
    // Already the first sum: it was approved as one over at least three sites.
    const refused = () =>
      ['alder', 'birch'].some((site) => of.site(site).problems().includes('POLICY_VISIBILITY_REFUSED'));
    await until(refused, () => `${of.phase(hash)} ${JSON.stringify(of.progress.slice(-5))}`);
    expect(of.phase(hash)).not.toBe('published');
  }, 60_000);
});
