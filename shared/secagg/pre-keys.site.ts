import { ed25519Sign } from '../ed25519.js';
import { assert, ConcordatError } from '../errors.js';
import type { AttemptOffer, PreKey, RoundTerms, ShareBoxes, ShareCommitment, ShareKind } from '../messages.js';
import { Secret } from '../secret.js';
import { attemptContext, fewestSurvivors, rosterSites, threshold } from './context.js';
import { agreementPublicKey, expandRandom, NONCE_LENGTH, openBox, sealBox } from './keys.js';
import { boxesHash, checkPreKey } from './pre-keys.js';
import { splitRandomLength, splitSecret } from './shamir.js';
import {
  preKeyDigest,
  preKeyStatement,
  type ShareAddress,
  sameBytes,
  selfSeedHash,
  shareCommitment,
  shareHeader,
  statement,
} from './statements.js';

export const SECRET_LENGTH = 32;
export const SALT_LENGTH = 16;

/** The two secrets of one slot: private mask key, then self seed, 64 bytes. */
export function slotMaskKey(slotSecret: Secret): Secret {
  return new Secret(slotSecret.reveal().subarray(0, SECRET_LENGTH));
}

export function slotSelfSeed(slotSecret: Secret): Secret {
  return new Secret(slotSecret.reveal().subarray(SECRET_LENGTH, 2 * SECRET_LENGTH));
}

/**
 * Fresh keys for one slot: a mask key and a self seed, both shared bytewise to the whole roster (any t rebuild them), each
 * share committed to and sealed for its holder. `random`: 32 bytes that serve nothing else.
 */
export function makePreKey(of: {
  readonly terms: RoundTerms;
  readonly site: string;
  readonly slot: number;
  readonly incarnation: string;
  readonly signingKey: Secret;
  readonly boxKey: Secret;
  readonly random: Uint8Array;
}): { readonly preKey: PreKey; readonly slotSecret: Secret } {
  const { terms, site, slot } = of;
  const { studyHash, rosterVersion, sites } = terms.roster;
  const n = sites.length;
  const t = threshold(terms);
  const splitLength = splitRandomLength(SECRET_LENGTH, t);
  const pool = expandRandom(
    of.random,
    statement('pre-key randomness', studyHash, slot, site, of.incarnation),
    2 * SECRET_LENGTH + 2 * splitLength + 2 * n * (SALT_LENGTH + NONCE_LENGTH),
  );
  let used = 0;
  const draw = (length: number) => {
    used += length;
    return pool.slice(used - length, used);
  };

  const slotSecret = new Secret(draw(2 * SECRET_LENGTH));
  const seed = slotSelfSeed(slotSecret);
  const selfShares = splitSecret(seed.reveal(), n, t, draw(splitLength));
  const maskShares = splitSecret(slotMaskKey(slotSecret).reveal(), n, t, draw(splitLength));
  const shares: ShareCommitment[] = [];
  const boxes: ShareBoxes[] = [];
  sites.forEach((holder, index) => {
    const seal = (kind: ShareKind, share: Uint8Array) => {
      const address: ShareAddress = { studyHash, slot, dealer: site, holder: holder.site, kind };
      const salt = draw(SALT_LENGTH);
      const plaintext = Buffer.concat([shareHeader(address), share, salt]);
      return {
        commitment: shareCommitment(address, share, salt),
        box: sealBox(of.boxKey, holder.boxPublicKey, draw(NONCE_LENGTH), plaintext),
      };
    };
    const self = seal('self', selfShares[index]!);
    const mask = seal('mask', maskShares[index]!);
    const pair: ShareBoxes = { holder: holder.site, self: self.box, mask: mask.box };
    boxes.push(pair);
    shares.push({
      holder: holder.site,
      selfCommitment: self.commitment,
      maskCommitment: mask.commitment,
      boxesHash: boxesHash(pair),
    });
  });
  const unsigned = {
    studyHash,
    rosterVersion,
    slot,
    site,
    incarnation: of.incarnation,
    maskPublicKey: agreementPublicKey(slotMaskKey(slotSecret)),
    selfSeedHash: selfSeedHash(studyHash, slot, site, seed.reveal()),
    shares,
  };
  return {
    preKey: { ...unsigned, boxes, signature: ed25519Sign(of.signingKey, preKeyStatement(unsigned)) },
    slotSecret,
  };
}

/** Bytes that one dealer's shares take in the store: self share, its salt, mask share, its salt. */
const HELD_LENGTH = 2 * (SECRET_LENGTH + SALT_LENGTH);

/** What one holder keeps of one dealer: offsets within the secret of the attempt, dealers in the attempt's order. */
export function heldShare(held: Secret, dealerIndex: number, kind: ShareKind): { share: Uint8Array; salt: Uint8Array } {
  const start = dealerIndex * HELD_LENGTH + (kind === 'self' ? 0 : SECRET_LENGTH + SALT_LENGTH);
  const bytes = held.reveal();
  assert(start + SECRET_LENGTH + SALT_LENGTH <= bytes.length, 'no share is held of that dealer');
  return {
    share: bytes.slice(start, start + SECRET_LENGTH),
    salt: bytes.slice(start + SECRET_LENGTH, start + SECRET_LENGTH + SALT_LENGTH),
  };
}

/** Context C of an offer. */
export function offerContext(offer: AttemptOffer): string {
  return attemptContext(offer);
}

/**
 * Checks an offer before anything is computed for it: roster, sites, every pre-key and its signature, our own pre-key byte
 * for byte, and every box for us against its commitment. Gives the shares we hold (one secret, dealers in order).
 * Throws SECAGG_PRE_KEY_INVALID, SECAGG_SIGNATURE_INVALID, SECAGG_SET_INVALID, or SECAGG_SHARE_INVALID whose problems
 * name the dealers.
 */
export function acceptOffer(
  terms: RoundTerms,
  offer: AttemptOffer,
  own: { readonly site: string; readonly preKey: PreKey | null; readonly boxKey: Secret },
): { readonly preKeyDigest: string; readonly held: Secret } {
  checkOfferSites(terms, offer, own.site);
  if (terms.mode === 'plain') return { preKeyDigest: preKeyDigest([]), held: new Secret(new Uint8Array(0)) };
  const invalid = (why: string) => new ConcordatError('SECAGG_PRE_KEY_INVALID', why);
  if (offer.preKeys.length !== offer.sites.length || offer.preKeys.some((key, i) => key.site !== offer.sites[i]))
    throw invalid('the offer does not carry exactly one pre-key of each of its sites');
  for (const preKey of offer.preKeys) checkPreKey(terms, offer.slot, preKey);
  const mine = offer.preKeys.find((preKey) => preKey.site === own.site)!;
  if (own.preKey === null || !sameBytes(preKeyStatement(mine), preKeyStatement(own.preKey)))
    throw invalid('the offer carries a pre-key of this site that this site does not know');

  const held = new Uint8Array(offer.preKeys.length * HELD_LENGTH);
  const liars: string[] = [];
  offer.preKeys.forEach((preKey, dealerIndex) => {
    const parts = openShares(terms, preKey, own.site, own.boxKey);
    if (parts === null) liars.push(preKey.site);
    else held.set(parts, dealerIndex * HELD_LENGTH);
  });
  if (liars.length > 0)
    throw new ConcordatError(
      'SECAGG_SHARE_INVALID',
      `shares dealt by ${liars.join(', ')} do not open to what was signed`,
      {
        problems: liars.map((site) => ({ message: site })),
      },
    );
  return { preKeyDigest: preKeyDigest(offer.preKeys), held: new Secret(held) };
}

/** Self share, salt, mask share, salt of one dealer; null where a box does not open or breaks its commitment. */
function openShares(terms: RoundTerms, preKey: PreKey, holder: string, boxKey: Secret): Uint8Array | null {
  const dealer = terms.roster.sites.find((entry) => entry.site === preKey.site)!;
  const boxes = preKey.boxes.find((candidate) => candidate.holder === holder);
  const committed = preKey.shares.find((candidate) => candidate.holder === holder);
  if (boxes === undefined || committed === undefined) return null;
  const parts: Uint8Array[] = [];
  for (const kind of ['self', 'mask'] as const) {
    const address: ShareAddress = {
      studyHash: preKey.studyHash,
      slot: preKey.slot,
      dealer: preKey.site,
      holder,
      kind,
    };
    const header = shareHeader(address);
    const plain = openBox(boxKey, dealer.boxPublicKey, boxes[kind]);
    if (plain === null || plain.length !== header.length + SECRET_LENGTH + SALT_LENGTH) return null;
    if (!sameBytes(plain.subarray(0, header.length), header)) return null;
    const share = plain.subarray(header.length, header.length + SECRET_LENGTH);
    const salt = plain.subarray(header.length + SECRET_LENGTH);
    const commitment = kind === 'self' ? committed.selfCommitment : committed.maskCommitment;
    if (!sameBytes(shareCommitment(address, share, salt), commitment)) return null;
    parts.push(share, salt);
  }
  return Buffer.concat(parts);
}

function checkOfferSites(terms: RoundTerms, offer: AttemptOffer, site: string): void {
  const invalid = (why: string) => new ConcordatError('SECAGG_SET_INVALID', `an attempt was offered that ${why}`);
  const roster = rosterSites(terms);
  if (offer.studyHash !== terms.roster.studyHash) throw invalid('belongs to another study');
  if (offer.rosterVersion !== terms.roster.rosterVersion) throw invalid('belongs to another roster version');
  if (offer.sites.some((name, index) => index > 0 && offer.sites[index - 1]! >= name))
    throw invalid('does not list its sites once and in order');
  if (offer.sites.some((name) => !roster.includes(name))) throw invalid('lists a site outside the study');
  if (!offer.sites.includes(site)) throw invalid('does not list this site');
  if (offer.sites.length < fewestSurvivors(terms)) throw invalid('has too few sites');
  if (terms.onMissingSite === 'wait' && offer.sites.length !== roster.length)
    throw invalid('leaves out sites, which the study does not permit');
}
