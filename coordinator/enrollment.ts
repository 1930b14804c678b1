import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { writeNewFile, writeOnce, writeReplacing } from '../shared/durable-files.js';
import {
  checkEnrollmentProof,
  checkSiteName,
  type EnrollmentGrant,
  type EnrollmentRequest,
  type Invitation,
  requestDigest,
  tokenHash,
} from '../shared/enrollment.js';
import { ConcordatError } from '../shared/errors.js';
import { fromHex, toHex } from '../shared/hex.js';
import { LIMITS } from '../shared/limits.js';
import { extendTrust, parseSignedRoster, type Roster, type SignedRoster } from '../shared/roster.js';
import { hashShape, readStoredJson, siteShape } from '../shared/stored-shapes.js';
import { authorityPem, createAuthority, issueSiteCertificate } from './tls.js';

/**
 * What the coordinator's folder says about who may talk to it:
 *
 *   consortium.pub          the consortium's public key, hexadecimal; pinned at init
 *   tokens/HASH.json        a token that was given out, by its hash: site and expiry
 *   tokens/HASH.used        made once, when the token is used: the request and the certificate it got
 *   pending/SITE.json       enrolled, waiting for the consortium's next roster
 *   rosters/000001.json     the signed chain
 *
 * Plain files, so that the consortium can carry pending enrollments to its own machine and the rosters back.
 */
const at = (dir: string, ...parts: string[]) => path.join(dir, ...parts);

export interface PendingEnrollment {
  readonly site: string;
  /** Ed25519, raw, hexadecimal. */
  readonly signingPublicKey: string;
  readonly tlsFingerprint: string;
  /** RFC 3339. */
  readonly enrolledAt: string;
}

const timeShape = z.string().refine((text) => !Number.isNaN(Date.parse(text)), 'is no time');
const tokenShape = z.looseObject({ site: siteShape, expiresAt: timeShape });
const pendingShape = z.object({
  site: siteShape,
  signingPublicKey: hashShape,
  tlsFingerprint: hashShape,
  enrolledAt: timeShape,
});
const usedTokenShape = z.looseObject({
  requestDigest: z.string(),
  /** X.509, DER. */
  certificate: z.base64().min(1),
  pending: pendingShape,
});

/** Makes the transport authority and pins the consortium's key. Throws ENROLL_KEYS_EXIST in a folder that has them. */
export async function initCoordinator(
  dir: string,
  consortiumPublicKey: Uint8Array,
  nowMs: number = Date.now(),
): Promise<void> {
  await createAuthority(dir, nowMs);
  writeNewFile(at(dir, 'consortium.pub'), `${toHex(consortiumPublicKey)}\n`, 0o644);
}

/** Throws ENROLL_KEYS_MISSING where the folder was not initialised. */
export function pinnedConsortiumKey(dir: string): Uint8Array {
  const file = at(dir, 'consortium.pub');
  const key = existsSync(file) ? fromHex(readFileSync(file, 'utf8').trim(), 32) : null;
  if (key === null) throw new ConcordatError('ENROLL_KEYS_MISSING', `${dir} pins no consortium key`);
  return key;
}

/** An invitation for one site; the token in it is kept here as a hash only. `coordinator` is host:port as the site reaches it. */
export function createInvitation(
  dir: string,
  site: string,
  coordinator: string,
  nowMs: number = Date.now(),
  lifetimeMs: number = LIMITS.tokenLifetimeMs,
): Invitation {
  checkSiteName(site);
  const token = randomBytes(32);
  const record: z.output<typeof tokenShape> = { site, expiresAt: new Date(nowMs + lifetimeMs).toISOString() };
  const invitation: Invitation = {
    format: 'concordat-invitation-1',
    site,
    coordinator,
    authority: authorityPem(dir),
    consortiumPublicKey: toHex(pinnedConsortiumKey(dir)),
    token: toHex(token),
    expiresAt: record.expiresAt,
  };
  writeNewFile(at(dir, 'tokens', `${tokenHash(token)}.json`), JSON.stringify(record), 0o600);
  return invitation;
}

/**
 * Answers a request to enroll. Repeating the same request (its answer was lost) gives the same certificate. Throws
 * ENROLL_TOKEN_UNKNOWN, _EXPIRED, _USED, _OTHER_SITE, ENROLL_REQUEST_INVALID, or STORE_DAMAGED.
 */
export async function enroll(
  dir: string,
  request: EnrollmentRequest,
  nowMs: number = Date.now(),
): Promise<EnrollmentGrant> {
  const hash = tokenHash(request.token);
  const record = readJson(at(dir, 'tokens', `${hash}.json`), tokenShape);
  if (record === null)
    throw new ConcordatError('ENROLL_TOKEN_UNKNOWN', 'the token was not given out by this coordinator');
  if (record.site !== request.site)
    throw new ConcordatError('ENROLL_TOKEN_OTHER_SITE', `the token was not made for site "${request.site}"`);
  checkEnrollmentProof(request);
  const usedFile = at(dir, 'tokens', `${hash}.used`);
  if (!existsSync(usedFile)) {
    if (nowMs >= Date.parse(record.expiresAt))
      throw new ConcordatError(
        'ENROLL_TOKEN_EXPIRED',
        `the token of site "${request.site}" expired on ${record.expiresAt}`,
      );
    const { certificate, fingerprint } = await issueSiteCertificate(dir, request.site, request.csr, nowMs);
    const made: z.output<typeof usedTokenShape> = {
      requestDigest: requestDigest(request),
      certificate: Buffer.from(certificate).toString('base64'),
      pending: {
        site: request.site,
        signingPublicKey: toHex(request.signingPublicKey),
        tlsFingerprint: fingerprint,
        enrolledAt: new Date(nowMs).toISOString(),
      },
    };
    // Of two requests at once one is written; both then go by what was written.
    writeOnce(usedFile, JSON.stringify(made), 0o600);
  }
  const used = readJson(usedFile, usedTokenShape)!;
  if (used.requestDigest !== requestDigest(request))
    throw new ConcordatError('ENROLL_TOKEN_USED', `the token of site "${request.site}" was used before`);
  const waiting = readJson(pendingFile(dir, request.site), pendingShape);
  // A repeated old request must not displace what a newer token brought.
  if (waiting === null || waiting.enrolledAt <= used.pending.enrolledAt)
    writeReplacing(pendingFile(dir, request.site), `${JSON.stringify(used.pending, null, 2)}\n`, 0o600);
  return { certificate: new Uint8Array(Buffer.from(used.certificate, 'base64')) };
}

/** Enrollments that the newest roster does not yet show as they are, by site. */
export function pendingEnrollments(dir: string): PendingEnrollment[] {
  const roster = currentRoster(dir);
  const folder = at(dir, 'pending');
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((file) => file.endsWith('.json') && !file.startsWith('.'))
    .sort()
    .map((file) => readJson(at(folder, file), pendingShape)!)
    .filter((pending) => {
      const member = roster?.sites.find(({ site }) => site === pending.site);
      return member?.tlsFingerprint !== pending.tlsFingerprint || member.signingPublicKey !== pending.signingPublicKey;
    });
}

/** The signed chain as it lies in the folder, unverified; version 1 first. */
export function readRosterChain(dir: string): SignedRoster[] {
  const folder = at(dir, 'rosters');
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((file) => /^\d{6}\.json$/.test(file));
  return names.sort().map((file) => parseSignedRoster(readFileSync(at(folder, file), 'utf8')));
}

/** The newest roster, verified from version 1 against the pinned key; null before the first. */
export function currentRoster(dir: string): Roster | null {
  return extendTrust(null, readRosterChain(dir), pinnedConsortiumKey(dir));
}

/** Adds the next version after checking that it continues the chain. Throws SITE_ROSTER_*. */
export function installRoster(dir: string, signed: SignedRoster): Roster {
  const roster = extendTrust(currentRoster(dir), [signed], pinnedConsortiumKey(dir))!;
  const file = at(dir, 'rosters', `${String(signed.roster.version).padStart(6, '0')}.json`);
  if (writeOnce(file, `${JSON.stringify(signed, null, 2)}\n`, 0o644)) return roster;
  // Somebody wrote this version meanwhile; the same one is fine, another is refused.
  return extendTrust(currentRoster(dir), [signed], pinnedConsortiumKey(dir))!;
}

/**
 * Calls `changed` with each newer roster until `stop` is called; a roster that does not verify is reported once and
 * otherwise ignored. `look` looks at once. Polling, because file watching is not to be relied on over network file systems.
 */
export function watchRosters(
  dir: string,
  changed: (roster: Roster) => void,
  failed: (error: ConcordatError) => void,
  intervalMs = 500,
): { readonly stop: () => void; readonly look: () => void } {
  let seen = highestVersion(dir);
  const look = () => {
    const highest = highestVersion(dir);
    if (highest === seen) return;
    seen = highest;
    try {
      const roster = currentRoster(dir);
      if (roster !== null) changed(roster);
    } catch (error) {
      if (!(error instanceof ConcordatError)) throw error;
      failed(error);
    }
  };
  const timer = setInterval(look, intervalMs);
  timer.unref();
  return { stop: () => clearInterval(timer), look };
}

function highestVersion(dir: string): string {
  const folder = at(dir, 'rosters');
  if (!existsSync(folder)) return '';
  return (
    readdirSync(folder)
      .filter((file) => /^\d{6}\.json$/.test(file))
      .sort()
      .at(-1) ?? ''
  );
}

function pendingFile(dir: string, site: string): string {
  return at(dir, 'pending', `${checkSiteName(site)}.json`);
}

/** Null where there is no such file. Throws STORE_DAMAGED where it is not of that shape. */
function readJson<S extends z.ZodType>(file: string, shape: S): z.output<S> | null {
  return existsSync(file) ? readStoredJson(readFileSync(file, 'utf8'), shape, file) : null;
}
