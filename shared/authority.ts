import { verify, X509Certificate } from 'node:crypto';

/**
 * Whether the transport authority of this certificate (PEM, as in an invitation) signed the bytes: ECDSA P-256 over
 * SHA-256, DER. False for an unreadable signature.
 */
export function isSignedByAuthority(authority: string, bytes: Uint8Array, signature: Uint8Array): boolean {
  return verify('sha256', bytes, new X509Certificate(authority).publicKey, signature);
}
