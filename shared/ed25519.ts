import { createHash, type KeyObject, sign, verify } from 'node:crypto';
import { privateKeyObject, publicHalf, publicKeyObject } from './raw-keys.js';
import type { Secret } from './secret.js';

/** Ed25519 (RFC 8032) over raw keys: 32-byte seed, 32-byte public key, 64-byte signature. Deterministic. */
export function ed25519Sign(seed: Secret, message: Uint8Array): Uint8Array {
  return new Uint8Array(sign(null, message, privateKey(seed)));
}

/** False for a wrong signature, and for a key or a signature of the wrong length. */
export function ed25519Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== 32 || signature.length !== 64) return false;
  return verify(null, message, knownPublicKey(publicKey), signature);
}

export function ed25519PublicKey(seed: Secret): Uint8Array {
  return publicHalf(privateKey(seed));
}

/** What people compare by eye: the first 16 bytes of SHA-256 of the raw key, in groups of four digits. */
export function keyFingerprint(publicKey: Uint8Array): string {
  const digest = createHash('sha256').update(publicKey).digest('hex').slice(0, 32);
  return digest.match(/.{4}/g)!.join(' ');
}

// Importing a key costs as much as using it, and rosters and sites use the same few over and over.
const privateKeys = new WeakMap<Secret, KeyObject>();
const publicKeys = new WeakMap<Uint8Array, { readonly raw: Buffer; readonly key: KeyObject }>();

function privateKey(seed: Secret): KeyObject {
  const known = privateKeys.get(seed);
  if (known !== undefined) return known;
  const key = privateKeyObject('Ed25519', seed);
  privateKeys.set(seed, key);
  return key;
}

function knownPublicKey(publicKey: Uint8Array): KeyObject {
  const known = publicKeys.get(publicKey);
  // The array may have been written to since.
  if (known?.raw.equals(publicKey)) return known.key;
  const key = publicKeyObject('Ed25519', publicKey);
  publicKeys.set(publicKey, { raw: Buffer.from(publicKey), key });
  return key;
}
