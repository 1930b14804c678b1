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
  const begin = `${PROTOCOL_VERSION} ${domain}`;
  const bytes = Buffer.allocUnsafe(HEAD_BYTES + Buffer.byteLength(begin) + contentLength(fields));
  writeItems(bytes, writeField(bytes, 0, begin), fields);
  return bytes;
}

/** One field as it stands in a statement, to be appended to a statement that was begun before. */
export function field(value: Field): Uint8Array {
  const bytes = Buffer.allocUnsafe(HEAD_BYTES + contentLength(value));
  writeField(bytes, 0, value);
  return bytes;
}

const HEAD_BYTES = 5;

/** Bytes of a field without its head. */
function contentLength(value: Field): number {
  if (typeof value === 'string') return Buffer.byteLength(value);
  if (typeof value === 'number') return 8;
  if (value instanceof Uint8Array) return value.length;
  let length = 0;
  for (const item of value) length += HEAD_BYTES + contentLength(item);
  return length;
}

/** Returns where the next field begins. */
function writeField(into: Buffer, at: number, value: Field): number {
  const kind = typeof value === 'string' ? 1 : typeof value === 'number' ? 2 : value instanceof Uint8Array ? 3 : 4;
  const content = at + HEAD_BYTES;
  let end = content;
  if (typeof value === 'string') end += into.write(value, content);
  else if (typeof value === 'number') end = into.writeBigInt64BE(BigInt(value), content);
  else if (value instanceof Uint8Array) {
    into.set(value, content);
    end += value.length;
  } else end = writeItems(into, content, value);
  into[at] = kind;
  into.writeUInt32BE(end - content, at + 1);
  return end;
}

function writeItems(into: Buffer, at: number, items: readonly Field[]): number {
  let end = at;
  for (const item of items) end = writeField(into, end, item);
  return end;
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
