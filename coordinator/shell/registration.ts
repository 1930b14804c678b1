import { createHash } from 'node:crypto';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { RESULT_FILE } from '../../shared/bundle/bundle.js';
import { signatureFile } from '../../shared/bundle/verify.js';
import type { BlobStore } from '../../shared/stores.js';
import type { Ratification } from '../../shared/study-messages.js';
import { isDamage } from '../mended-total.js';
import type { StudyState } from '../study.js';
import type { LoggedEvent } from '../study-host-types.js';
import {
  ATTEMPTS_FILE,
  attemptsFile,
  inputFile,
  keptAttempts,
  TRANSCRIPT_FILE,
  transcriptFile,
} from '../transcript-file.js';

export interface Registration {
  readonly state: StudyState;
  readonly files: ReadonlyMap<string, Uint8Array> | null;
  readonly ratifications: readonly Ratification[];
  readonly outcome: { readonly phase: string; readonly reason: string };
  /** All logged events of the study, for its transcript. */
  readonly events: readonly LoggedEvent[];
  readonly blobs: Pick<BlobStore, 'getBlob'>;
  readonly sign: (bytes: Uint8Array) => Uint8Array;
  /** Hears of each retained masked input that can no longer be read. */
  readonly damaged: (hash: string) => void;
}

/**
 * Writes registry/NAME: bundle (of a published study; otherwise its result only), status, transcript, and where the study
 * retains them the masked inputs and revealed shares of every total. Beside and then renamed, so that a reader never sees
 * half of it. Doing it again changes nothing. Returns the folder.
 */
export function registerStudy(
  root: string,
  { state, files, ratifications, outcome, events, blobs, sign, damaged }: Registration,
): string {
  const folder = path.join(root, 'registry', `${state.study.name}-${state.studyHash.slice(0, 12)}`);
  const draft = `${folder}.${process.pid}.tmp`;
  const write = (file: string, bytes: Uint8Array | string) => {
    const full = path.join(draft, file);
    mkdirSync(path.dirname(full), { recursive: true });
    writeFileSync(full, bytes);
  };
  const published = outcome.phase === 'published';
  // A withdrawn or failed study leaves its result, not its model: ratification gates the model only.
  for (const [file, bytes] of files ?? []) if (published || file === RESULT_FILE) write(`bundle/${file}`, bytes);
  for (const ratification of ratifications) {
    const { path: file, bytes } = signatureFile(ratification);
    write(`bundle/${file}`, bytes);
  }
  const { studyHash, study, bundleDigest, rosterVersion, rounds } = state;
  const retained = published && study.transcript?.retain === true;
  write(`transcript/${TRANSCRIPT_FILE}`, transcriptFile(studyHash, events, retained));
  if (retained) {
    const attempts = keptAttempts(events);
    write(`transcript/${ATTEMPTS_FILE}`, attemptsFile(attempts));
    for (const hash of new Set(attempts.flatMap(({ inputs }) => inputs)))
      try {
        write(`transcript/${inputFile(hash)}`, blobs.getBlob(hash));
      } catch (error) {
        // Sites have countersigned the model; what cannot be audited any more is named by the audit.
        if (!isDamage(error)) throw error;
        damaged(hash);
      }
  }
  const result = files?.get(RESULT_FILE);
  const resultHash = result === undefined ? null : createHash('sha256').update(result).digest('hex');
  const summary = { study: studyHash, name: study.name, rosterVersion, rounds, bundleDigest, resultHash, ...outcome };
  const status = Buffer.from(`${JSON.stringify(summary, null, 2)}\n`, 'utf8');
  write('status.json', status);
  write('status.json.sig', `${Buffer.from(sign(status)).toString('base64')}\n`);
  try {
    renameSync(draft, folder);
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    // The folder is there already: a restart published the same bundle before.
    if (!['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
  return folder;
}
