import { afterEach, expect, test } from 'vitest';
import { decodeDocument, encodeDocument } from '../../shared/document.js';
import { ConcordatError } from '../../shared/errors.js';
import { memoryEventStore } from '../../shared/memory-stores.js';
import { decodeRoundDocument, encodeRoundDocument, type RoundDocument } from '../../shared/round-document.js';
import { studyHash } from '../../shared/study.js';
import { studyDocument } from '../../shared/study-signatures.js';
import type { ToSite } from '../../shared/wire/types.js';
import { simulatedTable, smallStudy } from '../e2e/support.js';
import { type Composed, closeFederation, federation, story, until } from './composed.js';

/**
 * The whole agent against a coordinator that changes what it says to one site. What the site refuses stands in its own
 * log with its code, and nothing of that round is in its egress ledger.
 */
afterEach(closeFederation);

type Offer = Extract<ToSite, { type: 'attemptOffer' }>;

/** Runs a study whose offers of one round to alder are changed; gives the code alder refuses with, and checks its ledger. */
async function refusalOf(
  round: number,
  change: (offer: Offer, of: Composed) => Partial<Offer>,
  restarted: 'as it is' | 'restarted' = 'as it is',
): Promise<string> {
  const of = await federation();
  const alder = of.site('alder');
  let restart = restarted === 'restarted';
  alder.beforeReceive = (message) => {
    if (message.type !== 'attemptOffer' || message.round !== round) return message;
    if (!restart) return { ...message, ...change(message, of) };
    // The agent is started anew before it answers, with nothing but its store: the coordinator does not serve what it
    // showed before, and then offers again.
    restart = false;
    alder.agent.stop();
    void alder.link!.close().then(async () => {
      alder.beforeDownload = () => {
        throw new ConcordatError('WIRE_DISCONNECTED', 'not served');
      };
      await alder.start();
      alder.beforeDownload = () => undefined;
      alder.connect(of.transport);
    });
    return null;
  };
  const hash = of.propose(smallStudy('tampered'));
  await until(() => alder.problems().length > 0 || of.phase(hash) === 'published', story(of, hash));
  const entries = alder.store.ledger().map((line) => JSON.parse(line) as { round: number });
  expect(entries.map((entry) => entry.round)).toEqual(Array.from({ length: round - 1 }, (_, index) => index + 1));
  return alder.problems()[0] ?? 'none';
}

/** The same offer with another broadcast, which can be fetched as any other. */
function withDocument(change: (document: RoundDocument) => unknown) {
  return (offer: Offer, of: Composed): Partial<Offer> => {
    const document = decodeRoundDocument(of.blobs.getBlob(offer.broadcastHash));
    const broadcastHash = of.blobs.putBlob(encodeRoundDocument({ ...document, ...(change(document) as object) }));
    of.service.publishBlobs([broadcastHash]);
    return { broadcastHash };
  };
}

test('a tensor that was not declared, or is declared otherwise', async () => {
  expect(await refusalOf(1, () => ({ declarationHash: 'dd'.repeat(32) }))).toBe('POLICY_DECLARATION_MISMATCH');
}, 30_000);

test('another computation than the offer names, or one that the study does not have', async () => {
  expect(await refusalOf(1, () => ({ computation: 'validate' }))).toBe('POLICY_DECLARATION_MISMATCH');
  await closeFederation();
  expect(
    await refusalOf(
      1,
      withDocument(() => ({ instance: 'exfiltrate' })),
    ),
  ).toBe('POLICY_UNKNOWN_COMPUTATION');
}, 30_000);

test('contributors that are declared falsely: sites of its own fill the sum', async () => {
  const ghosts = (document: RoundDocument) => ({
    broadcast: { ...(document.broadcast as object), sites: ['alder', 'ghost', 'phantom'] },
  });
  expect(await refusalOf(2, withDocument(ghosts))).toBe('POLICY_BROADCAST_INVALID');
}, 30_000);

test('a sum that was approved as one over enough sites is not asked over two', async () => {
  const two = (document: RoundDocument) => ({
    broadcast: { ...(document.broadcast as object), sites: ['alder', 'birch'] },
  });
  expect(await refusalOf(2, withDocument(two))).toBe('POLICY_VISIBILITY_REFUSED');
}, 30_000);

test('a computation that is over is not begun again', async () => {
  const again = () => ({ instance: 'describe', iteration: 1, broadcast: { phase: 'counts' }, upstream: {} });
  const offer = withDocument(again);
  const code = await refusalOf(5, (given, of) => ({ ...offer(given, of), computation: 'describe' }));
  expect(code).toBe('POLICY_ROUND_OUT_OF_ORDER');
}, 30_000);

test('results of earlier computations: none left out, none changed, none that is nonsense', async () => {
  expect(
    await refusalOf(
      5,
      withDocument(() => ({ upstream: {} })),
    ),
  ).toBe('POLICY_BROADCAST_INVALID');
  await closeFederation();
  const other = (given: Offer, of: Composed) => {
    const changed = of.blobs.putBlob(encodeRoundDocument({ instance: 'x', iteration: 1, broadcast: 0, upstream: {} }));
    of.service.publishBlobs([changed]);
    return withDocument(({ upstream }) => ({ upstream: { ...upstream, describe: changed } }))(given, of);
  };
  expect(await refusalOf(5, other)).toBe('POLICY_BROADCAST_INVALID');
  await closeFederation();
  // One that could have been the result, but is not the one that the round before was computed with.
  const second = (given: Offer, of: Composed) => {
    const { upstream } = decodeRoundDocument(of.blobs.getBlob(given.broadcastHash));
    const result = decodeDocument(of.blobs.getBlob(upstream['describe']!)) as object;
    const changed = of.blobs.putBlob(encodeDocument({ ...result, outcome: null }));
    of.service.publishBlobs([changed]);
    return withDocument((document) => ({ upstream: { ...document.upstream, describe: changed } }))(given, of);
  };
  expect(await refusalOf(6, second)).toBe('POLICY_BROADCAST_INVALID');
  await closeFederation();
  expect(await refusalOf(6, second, 'restarted')).toBe('POLICY_BROADCAST_INVALID');
}, 60_000);

test('a broadcast that is no document at all', async () => {
  const garbage = (_: Offer, of: Composed) => {
    const broadcastHash = of.blobs.putBlob(Buffer.from('garbage'));
    of.service.publishBlobs([broadcastHash]);
    return { broadcastHash };
  };
  expect(await refusalOf(1, garbage)).toBe('WIRE_DOCUMENT_INVALID');
}, 30_000);

test('an approval with a box key of the coordinator, one nobody gave, one from another study: no round begins', async () => {
  const of = await federation();
  const alder = of.site('alder');
  const first = of.propose(smallStudy('other'));
  await until(() => of.phase(first) === 'published', story(of, first));
  const elsewhere: unknown[] = [];
  for (const { payload } of of.events.replay({ study: first })) {
    const { approval } = decodeDocument(payload) as { approval?: unknown };
    if (approval !== undefined) elsewhere.push(approval);
  }
  let tries = 0;
  alder.beforeReceive = (message) => {
    if (message.type !== 'studyStarted' || message.studyHash === first) return message;
    const forged = [
      message.approvals.map((entry) =>
        entry.site === 'birch' ? { ...entry, boxPublicKey: new Uint8Array(32) } : entry,
      ),
      message.approvals.filter(({ site }) => site !== 'cedar'),
      elsewhere as typeof message.approvals,
    ];
    for (const approvals of forged) alder.receive({ ...message, approvals });
    tries += forged.length;
    return null;
  };
  const hash = of.propose(smallStudy('forged', { seed: 9 }));
  await until(() => tries === 3 && alder.problems().length >= 3, story(of, hash));
  expect(alder.problems()).toEqual(Array(3).fill('SITE_SIGNATURE_INVALID'));
  expect(alder.store.ledger().filter((line) => line.includes(hash))).toEqual([]);
}, 60_000);

test('a study that was changed after it was hashed, and rounds of one that nobody approved here', async () => {
  const of = await federation();
  const alder = of.site('alder');
  const approved = smallStudy('approved');
  const changed = studyDocument({ ...approved, privacy: { ...approved.privacy, minSites: 2 } });
  const documentBlob = of.blobs.putBlob(changed);
  of.service.publishBlobs([documentBlob]);
  await until(
    () => alder.store.getSetting('roster chain') !== null,
    () => 'the roster',
  );
  alder.receive({ type: 'studyProposed', studyHash: studyHash(approved), rosterVersion: 1, documentBlob });
  await alder.settled;
  expect(alder.problems()).toEqual(['STUDY_HASH_MISMATCH']);
  alder.receive({ type: 'preKeyRequest', studyHash: studyHash(approved), slot: 1 });
  alder.receive({ type: 'studyStarted', studyHash: studyHash(approved), approvals: [] });
  await alder.settled;
  expect(of.progress.filter((event) => event.kind === 'round-report')).toEqual([]);
  expect(alder.store.ledger()).toEqual([]);
}, 30_000);

test('thresholds below those of the site, and a second study one patient apart, are declined', async () => {
  const of = await federation();
  const alder = of.site('alder');
  const weak = of.propose(smallStudy('weak', { privacy: { minSites: 2, minimumCohort: 3, minimumCount: 1 } }));
  await until(() => of.phase(weak) === 'declined', story(of, weak));
  for (const what of ['minSites', 'minimumCohort', 'minimumCount'])
    expect(of.reason(weak)).toContain(`privacy.${what}`);
  const first = of.propose(smallStudy('whole-cohort'));
  await until(() => of.phase(first) === 'published', story(of, first));
  const rows = simulatedTable('alder').trimEnd().split('\n');
  alder.table(`${rows.slice(0, -1).join('\n')}\n`);
  const second = of.propose(smallStudy('one-less', { seed: 8 }));
  await until(() => ['declined', 'published'].includes(of.phase(second)), story(of, second));
  expect(of.phase(second)).toBe('declined');
  // By how few cases is said at the site; outside there is the code.
  expect(of.reason(second)).toBe(
    'alder declined: POLICY_COHORT_OVERLAP: the disclosure guard of this site refuses the cohort',
  );
  const told = alder.progress.flatMap((event) => (event.kind === 'study' ? [event.detail] : []));
  expect(told.some((detail) => /differs from that of study .* by fewer than 5 cases/.test(detail))).toBe(true);
}, 60_000);

test('a coordinator back from an old copy of its log: old keys serve nothing, and its shorter history is refused for good', async () => {
  const of = await federation();
  const alder = of.site('alder');
  const hash = of.propose(smallStudy('restored'));
  const cedar = of.site('cedar');
  // The study stands still in its fifth round, until the coordinator is back.
  cedar.beforeSend = (message) => (message.type === 'maskedInput' && cedar.store.ledger().length > 4 ? null : message);
  await until(() => alder.store.ledger().length === 5 && cedar.store.ledger().length === 5, story(of, hash));
  await of.stopCoordinator();
  cedar.beforeSend = (message) => message;
  // The copy ends in the middle of the second round, whose attempt every site has long closed.
  const all = [...of.events.replay()];
  const kept = all.slice(0, all.findIndex(({ payload }) => isRecord(payload, 'attemptOpened', 2)) + 1);
  expect(kept.length).toBeGreaterThan(5);
  const old = memoryEventStore();
  old.append(kept);
  (of as { events: typeof old }).events = old;
  const before = alder.problems().length;
  await of.startCoordinator();
  of.connectAll();
  await until(() => alder.problems().includes('STUDY_TRANSCRIPT_FORKED'), story(of, hash));
  // What it offered under keys that had served was refused before.
  expect(['SECAGG_ATTEMPT_STALE', 'SECAGG_PRE_KEY_REUSED']).toContain(alder.problems()[before]);
  expect(of.phase(hash)).not.toBe('published');
  // Whatever was done twice was the same question under fresh keys.
  for (const site of of.sites.values()) {
    const joined = [...site.store.replay({ study: hash })].flatMap(({ payload }) => {
      const { type, record } = decodeDocument(payload) as { type: string; record?: Joined };
      return type === 'participant' && record?.type === 'joined' ? [record] : [];
    });
    const rounds = new Set(joined.map(({ round }) => round));
    expect(rounds.size).toBe(5);
    expect(new Set(joined.map(({ slot }) => slot)).size).toBe(joined.length);
    expect(new Set(joined.map(({ round, broadcastHash }) => `${round} ${broadcastHash}`)).size).toBe(rounds.size);
  }
}, 90_000);

type Joined = { readonly type: string; readonly round: number; readonly slot: number; readonly broadcastHash: string };

function isRecord(payload: Uint8Array, type: string, round: number): boolean {
  const event = decodeDocument(payload) as { type: string; record?: { type: string; round?: number; slot?: number } };
  return event.type === 'round' && event.record?.type === type && event.record.slot === round;
}
