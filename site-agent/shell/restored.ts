import { ConcordatError } from '../../shared/errors.js';
import type { SiteStore } from '../../shared/stores.js';
import { type ApprovalRule, requireSigned } from '../approvers.js';
import { asItIsNow, type KnownStudy, knownStudies } from '../site-records.js';

/**
 * After a start from a backup the site does not know what it signed since. Nobody can tell it for certain: who withholds
 * its later signatures shows it an older truth. So it assumes the worst: see `SiteStudy.assumePlan`.
 */
const RESTORED_AT = 'restored at';
const unknownKey = (studyHash: string): string => `history unknown ${studyHash}`;

/** Durable before anything is taken up. Every study that runs has an unknown history from here on, also if accepted before. */
export function markRestored(store: SiteStore, nowMs: number): void {
  for (const { studyHash, approval, closed } of knownStudies(store))
    if (approval?.decision === 'approved' && closed === null) store.setSetting(unknownKey(studyHash), 'unknown');
  store.setSetting(RESTORED_AT, new Date(nowMs).toISOString());
}

/** When this site was last started from a backup, or null. */
export function restoredAt(store: SiteStore): string | null {
  return store.getSetting(RESTORED_AT);
}

/** `accepted`: a person has approved that the study goes on after a restore. */
export function historyOf(store: SiteStore, studyHash: string): 'known' | 'unknown' | 'accepted' {
  const value = store.getSetting(unknownKey(studyHash));
  return value === 'unknown' || value === 'accepted' ? value : 'known';
}

/** Throws STUDY_WRONG_PHASE where there is nothing to approve after a restore. */
export function requireRestored(store: SiteStore, { studyHash, closed }: KnownStudy): void {
  if (closed !== null || historyOf(store, studyHash) !== 'unknown')
    throw new ConcordatError('STUDY_WRONG_PHASE', 'the study does not wait for a new approval after a restore');
}

/** What approvers sign after a restore: the cohort, and which restore. */
export function resumedDigest(store: SiteStore, cohortDigest: string): string {
  return `${cohortDigest} restored ${restoredAt(store) ?? ''}`;
}

/**
 * New approval of a study whose history is unknown. Throws STUDY_WRONG_PHASE, and POLICY_APPROVAL_INCOMPLETE where the policy
 * names approvers and too few of them have signed that it goes on.
 */
export function acceptHistory(
  store: SiteStore,
  read: KnownStudy,
  by: { readonly site: string; readonly cohortDigest: string; readonly rule: ApprovalRule | null },
): void {
  store.exclusively(() => {
    const known = asItIsNow(store, read);
    requireRestored(store, known);
    const { studyHash, rosterVersion, rosterHash, approvers } = known;
    const subject = { site: by.site, studyHash, rosterVersion, rosterHash };
    if (by.rule !== null) requireSigned(by.rule, subject, approvers, 'resumed', resumedDigest(store, by.cohortDigest));
    store.setSetting(unknownKey(studyHash), 'accepted');
  });
}
