import { createHash } from 'node:crypto';
import { z } from 'zod';
import { canonicalBytes } from '../shared/canonical-json.js';
import { ed25519PublicKey } from '../shared/ed25519.js';
import { ConcordatError } from '../shared/errors.js';
import { fromHex, toHex } from '../shared/hex.js';
import { signStatement, verifyStatement } from '../shared/secagg/keys.js';
import { statement } from '../shared/secagg/statements.js';
import type { Secret } from '../shared/secret.js';

/**
 * Named persons who approve for a site, each with an Ed25519 key of their own that lies outside the site's folder. The site
 * signs its approval only when as many different ones as the policy asks for have signed the same study over the same cohort. Names and
 * signatures stay at the site: staff are persons too.
 */
export const approverName = z
  .string()
  .trim()
  .min(1)
  .max(80)
  .regex(/^[^\p{C}]+$/u, 'has characters that cannot be shown');

export const approvalRuleSchema = z.strictObject({
  approvers: z
    .array(
      z.strictObject({
        name: approverName.describe('Who, as they name themselves to `site approve --as`.'),
        publicKey: z
          .string()
          .regex(/^[0-9a-f]{64}$/)
          .describe('Their Ed25519 key, hexadecimal, as `site approver init` shows it.'),
      }),
    )
    .min(1)
    .describe('Who may approve for this site.'),
  required: z
    .int()
    .min(1)
    .max(2)
    .default(1)
    .describe('How many different ones must sign before the site approves. One is enough to decline.'),
});

export type ApprovalRule = z.output<typeof approvalRuleSchema>;

/** What the schema cannot say: one name and one key a person, and enough persons. Paths are within the rule. */
export function ruleProblems(rule: ApprovalRule): { readonly path: (string | number)[]; readonly message: string }[] {
  const { approvers, required } = rule;
  const problems = (['name', 'publicKey'] as const).flatMap((field) =>
    approvers.flatMap((entry, at) =>
      approvers.findIndex((other) => other[field] === entry[field]) < at
        ? [
            {
              path: ['approvers', at, field],
              message: `${field === 'name' ? 'the name' : 'the key'} stands there already: approvers must be different persons`,
            },
          ]
        : [],
    ),
  );
  if (required > approvers.length)
    problems.push({ path: ['required'], message: `${required} must sign, and ${approvers.length} may` });
  return problems;
}

/** Of the approvers and how many must sign, whatever their order: a signature is given under one rule. */
export function ruleDigest(rule: ApprovalRule): string {
  const approvers = Object.fromEntries(rule.approvers.map(({ name, publicKey }) => [name, publicKey]));
  return createHash('sha256')
    .update(canonicalBytes({ approvers, required: rule.required }))
    .digest('hex');
}

export interface ApproverKey {
  readonly name: string;
  readonly seed: Secret;
}

/** What is decided on: the study and the roster, at this site. */
export interface ApprovalSubject {
  readonly site: string;
  readonly studyHash: string;
  readonly rosterVersion: number;
  readonly rosterHash: string;
}

export interface ApproverSignature {
  readonly name: string;
  /** Ed25519, hexadecimal. */
  readonly publicKey: string;
  /** `resumed`: that an approved study goes on after this site was restored from a backup. */
  readonly decision: 'approved' | 'declined' | 'resumed';
  /** Digest of the cohort that the person was shown, for `resumed` with the instant of the restore; empty where declined. */
  readonly cohortDigest: string;
  readonly ruleDigest: string;
  /** RFC 3339. */
  readonly at: string;
  readonly signature: Uint8Array;
}

function approverStatement(subject: ApprovalSubject, signed: Omit<ApproverSignature, 'signature'>): Uint8Array {
  const { site, studyHash, rosterVersion, rosterHash } = subject;
  const { name, publicKey, decision, cohortDigest, ruleDigest: rule, at } = signed;
  return statement(
    'approver',
    site,
    studyHash,
    rosterVersion,
    rosterHash,
    name,
    publicKey,
    decision,
    cohortDigest,
    rule,
    at,
  );
}

export function approverIsSigned(subject: ApprovalSubject, signed: ApproverSignature): boolean {
  const key = fromHex(signed.publicKey, 32);
  return key !== null && verifyStatement(key, approverStatement(subject, signed), signed.signature);
}

/** Throws POLICY_APPROVER_UNKNOWN where the policy does not name the person, or names them with another key. */
export function requireApprover(rule: ApprovalRule, who: { readonly name: string; readonly publicKey: string }): void {
  const named = rule.approvers.find(({ name }) => name === who.name);
  if (named === undefined)
    throw new ConcordatError('POLICY_APPROVER_UNKNOWN', 'policy.yaml does not name this person as an approver');
  if (named.publicKey !== who.publicKey)
    throw new ConcordatError('POLICY_APPROVER_UNKNOWN', 'policy.yaml names this approver with another key');
}

/** Signatures of different approvers that the rule names, given under this very rule, for this subject and cohort. */
export function validSignatures(
  rule: ApprovalRule,
  subject: ApprovalSubject,
  given: readonly ApproverSignature[],
  decision: ApproverSignature['decision'],
  cohortDigest: string,
): ApproverSignature[] {
  const digest = ruleDigest(rule);
  return given.filter(
    (signed, at) =>
      signed.decision === decision &&
      signed.cohortDigest === cohortDigest &&
      signed.ruleDigest === digest &&
      rule.approvers.some(({ name, publicKey }) => name === signed.name && publicKey === signed.publicKey) &&
      approverIsSigned(subject, signed) &&
      given.findIndex(
        (other) =>
          other.decision === decision &&
          other.publicKey === signed.publicKey &&
          other.cohortDigest === cohortDigest &&
          other.ruleDigest === digest,
      ) === at,
  );
}

/**
 * A person's signature under a decision. Throws POLICY_APPROVER_UNKNOWN, POLICY_APPROVERS_CHANGED and
 * POLICY_APPROVAL_OTHER_COHORT where signatures before it stand under another rule or cohort, POLICY_APPROVER_REPEATED.
 */
export function signAsApprover(
  rule: ApprovalRule,
  subject: ApprovalSubject,
  earlier: readonly ApproverSignature[],
  by: {
    readonly key: ApproverKey;
    readonly decision: ApproverSignature['decision'];
    readonly cohortDigest: string;
    readonly at: string;
  },
): ApproverSignature {
  const { key, decision, cohortDigest, at } = by;
  const { name, seed } = key;
  const publicKey = toHex(ed25519PublicKey(seed));
  requireApprover(rule, { name, publicKey });
  if (decision === 'approved') {
    const approved = earlier.filter((signed) => signed.decision === decision);
    if (approved.some((signed) => signed.ruleDigest !== ruleDigest(rule)))
      throw new ConcordatError(
        'POLICY_APPROVERS_CHANGED',
        'approvers in policy.yaml were changed after the first of them had signed',
      );
    if (approved.some((signed) => signed.cohortDigest !== cohortDigest))
      throw new ConcordatError(
        'POLICY_APPROVAL_OTHER_COHORT',
        'the cohort is no longer the one that another approver has signed for',
      );
  }
  const isSame = (signed: ApproverSignature) =>
    signed.decision === decision &&
    signed.publicKey === publicKey &&
    // Approvers that changed, or another restore, leave the person free to sign again.
    (decision !== 'resumed' || (signed.cohortDigest === cohortDigest && signed.ruleDigest === ruleDigest(rule)));
  if (earlier.some(isSame))
    throw new ConcordatError('POLICY_APPROVER_REPEATED', 'this person has signed this decision already');
  const signed = { name, publicKey, decision, cohortDigest, ruleDigest: ruleDigest(rule), at };
  return { ...signed, signature: signStatement(seed, approverStatement(subject, signed)) };
}

/** How many more must sign before the site may decide so; 0 = it may. */
export function signaturesMissing(
  rule: ApprovalRule,
  subject: ApprovalSubject,
  given: readonly ApproverSignature[],
  decision: ApproverSignature['decision'],
  cohortDigest: string,
): number {
  const signed = validSignatures(rule, subject, given, decision, cohortDigest).length;
  return Math.max(0, (decision === 'declined' ? 1 : rule.required) - signed);
}

/** One approver is enough to decline. Throws SITE_ALREADY_DECIDED. */
export function requireNotDeclined(
  rule: ApprovalRule,
  subject: ApprovalSubject,
  given: readonly ApproverSignature[],
): void {
  if (validSignatures(rule, subject, given, 'declined', '').length > 0)
    throw new ConcordatError('SITE_ALREADY_DECIDED', 'an approver of this site has declined the study');
}

/** Throws POLICY_APPROVAL_INCOMPLETE, and SITE_ALREADY_DECIDED where an approver has declined. */
export function requireSigned(
  rule: ApprovalRule,
  subject: ApprovalSubject,
  given: readonly ApproverSignature[],
  decision: ApproverSignature['decision'],
  cohortDigest: string,
): void {
  if (decision !== 'declined') requireNotDeclined(rule, subject, given);
  const missing = signaturesMissing(rule, subject, given, decision, cohortDigest);
  if (missing > 0)
    throw new ConcordatError(
      'POLICY_APPROVAL_INCOMPLETE',
      `${missing} more of the approvers in policy.yaml must sign before the site decides`,
    );
}
