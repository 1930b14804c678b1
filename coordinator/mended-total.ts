import { ConcordatError } from '../shared/errors.js';
import { packWords, zeroWords } from '../shared/fixed-point.js';
import type { RoundTerms } from '../shared/messages.js';
import { accumulate } from '../shared/secagg/masked-input.coordinator.js';
import { rebuildMasks, removeMasks } from '../shared/secagg/unmask.coordinator.js';
import type { BlobStore } from '../shared/stores.js';
import type { TensorSpec } from '../shared/tensors.js';
import type { AttemptState } from './round-state.js';

/** Whether the error is of a stored file that is gone, or no longer what was written. */
export function isDamage(error: unknown): boolean {
  return error instanceof ConcordatError && ['STORE_DAMAGED', 'STORE_BLOB_MISSING'].includes(error.code);
}

/**
 * Writes a total once more whose file is damaged, out of the masked inputs that a study with `transcript.retain` keeps and the
 * shares in the log. False where one of these is gone too: then only a backup has it.
 */
export function mendTotal(
  terms: RoundTerms,
  leaves: readonly TensorSpec[],
  attempt: AttemptState,
  total: { readonly totalHash: string; readonly sites: readonly string[] },
  blobs: Pick<BlobStore, 'getBlob' | 'putBlob'>,
): boolean {
  const words = zeroWords(leaves);
  try {
    for (const site of total.sites) accumulate(words, leaves, blobs.getBlob(attempt.inputs.get(site)!));
  } catch (error) {
    if (isDamage(error)) return false;
    throw error;
  }
  if (terms.mode === 'secure') {
    const { context, preKeyDigest, preKeys, set, shares } = attempt;
    removeMasks(words, leaves, { context, preKeyDigest }, rebuildMasks(terms, preKeys, set!, shares));
  }
  return blobs.putBlob(packWords(words)) === total.totalHash;
}
