import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { assert } from './errors.js';
import type { Secret } from './secret.js';

/**
 * Raw 32-byte keys as node:crypto takes them: as JSON Web Keys (RFC 8037). The same keys in DER go through OpenSSL's decoders,
 * which takes ten times as long (0.4 ms for a private key) as all else that is done with a key of one attempt.
 */
export type RawCurve = 'Ed25519' | 'X25519';

export function privateKeyObject(crv: RawCurve, secret: Secret): KeyObject {
  assert(secret.length === 32, 'a private key has 32 bytes');
  // The public half is computed from the private one; the field only has to be there.
  const d = base64url(secret.reveal());
  return createPrivateKey({ key: { kty: 'OKP', crv, d, x: '' }, format: 'jwk' });
}

export function publicKeyObject(crv: RawCurve, raw: Uint8Array): KeyObject {
  assert(raw.length === 32, 'a public key has 32 bytes');
  return createPublicKey({ key: { kty: 'OKP', crv, x: base64url(raw) }, format: 'jwk' });
}

/** Raw public key of a private one, 32 bytes. */
export function publicHalf(privateKey: KeyObject): Uint8Array {
  return new Uint8Array(Buffer.from(createPublicKey(privateKey).export({ format: 'jwk' }).x!, 'base64url'));
}

function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url');
}
