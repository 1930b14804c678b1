import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { decodeDocument } from '../../shared/document.js';
import { EMPTY_GUARD, guardDecision } from '../../shared/guard-decision.js';
import { planStudy } from '../../shared/plan.js';
import type { Study } from '../../shared/study.js';
import { loadCohort } from '../../site-agent/cohort-files.js';
import { isInOrder } from '../../site-agent/round-order.js';
import { setsRequest } from '../../site-agent/survivor-sets.js';
import { simulateWith, smallStudy } from '../e2e/support.js';
import { type Composed, closeFederation, continuingStudy, FIVE, federation, keptBack, until } from './composed.js';

/**
 * `onMissingSite: continue`. A coordinator that wants to read cedar lets it take part in the sums of `describe` and loses it
 * before those of `moments`: the same columns over the same patients but cedar's, in totals of another kind.
 */
const NAMES = FIVE;
const OTHERS = NAMES.filter((site) => site !== 'cedar');

afterEach(closeFederation);

const studyOf = (name: string, showAggregate: readonly string[]): Study =>
  continuingStudy(name, showAggregate, { quorum: 4 });

/** Real agents; cedar is lost once that is so of the rounds that were opened. */
async function loseCedar(
  study: Study,
  isLostAt: (computation: string, iteration: number, rounds: number) => boolean,
): Promise<{ of: Composed; hash: string }> {
  const of = await federation(undefined, NAMES);
  const isLost = () => {
    const opened = of.progress.filter((event) => event.kind === 'round');
    const last = opened.at(-1);
    return last !== undefined && isLostAt(last.computation, last.iteration, opened.length);
  };
  of.site('cedar').beforeSend = (message) => (message.type === 'maskedInput' && isLost() ? keptBack(message) : message);
  const hash = of.propose(study);
  await until(
    () => ['validated', 'ratified', 'published', 'failed'].includes(of.phase(hash)),
    () => `${of.phase(hash)} ${JSON.stringify(of.site('alder').progress.slice(-4))}`,
  );
  return { of, hash };
}

function totals(of: Composed, hash: string): { readonly computation: string; readonly sites: readonly string[] }[] {
  const found: { computation: string; sites: readonly string[] }[] = [];
  let computation = '';
  for (const { payload } of of.events.replay({ study: hash })) {
    const { record } = decodeDocument(payload) as { record?: { type: string; computation: string; sites: string[] } };
    if (record?.type === 'roundOpened') computation = record.computation;
    if (record?.type === 'total') found.push({ computation, sites: record.sites });
  }
  return found;
}

test('a site that is lost between two computations is not the difference of their sums', async () => {
  const { of, hash } = await loseCedar(studyOf('guarded-between', []), (computation) => computation === 'moments');
  expect(of.phase(hash)).toBe('failed');
  expect(totals(of, hash)).toEqual(Array.from({ length: 4 }, () => ({ computation: 'describe', sites: NAMES })));
  for (const name of OTHERS) expect([name, of.site(name).problems()]).toEqual([name, ['POLICY_GUARD_ISOLATES']]);
}, 60_000);

test('where it agreed to that, the computation in which it is lost begins anew, and every agent takes that', async () => {
  const study = studyOf('agreed-between', NAMES);
  const { of, hash } = await loseCedar(study, (_, __, rounds) => rounds >= 7);
  await until(
    () => ['published', 'failed'].includes(of.phase(hash)),
    () => of.phase(hash),
  );
  expect([of.phase(hash), of.reason(hash)]).toEqual(['published', '']);
  const made = totals(of, hash);
  const moments = made.filter(({ computation }) => computation === 'moments').map(({ sites }) => sites);
  // Counts and sums with it, squares without: these three are not joined. Then once more without it.
  expect(moments).toEqual([NAMES, NAMES, OTHERS, OTHERS, OTHERS, OTHERS]);
  const cohorts = NAMES.map((site) => loadCohort(study, path.join(of.site(site).folder, 'cohort.yaml'), site).cohort);
  const text = of.registered(of.registry()[0]!, 'bundle/result.json');
  expect(text).toBe(simulateWith(study, cohorts, (round) => made[round - 1]!.sites));
  for (const name of OTHERS) expect([name, of.site(name).problems()]).toEqual([name, []]);
}, 60_000);

test('a site that was missing when the study began and is back adds nothing, so its events are not the difference', async () => {
  const study = studyOf('back-too-late', []);
  const { of, hash } = await loseCedar(study, (_, __, rounds) => rounds === 1);
  await until(
    () => ['published', 'failed'].includes(of.phase(hash)),
    () => of.phase(hash),
  );
  expect([of.phase(hash), of.reason(hash)]).toEqual(['published', '']);
  // It is back for the models, as far as the coordinator knows.
  expect(totals(of, hash).at(-1)!.sites).toEqual(NAMES);
  const cohorts = NAMES.map((site) => loadCohort(study, path.join(of.site(site).folder, 'cohort.yaml'), site).cohort);
  const { totals: _, ...shown } = JSON.parse(of.registered(of.registry()[0]!, 'bundle/result.json'));
  const { totals: __, ...without } = JSON.parse(simulateWith(study, cohorts, () => OTHERS));
  expect(shown).toEqual(without);
}, 60_000);

test('a computation begins anew only where the set changed in the round before', () => {
  const plan = ['describe', 'moments', 'logistic'];
  const joined = (sets: readonly string[]) =>
    new Map([
      [
        'moments',
        {
          first: 5,
          before: 4 + sets.length - 1,
          last: 4 + sets.length,
          sets: new Map(sets.map((set, at) => [5 + at, set])),
        },
      ],
    ]);
  const anew = (sets: readonly string[], mayBeginAnew = true) =>
    isInOrder(plan, joined(sets), { instance: 'moments', iteration: 1, round: 5 + sets.length }, mayBeginAnew);
  expect(anew(['ABC', 'AB'])).toBe(true);
  expect(anew(['ABC', 'AB'], false)).toBe(false);
  expect(anew(['ABC', 'ABC'])).toBe(false);
  expect(anew(['ABC', 'AB', 'AB'])).toBe(false);
  // Rounds that were joined in one pass are not said to be of another later.
  const known = joined(['ABC', 'AB', 'AB', 'AB']);
  expect(isInOrder(plan, known, { instance: 'moments', iteration: 3, round: 9 }, true)).toBe(false);
  expect(isInOrder(plan, known, { instance: 'moments', iteration: 5, round: 9 }, true)).toBe(true);
});

test('sets that shrink one site at a time are judged together, of training and of external sites', () => {
  const study = smallStudy('sets', {
    sites: { training: ['alder', 'birch', 'cedar', 'dogwood'], external: ['elm', 'fir', 'gum', 'hazel'] },
  });
  const { frame } = planStudy(study);
  const all = [...frame.training, ...frame.external];
  const leaf = {
    name: 'sums',
    kind: 'describe.sums',
    shape: [1],
    bound: 1,
    ring: 64,
    fractionBits: 1,
    contributors: all.map((site) => ({ site, cells: [0] })),
    visibility: 'total',
    momentColumns: 0,
    fold: 'study',
    meaning: '',
  } as const;
  const rules = { minSites: 3, showAggregate: [] as string[], minimumCohort: 1, own: null };
  const decided = (survivors: readonly string[], showAggregate: string[] = []) =>
    guardDecision(
      EMPTY_GUARD,
      { tensors: setsRequest(frame, [leaf], new Map(), survivors) },
      { ...rules, showAggregate },
    ).ok;
  expect(decided(all)).toBe(true);
  for (const lost of all) {
    expect([lost, decided(all.filter((site) => site !== lost))]).toEqual([lost, false]);
    expect(
      decided(
        all.filter((site) => site !== lost),
        [lost],
      ),
    ).toBe(true);
  }
  expect(decided(all.filter((site) => !['elm', 'fir', 'gum'].includes(site)))).toBe(false);
  expect(decided(all.filter((site) => !frame.external.includes(site)))).toBe(true);
});
