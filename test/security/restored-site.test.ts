import { afterEach, expect, test } from 'vitest';
import { type GuardState, guardDecision, guardRequest } from '../../shared/guard-decision.js';
import { memorySiteStore } from '../../shared/memory-stores.js';
import { planStudy } from '../../shared/plan.js';
import type { SiteStore } from '../../shared/stores.js';
import { previewLeaves } from '../../site-agent/preview.js';
import { guardScheme } from '../../site-agent/shell/decide.js';
import { acceptHistory, historyOf } from '../../site-agent/shell/restored.js';
import { knownStudies } from '../../site-agent/site-records.js';
import { smallStudy } from '../e2e/support.js';
import { type Composed, type ComposedSite, closeFederation, federation, story, until } from './composed.js';

/** A site started from an older backup: its guard must not be weaker than the one that was lost, whoever withholds what. */
const NAMES = ['alder', 'birch', 'cedar', 'dogwood'];

afterEach(closeFederation);

/** Everything in the store, as a snapshot of a disk would have it. */
function copyOf(store: SiteStore, study: string): SiteStore {
  const copy = memorySiteStore();
  for (const { study, type, payload } of store.replay()) copy.append([{ study, type, payload }]);
  for (const [key, value] of store.settings()) copy.setSetting(key, value);
  for (const line of store.ledger()) copy.appendLedger(line);
  for (const owner of [study, `${study}/box`])
    for (const name of store.secretNames(owner)) copy.putSecret(owner, name, store.getSecret(owner, name));
  return copy;
}

const guardOf = (store: SiteStore): GuardState => {
  const stored = [...store.settings()].find(([key]) => key.startsWith('guard '));
  return stored === undefined ? { kinds: {} } : (JSON.parse(stored[1]) as GuardState);
};

/** Kind and vector of everything the guard holds as released. */
const vectorsOf = (guard: GuardState) =>
  new Set(Object.entries(guard.kinds).flatMap(([kind, { vectors }]) => vectors.map(({ key }) => `${kind} ${key}`)));

/** Runs the study and keeps a backup of alder from before its second masked input left. */
async function withBackup(
  changes: Record<string, unknown>,
): Promise<{ of: Composed; hash: string; backup: SiteStore }> {
  const of = await federation();
  const alder = of.site('alder');
  let inputs = 0;
  let backup: SiteStore | null = null;
  alder.beforeSend = (message) => {
    if (message.type === 'maskedInput' && ++inputs === 2) backup = copyOf(alder.store, hash);
    return message;
  };
  const hash = of.propose(smallStudy('backup', changes));
  await until(() => of.phase(hash) === 'published', story(of, hash));
  return { of, hash, backup: backup! };
}

async function restore(alder: ComposedSite, backup: SiteStore): Promise<void> {
  alder.agent.stop();
  alder.store = backup;
  alder.restored = true;
  alder.progress.length = 0;
  alder.beforeSend = (message) => message;
  await alder.start();
}

test('under `wait` the guard after a restore holds every vector that the lost one held', async () => {
  const { of, backup } = await withBackup({});
  const alder = of.site('alder');
  const lost = vectorsOf(guardOf(alder.store));
  const old = vectorsOf(guardOf(backup));
  expect(lost.size).toBeGreaterThan(old.size + 5);
  // Nobody tells the site anything: the coordinator withholds all of it.
  await restore(alder, backup);
  expect(alder.problems()).toEqual([]);
  const now = vectorsOf(guardOf(backup));
  expect([...lost].filter((vector) => !now.has(vector))).toEqual([]);
}, 60_000);

test('a subtraction that the old guard would let pass is refused after the restore', async () => {
  const { of, backup } = await withBackup({});
  const alder = of.site('alder');
  const study = smallStudy('backup');
  const plan = planStudy(study);
  const leaves = previewLeaves(plan)
    .flatMap(({ rounds }) => rounds.flat())
    .filter(({ kind }) => kind === 'moments.sums');
  // The attacker has the total over all three training sites; another study asks for the same without cedar.
  const without = leaves.map((leaf) => ({
    ...leaf,
    contributors: [...leaf.contributors.filter(({ site }) => site !== 'cedar'), { site: 'elm', cells: [0] }],
  }));
  const request = guardRequest(without, [...NAMES, 'elm'], guardScheme(study), plan.frame.cells);
  const rules = { minSites: 3, showAggregate: [], minimumCohort: 10, own: null };
  expect(guardDecision(guardOf(backup), request, rules)).toMatchObject({ ok: true });
  await restore(alder, backup);
  expect(guardDecision(guardOf(backup), request, rules)).toMatchObject({ ok: false, code: 'POLICY_GUARD_ISOLATES' });
}, 60_000);

test('under `continue` nothing is contributed before a person has approved again; then the plan counts as released', async () => {
  const { of, hash, backup } = await withBackup({ onMissingSite: 'continue' });
  const alder = of.site('alder');
  const lost = vectorsOf(guardOf(alder.store));
  await restore(alder, backup);
  expect(alder.problems()).toEqual(['SITE_RESTORED']);
  expect(historyOf(backup, hash)).toBe('unknown');
  // Started again without the flag it has not forgotten.
  alder.agent.stop();
  alder.restored = false;
  await alder.start();
  expect(alder.problems()).toEqual(['SITE_RESTORED', 'SITE_RESTORED']);
  alder.agent.stop();
  const known = knownStudies(backup).find(({ studyHash }) => studyHash === hash)!;
  const by = { site: 'alder', cohortDigest: known.cohort!.digest, rule: null };
  acceptHistory(backup, known, by);
  expect(() => acceptHistory(backup, known, by)).toThrow(expect.objectContaining({ code: 'STUDY_WRONG_PHASE' }));
  await alder.start();
  expect(alder.problems()).toHaveLength(2);
  const now = vectorsOf(guardOf(backup));
  expect([...lost].filter((vector) => !now.has(vector))).toEqual([]);
}, 60_000);

test('no policy approves a new study at a restored site by itself', async () => {
  const { of, backup } = await withBackup({});
  const alder = of.site('alder');
  await restore(alder, backup);
  alder.connect(of.transport);
  const hash = of.propose(smallStudy('after-the-restore', { seed: 11 }));
  await until(() => of.phase(hash) === 'declined', story(of, hash));
  expect(of.reason(hash)).toBe('alder declined: SITE_RESTORED: a person has to decide here');
  const told = alder.progress.flatMap((event) => (event.kind === 'study' ? [event.detail] : []));
  expect(told.some((detail) => /^this site was started from a backup \(.*\), and what it released/.test(detail))).toBe(
    true,
  );
}, 60_000);
