import type { SiteStore } from '../../shared/stores.js';
import {
  type ApprovalRule,
  type ApproverKey,
  type ApproverSignature,
  requireNotDeclined,
  signAsApprover,
  signaturesMissing,
} from '../approvers.js';
import { asItIsNow, encodeSiteRecord, type KnownStudy } from '../site-records.js';
import { requireUndecided } from './decide.js';
import { requireRestored } from './restored.js';

export interface ApproverDecision {
  readonly site: string;
  readonly key: ApproverKey;
  readonly decision: ApproverSignature['decision'];
  /** Of the cohort that was shown; empty where declined. */
  readonly cohortDigest: string;
  readonly nowMs: number;
  /** What others signed before, under other approvers or over another cohort, counts no more. */
  readonly startOver?: boolean;
}

/**
 * Writes a person's signature durably at the site, and tells how many more must sign before `decide` may follow. Where all
 * have signed and the site has not decided (a crash came between the two) nothing is signed again. Throws what
 * `signAsApprover` and `requireUndecided` throw, SITE_ALREADY_DECIDED where an approver has declined.
 */
export function signForSite(store: SiteStore, read: KnownStudy, rule: ApprovalRule, by: ApproverDecision): number {
  return store.exclusively(() => {
    const known = asItIsNow(store, read);
    if (by.decision === 'resumed') requireRestored(store, known);
    else requireUndecided(known);
    const { studyHash, rosterVersion, rosterHash } = known;
    const subject = { site: by.site, studyHash, rosterVersion, rosterHash };
    const missing = (given: readonly ApproverSignature[]) =>
      signaturesMissing(rule, subject, given, by.decision, by.cohortDigest);
    const earlier = by.startOver === true ? [] : known.approvers;
    if (by.decision !== 'declined') requireNotDeclined(rule, subject, known.approvers);
    if (missing(earlier) === 0) return 0;
    const at = new Date(by.nowMs).toISOString();
    const { key, decision, cohortDigest } = by;
    const signed = signAsApprover(rule, subject, earlier, { key, decision, cohortDigest, at });
    store.append([encodeSiteRecord(studyHash, { type: 'approverSigned', signed, startsOver: by.startOver === true })]);
    return missing(asItIsNow(store, known).approvers);
  });
}
