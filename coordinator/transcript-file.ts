import { decodeDocument, encodeDocument } from '../shared/document.js';
import { ConcordatError } from '../shared/errors.js';
import type { PreKey, ReleasedShare } from '../shared/messages.js';
import type { TranscriptEntry } from '../shared/transcript.js';
import { applyRecord, INITIAL_ROUND_STATE } from './round-state.js';
import type { LoggedEvent } from './shell/study-host.js';
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

/** Throws BUNDLE_UNREADABLE. */
export function parseTranscript(bytes: Uint8Array | undefined): TranscriptDocument {
  try {
    const value = JSON.parse(Buffer.from(bytes ?? []).toString('utf8')) as TranscriptDocument;
    if (value.format === 'concordat-transcript-1' && Array.isArray(value.entries)) return value;
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
  const value = bytes === undefined ? null : (decodeDocument(bytes) as { format?: unknown; attempts?: KeptAttempt[] });
  if (value?.format !== 'concordat-attempts-1' || !Array.isArray(value.attempts))
    throw new ConcordatError('BUNDLE_UNREADABLE', `${ATTEMPTS_FILE} is missing, or is not of this format`);
  return value.attempts;
}
