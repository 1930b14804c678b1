import { createHash, createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import { assert } from './errors.js';
import type { Secret } from './secret.js';

/** Ed25519 (RFC 8032) over raw keys: 32-byte seed, 32-byte public key, 64-byte signature. Deterministic. */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

export function ed25519Sign(seed: Secret, message: Uint8Array): Uint8Array {
  return new Uint8Array(sign(null, message, privateKey(seed)));
}

/** False for a wrong signature, and for a key or a signature of the wrong length. */
export function ed25519Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== 32 || signature.length !== 64) return false;
  const key = createPublicKey({ key: Buffer.concat([SPKI_PREFIX, publicKey]), format: 'der', type: 'spki' });
  return verify(null, message, key, signature);
}

export function ed25519PublicKey(seed: Secret): Uint8Array {
  const spki = createPublicKey(privateKey(seed)).export({ format: 'der', type: 'spki' });
  return new Uint8Array(spki.subarray(SPKI_PREFIX.length));
}

/** What people compare by eye: the first 16 bytes of SHA-256 of the raw key, in groups of four digits. */
export function keyFingerprint(publicKey: Uint8Array): string {
  const digest = createHash('sha256').update(publicKey).digest('hex').slice(0, 32);
  return digest.match(/.{4}/g)!.join(' ');
}

function privateKey(seed: Secret) {
  assert(seed.length === 32, 'an Ed25519 seed has 32 bytes');
  return createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed.reveal()]), format: 'der', type: 'pkcs8' });
}
