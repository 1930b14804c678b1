import { createHash } from 'node:crypto';
import { isSignedByAuthority } from './authority.js';
import { canonicalJson } from './canonical-json.js';
import { ConcordatError, type Problem } from './errors.js';
import { contributionBytes } from './fixed-point.js';
import { signStatement, verifyStatement } from './secagg/keys.js';
import { statement } from './secagg/statements.js';
import type { Secret } from './secret.js';
import type { TensorSpec } from './tensors.js';

/**
 * The egress ledger: a site's hash-chained list of everything that left it. Its head (length and last hash, nothing else)
 * is signed by the site, logged by the coordinator and countersigned by it. So the site cannot cut or rewrite what it
 * reported, for the coordinator has its signature; and the coordinator cannot deny or invent a report, for the site
 * has the countersignature and the log needs the site's own.
 */

/** One line of the egress ledger: what left, for which study and round, over how many patients. Nothing per patient. */
export interface LedgerEntry {
  readonly sequence: number;
  /** ISO 8601, given by the caller. */
  readonly time: string;
  readonly study: string;
  readonly computation: string;
  readonly round: number;
  readonly attempt: number;
  readonly tensors: readonly {
    readonly name: string;
    readonly shape: readonly number[];
    readonly visibility: 'total' | 'site';
  }[];
  readonly patients: number;
  readonly bytes: number;
  /** SHA-256 of the bytes that left. */
  readonly sha256: string;
  readonly masked: boolean;
  /** Hash of the entry before, or 64 zeros. */
  readonly previousHash: string;
  /** SHA-256 of this entry without this field. */
  readonly hash: string;
}

export const LEDGER_START = '0'.repeat(64);

export interface Released {
  readonly time: string;
  readonly study: string;
  readonly computation: string;
  readonly round: number;
  readonly attempt: number;
  readonly leaves: readonly TensorSpec[];
  readonly patients: number;
  readonly sha256: string;
  readonly masked: boolean;
  /** By default what the encoded tensors take. */
  readonly bytes?: number;
}

/** The entry that follows `last` (null at the start). Append it durably before the first byte leaves. */
export function ledgerEntry(last: LedgerEntry | null, released: Released): LedgerEntry {
  const { time, study, computation, round, attempt, leaves, patients, sha256, masked } = released;
  const entry = {
    sequence: (last?.sequence ?? 0) + 1,
    time,
    study,
    computation,
    round,
    attempt,
    tensors: leaves.map(({ name, shape, visibility }) => ({ name, shape, visibility })),
    patients,
    bytes: released.bytes ?? contributionBytes(leaves),
    sha256,
    masked,
    previousHash: last?.hash ?? LEDGER_START,
  };
  return { ...entry, hash: entryHash(entry) };
}

function entryHash(entry: Omit<LedgerEntry, 'hash'>): string {
  return createHash('sha256').update('concordat egress v1\n').update(canonicalJson(entry)).digest('hex');
}

/**
 * Checks numbering, hashes and links of a whole ledger. `head` is the last hash as kept elsewhere (the site's store):
 * without it a ledger cut at the end looks whole.
 *
 * @throws ConcordatError STORE_LEDGER_BROKEN with every broken entry.
 */
export function verifyLedger(entries: readonly LedgerEntry[], head?: string): void {
  const problems: Problem[] = [];
  let previous = LEDGER_START;
  for (const [index, entry] of entries.entries()) {
    const at = (message: string) => problems.push({ row: index + 1, message });
    const { hash, ...body } = entry;
    if (entry.sequence !== index + 1) at(`entry ${index + 1} has number ${entry.sequence}`);
    if (entry.previousHash !== previous) at(`entry ${index + 1} does not follow the one before it`);
    if (entryHash(body) !== hash) at(`entry ${index + 1} was changed after it was written`);
    previous = hash;
  }
  if (head !== undefined && head !== previous)
    problems.push({ message: 'the ledger ends before or after its known head' });
  if (problems.length > 0)
    throw new ConcordatError('STORE_LEDGER_BROKEN', 'the egress ledger does not verify', { problems });
}

/** Length of a ledger and the hash of its last entry: all that the coordinator learns of it. */
export interface LedgerHead {
  readonly length: number;
  readonly head: string;
}

/** `signature`: of the site (Ed25519) where the site reports it, of the transport authority (ECDSA P-256, DER) where that answers. */
export interface SignedLedgerHead extends LedgerHead {
  readonly signature: Uint8Array;
}

export function headOf(last: LedgerEntry | null): LedgerHead {
  return { length: last?.sequence ?? 0, head: last?.hash ?? LEDGER_START };
}

function headStatement(site: string, { length, head }: LedgerHead): Uint8Array {
  return statement('egress ledger head', site, length, head);
}

/** What the coordinator signs: that it has logged this head of this site. */
export function countersignedStatement(site: string, { length, head }: LedgerHead): Uint8Array {
  return statement('egress ledger countersigned', site, length, head);
}

export function signHead(site: string, head: LedgerHead, signingKey: Secret): SignedLedgerHead {
  return { ...head, signature: signStatement(signingKey, headStatement(site, head)) };
}

export function headIsSigned(site: string, head: SignedLedgerHead, signingPublicKey: Uint8Array): boolean {
  return verifyStatement(signingPublicKey, headStatement(site, head), head.signature);
}

export function headIsCountersigned(site: string, head: SignedLedgerHead, authority: string): boolean {
  return isSignedByAuthority(authority, countersignedStatement(site, head), head.signature);
}

/** Where a head that was signed does not stand in the chain: what is wrong, or null. `hashes` are those of all entries, in order. */
export function headProblem(hashes: readonly string[], { length, head }: LedgerHead): string | null {
  if (length > hashes.length)
    return `the ledger has ${hashes.length} entries, ${length} were signed: it was cut at the end`;
  const there = length === 0 ? LEDGER_START : hashes[length - 1];
  return there === head ? null : `entry ${length} is not the one that was signed: the ledger was rewritten`;
}

/**
 * The site's own check, offline: the chain is whole, every countersignature is the pinned authority's, and every
 * countersigned head stands in the chain. Returns up to which entry the coordinator has countersigned.
 *
 * @throws ConcordatError STORE_LEDGER_BROKEN, SITE_COUNTERSIGNATURE_INVALID or STORE_LEDGER_CONTRADICTED.
 */
export function verifyCountersigned(
  site: string,
  entries: readonly LedgerEntry[],
  countersigned: readonly SignedLedgerHead[],
  authority: string,
): number {
  verifyLedger(entries);
  const forged = countersigned.filter((head) => !headIsCountersigned(site, head, authority));
  if (forged.length > 0)
    throw new ConcordatError(
      'SITE_COUNTERSIGNATURE_INVALID',
      `${forged.length} of ${countersigned.length} countersignatures are not the pinned authority's`,
      { problems: forged.map(({ length }) => ({ row: length, message: 'the countersignature is wrong' })) },
    );
  const hashes = entries.map((entry) => entry.hash);
  throwContradicted(
    countersigned.map((head) => headProblem(hashes, head)),
    'the egress ledger is not the one that the coordinator countersigned',
  );
  return countersigned.reduce((most, { length }) => Math.max(most, length), 0);
}

/**
 * The coordinator's check of a ledger that a site hands over: every head in its log is signed by the site and stands in
 * the ledger, and every countersignature that the site shows stands in its log. Needs no trust in either.
 *
 * @throws ConcordatError STORE_LEDGER_BROKEN, SITE_SIGNATURE_INVALID or STORE_LEDGER_CONTRADICTED.
 */
export function verifyAgainstLog(
  site: string,
  shown: { readonly entries: readonly LedgerEntry[]; readonly countersigned: readonly SignedLedgerHead[] },
  log: readonly SignedLedgerHead[],
  signingPublicKeys: readonly Uint8Array[],
  authority: string,
): number {
  const invented = log.filter((head) => !signingPublicKeys.some((key) => headIsSigned(site, head, key)));
  if (invented.length > 0)
    throw new ConcordatError(
      'SITE_SIGNATURE_INVALID',
      `${invented.length} heads in the coordinator's log were not signed by site "${site}"`,
    );
  const reached = verifyCountersigned(site, shown.entries, shown.countersigned, authority);
  const hashes = shown.entries.map((entry) => entry.hash);
  const logged = new Set(log.map(({ length, head }) => `${length} ${head}`));
  throwContradicted(
    [
      ...log.map((head) => headProblem(hashes, head)),
      ...shown.countersigned.map(({ length, head }) =>
        logged.has(`${length} ${head}`)
          ? null
          : `entry ${length} was countersigned, but is not in the coordinator's log: the log was cut or rewritten`,
      ),
    ],
    `the egress ledger of site "${site}" and the coordinator's log contradict each other`,
  );
  return reached;
}

function throwContradicted(problems: readonly (string | null)[], message: string): void {
  const found = [...new Set(problems.filter((problem) => problem !== null))];
  if (found.length === 0) return;
  throw new ConcordatError('STORE_LEDGER_CONTRADICTED', `${message}: ${found[0]}`, {
    problems: found.map((problem) => ({ message: problem })),
  });
}
