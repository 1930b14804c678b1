import { encodeTensor, packWords, unpackWords } from '../../shared/fixed-point.js';
import type {
  AttemptOffer,
  MaskedInput,
  PreKey,
  RoundTerms,
  SharesReleased,
  SurvivorsSigned,
  UnmaskRequest,
} from '../../shared/messages.js';
import { sealBox, signStatement } from '../../shared/secagg/keys.js';
import { checkMaskedInput } from '../../shared/secagg/masked-input.coordinator.js';
import { maskedInput, maskedInputMessage } from '../../shared/secagg/masked-input.site.js';
import { boxesHash, checkPreKey } from '../../shared/secagg/pre-keys.js';
import { acceptOffer } from '../../shared/secagg/pre-keys.site.js';
import { combineShares } from '../../shared/secagg/shamir.js';
import { preKeyStatement, sha256Hex, sharesStatement } from '../../shared/secagg/statements.js';
import { checkSignedSet } from '../../shared/secagg/survivors.coordinator.js';
import { checkDivision, type DividedSites } from '../../shared/secagg/survivors.js';
import { checkAgreement, signSurvivors } from '../../shared/secagg/survivors.site.js';
import { checkShares, rebuildMasks, removeMasks } from '../../shared/secagg/unmask.coordinator.js';
import { Secret } from '../../shared/secret.js';
import type { TensorSpec } from '../../shared/tensors.js';
import { simKeys } from '../sim/world.js';
import {
  type Attempt,
  inputOf,
  maskedSum,
  offerFor,
  openAttempt,
  preKeyOf,
  released,
  sharesOf,
  without,
} from './kit.js';

/**
 * Vectors of secure aggregation: inputs from fixed randomness, what must come out, and for each good one bad ones with the
 * error code they must raise. `UPDATE=1 npx vitest run test/secagg/vectors.test.ts` writes the files again.
 */
export interface Vector {
  readonly name: string;
  readonly operation: keyof typeof OPERATIONS;
  readonly input: unknown;
  /** `ok` or an error code. */
  readonly expect: string;
  readonly output?: unknown;
}

export const OPERATIONS = {
  encode: (input: { spec: TensorSpec; values: string[]; siteCount: number }) =>
    encodeTensor(input.spec, Float64Array.from(input.values, Number), input.siteCount),
  unpack: (input: { specs: TensorSpec[]; bytes: Uint8Array }) => unpackWords(input.specs, input.bytes),
  combineShares: (input: { shares: { x: number; share: Uint8Array }[] }) => combineShares(input.shares),
  checkPreKey: (input: { terms: RoundTerms; slot: number; preKey: PreKey }) =>
    checkPreKey(input.terms, input.slot, input.preKey),
  acceptOffer: (input: {
    terms: RoundTerms;
    offer: AttemptOffer;
    own: { site: string; preKey: PreKey | null; boxKey: Secret };
  }) => {
    const { preKeyDigest, held } = acceptOffer(input.terms, input.offer, input.own);
    return { preKeyDigest, held: held.reveal() };
  },
  maskedInput: (input: {
    scope: Parameters<typeof maskedInput>[0];
    specs: TensorSpec[];
    words: Uint8Array;
    slotSecret: Secret;
  }) => maskedInput(input.scope, input.specs, unpackWords(input.specs, input.words), input.slotSecret),
  checkMaskedInput: (input: { terms: RoundTerms; site: string; message: MaskedInput; byteLength: number }) =>
    checkMaskedInput(input.terms, input.site, input.message, input.byteLength),
  checkDivision: (input: { terms: RoundTerms; sites: string[]; set: DividedSites }) =>
    checkDivision(input.terms, input.sites, input.set),
  checkSignedSet: (input: {
    terms: RoundTerms;
    site: string;
    preKeyDigest: string;
    set: DividedSites;
    message: SurvivorsSigned;
  }) => checkSignedSet(input.terms, input.site, input.preKeyDigest, input.set, input.message),
  checkAgreement: (input: { terms: RoundTerms; preKeyDigest: string; request: UnmaskRequest }) =>
    checkAgreement(input.terms, input.preKeyDigest, input.request),
  checkShares: (input: {
    terms: RoundTerms;
    holder: string;
    preKeys: PreKey[];
    set: DividedSites;
    message: SharesReleased;
  }) => checkShares(input.terms, input.holder, input.preKeys, input.set, input.message),
  unmask: (input: {
    terms: RoundTerms;
    specs: TensorSpec[];
    scope: { context: string; preKeyDigest: string };
    preKeys: PreKey[];
    set: DividedSites;
    sum: Uint8Array;
    shares: SharesReleased[];
    holders: string[];
  }) => {
    const shares = new Map(input.holders.map((holder, index) => [holder, input.shares[index]!.shares]));
    const sum = unpackWords(input.specs, input.sum);
    removeMasks(sum, input.specs, input.scope, rebuildMasks(input.terms, input.preKeys, input.set, shares));
    return packWords(sum);
  },
};

const flip = (bytes: Uint8Array, at = 0): Uint8Array => bytes.map((byte, index) => (index === at ? byte ^ 1 : byte));

/** File name -> vectors. Deterministic: fixed randomness, and Ed25519 signatures are. */
export function makeVectors(): Record<string, Vector[]> {
  const attempt = openAttempt(4, { onMissingSite: 'continue' });
  return {
    'fixed-point': fixedPointVectors(),
    'pre-keys': preKeyVectors(attempt),
    'masked-input': maskedInputVectors(attempt),
    survivors: survivorVectors(attempt),
    unmask: unmaskVectors(attempt),
  };
}

function fixedPointVectors(): Vector[] {
  const spec = (over: Partial<TensorSpec>): TensorSpec => ({
    name: 'all/gradient',
    kind: 'gradient',
    shape: [3],
    bound: 100,
    ring: 64,
    fractionBits: 8,
    contributors: [],
    visibility: 'total',
    momentColumns: 0,
    fold: 'study',
    meaning: 'a gradient',
    ...over,
  });
  const encode = (name: string, over: Partial<TensorSpec>, values: string[], code: string, siteCount = 3): Vector => ({
    name,
    operation: 'encode',
    input: { spec: spec(over), values, siteCount },
    expect: code,
  });
  const specs = [spec({ shape: [2] })];
  return [
    encode('ties go to even', {}, ['0.001953125', '0.005859375', '-0.001953125'], 'ok'),
    encode('the bound itself', {}, ['100', '-100', '0'], 'ok'),
    encode('ring 128 with borrow into the high word', { ring: 128, fractionBits: 80 }, ['-1', '1', '-0.5'], 'ok'),
    encode('a value past its bound', {}, ['0', '100.00000000000001', '0'], 'SECAGG_BOUND_EXCEEDED'),
    encode('not a number', {}, ['0', 'NaN', '0'], 'SECAGG_BOUND_EXCEEDED'),
    encode('infinite', { ring: 128 }, ['0', '0', '-Infinity'], 'SECAGG_BOUND_EXCEEDED'),
    encode('one site too many for the ring', { bound: 2 ** 54 }, ['0', '0', '0'], 'SECAGG_RING_OVERFLOW'),
    encode('the last site that fits the ring', { bound: 2 ** 53 }, ['0', '0', '0'], 'ok'),
    { name: 'a whole vector', operation: 'unpack', input: { specs, bytes: new Uint8Array(16).fill(3) }, expect: 'ok' },
    {
      name: 'a short vector',
      operation: 'unpack',
      input: { specs, bytes: new Uint8Array(8) },
      expect: 'SECAGG_LENGTH_MISMATCH',
    },
    {
      name: 'a long vector',
      operation: 'unpack',
      input: { specs, bytes: new Uint8Array(24) },
      expect: 'SECAGG_LENGTH_MISMATCH',
    },
  ];
}

function signed(preKey: PreKey, change: Partial<PreKey>): PreKey {
  const changed = { ...preKey, ...change };
  return { ...changed, signature: signStatement(simKeys(preKey.site).signingKey, preKeyStatement(changed)) };
}

function preKeyVectors(attempt: Attempt): Vector[] {
  const { terms, slot, round } = attempt;
  const [alder, birch] = attempt.preKeys as [PreKey, PreKey];
  const check = (name: string, preKey: PreKey, code: string, at = slot): Vector => ({
    name,
    operation: 'checkPreKey',
    input: { terms, slot: at, preKey },
    expect: code,
  });
  const own = { site: 'alder', preKey: alder, boxKey: simKeys('alder').boxKey };
  const offer = (name: string, preKeys: readonly PreKey[], code: string, over: Partial<AttemptOffer> = {}): Vector => ({
    name,
    operation: 'acceptOffer',
    input: { terms, offer: { ...offerFor(terms, round, preKeys, slot, 'alder'), ...over }, own },
    expect: code,
  });
  const replaced = (preKey: PreKey) => attempt.preKeys.map((other) => (other.site === preKey.site ? preKey : other));
  // Birch seals something else for alder than it committed to, and signs that.
  const dealt = birch.boxes.find((boxes) => boxes.holder === 'alder')!;
  const peer = terms.roster.sites.find((entry) => entry.site === 'alder')!.boxPublicKey;
  const forged = {
    ...dealt,
    self: sealBox(simKeys('birch').boxKey, peer, new Uint8Array(24).fill(1), Buffer.from('another share')),
  };
  const swapped = { ...dealt, self: dealt.mask, mask: dealt.self };
  const liar = (boxes: typeof dealt) =>
    signed(birch, {
      boxes: birch.boxes.map((other) => (other.holder === 'alder' ? boxes : other)),
      shares: birch.shares.map((share) =>
        share.holder === 'alder' ? { ...share, boxesHash: boxesHash(boxes) } : share,
      ),
    });
  return [
    check('a good pre-key', alder, 'ok'),
    check('for another slot', alder, 'SECAGG_PRE_KEY_INVALID', slot + 1),
    check('of another study', signed(alder, { studyHash: '00'.repeat(32) }), 'SECAGG_PRE_KEY_INVALID'),
    check('of another roster version', signed(alder, { rosterVersion: 2 }), 'SECAGG_PRE_KEY_INVALID'),
    check('of a stranger', { ...alder, site: 'zelkova' }, 'SECAGG_PRE_KEY_INVALID'),
    check('with a flipped signature', { ...alder, signature: flip(alder.signature) }, 'SECAGG_SIGNATURE_INVALID'),
    check('with another mask key', { ...alder, maskPublicKey: birch.maskPublicKey }, 'SECAGG_SIGNATURE_INVALID'),
    check('signed by the wrong site', { ...alder, signature: birch.signature }, 'SECAGG_SIGNATURE_INVALID'),
    check('shared to too few', signed(alder, { shares: alder.shares.slice(1) }), 'SECAGG_PRE_KEY_INVALID'),
    check('with a short mask key', signed(alder, { maskPublicKey: new Uint8Array(31) }), 'SECAGG_PRE_KEY_INVALID'),
    check(
      'with a box that the relay altered',
      { ...alder, boxes: alder.boxes.map((boxes) => ({ ...boxes, self: flip(boxes.self, 30) })) },
      'SECAGG_PRE_KEY_INVALID',
    ),
    offer('a good offer', attempt.preKeys, 'ok'),
    offer('without the last site', attempt.preKeys.slice(0, 3), 'ok'),
    offer('with too few sites', attempt.preKeys.slice(0, 2), 'SECAGG_SET_INVALID'),
    offer('without this site', attempt.preKeys.slice(1), 'SECAGG_SET_INVALID'),
    offer('with its sites out of order', attempt.preKeys, 'SECAGG_SET_INVALID', {
      sites: [...attempt.sites].reverse(),
    }),
    offer('of another study', attempt.preKeys, 'SECAGG_SET_INVALID', { studyHash: '00'.repeat(32) }),
    offer('with one pre-key missing', attempt.preKeys, 'SECAGG_PRE_KEY_INVALID', { preKeys: attempt.preKeys.slice(1) }),
    offer(
      'with a pre-key of ours that we never made',
      replaced(preKeyOf(terms, 'alder', slot, 'somebody else').preKey),
      'SECAGG_PRE_KEY_INVALID',
    ),
    offer(
      'with a pre-key repeated from an earlier slot',
      replaced(preKeyOf(terms, 'birch', slot - 1).preKey),
      'SECAGG_PRE_KEY_INVALID',
    ),
    offer('with a share that breaks its commitment', replaced(liar(forged)), 'SECAGG_SHARE_INVALID'),
    offer('with the two shares of a dealer swapped', replaced(liar(swapped)), 'SECAGG_SHARE_INVALID'),
    offer('without the boxes for this site', replaced({ ...birch, boxes: [] }), 'SECAGG_SHARE_INVALID'),
  ];
}

function maskedInputVectors(attempt: Attempt): Vector[] {
  const { terms, context, preKeyDigest, round } = attempt;
  const { studyHash } = terms.roster;
  const mask = (name: string, site: string, peers: readonly PreKey[], code: string): Vector => ({
    name,
    operation: 'maskedInput',
    input: {
      scope: {
        context,
        preKeyDigest,
        site,
        peers: peers.map((preKey) => ({ site: preKey.site, maskPublicKey: preKey.maskPublicKey })),
      },
      specs: round.specs,
      words: packWords(round.words.get(site)!),
      slotSecret: attempt.slotSecrets.get(site)!,
    },
    expect: code,
  });
  const others = (site: string) => attempt.preKeys.filter((preKey) => preKey.site !== site);
  const low = others('birch').map((preKey) => ({ ...preKey, maskPublicKey: new Uint8Array(32) }));
  const blobHash = sha256Hex(inputOf(attempt, 'birch'));
  const byteLength = round.bytes;
  const message = maskedInputMessage({
    ...{ studyHash, context, site: 'birch', blobHash, byteLength, nextPreKey: null },
    signingKey: simKeys('birch').signingKey,
  });
  const check = (name: string, over: Partial<MaskedInput>, code: string, site = 'birch'): Vector => ({
    name,
    operation: 'checkMaskedInput',
    input: { terms, site, message: { ...message, ...over }, byteLength },
    expect: code,
  });
  return [
    mask('the first site', 'alder', others('alder'), 'ok'),
    mask('a site in the middle', 'birch', others('birch'), 'ok'),
    mask('a peer with a key of low order', 'birch', low, 'SECAGG_PRE_KEY_INVALID'),
    check('a good message', {}, 'ok'),
    check('a short vector', { byteLength: byteLength - 8 }, 'SECAGG_LENGTH_MISMATCH'),
    check('other bytes than were signed', { blobHash: '00'.repeat(32) }, 'SECAGG_SIGNATURE_INVALID'),
    check('repeated from another attempt', { context: '11'.repeat(32) }, 'SECAGG_SIGNATURE_INVALID'),
    check('sent by the wrong site', {}, 'SECAGG_SIGNATURE_INVALID', 'cedar'),
    check('with a flipped signature', { signature: flip(message.signature, 40) }, 'SECAGG_SIGNATURE_INVALID'),
  ];
}

function survivorVectors(attempt: Attempt): Vector[] {
  const { terms, context, preKeyDigest, sites } = attempt;
  const { studyHash } = terms.roster;
  const all = without(attempt);
  const three = without(attempt, 'dogwood');
  const divide = (name: string, set: DividedSites, code: string, over: Partial<RoundTerms> = {}): Vector => ({
    name,
    operation: 'checkDivision',
    input: { terms: { ...terms, ...over }, sites, set },
    expect: code,
  });
  const sign = (site: string, set: DividedSites, digest = preKeyDigest) =>
    signSurvivors(studyHash, context, digest, set, simKeys(site).signingKey);
  const signedBy = (name: string, site: string, message: SurvivorsSigned, code: string): Vector => ({
    name,
    operation: 'checkSignedSet',
    input: { terms, site, preKeyDigest, set: three, message },
    expect: code,
  });
  const agree = (name: string, signatures: { site: string; signature: Uint8Array }[], code: string): Vector => ({
    name,
    operation: 'checkAgreement',
    input: {
      terms,
      preKeyDigest,
      request: { type: 'unmaskRequest', studyHash, context, preKeyDigest, ...three, signatures },
    },
    expect: code,
  });
  const by = (site: string, set = three, digest = preKeyDigest) => ({
    site,
    signature: sign(site, set, digest).signature,
  });
  return [
    divide('everybody', all, 'ok'),
    divide('one dropped', three, 'ok'),
    divide('one dropped though the study waits', three, 'SECAGG_SET_INVALID', { onMissingSite: 'wait' }),
    divide('a site in both lists', { survivors: sites as string[], dropped: ['dogwood'] }, 'SECAGG_SET_INVALID'),
    divide('a site in neither list', { ...three, dropped: [] }, 'SECAGG_SET_INVALID'),
    divide('below the threshold', without(attempt, 'cedar', 'dogwood'), 'SECAGG_SET_INVALID'),
    divide('below the fewest sites of the study', three, 'SECAGG_SET_INVALID', { minSites: 4 }),
    divide('out of order', { ...all, survivors: [...sites].reverse() }, 'SECAGG_SET_INVALID'),
    signedBy('a good signature', 'alder', sign('alder', three), 'ok'),
    signedBy('on another set', 'alder', sign('alder', all), 'SECAGG_SET_CHANGED'),
    signedBy('by the wrong site', 'alder', sign('birch', three), 'SECAGG_SIGNATURE_INVALID'),
    signedBy('on other pre-keys', 'alder', sign('alder', three, 'ee'.repeat(32)), 'SECAGG_SIGNATURE_INVALID'),
    agree('t signatures', [by('alder'), by('birch'), by('cedar')], 'ok'),
    agree('one too few', [by('alder'), by('birch')], 'SECAGG_THRESHOLD'),
    agree('one site twice', [by('alder'), by('birch'), by('birch')], 'SECAGG_THRESHOLD'),
    agree('one on another set', [by('alder'), by('birch'), by('cedar', all)], 'SECAGG_SIGNATURE_INVALID'),
    agree('one by a dropped site', [by('alder'), by('birch'), by('dogwood')], 'SECAGG_SIGNATURE_INVALID'),
    agree(
      'one of a stranger',
      [by('alder'), by('birch'), { ...by('cedar'), site: 'zelkova' }],
      'SECAGG_SIGNATURE_INVALID',
    ),
  ];
}

function unmaskVectors(attempt: Attempt): Vector[] {
  const { terms, context, round } = attempt;
  // Unmasking needs no boxes.
  const preKeys = attempt.preKeys.map((preKey) => ({ ...preKey, boxes: [] }));
  const three = without(attempt, 'dogwood');
  const holders = ['alder', 'birch', 'cedar'];
  const good = sharesOf(attempt, 'alder', three);
  const resigned = (over: SharesReleased['shares'], holder = 'alder'): SharesReleased => ({
    ...good,
    shares: over,
    signature: signStatement(simKeys(holder).signingKey, sharesStatement(context, holder, over)),
  });
  const check = (name: string, message: SharesReleased, code: string, holder = 'alder'): Vector => ({
    name,
    operation: 'checkShares',
    input: { terms, holder, preKeys, set: three, message },
    expect: code,
  });
  const change = (at: number, over: Partial<SharesReleased['shares'][number]>) =>
    good.shares.map((share, index) => (index === at ? { ...share, ...over } : share));
  const unmask = (name: string, over: object, code: string): Vector => ({
    name,
    operation: 'unmask',
    input: {
      terms,
      specs: round.specs,
      scope: { context, preKeyDigest: attempt.preKeyDigest },
      preKeys,
      set: three,
      sum: packWords(maskedSum(attempt, three.survivors)),
      holders,
      shares: holders.map((holder) => sharesOf(attempt, holder, three)),
      ...over,
    },
    expect: code,
  });
  const shares = [...released(attempt, holders, three)].map(([, list], index) => ({
    x: index + 1,
    share: list[0]!.share,
  }));
  return [
    { name: "alder's self seed from three shares", operation: 'combineShares', input: { shares }, expect: 'ok' },
    {
      name: 'a share given twice',
      operation: 'combineShares',
      input: { shares: [...shares, shares[0]] },
      expect: 'INTERNAL_BUG',
    },
    check('good shares', good, 'ok'),
    check('a flipped share', resigned(change(1, { share: flip(good.shares[1]!.share) })), 'SECAGG_SHARE_INVALID'),
    check('a flipped salt', resigned(change(1, { salt: flip(good.shares[1]!.salt) })), 'SECAGG_SHARE_INVALID'),
    check('the other kind of share', resigned(change(3, { kind: 'self' })), 'SECAGG_SHARE_INVALID'),
    check('one share too few', resigned(good.shares.slice(1)), 'SECAGG_SHARE_INVALID'),
    check(
      'both kinds of one site',
      resigned([...good.shares, ...change(3, { kind: 'self' }).slice(3)]),
      'SECAGG_SHARE_INVALID',
    ),
    check("another holder's shares", resigned(sharesOf(attempt, 'birch', three).shares), 'SECAGG_SHARE_INVALID'),
    check(
      'altered on the way',
      { ...good, shares: change(0, { salt: new Uint8Array(16) }) },
      'SECAGG_SIGNATURE_INVALID',
    ),
    check('sent by the wrong site', good, 'SECAGG_SIGNATURE_INVALID', 'birch'),
    unmask('the sum over three of four sites', {}, 'ok'),
    unmask('too few holders', { holders: holders.slice(1) }, 'SECAGG_THRESHOLD'),
    unmask(
      'a dealer whose shares give another mask key',
      {
        preKeys: preKeys.map((preKey) =>
          preKey.site === 'dogwood' ? { ...preKey, maskPublicKey: preKeys[0]!.maskPublicKey } : preKey,
        ),
      },
      'SECAGG_KEY_MISMATCH',
    ),
    unmask(
      'a dealer whose shares give another self seed',
      {
        preKeys: preKeys.map((preKey) =>
          preKey.site === 'birch' ? { ...preKey, selfSeedHash: new Uint8Array(32) } : preKey,
        ),
      },
      'SECAGG_KEY_MISMATCH',
    ),
  ];
}

/** JSON that keeps bytes, words and secrets apart. */
export function toJson(value: unknown): unknown {
  if (value instanceof Secret) return { $secret: Buffer.from(value.reveal()).toString('hex') };
  if (value instanceof BigUint64Array) return { $words: [...value].map((word) => word.toString(16)) };
  if (value instanceof Uint8Array) return { $hex: Buffer.from(value).toString('hex') };
  if (Array.isArray(value)) return value.map(toJson);
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, toJson(inner)]));
  return value;
}

export function fromJson(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(fromJson);
  if (typeof value !== 'object' || value === null) return value;
  const record = value as Record<string, unknown>;
  if (typeof record['$hex'] === 'string') return Uint8Array.from(Buffer.from(record['$hex'], 'hex'));
  if (typeof record['$secret'] === 'string') return new Secret(Buffer.from(record['$secret'], 'hex'));
  return Object.fromEntries(Object.entries(record).map(([key, inner]) => [key, fromJson(inner)]));
}
