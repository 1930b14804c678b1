import { z } from 'zod';
import {
  approvalShape,
  bytesShape,
  checkRecord,
  codeShape,
  countShape,
  hashShape,
  ledgerHeadShape,
  preKeyShape,
  ratificationShape,
  readRecord,
  type ShapesOf,
  siteShape,
  sitesShape,
} from '../shared/stored-shapes.js';
import type { LedgerEvent } from './ledger-heads.js';
import type { RoundRecord } from './round-types.js';
import type { StudyEvent } from './study.js';
import type { LoggedEvent } from './study-host-types.js';

/** How the coordinator's log is read. What stands in it was written by this program or an older one, or was damaged since. */
const STORE = "the coordinator's log";

const EVENTS: ShapesOf<LoggedEvent> = {
  proposed: z.looseObject({ documentBlob: hashShape, rosterVersion: countShape, atMs: z.number() }),
  study: z.looseObject({
    event: z.looseObject({ type: z.string() }),
    approval: approvalShape.optional(),
    ratification: ratificationShape.optional(),
  }),
  round: z.looseObject({ record: z.looseObject({ type: z.string() }) }),
};

const STUDY_EVENTS: ShapesOf<StudyEvent> = {
  approval: z.looseObject({ site: siteShape, boxPublicKey: z.string() }),
  decline: z.looseObject({ site: siteShape, reason: z.string() }),
  roundTotal: z.looseObject({ round: countShape }),
  finished: z.looseObject({ bundleDigest: hashShape, unmet: z.array(z.string()) }),
  failure: z.looseObject({ reason: z.string() }),
  abort: z.looseObject({ reason: z.string() }),
  ratification: z.looseObject({ site: siteShape, verdict: z.enum(['ratified', 'refused']), reason: z.string() }),
  publication: z.looseObject({}),
  withdrawal: z.looseObject({ site: siteShape, reason: z.string() }),
};

const inAttempt = { context: hashShape };

const ROUND_RECORDS: ShapesOf<RoundRecord> = {
  roundOpened: z.looseObject({
    computation: z.string(),
    round: countShape,
    broadcastHash: hashShape,
    declarationHash: hashShape,
    contributionBytes: countShape,
  }),
  preKey: z.looseObject({ preKey: preKeyShape }),
  preKeyVoid: z.looseObject({ site: siteShape }),
  slotSkipped: z.looseObject({ slot: countShape }),
  attemptOpened: z.looseObject({
    ...inAttempt,
    attempt: countShape,
    slot: countShape,
    sites: sitesShape,
    preKeyDigest: hashShape,
  }),
  maskedInput: z.looseObject({
    ...inAttempt,
    site: siteShape,
    blobHash: hashShape,
    nextPreKey: preKeyShape.nullable(),
  }),
  siteOut: z.looseObject({ ...inAttempt, site: siteShape, code: codeShape }),
  survivors: z.looseObject({ ...inAttempt, survivors: sitesShape, dropped: sitesShape }),
  signature: z.looseObject({ ...inAttempt, site: siteShape, signature: bytesShape }),
  agreed: z.looseObject(inAttempt),
  shares: z.looseObject({
    ...inAttempt,
    site: siteShape,
    shares: z.array(
      z.looseObject({ dealer: siteShape, kind: z.enum(['self', 'mask']), share: bytesShape, salt: bytesShape }),
    ),
  }),
  attemptAborted: z.looseObject({
    ...inAttempt,
    reason: z.enum(['missing', 'refused', 'lostSecrets', 'damaged']),
    sites: sitesShape,
  }),
  total: z.looseObject({ ...inAttempt, totalHash: hashShape, sites: sitesShape }),
  roundFailed: z.looseObject({ code: codeShape, sites: z.array(z.string()) }),
  abandoned: z.looseObject({}),
};

const ledgerHead = z.looseObject({
  site: siteShape,
  atMs: z.number(),
  head: ledgerHeadShape,
});
const LEDGER_EVENTS: ShapesOf<LedgerEvent> = { ledgerHead, ledgerContradicted: ledgerHead };

/** An event that belongs to no study. @throws ConcordatError STORE_DAMAGED */
export function decodeLedgerEvent(payload: Uint8Array): LedgerEvent {
  return readRecord<LedgerEvent>(payload, LEDGER_EVENTS, STORE);
}

/** @throws ConcordatError STORE_DAMAGED where the payload is no event that this version knows. */
export function decodeLoggedEvent(payload: Uint8Array): LoggedEvent {
  const event = readRecord<LoggedEvent>(payload, EVENTS, STORE);
  if (event.type === 'study') checkRecord(event.event, STUDY_EVENTS, STORE);
  else if (event.type === 'round') checkRecord(event.record, ROUND_RECORDS, STORE);
  return event;
}
