import { createHash } from 'node:crypto';
import { closeSync, existsSync, openSync, readFileSync, readSync, statSync, writeFileSync } from 'node:fs';
import { writeReplacing } from '../../../shared/durable-files.js';
import { ConcordatError } from '../../../shared/errors.js';
import {
  acceptedNote,
  assertAccepted,
  noteText,
  PROPOSED_MARK,
  PROPOSED_SUFFIX,
  type ProposedNote,
  parseNote,
  proposedNote,
} from '../proposed-mask.js';
import { gunzipStart, isGzip } from '../samples.js';
import { bytesAt } from './read-file.js';

/** It holds the name of whoever accepted. */
const NOTE_MODE = 0o600;
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/**
 * Nothing where the mask is a person's work or an accepted proposal.
 *
 * @throws ConcordatError IMAGE_MASK_NOT_ACCEPTED, IMAGE_MASK_CHANGED; IMAGE_UNREADABLE where there is no such file
 */
export function requireAcceptedMask(path: string): void {
  const note = readNote(path);
  // A folder holds DICOM, which no model of ours writes.
  if (note === null && existsSync(path) && statSync(path).isDirectory()) return;
  if (note === null) assertAccepted(null, isMarked(startOf(path)), '');
  else assertAccepted(note, true, sha256(bytesAt(path)));
}

/** As much of a file as its header needs, so that masks of persons are not read twice. */
function startOf(path: string): Uint8Array {
  if (!existsSync(path)) return bytesAt(path);
  const handle = openSync(path, 'r');
  try {
    const bytes = new Uint8Array(4096);
    return bytes.subarray(0, readSync(handle, bytes));
  } finally {
    closeSync(handle);
  }
}

/** The note beside a mask; null where there is none. */
function readNote(path: string): ProposedNote | null {
  const file = path + PROPOSED_SUFFIX;
  return existsSync(file) ? parseNote(readFileSync(file, 'utf8')) : null;
}

/** Writes a mask that a model proposed, and the note beside it. */
export function writeProposedMask(
  path: string,
  bytes: Uint8Array,
  proposal: { readonly modelSha256: string; readonly settingsDigest: string; readonly at: string },
): void {
  // The note first: a mask without it would still be marked, but nobody could accept it.
  writeReplacing(path + PROPOSED_SUFFIX, noteText(proposedNote({ ...proposal, maskSha256: sha256(bytes) })), NOTE_MODE);
  writeFileSync(path, bytes);
}

/**
 * Records that someone accepts the mask as it lies.
 *
 * @throws ConcordatError IMAGE_MASK_NOT_ACCEPTED where it is no proposal or its note is damaged
 */
export function acceptMask(path: string, by: string, at: string): ProposedNote {
  const bytes = bytesAt(path);
  const note = readNote(path);
  if (note === null)
    throw new ConcordatError(
      'CLI_USAGE',
      'no model proposed this mask: there is no note beside it, and nothing to accept',
      {
        hint: `The note is a file named as the mask with ${PROPOSED_SUFFIX} at its end; keep both together.`,
      },
    );
  const accepted = acceptedNote(note, { by, at, maskSha256: sha256(bytes) });
  writeReplacing(path + PROPOSED_SUFFIX, noteText(accepted), NOTE_MODE);
  return accepted;
}

/** Whether a NIfTI-1 file's `descrip` field says that a model proposed it. */
function isMarked(bytes: Uint8Array): boolean {
  try {
    const head = isGzip(bytes) ? gunzipStart(bytes) : bytes;
    return Buffer.from(head.subarray(148, 228)).toString('latin1').startsWith(PROPOSED_MARK);
  } catch (error) {
    // A damaged file is told by whoever reads it as a mask.
    if (error instanceof ConcordatError) return false;
    throw error;
  }
}
