import { ed25519Verify } from '../ed25519.js';
import { ConcordatError } from '../errors.js';
import { LIMITS } from '../limits.js';
import type { PreKey, RoundTerms, ShareBoxes } from '../messages.js';
import { rosterSites } from './context.js';
import { isLowOrder } from './keys.js';
import { preKeyStatement, sameBytes, sha256 } from './statements.js';

/** What both sides check of a pre-key, whoever relayed it. */

export function boxesHash(boxes: ShareBoxes): Uint8Array {
  return sha256(boxes.self, boxes.mask);
}

/**
 * The pre-key belongs to this study, roster and slot, shares to the whole roster, and is signed by its site.
 * Throws SECAGG_PRE_KEY_INVALID or SECAGG_SIGNATURE_INVALID, naming the site.
 */
export function checkPreKey(terms: RoundTerms, slot: number, preKey: PreKey): void {
  const invalid = (why: string) =>
    new ConcordatError('SECAGG_PRE_KEY_INVALID', `the pre-key of site ${preKey.site} for slot ${slot} ${why}`);
  const { roster } = terms;
  const entry = roster.sites.find((candidate) => candidate.site === preKey.site);
  if (entry === undefined) throw invalid('is of no site of the study');
  if (preKey.studyHash !== roster.studyHash) throw invalid('was made for another study');
  if (preKey.rosterVersion !== roster.rosterVersion) throw invalid('was made for another roster version');
  if (preKey.slot !== slot) throw invalid(`was made for slot ${preKey.slot}`);
  if (slot >= LIMITS.slotMax) throw invalid(`is for slot ${slot}, which no study reaches`);
  const holders = rosterSites(terms);
  if (preKey.shares.length !== holders.length || preKey.shares.some((share, index) => share.holder !== holders[index]))
    throw invalid('does not share to exactly the sites of the roster');
  const lengths = [preKey.maskPublicKey, preKey.selfSeedHash].concat(
    preKey.shares.flatMap((share) => [share.selfCommitment, share.maskCommitment, share.boxesHash]),
  );
  if (lengths.some((bytes) => bytes.length !== 32)) throw invalid('has a field of the wrong length');
  if (!ed25519Verify(entry.signingPublicKey, preKeyStatement(preKey), preKey.signature))
    throw new ConcordatError(
      'SECAGG_SIGNATURE_INVALID',
      `the pre-key for slot ${slot} is not signed by ${preKey.site}`,
    );
  if (isLowOrder(preKey.maskPublicKey)) throw invalid('has a mask key of low order, which would hide nothing');
  for (const boxes of preKey.boxes) {
    const share = preKey.shares.find((candidate) => candidate.holder === boxes.holder);
    if (share === undefined || !sameBytes(share.boxesHash, boxesHash(boxes)))
      throw invalid(`carries boxes for ${boxes.holder} that are not the ones it signed`);
  }
}
