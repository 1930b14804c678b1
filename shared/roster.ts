import { createHash } from 'node:crypto';
import { z } from 'zod';
import { canonicalBytes } from './canonical-json.js';
import { ed25519Sign, ed25519Verify } from './ed25519.js';
import { ConcordatError } from './errors.js';
import { fromHex, toHex } from './hex.js';
import { LIMITS } from './limits.js';
import type { Secret } from './secret.js';

/**
 * The roster: who is in the consortium, with which keys. Versions count from 1, each names the hash of the one before,
 * and each carries a signature by the consortium key, which the coordinator does not hold. A site trusts the chain that
 * starts at version 1 or continues the version it trusted last; nothing else.
 */
const hash = z.string().regex(/^[0-9a-f]{64}$/);

const memberSchema = z.strictObject({
  site: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/),
  /** Ed25519, raw, hexadecimal. */
  signingPublicKey: hash,
  /** SHA-256 of the DER of the site's TLS certificate. */
  tlsFingerprint: hash,
  status: z.enum(['active', 'revoked']),
});

const rosterSchema = z.strictObject({
  format: z.literal('concordat-roster-1'),
  version: z.int().min(1),
  /** Hash of the version before; 64 zeros in version 1. */
  previousHash: hash,
  /** RFC 3339, for people; nothing is decided by it. */
  issuedAt: z.iso.datetime(),
  /** Sorted by site. */
  sites: z.array(memberSchema).max(LIMITS.sitesMax),
});

const signedRosterSchema = z.strictObject({ roster: rosterSchema, signature: z.string().regex(/^[0-9a-f]{128}$/) });

export type RosterMember = z.output<typeof memberSchema>;
export type Roster = z.output<typeof rosterSchema>;
export type SignedRoster = z.output<typeof signedRosterSchema>;

export const NO_ROSTER_HASH = '0'.repeat(64);

export function rosterHash(roster: Roster): string {
  return createHash('sha256').update(statement(roster)).digest('hex');
}

function statement(roster: Roster): Uint8Array {
  return Buffer.concat([Buffer.from('concordat roster 1\n'), canonicalBytes(roster)]);
}

/**
 * The next version: `previous` with these members put in place of their namesakes or added. A revocation is a member
 * whose status says so.
 */
export function nextRoster(previous: Roster | null, changes: readonly RosterMember[], issuedAt: string): Roster {
  const members = new Map((previous?.sites ?? []).map((member) => [member.site, member]));
  for (const change of changes) members.set(change.site, change);
  return checkedRoster({
    format: 'concordat-roster-1',
    version: (previous?.version ?? 0) + 1,
    previousHash: previous === null ? NO_ROSTER_HASH : rosterHash(previous),
    issuedAt,
    sites: [...members.values()].sort((a, b) => (a.site < b.site ? -1 : 1)),
  });
}

export function signRosterWith(consortiumKey: Secret, roster: Roster): SignedRoster {
  return { roster, signature: toHex(ed25519Sign(consortiumKey, statement(roster))) };
}

/** Whether this one version carries the consortium's signature, whatever came before it. */
export function rosterIsSigned(signed: SignedRoster, consortiumPublicKey: Uint8Array): boolean {
  const signature = fromHex(signed.signature, 64);
  return signature !== null && ed25519Verify(consortiumPublicKey, statement(signed.roster), signature);
}

/** The signed texts of a chain as they travel and are kept, version 1 first. Throws SITE_ROSTER_CHAIN_BROKEN. */
export function rosterTexts(text: string): string[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw broken('the chain is not JSON');
  }
  if (!Array.isArray(value) || value.some((entry) => typeof entry !== 'string'))
    throw broken('the chain is no list of texts');
  return value as string[];
}

/** Throws SITE_ROSTER_CHAIN_BROKEN where the text is no roster in form. */
export function parseSignedRoster(text: string): SignedRoster {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw broken('it is not JSON');
  }
  const parsed = signedRosterSchema.safeParse(value);
  if (!parsed.success) throw broken(parsed.error.issues.map((issue) => issue.path.join('.')).join(', '));
  checkedRoster(parsed.data.roster);
  return parsed.data;
}

/**
 * Continues a trusted roster by the versions that follow it; null trusts nothing yet and wants version 1 first. Versions
 * already trusted may be repeated, with the same content. Throws SITE_ROSTER_CHAIN_BROKEN or SITE_ROSTER_UNTRUSTED and
 * then nothing of it is trusted.
 */
export function extendTrust(
  trusted: Roster | null,
  chain: readonly SignedRoster[],
  consortiumPublicKey: Uint8Array,
): Roster | null {
  let current = trusted;
  for (const { roster, signature } of chain) {
    if (current !== null && roster.version < current.version) continue;
    if (!ed25519Verify(consortiumPublicKey, statement(roster), fromHex(signature, 64) ?? new Uint8Array()))
      throw new ConcordatError(
        'SITE_ROSTER_UNTRUSTED',
        `roster version ${roster.version} is not signed by the consortium key that was pinned at enrollment`,
      );
    if (current !== null && roster.version === current.version) {
      if (rosterHash(roster) !== rosterHash(current)) throw broken(`there are two versions ${roster.version}`);
      continue;
    }
    const wanted = (current?.version ?? 0) + 1;
    if (roster.version !== wanted) throw broken(`version ${wanted} is missing`);
    if (roster.previousHash !== (current === null ? NO_ROSTER_HASH : rosterHash(current)))
      throw broken(`version ${roster.version} does not follow from version ${wanted - 1}`);
    current = roster;
  }
  return current;
}

export function findMember(roster: Roster | null, site: string): RosterMember | undefined {
  return roster?.sites.find((member) => member.site === site);
}

/** One key or certificate belongs to one name, so that no site can appear twice. */
function checkedRoster(roster: Roster): Roster {
  const names = roster.sites.map((member) => member.site);
  if (names.some((name, index) => index > 0 && names[index - 1]! >= name)) throw broken('its sites are not sorted');
  for (const field of ['signingPublicKey', 'tlsFingerprint'] as const) {
    const seen = new Map<string, string>();
    for (const member of roster.sites) {
      const other = seen.get(member[field]);
      if (other !== undefined) throw broken(`sites "${other}" and "${member.site}" have the same ${field}`);
      seen.set(member[field], member.site);
    }
  }
  if (names.length > LIMITS.sitesMax) throw broken(`it has more than ${LIMITS.sitesMax} sites`);
  return roster;
}

function broken(why: string): ConcordatError {
  return new ConcordatError('SITE_ROSTER_CHAIN_BROKEN', `the roster cannot be accepted: ${why}`);
}
