import { createHash } from 'node:crypto';
import type { PreKey, ReleasedShare, ShareKind } from '../messages.js';

/**
 * The bytes that are signed, hashed and bound into keys. Our own encoding, independent of protobuf: a domain, then each
 * field with its kind and length, so that no two different statements have the same bytes.
 */
export type Field = string | number | Uint8Array | readonly Field[];

export const PROTOCOL_VERSION = 'concordat-secagg-1';

/** Kind (1 byte), length (4 bytes, big-endian), bytes; a list holds its encoded items. Numbers are whole and safe. */
export function statement(domain: string, ...fields: Field[]): Uint8Array {
  return Buffer.concat([...encodeField(`${PROTOCOL_VERSION} ${domain}`), ...fields.flatMap(encodeField)]);
}

/** One field as it stands in a statement, to be appended to a statement that was begun before. */
export function field(value: Field): Uint8Array {
  return Buffer.concat(encodeField(value));
}

function encodeField(field: Field): Uint8Array[] {
  if (typeof field === 'string') return prefixed(1, Buffer.from(field, 'utf8'));
  if (typeof field === 'number') {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64BE(BigInt(field));
    return prefixed(2, bytes);
  }
  if (field instanceof Uint8Array) return prefixed(3, field);
  return prefixed(4, Buffer.concat(field.flatMap(encodeField)));
}

function prefixed(kind: number, bytes: Uint8Array): Uint8Array[] {
  const head = Buffer.alloc(5);
  head.writeUInt8(kind, 0);
  head.writeUInt32BE(bytes.length, 1);
  return [head, bytes];
}

export function sha256(...parts: Uint8Array[]): Uint8Array {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

export function sha256Hex(...parts: Uint8Array[]): string {
  return Buffer.from(sha256(...parts)).toString('hex');
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** What a dealer signs: everything of the pre-key but the boxes, which are covered by their hash. */
export function preKeyStatement(preKey: Omit<PreKey, 'signature' | 'boxes'>): Uint8Array {
  return statement(
    'pre-key',
    preKey.studyHash,
    preKey.rosterVersion,
    preKey.slot,
    preKey.site,
    preKey.incarnation,
    preKey.maskPublicKey,
    preKey.selfSeedHash,
    preKey.shares.map((share) => [share.holder, share.selfCommitment, share.maskCommitment, share.boxesHash]),
  );
}

/** Digest of all signed pre-keys of an attempt: salt of every mask key, and part of what survivors sign. */
export function preKeyDigest(preKeys: readonly PreKey[]): string {
  return sha256Hex(
    statement('pre-key digest', ...preKeys.map((preKey) => [preKeyStatement(preKey), preKey.signature])),
  );
}

export interface ShareAddress {
  readonly studyHash: string;
  readonly slot: number;
  readonly dealer: string;
  readonly holder: string;
  readonly kind: ShareKind;
}

/** Opens the plaintext of a box: says which share this is, so that a box cannot be passed off as another. */
export function shareHeader(address: ShareAddress): Uint8Array {
  return statement('share', address.studyHash, address.slot, address.dealer, address.holder, address.kind);
}

export function shareCommitment(address: ShareAddress, share: Uint8Array, salt: Uint8Array): Uint8Array {
  return sha256(statement('share commitment', shareHeader(address), salt, share));
}

export function selfSeedHash(studyHash: string, slot: number, site: string, seed: Uint8Array): Uint8Array {
  return sha256(statement('self seed', studyHash, slot, site, seed));
}

export function maskedInputStatement(context: string, site: string, blobHash: string, byteLength: number): Uint8Array {
  return statement('masked input', context, site, blobHash, byteLength);
}

export function survivorsStatement(
  context: string,
  digest: string,
  survivors: readonly string[],
  dropped: readonly string[],
): Uint8Array {
  return statement('survivors', context, digest, survivors, dropped);
}

export function sharesStatement(context: string, holder: string, shares: readonly ReleasedShare[]): Uint8Array {
  return statement(
    'released shares',
    context,
    holder,
    shares.map((share) => [share.dealer, share.kind, share.share, share.salt]),
  );
}
