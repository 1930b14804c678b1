import { z } from 'zod';
import { isSha256 } from '../shared/hex.js';
import {
  approvalShape,
  bytesShape,
  checkRecord,
  codeShape,
  countShape,
  hashShape,
  preKeyShape,
  ratificationShape,
  readRecord,
  type ShapesOf,
  sitesShape,
} from '../shared/stored-shapes.js';
import type { ParticipantRecord } from './participant-types.js';
import type { SiteRecord } from './site-records.js';

/** How a site's own log is read. What stands in it was written by this agent or an older one, or was damaged since. */
const STORE = "this site's log";

const RECORDS: ShapesOf<SiteRecord> = {
  proposed: z.looseObject({
    rosterVersion: countShape,
    rosterHash: hashShape,
    document: bytesShape,
    atMs: z.number(),
  }),
  decided: z.looseObject({
    approval: approvalShape,
    atMs: z.number(),
    cohort: z.looseObject({ digest: z.string(), cases: z.array(z.string()) }).nullable(),
  }),
  approverSigned: z.looseObject({
    signed: z.looseObject({
      name: z.string(),
      publicKey: hashShape,
      decision: z.enum(['approved', 'declined', 'resumed']),
      cohortDigest: z.string(),
      ruleDigest: hashShape,
      at: z.string(),
      signature: bytesShape,
    }),
    startsOver: z.boolean(),
  }),
  started: z.looseObject({ approvals: z.array(approvalShape) }),
  participant: z.looseObject({ record: z.looseObject({ type: z.string() }) }),
  ownValues: z.looseObject({
    computation: z.string(),
    iteration: countShape,
    values: z.record(z.string(), z.instanceof(Float64Array)),
  }),
  progress: z.looseObject({ computation: z.string(), round: countShape, iteration: countShape }),
  ratified: z.looseObject({ ratification: ratificationShape }),
  closed: z.looseObject({ phase: z.string(), reason: z.string() }),
  transcript: z.looseObject({}),
  transcriptRefused: z.looseObject({}),
  withdrew: z.looseObject({ withdrawal: approvalShape, atMs: z.number() }),
};

const inAttempt = { context: hashShape };
const inRound = { computation: z.string(), round: countShape, broadcastHash: hashShape, declarationHash: hashShape };

const PARTICIPANT_RECORDS: ShapesOf<ParticipantRecord> = {
  incarnation: z.looseObject({ incarnation: z.string() }),
  preKey: z.looseObject({ preKey: preKeyShape, secretName: z.string() }),
  joined: z.looseObject({
    ...inAttempt,
    ...inRound,
    attempt: countShape,
    slot: countShape,
    sites: sitesShape,
    preKeyDigest: hashShape,
    maskPublicKeys: z.array(bytesShape),
  }),
  contribution: z.looseObject({ ...inRound, blobHash: hashShape, byteLength: countShape }),
  masked: z.looseObject({ ...inAttempt, blobHash: hashShape, byteLength: countShape }),
  acknowledged: z.looseObject(inAttempt),
  signedSet: z.looseObject({ ...inAttempt, survivors: sitesShape, dropped: sitesShape }),
  released: z.looseObject(inAttempt),
  refused: z.looseObject({ ...inAttempt, code: codeShape }),
  closed: z.looseObject({ ...inAttempt, outcome: z.enum(['total', 'aborted', 'superseded', 'lost']) }),
};

/** @throws ConcordatError STORE_DAMAGED where the payload is no record that this version knows. */
export function decodeSiteRecord(payload: Uint8Array): SiteRecord {
  const record = readRecord<SiteRecord>(payload, RECORDS, STORE);
  if (record.type === 'participant') checkRecord(record.record, PARTICIPANT_RECORDS, STORE);
  return record;
}

const cells = z.array(z.int().min(0).max(100_000));

/** State of the disclosure guard as it stands in a setting. */
export const guardStateShape = z.looseObject({
  kinds: z.record(
    z.string(),
    z.looseObject({
      vectors: z.array(
        z.looseObject({
          key: z.string(),
          columns: countShape,
          scheme: z.string(),
          cells: z.int().min(1).max(100_000),
          contributors: z.array(z.looseObject({ site: z.string(), cells })),
        }),
      ),
      open: z.array(z.string()),
    }),
  ),
  cuts: z.record(z.string(), z.array(z.int())).optional(),
});

/** A line of the egress ledger as it stands in the store; whether the chain holds is another question. */
export const ledgerLineShape = z.looseObject({
  sequence: z.int().min(1),
  study: z.string(),
  bytes: countShape,
  previousHash: z.string().refine(isSha256),
  hash: z.string().refine(isSha256),
});
