import { decodeLoggedEvent } from '../../../coordinator/logged-events.js';
import { recover as recoverRound } from '../../../coordinator/round-state.js';
import type { RoundRecord } from '../../../coordinator/round-types.js';
import { foldStudies } from '../../../coordinator/shell/fold-studies.js';
import type { LoggedEvent } from '../../../coordinator/study-host-types.js';
import { canonicalJson } from '../../../shared/canonical-json.js';
import { decodeDocument, encodeDocument } from '../../../shared/document.js';
import { type LedgerEntry, ledgerEntry, verifyLedger } from '../../../shared/egress-ledger.js';
import { ConcordatError } from '../../../shared/errors.js';
import { EMPTY_GUARD, type GuardState, guardDecision, guardRequest } from '../../../shared/guard-decision.js';
import { memoryBlobStore, memoryEventStore } from '../../../shared/memory-stores.js';
import type { SeededRandom } from '../../../shared/rng.js';
import { readStoredJson } from '../../../shared/stored-shapes.js';
import { studyHash } from '../../../shared/study.js';
import { studyDocument } from '../../../shared/study-signatures.js';
import type { TensorSpec } from '../../../shared/tensors.js';
import { recover as recoverSite } from '../../../site-agent/participant-state.js';
import { encodeSiteRecord, knownStudies, type SiteRecord } from '../../../site-agent/site-records.js';
import { guardStateShape, ledgerLineShape } from '../../../site-agent/stored-records.js';
import { type FuzzKind, pack, textOf, unpack } from '../kind.js';
import { jsonText, mutateBytes, mutateText, mutateValue, pick } from '../mutate.js';
import { fuzzStudy } from '../study.js';
import { TRACES } from './reducers.js';

const STUDY = fuzzStudy();
const HASH = studyHash(STUDY);
const hash = 'ab'.repeat(32);

/** A log with one record changed, dropped, doubled, moved, or damaged as bytes. */
function changedLog(random: SeededRandom, log: readonly Uint8Array[]): Uint8Array[] {
  const records = [...log];
  const at = random.integer(records.length);
  switch (random.integer(6)) {
    case 0:
      records.splice(at, 1);
      break;
    case 1:
      records.splice(random.integer(records.length + 1), 0, records[at]!);
      break;
    case 2:
      records[at] = mutateBytes(random, records[at]!);
      break;
    default:
      records[at] = encodeDocument(mutateValue(random, decodeDocument(records[at]!)));
  }
  return records;
}

const signature = new Uint8Array(64).fill(1);
const approval = (site: string) => ({
  studyHash: HASH,
  rosterVersion: 1,
  rosterHash: hash,
  site,
  decision: 'approved' as const,
  reason: '',
  boxPublicKey: new Uint8Array(32).fill(4),
  signature,
});

/** The coordinator's log: read record by record, folded to the studies and the open round. */
export const EVENT_LOG: FuzzKind = {
  name: 'event-log',
  weight: 0.8,
  prepare() {
    const logs = TRACES.map((trace) => {
      const sites = ['alder', 'birch', 'cedar'];
      const events: LoggedEvent[] = [
        { type: 'proposed', documentBlob: hash, rosterVersion: 1, atMs: 5 },
        ...sites.map(
          (site): LoggedEvent => ({
            type: 'study',
            event: { type: 'approval', site, boxPublicKey: '04'.repeat(32) },
            approval: approval(site),
          }),
        ),
        ...trace.roundRecords.map((record): LoggedEvent => ({ type: 'round', record })),
        { type: 'study', event: { type: 'finished', bundleDigest: hash, unmet: [] } },
        ...sites.map(
          (site): LoggedEvent => ({
            type: 'study',
            event: { type: 'ratification', site, verdict: 'ratified', reason: '' },
          }),
        ),
        { type: 'study', event: { type: 'publication' } },
      ];
      return events.map((event) => encodeDocument(event));
    });
    const blobs = memoryBlobStore();
    const documentBlob = blobs.putBlob(studyDocument(STUDY));
    const getBlob = (wanted: string) => blobs.getBlob(wanted === hash ? documentBlob : wanted);
    return {
      make: (random) => pack(changedLog(random, pick(random, logs))),
      run(input) {
        const log = unpack(input) as Uint8Array[];
        const store = memoryEventStore();
        const records: RoundRecord[] = [];
        for (const payload of log) {
          const event = decodeLoggedEvent(payload);
          if (event.type === 'round') {
            records.push(event.record);
          }
        }
        store.append(log.map((payload) => ({ study: HASH, type: 'event', payload })));
        foldStudies(store, { getBlob });
        recoverRound(records);
      },
    };
  },
};

/** A site's log: folded to the studies it knows and the attempt that is open. */
export const SITE_LOG: FuzzKind = {
  name: 'site-log',
  weight: 1,
  prepare() {
    const logs = TRACES.map((trace) => {
      const [site, participant] = [...trace.siteRecords][0]!;
      const records: SiteRecord[] = [
        { type: 'proposed', rosterVersion: 1, rosterHash: hash, document: studyDocument(STUDY), atMs: 1 },
        {
          type: 'approverSigned',
          signed: {
            name: 'A',
            publicKey: hash,
            decision: 'approved',
            cohortDigest: hash,
            ruleDigest: hash,
            at: '2026-01-01T00:00:00.000Z',
            signature: new Uint8Array(64),
          },
          startsOver: false,
        },
        { type: 'decided', approval: approval(site), atMs: 2, cohort: { digest: hash, cases: [hash, hash] } },
        { type: 'started', approvals: [approval('alder'), approval('birch')] },
        ...participant.map((record): SiteRecord => ({ type: 'participant', record })),
        {
          type: 'ownValues',
          computation: 'validate',
          iteration: 1,
          values: { 'site/a/b/c/d': Float64Array.from([1]) },
        },
        { type: 'progress', computation: 'describe', round: 1, iteration: 1 },
      ];
      return records.map((record) => encodeSiteRecord(HASH, record).payload);
    });
    return {
      make: (random) => pack(changedLog(random, pick(random, logs))),
      run(input) {
        const store = memoryEventStore();
        store.append((unpack(input) as Uint8Array[]).map((payload) => ({ study: HASH, type: 'record', payload })));
        for (const known of knownStudies(store)) recoverSite(known.participant);
      },
    };
  },
};

const LEAF: TensorSpec = {
  name: 'moments',
  kind: 'moments.sums',
  shape: [2],
  ring: 64,
  fractionBits: 20,
  bound: 1024,
  contributors: ['alder', 'birch', 'cedar'].map((site) => ({ site, cells: [0, 1] })),
  visibility: 'total',
  momentColumns: 0,
  fold: 'all',
  meaning: 'sums',
};

/** What the disclosure guard remembers, as a setting; then a decision on top of it. */
export const GUARD_STATE: FuzzKind = {
  name: 'guard-state',
  weight: 2,
  prepare() {
    const scheme = 'seed 7, 2 folds';
    const rules = {
      minSites: 3,
      showAggregate: [],
      minimumCohort: 2,
      own: {
        site: 'alder',
        atoms: [
          { cells: { [scheme]: 0 }, n: 10 },
          { cells: { [scheme]: 1 }, n: 12 },
        ],
        cut: { scheme, cellOf: [0, 1, 0, 1], counted: [1, 1, 1, 1] },
      },
    };
    const decided = guardDecision(EMPTY_GUARD, guardRequest([LEAF], ['alder', 'birch', 'cedar'], scheme, 2), rules);
    const specimen = decided.ok ? decided.state : EMPTY_GUARD;
    return {
      make: (random) =>
        random.integer(4) === 0
          ? Buffer.from(mutateText(random, JSON.stringify(specimen)))
          : Buffer.from(jsonText(mutateValue(random, specimen))),
      run(input) {
        const state = readStoredJson(textOf(input), guardStateShape, 'the guard') as GuardState;
        const next = guardRequest([{ ...LEAF, kind: 'combat.sums' }, LEAF], ['alder', 'birch', 'cedar'], scheme, 2);
        const decision = guardDecision(state, next, rules);
        if (!decision.ok) throw new ConcordatError(decision.code, decision.message);
      },
    };
  },
};

/** Lines of the egress ledger. */
export const LEDGER: FuzzKind = {
  name: 'egress-ledger',
  weight: 2,
  prepare() {
    const lines: LedgerEntry[] = [];
    for (let round = 1; round <= 3; round++)
      lines.push(
        ledgerEntry(lines.at(-1) ?? null, {
          time: '2026-01-01T00:00:00.000Z',
          study: HASH,
          computation: 'describe',
          round,
          attempt: 1,
          leaves: [LEAF],
          patients: 40,
          sha256: hash,
          masked: true,
        }),
      );
    const texts = lines.map((line) => canonicalJson(line));
    return {
      make(random) {
        const at = random.integer(texts.length);
        const changed = [...texts];
        changed[at] =
          random.integer(3) === 0 ? mutateText(random, texts[at]!) : jsonText(mutateValue(random, lines[at]!));
        return pack(changed);
      },
      run(input) {
        const entries = (unpack(input) as string[]).map((line) =>
          readStoredJson(line, ledgerLineShape, 'the egress ledger'),
        );
        verifyLedger(entries as unknown as LedgerEntry[]);
      },
    };
  },
};
