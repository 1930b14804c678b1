import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { decodeDocument, encodeDocument } from '../../shared/document.js';
import { ConcordatError } from '../../shared/errors.js';
import { fromHex } from '../../shared/hex.js';
import { privateText, readPrivateText, replacePrivate } from '../../shared/key-folder.js';
import type { SiteStore } from '../../shared/stores.js';
import { caseHash } from '../cohort-freeze.site.js';
import { overlapDecision } from '../guard.js';
import { type KnownStudy, knownStudies } from '../site-records.js';
import { readLedger } from './ledger-keeper.js';

/**
 * Patients who have withdrawn: a list of keyed hashes in the site's log. Every cohort that is loaded for a new study leaves
 * them out and counts them; a cohort that was frozen before keeps them, since its totals could not be told apart otherwise.
 */
const REMOVAL = 'caseRemoved';
const CASE_SECRET = 'cases';

/**
 * The key behind the case hashes, in `keys/` so that a backup has it: with another key a restored site would not know
 * its own cohorts again, and its guard would begin anew. Throws STORE_SECRET_MISSING where cohorts were frozen with a
 * key that is gone.
 */
export function caseSecret(store: SiteStore, folder: string): Uint8Array {
  const file = path.join(folder, 'keys', 'cases.key');
  if (existsSync(file)) {
    const key = fromHex(readPrivateText(file).trim(), 32);
    if (key !== null) return key;
    throw new ConcordatError('STORE_DAMAGED', `${file} holds no key`);
  }
  // Earlier versions kept it where backups do not reach.
  const kept = store.secretNames('').includes(CASE_SECRET) ? store.getSecret('', CASE_SECRET).reveal() : null;
  if (kept === null && (knownStudies(store).some(({ cohort }) => cohort !== null) || removals(store).length > 0))
    throw new ConcordatError(
      'STORE_SECRET_MISSING',
      'keys/cases.key is gone: the cohorts of earlier studies cannot be known again, so no new one can be judged',
    );
  const key = kept ?? new Uint8Array(randomBytes(32));
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  replacePrivate(file, privateText(file, `${Buffer.from(key).toString('hex')}\n`));
  return key;
}

interface Removal {
  readonly sequence: number;
  readonly hash: string;
}

function removals(store: SiteStore): Removal[] {
  return [...store.replay({ study: '' })].flatMap(({ type, sequence, payload }) =>
    type === REMOVAL ? [{ sequence, hash: (decodeDocument(payload) as { hash: string }).hash }] : [],
  );
}

/** Says of a case of this site whether its patient had withdrawn; with `before`, by that record of the log. */
export function removedCases(
  store: SiteStore,
  place: { readonly site: string; readonly folder: string },
  before = Number.POSITIVE_INFINITY,
): (id: string) => boolean {
  const hashes = new Set(removals(store).flatMap(({ hash, sequence }) => (sequence < before ? [hash] : [])));
  if (hashes.size === 0) return () => false;
  const secret = caseSecret(store, place.folder);
  return (id) => hashes.has(caseHash(secret, place.site, id));
}

/** What a removal meets in one study. */
export interface RemovalEffect {
  readonly study: string;
  readonly name: string;
  readonly state: 'not begun' | 'frozen' | 'running' | 'published' | 'ended';
  /** How many of the removed cases its frozen cohort holds. */
  readonly cases: number;
  /** Contributions that have left with them in it, by the egress ledger. */
  readonly contributions: number;
  /** A next study over the same table without these cases would be refused beside this one. */
  readonly overlaps: boolean;
}

/** Puts cases on the list, durably. Returns how many were not on it yet, and what that can and cannot undo. */
export function removeCases(
  store: SiteStore,
  place: { readonly site: string; readonly folder: string; readonly minimumCases: number; readonly nowMs: number },
  ids: readonly string[],
  nameOf: (known: KnownStudy) => string,
): { readonly added: number; readonly effects: readonly RemovalEffect[] } {
  const secret = caseSecret(store, place.folder);
  const hashes = new Set(ids.map((id) => caseHash(secret, place.site, id)));
  const listed = new Set(removals(store).map(({ hash }) => hash));
  const fresh = [...hashes].filter((hash) => !listed.has(hash));
  store.append(
    fresh.map((hash) => ({ study: '', type: REMOVAL, payload: encodeDocument({ hash, atMs: place.nowMs }) })),
  );
  // After the list is durable: a damaged ledger keeps nobody on it.
  const left = new Map<string, number>();
  for (const { study } of readLedger(store)) left.set(study, (left.get(study) ?? 0) + 1);
  const all = new Set([...listed, ...hashes]);
  const studies = knownStudies(store);
  const earlier = studies.flatMap(({ studyHash, cohort }) =>
    cohort === null ? [] : [{ study: studyHash, cases: cohort.cases }],
  );
  const effects = studies.map((known): RemovalEffect => {
    const { studyHash, cohort } = known;
    const cases = (cohort?.cases ?? []).filter((hash) => hashes.has(hash)).length;
    const without = { study: 'next', cases: (cohort?.cases ?? []).filter((hash) => !all.has(hash)) };
    return {
      study: studyHash,
      name: nameOf(known),
      state: stateOf(known),
      cases,
      contributions: cases === 0 ? 0 : (left.get(studyHash) ?? 0),
      overlaps: cases > 0 && !overlapDecision(earlier, without, place.minimumCases).ok,
    };
  });
  return { added: fresh.length, effects };
}

function stateOf({ approvals, approval, closed, withdrawal }: KnownStudy): RemovalEffect['state'] {
  if (closed?.phase === 'published') return 'published';
  if (closed !== null || withdrawal !== null || approval?.decision === 'declined') return 'ended';
  if (approvals !== null) return 'running';
  return approval === null ? 'not begun' : 'frozen';
}
