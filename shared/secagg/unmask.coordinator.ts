import { ed25519Verify } from '../ed25519.js';
import { ConcordatError } from '../errors.js';
import type { PreKey, ReleasedShare, RoundTerms, SharesReleased } from '../messages.js';
import { Secret } from '../secret.js';
import type { TensorSpec } from '../tensors.js';
import { rosterSites, threshold } from './context.js';
import { agree, agreementPublicKey } from './keys.js';
import { applyMasks, type Mask } from './prg.js';
import { combineShares } from './shamir.js';
import { sameBytes, selfSeedHash, shareCommitment, sharesStatement } from './statements.js';
import type { DividedSites } from './survivors.js';
import { wantedShares } from './unmask.js';

/** A mask that is still in the sum. */
export type MaskRemoval =
  | { readonly kind: 'self'; readonly site: string; readonly seed: Secret }
  /** The mask that a survivor shares with a dropped site, from the dropped site's rebuilt key. */
  | { readonly kind: 'pair'; readonly survivor: string; readonly dropped: string; readonly secret: Secret };

/**
 * The holder signed its shares, they are the ones this set calls for, and each fits the commitment of its dealer.
 * Throws SECAGG_SIGNATURE_INVALID, or SECAGG_SHARE_INVALID (the holder lied).
 */
export function checkShares(
  terms: RoundTerms,
  holder: string,
  preKeys: readonly PreKey[],
  set: DividedSites,
  message: SharesReleased,
): void {
  const key = terms.roster.sites.find((entry) => entry.site === holder)?.signingPublicKey;
  if (
    key === undefined ||
    !ed25519Verify(key, sharesStatement(message.context, holder, message.shares), message.signature)
  )
    throw new ConcordatError('SECAGG_SIGNATURE_INVALID', `the released shares are not signed by ${holder}`);
  const lied = (why: string) => new ConcordatError('SECAGG_SHARE_INVALID', `site ${holder} released ${why}`);
  const wanted = wantedShares(set);
  if (message.shares.length !== wanted.length) throw lied('another number of shares than the set calls for');
  message.shares.forEach((released, index) => {
    const { dealer, kind } = wanted[index]!;
    if (released.dealer !== dealer || released.kind !== kind) throw lied('shares that the set does not call for');
    const preKey = preKeys.find((candidate) => candidate.site === dealer);
    const committed = preKey?.shares.find((share) => share.holder === holder);
    if (preKey === undefined || committed === undefined) throw lied(`a share of ${dealer}, who is not in this attempt`);
    const address = { studyHash: preKey.studyHash, slot: preKey.slot, dealer, holder, kind };
    const commitment = kind === 'self' ? committed.selfCommitment : committed.maskCommitment;
    if (!sameBytes(shareCommitment(address, released.share, released.salt), commitment))
      throw lied(`a share of ${dealer} that is not the one it was dealt`);
  });
}

/**
 * Self seeds of the survivors and mask keys of the dropped, from the shares of any t holders, each checked against what
 * its owner announced. Throws SECAGG_THRESHOLD, or SECAGG_KEY_MISMATCH (the named dealer lied).
 */
export function rebuildMasks(
  terms: RoundTerms,
  preKeys: readonly PreKey[],
  set: DividedSites,
  released: ReadonlyMap<string, readonly ReleasedShare[]>,
): MaskRemoval[] {
  const roster = rosterSites(terms);
  const needed = threshold(terms);
  // The first t holders in roster order: which ones answered first must not matter.
  const holders = roster.filter((site) => released.has(site)).slice(0, needed);
  if (holders.length < needed)
    throw new ConcordatError('SECAGG_THRESHOLD', `${holders.length} sites released shares, ${needed} are needed`);
  const mismatch = (site: string) =>
    new ConcordatError('SECAGG_KEY_MISMATCH', `the key rebuilt for site ${site} is not the one it announced`, {
      problems: [{ message: site }],
    });
  const byName = new Map(preKeys.map((preKey) => [preKey.site, preKey]));
  return wantedShares(set).flatMap(({ dealer, kind }): MaskRemoval[] => {
    const preKey = byName.get(dealer)!;
    const shares = holders.map((holder) => ({
      x: roster.indexOf(holder) + 1,
      share: released.get(holder)!.find((share) => share.dealer === dealer)!.share,
    }));
    const secret = new Secret(combineShares(shares));
    if (kind === 'self') {
      if (!sameBytes(selfSeedHash(preKey.studyHash, preKey.slot, dealer, secret.reveal()), preKey.selfSeedHash))
        throw mismatch(dealer);
      return [{ kind: 'self', site: dealer, seed: secret }];
    }
    if (!sameBytes(agreementPublicKey(secret), preKey.maskPublicKey)) throw mismatch(dealer);
    return set.survivors.map((survivor) => {
      const pair = agree(secret, byName.get(survivor)!.maskPublicKey);
      if (pair === null) throw mismatch(survivor);
      return { kind: 'pair', survivor, dropped: dealer, secret: pair };
    });
  });
}

/** Takes the masks out of the accumulator, in place; what is left is the sum over the survivors. */
export function removeMasks(
  accumulator: readonly BigUint64Array[],
  specs: readonly TensorSpec[],
  scope: { readonly context: string; readonly preKeyDigest: string },
  removals: readonly MaskRemoval[],
): void {
  const { context, preKeyDigest } = scope;
  const masks = removals.map((removal): Mask => {
    if (removal.kind === 'self') {
      const { site, seed } = removal;
      return { secret: seed, scope: { kind: 'self', context, preKeyDigest, lower: site, upper: site }, sign: -1 };
    }
    const { survivor, dropped, secret } = removal;
    // The survivor added the mask where it comes first in roster order, and subtracted it otherwise.
    const first = survivor < dropped;
    const [lower, upper] = first ? [survivor, dropped] : [dropped, survivor];
    return { secret, scope: { kind: 'pair', context, preKeyDigest, lower, upper }, sign: first ? -1 : 1 };
  });
  applyMasks(accumulator, specs, masks);
}
