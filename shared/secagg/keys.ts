import {
  createCipheriv,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hkdfSync,
  type KeyObject,
} from 'node:crypto';
import nacl from 'tweetnacl';
import { assert } from '../errors.js';
import { Secret } from '../secret.js';

export { ed25519Sign as signStatement, ed25519Verify as verifyStatement } from '../ed25519.js';

/** X25519 and sealed boxes over raw 32-byte keys. node:crypto computes; tweetnacl seals and cross-checks. */

// DER around a raw key (RFC 8410, sections 4 and 7).
const X25519_PRIVATE = Buffer.from('302e020100300506032b656e04220420', 'hex');
const X25519_PUBLIC = Buffer.from('302a300506032b656e032100', 'hex');

const privateKeys = new WeakMap<Secret, KeyObject>();

function privateKey(secret: Secret): KeyObject {
  const known = privateKeys.get(secret);
  if (known !== undefined) return known;
  assert(secret.length === 32, 'a private key has 32 bytes');
  const key = createPrivateKey({ key: Buffer.concat([X25519_PRIVATE, secret.reveal()]), format: 'der', type: 'pkcs8' });
  privateKeys.set(secret, key);
  return key;
}

function publicKey(raw: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.concat([X25519_PUBLIC, raw]), format: 'der', type: 'spki' });
}

/** Raw X25519 public key of a 32-byte private key. */
export function agreementPublicKey(secret: Secret): Uint8Array {
  const der = createPublicKey(privateKey(secret)).export({ format: 'der', type: 'spki' });
  return new Uint8Array(der.subarray(der.length - 32));
}

/** X25519 (RFC 7748); null where the peer's key is of low order, which would give zeros. */
export function agree(secret: Secret, peer: Uint8Array): Secret | null {
  if (peer.length !== 32) return null;
  try {
    return new Secret(diffieHellman({ privateKey: privateKey(secret), publicKey: publicKey(peer) }));
  } catch {
    return null;
  }
}

// Any private key shows low order: its multiples of such a point are all zero.
const PROBE = new Secret(new Uint8Array(32).fill(0x55));

/** Whether an X25519 public key is of low order, so that everybody would know what is agreed with it (RFC 7748, 6.1). */
export function isLowOrder(publicKey: Uint8Array): boolean {
  return agree(PROBE, publicKey) === null;
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
