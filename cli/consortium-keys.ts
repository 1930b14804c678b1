import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { writeNewFile } from '../shared/durable-files.js';
import { ed25519PublicKey } from '../shared/ed25519.js';
import { ConcordatError } from '../shared/errors.js';
import { fromHex, toHex } from '../shared/hex.js';
import { readPrivateText } from '../shared/key-folder.js';
import { nextRoster, type Roster, type RosterMember, signRosterWith } from '../shared/roster.js';
import { Secret } from '../shared/secret.js';

/**
 * The consortium's key: whoever holds it decides who is in the roster. It lives in a folder of its own, not on the
 * coordinator's host; `consortium.key` is the Ed25519 seed, `consortium.pub` what coordinator and sites pin.
 */
export function initConsortium(dir: string): Uint8Array {
  const file = path.join(dir, 'consortium.key');
  if (existsSync(file)) throw new ConcordatError('ENROLL_KEYS_EXIST', `${dir} already holds a consortium key`);
  const seed = new Secret(randomBytes(32));
  const publicKey = ed25519PublicKey(seed);
  writeNewFile(file, `${toHex(seed.reveal())}\n`, 0o600);
  writeNewFile(path.join(dir, 'consortium.pub'), `${toHex(publicKey)}\n`, 0o644);
  return publicKey;
}

/** From `consortium.pub`, a folder that holds one, or the hexadecimal digits themselves. Throws ENROLL_KEYS_MISSING. */
export function readConsortiumPublicKey(source: string): Uint8Array {
  const direct = fromHex(source, 32);
  if (direct !== null) return direct;
  for (const file of [source, path.join(source, 'consortium.pub')]) {
    try {
      const key = fromHex(readFileSync(file, 'utf8').trim(), 32);
      if (key !== null) return key;
    } catch {
      // A folder, or no such file: the next candidate, then the error below.
    }
  }
  const hint = 'Give consortium.pub of `concordat consortium init`, or its 64 hexadecimal digits.';
  throw new ConcordatError('ENROLL_KEYS_MISSING', `${source} is no consortium public key`, { hint });
}

export interface RosterChanges {
  /** Pending enrollments to take in; by default all. */
  readonly accept?: readonly string[];
  readonly revoke?: readonly string[];
}

/**
 * Signs the next roster version over the coordinator's pending enrollments and installs it there. Every other site's entry
 * is taken over as it is. Throws ENROLL_NOTHING_PENDING, SITE_UNKNOWN, ENROLL_CONSORTIUM_MISMATCH, SITE_ROSTER_*.
 */
export async function signRoster(
  consortiumDir: string,
  coordinatorDir: string,
  changes: RosterChanges = {},
  nowMs: number = Date.now(),
): Promise<Roster> {
  const { currentRoster, installRoster, pendingEnrollments, pinnedConsortiumKey } = await import(
    '../coordinator/enrollment.js'
  );
  const key = readConsortiumKey(consortiumDir);
  if (toHex(ed25519PublicKey(key)) !== toHex(pinnedConsortiumKey(coordinatorDir)))
    throw new ConcordatError(
      'ENROLL_CONSORTIUM_MISMATCH',
      `the coordinator in ${coordinatorDir} pins another consortium key than the one in ${consortiumDir}`,
    );
  const previous = currentRoster(coordinatorDir);
  const pending = pendingEnrollments(coordinatorDir);
  const revoke = changes.revoke ?? [];
  const revoked = revoke.map((site): RosterMember => {
    const member = previous?.sites.find((entry) => entry.site === site);
    if (member === undefined) throw new ConcordatError('SITE_UNKNOWN', `site "${site}" is not in the roster`);
    return { ...member, status: 'revoked' };
  });
  const accepted = (changes.accept ?? pending.map(({ site }) => site).filter((site) => !revoke.includes(site))).map(
    (site): RosterMember => {
      const found = pending.find((entry) => entry.site === site);
      if (found === undefined) throw new ConcordatError('SITE_UNKNOWN', `site "${site}" has no pending enrollment`);
      const { signingPublicKey, tlsFingerprint } = found;
      return { site, signingPublicKey, tlsFingerprint, status: 'active' };
    },
  );
  if (accepted.length + revoked.length === 0)
    throw new ConcordatError('ENROLL_NOTHING_PENDING', 'there is nothing to put into a new roster');
  const roster = nextRoster(previous, [...accepted, ...revoked], new Date(nowMs).toISOString());
  return installRoster(coordinatorDir, signRosterWith(key, roster));
}

function readConsortiumKey(dir: string): Secret {
  const file = path.join(dir, 'consortium.key');
  const seed = existsSync(file) ? fromHex(readPrivateText(file).trim(), 32) : null;
  if (seed === null) {
    const hint = 'Run `concordat consortium init` first, or name the right folder.';
    throw new ConcordatError('ENROLL_KEYS_MISSING', `${dir} holds no consortium key`, { hint });
  }
  return new Secret(seed);
}
