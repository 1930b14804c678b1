import { createCipheriv, diffieHellman, hkdfSync, type KeyObject } from 'node:crypto';
import nacl from 'tweetnacl';
import { assert } from '../errors.js';
import { privateKeyObject, publicHalf, publicKeyObject } from '../raw-keys.js';
import { Secret } from '../secret.js';

export { ed25519Sign as signStatement, ed25519Verify as verifyStatement } from '../ed25519.js';

/** X25519 and sealed boxes over raw 32-byte keys. node:crypto computes; tweetnacl seals and cross-checks. */

const privateKeys = new WeakMap<Secret, KeyObject>();

function privateKey(secret: Secret): KeyObject {
  const known = privateKeys.get(secret);
  if (known !== undefined) return known;
  const key = privateKeyObject('X25519', secret);
  privateKeys.set(secret, key);
  return key;
}

/** Raw X25519 public key of a 32-byte private key. */
export function agreementPublicKey(secret: Secret): Uint8Array {
  return publicHalf(privateKey(secret));
}

/** X25519 (RFC 7748); null where the peer's key is of low order, which would give zeros. */
export function agree(secret: Secret, peer: Uint8Array): Secret | null {
  if (peer.length !== 32) return null;
  try {
    return new Secret(diffieHellman({ privateKey: privateKey(secret), publicKey: publicKeyObject('X25519', peer) }));
  } catch {
    return null;
  }
}

/**
 * Every encoding of a point of small order on the curve or its twist, its unused highest bit cleared: u = 0, 1, the two of
 * order 8, p - 1, p, p + 1. Multiples by a private key, which is a multiple of 8, are zero for these and for no other.
 */
const LOW_ORDER: ReadonlySet<string> = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
]);

/** Whether an X25519 public key is of low order, so that everybody would know what is agreed with it (RFC 7748, 6.1). */
export function isLowOrder(publicKey: Uint8Array): boolean {
  if (publicKey.length !== 32) return true;
  const bytes = Buffer.from(publicKey);
  bytes[31]! &= 0x7f;
  return LOW_ORDER.has(bytes.toString('hex'));
}

// Box keys are fixed for a study, so the key shared with one peer is computed once (4 ms in tweetnacl).
const boxKeys = new WeakMap<Secret, Map<string, Uint8Array>>();

function sharedBoxKey(own: Secret, peer: Uint8Array): Uint8Array {
  const known = boxKeys.get(own) ?? new Map<string, Uint8Array>();
  boxKeys.set(own, known);
  const name = Buffer.from(peer).toString('hex');
  const key = known.get(name) ?? nacl.box.before(peer, own.reveal());
  known.set(name, key);
  return key;
}

export const NONCE_LENGTH = 24;

/** Nonce followed by the box (X25519, XSalsa20-Poly1305). */
export function sealBox(own: Secret, peer: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array): Uint8Array {
  return Buffer.concat([nonce, nacl.box.after(new Uint8Array(plaintext), nonce, sharedBoxKey(own, peer))]);
}

/** Null where the box was not sealed by the peer for us, or was altered. */
export function openBox(own: Secret, peer: Uint8Array, sealed: Uint8Array): Uint8Array | null {
  if (sealed.length < NONCE_LENGTH + nacl.box.overheadLength || peer.length !== 32) return null;
  const nonce = new Uint8Array(sealed.subarray(0, NONCE_LENGTH));
  return nacl.box.open.after(new Uint8Array(sealed.subarray(NONCE_LENGTH)), nonce, sharedBoxKey(own, peer));
}

/**
 * As many bytes as wanted from 32 random ones, different for each label: HKDF-SHA256 to an AES-256 key, then CTR.
 * Lets an event carry 32 random bytes however much its handling needs.
 */
export function expandRandom(random: Uint8Array, label: Uint8Array, length: number): Uint8Array {
  assert(random.length === 32, 'an event carries 32 random bytes');
  const key = new Uint8Array(hkdfSync('sha256', random, new Uint8Array(0), label, 32));
  return new Uint8Array(createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(length)));
}
