import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { ConcordatError } from '../../shared/errors.js';
import type { GuardRules } from '../../shared/guard-decision.js';
import { LIMITS } from '../../shared/limits.js';
import { agreementPublicKey } from '../../shared/secagg/keys.js';
import { Secret } from '../../shared/secret.js';
import type { SiteStore } from '../../shared/stores.js';
import { endsAtMs, type Study } from '../../shared/study.js';
import type { Approval } from '../../shared/study-messages.js';
import { readStudyDocument, signApproval } from '../../shared/study-signatures.js';
import type { TensorSpec } from '../../shared/tensors.js';
import { type ApprovalRule, requireSigned } from '../approvers.js';
import type { CohortLoad } from '../cohort.site.js';
import { loadCohort } from '../cohort-files.js';
import { type FrozenCohort, freezeCohort } from '../cohort-freeze.site.js';
import { requireNotDominated } from '../dominance.site.js';
import { overlapDecision, ownCohort } from '../guard.js';
import { evaluateStudy, type Policy } from '../policy.js';
import { asItIsNow, encodeSiteRecord, type KnownStudy, knownStudies } from '../site-records.js';
import { originsAt } from './earlier-bundles.js';
import { caseSecret, removedCases } from './removals.js';
import { restoredAt } from './restored.js';

/** What a decision is made on: by a person through `site approve`, or by the policy in a demonstration. */
export interface DecisionGrounds {
  readonly study: Study;
  readonly cohort: CohortLoad;
  readonly frozen: FrozenCohort;
  /** Of a cohort that was frozen before: how many of its patients have withdrawn since, and are in it all the same. */
  readonly withdrawnSince: number;
  /** Reasons of this site's policy against the study; none = allowed. */
  readonly reasons: readonly string[];
  /** The same as others may hear them: by how few cases two cohorts differ is nobody's business outside. */
  readonly reasonsToTell: readonly string[];
  /** Fewer usable cases than the study's minimum cohort: none of them enters any sum, and the site is named. */
  readonly sitsOut: boolean;
}

/** Where the site keeps the box key of a study, apart from the slots that the rounds erase. */
export function boxKeyOwner(studyHash: string): string {
  return `${studyHash}/box`;
}

/**
 * Loads the cohort and weighs the study against policy and earlier releases. Nothing is written. Of a study that this site
 * has approved it is the cohort frozen then, because that is what goes on being used. Throws like `frozenCohort`.
 */
export function decisionGrounds(
  store: SiteStore,
  known: KnownStudy,
  place: {
    readonly site: string;
    readonly folder: string;
    readonly policy: Policy;
    readonly nowMs: number;
    readonly restoreAccepted?: boolean;
    /** What rosters of this consortium are signed with; without it nothing can be known to come from an earlier study. */
    readonly consortiumPublicKey?: Uint8Array;
  },
  leaves: Readonly<Record<string, readonly TensorSpec[]>>,
): DecisionGrounds {
  const study = readStudyDocument(known.document, known.studyHash);
  const isRemoved = removedCases(store, place);
  const approved = known.approval?.decision === 'approved';
  const cohort = approved
    ? frozenCohort(store, known, place)
    : loadCohort(study, path.join(place.folder, 'cohort.yaml'), place.site, isRemoved);
  const withdrawnSince = approved ? cohort.cohort.ids.filter(isRemoved).length : 0;
  requireNotDominated(cohort.cohort, place.policy.dominance);
  const frozen = freezeCohort(cohort.cohort, caseSecret(store, place.folder));
  const policy = evaluateStudy(place.policy, study, leaves, place.site);
  const reasons = policy.allowed ? [] : [...policy.reasons];
  const expired = expiry(study, place.nowMs);
  if (expired !== null) reasons.push(expired);
  reasons.push(...originsAt(study, place.folder, place.consortiumPublicKey ?? new Uint8Array(32)));
  const reasonsToTell = [...reasons];
  const backup = restoredAt(store);
  if (backup !== null && place.restoreAccepted !== true)
    reasons.push(
      `this site was started from a backup (${backup}), and what it released after the backup is not known here`,
    );
  if (reasons.length > reasonsToTell.length) reasonsToTell.push('SITE_RESTORED: a person has to decide here');
  // Below the study's own minimum the site sits out, which every site may; the policy's larger one the study does not keep.
  const { minimumCohort } = place.policy;
  const sitsOut = cohort.cohort.n === 0 && minimumCohort <= study.privacy.minimumCohort;
  if (cohort.cohort.n < minimumCohort && !sitsOut) {
    reasons.push(`this site has fewer usable cases than its policy's minimum cohort of ${minimumCohort}`);
    reasonsToTell.push("POLICY_COHORT_TOO_SMALL: the cohort is below this site's own minimum");
  }
  const earlier = knownStudies(store)
    .filter((other) => other.studyHash !== known.studyHash && other.cohort !== null)
    .map((other) => ({ study: other.studyHash.slice(0, 12), cases: other.cohort!.cases }));
  const overlap = overlapDecision(earlier, { study: known.studyHash, cases: frozen.cases }, place.policy.minimumCases);
  if (!overlap.ok) {
    reasons.push(overlap.message);
    reasonsToTell.push(`${overlap.code}: the disclosure guard of this site refuses the cohort`);
  }
  return { study, cohort, frozen, withdrawnSince, reasons, reasonsToTell, sitsOut: cohort.cohort.n === 0 };
}

/** Why nothing may be sent for the study any more, or null while its last day is not over. */
export function expiry(study: Study, nowMs: number): string | null {
  const endMs = endsAtMs(study);
  return endMs === null || nowMs < endMs ? null : `the study's last day was ${study.until}`;
}

/** Throws SITE_ALREADY_DECIDED, or STUDY_WRONG_PHASE where the study has ended, so that no decision on it means anything. */
export function requireUndecided(known: Pick<KnownStudy, 'approval' | 'closed'>): void {
  if (known.approval !== null)
    throw new ConcordatError('SITE_ALREADY_DECIDED', `this site has already ${known.approval.decision} the study`);
  if (known.closed !== null)
    throw new ConcordatError('STUDY_WRONG_PHASE', `the study is ${known.closed.phase}: ${known.closed.reason}`);
}

/**
 * Signs the decision and writes it durably, once whoever else decides at the same instant; the running agent sends it. Throws SITE_ALREADY_DECIDED, STUDY_WRONG_PHASE,
 * POLICY_APPROVAL_INCOMPLETE where the policy names approvers and too few of them have signed it.
 */
export function decide(
  store: SiteStore,
  known: KnownStudy,
  decision: {
    readonly site: string;
    readonly signingKey: Secret;
    readonly frozen: FrozenCohort | null;
    readonly decision: 'approved' | 'declined';
    readonly reason: string;
    readonly nowMs: number;
    /** `approval` of this site's policy; null where it names no approvers. */
    readonly rule: ApprovalRule | null;
  },
): Approval {
  return store.exclusively(() => decideOn(store, asItIsNow(store, known), decision));
}

function decideOn(store: SiteStore, known: KnownStudy, decision: Parameters<typeof decide>[2]): Approval {
  requireUndecided(known);
  const approved = decision.decision === 'approved';
  if (decision.rule !== null) {
    const { studyHash, rosterVersion, rosterHash, approvers } = known;
    const subject = { site: decision.site, studyHash, rosterVersion, rosterHash };
    requireSigned(
      decision.rule,
      subject,
      approvers,
      decision.decision,
      approved ? (decision.frozen?.digest ?? '') : '',
    );
  }
  const boxKey = new Secret(randomBytes(32));
  if (approved) store.putSecret(boxKeyOwner(known.studyHash), 'box', boxKey);
  const approval = signApproval(
    {
      studyHash: known.studyHash,
      rosterVersion: known.rosterVersion,
      rosterHash: known.rosterHash,
      site: decision.site,
      decision: decision.decision,
      // Longer ones are refused on the wire, and would end every new connection of this site.
      reason: decision.reason.slice(0, LIMITS.reasonCharactersMax),
      boxPublicKey: approved ? agreementPublicKey(boxKey) : new Uint8Array(32),
    },
    decision.signingKey,
  );
  const { frozen } = decision;
  const cohort = approved && frozen !== null ? { digest: frozen.digest, cases: frozen.cases } : null;
  store.append([encodeSiteRecord(known.studyHash, { type: 'decided', approval, atMs: decision.nowMs, cohort })]);
  return approval;
}

/**
 * Signs and writes durably that this site contributes nothing more to a study that it approved; the running agent looks
 * here before anything leaves, and tells the coordinator. Throws STUDY_WRONG_PHASE, SITE_ALREADY_DECIDED.
 */
export function withdraw(
  store: SiteStore,
  known: KnownStudy,
  by: { readonly signingKey: Secret; readonly reason: string; readonly nowMs: number },
): Approval {
  return store.exclusively(() => withdrawFrom(store, asItIsNow(store, known), by));
}

function withdrawFrom(store: SiteStore, known: KnownStudy, by: Parameters<typeof withdraw>[2]): Approval {
  if (known.closed !== null)
    throw new ConcordatError('STUDY_WRONG_PHASE', `the study is ${known.closed.phase}: ${known.closed.reason}`);
  if (known.approval?.decision !== 'approved')
    throw new ConcordatError('STUDY_WRONG_PHASE', 'this site has not approved the study; it can decline it');
  if (known.withdrawal !== null)
    throw new ConcordatError('SITE_ALREADY_DECIDED', 'this site has already withdrawn from the study');
  const { studyHash, rosterVersion, rosterHash } = known;
  const { site } = known.approval;
  const reason = by.reason.slice(0, LIMITS.reasonCharactersMax);
  const decision = { studyHash, rosterVersion, rosterHash, site, decision: 'withdrawn', reason } as const;
  const withdrawal = signApproval({ ...decision, boxPublicKey: new Uint8Array(32) }, by.signingKey);
  store.append([encodeSiteRecord(studyHash, { type: 'withdrew', withdrawal, atMs: by.nowMs })]);
  return withdrawal;
}

/** The cohort as it was frozen; throws COHORT_CHANGED where the table is no longer what was approved. */
export function frozenCohort(
  store: SiteStore,
  known: KnownStudy,
  place: { readonly site: string; readonly folder: string },
): CohortLoad {
  const study = readStudyDocument(known.document, known.studyHash);
  // As it was at the decision: who has withdrawn since is still in it.
  const isRemoved = removedCases(store, place, known.decidedAt ?? 0);
  const load = loadCohort(study, path.join(place.folder, 'cohort.yaml'), place.site, isRemoved);
  if (freezeCohort(load.cohort, caseSecret(store, place.folder)).digest !== known.cohort?.digest)
    throw new ConcordatError(
      'COHORT_CHANGED',
      'the cohort is no longer the one that this site approved the study with',
    );
  return load;
}

/** What the disclosure guard judges by at this site. */
export function guardRulesOf(study: Study, policy: Policy, site: string, load: CohortLoad): GuardRules {
  const { cohort } = load;
  return {
    minSites: Math.max(study.privacy.minSites, policy.minSites),
    showAggregate: study.privacy.showAggregate,
    minimumCohort: Math.max(study.privacy.minimumCohort, policy.minimumCohort),
    // A site that sits out has no patients whom a sum could show.
    own:
      cohort.n === 0
        ? null
        : ownCohort(site, guardScheme(study), Math.max(1, study.validation.folds), cohort.cellOf, cohort.train),
  };
}

/** Names the cut of cohorts into inner-fold cells: studies with the same cut are judged together. */
export function guardScheme(study: Study): string {
  const { fold } = study.cohort;
  return fold === undefined ? `seed ${study.seed}, ${study.validation.folds} folds` : `column ${fold}`;
}
