import { createHash } from 'node:crypto';
import { z } from 'zod';
import { canonicalJson } from './canonical-json.js';
import { ed25519Verify } from './ed25519.js';
import { ConcordatError } from './errors.js';
import { toHex } from './hex.js';

/**
 * Formats of enrollment, pure. The coordinator makes an invitation (a file for one site, holding a one-time token); the
 * site answers with a request made from keys that never leave it; the coordinator grants a TLS certificate and notes the
 * request as pending until the consortium signs the next roster.
 */
export const SITE_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/;

/** The name in the server's certificate. Trust comes from the pinned authority, not from DNS. */
export const SERVER_NAME = 'coordinator.concordat.internal';

const invitationSchema = z.strictObject({
  format: z.literal('concordat-invitation-1'),
  site: z.string().regex(SITE_NAME),
  /** host:port as sites reach it. */
  coordinator: z.string().regex(/^(\[[0-9a-fA-F:]+\]|[^\s:/]+):\d{1,5}$/),
  /** PEM of the authority that signed the coordinator's certificate: the only one the site accepts. */
  authority: z.string().startsWith('-----BEGIN CERTIFICATE-----'),
  /** Ed25519, raw, hexadecimal. */
  consortiumPublicKey: z.string().regex(/^[0-9a-f]{64}$/),
  /** 32 random bytes, hexadecimal; secret until used. */
  token: z.string().regex(/^[0-9a-f]{64}$/),
  expiresAt: z.iso.datetime(),
});

export type Invitation = z.output<typeof invitationSchema>;

export interface EnrollmentRequest {
  readonly site: string;
  /** 32 bytes. */
  readonly token: Uint8Array;
  /** PKCS#10, DER, signed by the site's TLS key (P-256). */
  readonly csr: Uint8Array;
  /** Ed25519, raw 32 bytes. */
  readonly signingPublicKey: Uint8Array;
  /** Ed25519 over `enrollmentStatement`: the sender holds the signing key too. */
  readonly proof: Uint8Array;
}

export interface EnrollmentGrant {
  /** X.509, DER. */
  readonly certificate: Uint8Array;
}

export function checkSiteName(name: string): string {
  if (!SITE_NAME.test(name)) throw new ConcordatError('SITE_NAME_INVALID', `"${name}" cannot be the name of a site`);
  return name;
}

/** Tokens are stored as this hash, so that a copy of the coordinator's folder enrolls nobody. */
export function tokenHash(token: Uint8Array): string {
  return createHash('sha256').update('concordat token 1\n').update(token).digest('hex');
}

export function enrollmentStatement(request: Omit<EnrollmentRequest, 'proof'>): Uint8Array {
  const text = canonicalJson({
    statement: 'concordat enrollment 1',
    site: request.site,
    tokenHash: tokenHash(request.token),
    csr: toHex(request.csr),
    signingPublicKey: toHex(request.signingPublicKey),
  });
  return Buffer.from(text, 'utf8');
}

/** Names the request: a repeated one gets the same answer, a different one under the same token is refused. */
export function requestDigest(request: Omit<EnrollmentRequest, 'proof'>): string {
  return createHash('sha256').update(enrollmentStatement(request)).digest('hex');
}

/** Throws ENROLL_REQUEST_INVALID where the sender does not hold the signing key. The CSR is checked in the shell. */
export function checkEnrollmentProof(request: EnrollmentRequest): void {
  if (!ed25519Verify(request.signingPublicKey, enrollmentStatement(request), request.proof))
    throw new ConcordatError(
      'ENROLL_REQUEST_INVALID',
      `the request for site "${request.site}" is not signed by the key it names`,
    );
}

/** Throws ENROLL_INVITATION_INVALID naming the fields that are wrong. */
export function parseInvitation(text: string): Invitation {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ConcordatError('ENROLL_INVITATION_INVALID', 'the invitation is not JSON');
  }
  const parsed = invitationSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new ConcordatError('ENROLL_INVITATION_INVALID', 'the invitation is damaged or of another version', {
    problems: parsed.error.issues.map((issue) => ({ column: issue.path.join('.'), message: issue.message })),
  });
}

export function invitationText(invitation: Invitation): string {
  return `${JSON.stringify(invitation, null, 2)}\n`;
}
