import { z } from 'zod';
import { decodeDocument, encodeDocument } from '../shared/document.js';
import { ConcordatError } from '../shared/errors.js';
import type { PreKey, ReleasedShare } from '../shared/messages.js';
import {
  bytesShape,
  checkRecord,
  codeShape,
  countShape,
  hashShape,
  preKeyShape,
  type ShapesOf,
  siteShape,
  sitesShape,
} from '../shared/stored-shapes.js';
import type { TranscriptEntry } from '../shared/transcript.js';
import { applyRecord, INITIAL_ROUND_STATE } from './round-state.js';
import type { LoggedEvent } from './study-host-types.js';
import { entryOf } from './transcript.js';

/**
 * What is written beside a bundle: the transcript's entries, and with `transcript.retain` also, for each total, its masked
 * inputs (inputs/HASH) and what its sites revealed to unmask it.
 */
export const TRANSCRIPT_FILE = 'transcript.json';
export const ATTEMPTS_FILE = 'attempts.bin';
export const inputFile = (hash: string): string => `inputs/${hash}`;

export interface TranscriptDocument {
  readonly format: 'concordat-transcript-1';
  readonly studyHash: string;
  /** Masked inputs and revealed shares lie beside it. */
  readonly retained: boolean;
  readonly entries: readonly TranscriptEntry[];
}

/** What unmasked one total. */
export interface KeptAttempt {
  readonly context: string;
  /** Hashes of the survivors' masked inputs. */
  readonly inputs: readonly string[];
  /** Without boxes: nobody else can open them, and no signature covers them directly. */
  readonly preKeys: readonly PreKey[];
  readonly shares: readonly { readonly site: string; readonly shares: readonly ReleasedShare[] }[];
}

/** JSON, one entry a line. */
export function transcriptFile(studyHash: string, events: readonly LoggedEvent[], retained: boolean): Uint8Array {
  const entries = events.map(entryOf).filter((entry) => entry !== null);
  const head = JSON.stringify({ format: 'concordat-transcript-1', studyHash, retained }).slice(0, -1);
  const lines = entries.map((entry) => JSON.stringify(entry)).join(',\n');
  return Buffer.from(`${head},"entries":[\n${lines}\n]}\n`, 'utf8');
}

const hexShape = z.string().regex(/^([0-9a-f]{2})*$/);
const signed = { site: siteShape, signature: hexShape };
const inAttempt = { context: hashShape };
const setShape = z.looseObject({ ...inAttempt, survivors: sitesShape, dropped: sitesShape });
const ENTRIES: ShapesOf<TranscriptEntry> = {
  approval: z.looseObject({
    ...signed,
    decision: z.enum(['approved', 'declined', 'withdrawn']),
    reason: z.string(),
    rosterVersion: countShape,
    rosterHash: hashShape,
    boxPublicKey: hexShape,
  }),
  roundOpened: z.looseObject({
    computation: z.string(),
    round: countShape,
    broadcastHash: hashShape,
    declarationHash: hashShape,
    contributionBytes: countShape,
  }),
  attemptOpened: z.looseObject({ ...inAttempt, attempt: countShape, sites: sitesShape, preKeyDigest: hashShape }),
  maskedInput: z.looseObject({ ...inAttempt, ...signed, blobHash: hashShape }),
  survivors: setShape,
  signature: z.looseObject({ ...inAttempt, ...signed }),
  attemptAborted: z.looseObject({ ...inAttempt, reason: z.string(), sites: sitesShape }),
  total: z.looseObject({ ...inAttempt, totalHash: hashShape, sites: sitesShape }),
  roundFailed: z.looseObject({ code: codeShape, sites: z.array(z.string()) }),
  finished: z.looseObject({ bundleDigest: hashShape }),
  ratification: z.looseObject({
    ...signed,
    verdict: z.enum(['ratified', 'refused']),
    bundleDigest: hashShape,
    transcriptHead: hashShape,
  }),
  ended: z.looseObject({ how: z.enum(['failure', 'abort']) }),
};
const documentShape = z.looseObject({
  format: z.literal('concordat-transcript-1'),
  studyHash: hashShape,
  retained: z.boolean(),
  entries: z.array(z.unknown()),
});
const attemptsShape = z.looseObject({
  format: z.literal('concordat-attempts-1'),
  attempts: z.array(
    z.looseObject({
      ...inAttempt,
      inputs: z.array(hashShape),
      preKeys: z.array(preKeyShape),
      shares: z.array(
        z.looseObject({
          site: siteShape,
          shares: z.array(
            z.looseObject({ dealer: siteShape, kind: z.enum(['self', 'mask']), share: bytesShape, salt: bytesShape }),
          ),
        }),
      ),
    }),
  ),
});

/** Throws BUNDLE_UNREADABLE. */
export function parseTranscript(bytes: Uint8Array | undefined): TranscriptDocument {
  try {
    const value = documentShape.parse(JSON.parse(Buffer.from(bytes ?? []).toString('utf8')));
    for (const entry of value.entries) checkRecord<TranscriptEntry>(entry, ENTRIES, TRANSCRIPT_FILE);
    return value as unknown as TranscriptDocument;
  } catch {
    // Said below.
  }
  throw new ConcordatError('BUNDLE_UNREADABLE', `${TRANSCRIPT_FILE} is missing, or is no transcript of this format`);
}

/** The attempts of a study that ended in totals, in order. */
export function keptAttempts(events: readonly LoggedEvent[]): KeptAttempt[] {
  const kept: KeptAttempt[] = [];
  let state = INITIAL_ROUND_STATE;
  for (const event of events) {
    if (event.type !== 'round') continue;
    const { attempt } = state;
    if (event.record.type === 'total' && attempt !== null)
      kept.push({
        context: attempt.context,
        inputs: event.record.sites.map((site) => attempt.inputs.get(site)!),
        preKeys: attempt.preKeys.map((preKey) => ({ ...preKey, boxes: [] })),
        shares: [...attempt.shares].map(([site, shares]) => ({ site, shares })),
      });
    state = applyRecord(state, event.record);
  }
  return kept;
}

export function attemptsFile(attempts: readonly KeptAttempt[]): Uint8Array {
  return encodeDocument({ format: 'concordat-attempts-1', attempts });
}

/** Throws WIRE_DOCUMENT_INVALID or BUNDLE_UNREADABLE. */
export function parseAttempts(bytes: Uint8Array | undefined): KeptAttempt[] {
  const parsed = attemptsShape.safeParse(bytes === undefined ? null : decodeDocument(bytes));
  if (!parsed.success)
    throw new ConcordatError('BUNDLE_UNREADABLE', `${ATTEMPTS_FILE} is missing, or is not of this format`);
  return parsed.data.attempts as unknown as KeptAttempt[];
}
