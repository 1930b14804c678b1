import { canonicalBytes } from './canonical-json.js';
import { ConcordatError } from './errors.js';
import { signStatement, verifyStatement } from './secagg/keys.js';
import { statement } from './secagg/statements.js';
import type { Secret } from './secret.js';
import { type Study, studyHash, studySchema } from './study.js';
import type { Approval, Ratification } from './study-messages.js';
import { contradictions } from './study-parse.js';

/** What a site signs when it decides on a study: the study, the roster with every key in it, and its own box key. */
export function approvalStatement(approval: Omit<Approval, 'signature'>): Uint8Array {
  const { studyHash, rosterVersion, rosterHash, site, decision, reason, boxPublicKey } = approval;
  return statement('approval', studyHash, rosterVersion, rosterHash, site, decision, reason, boxPublicKey);
}

export function signApproval(approval: Omit<Approval, 'signature'>, signingKey: Secret): Approval {
  return { ...approval, signature: signStatement(signingKey, approvalStatement(approval)) };
}

export function approvalIsSigned(approval: Approval, signingPublicKey: Uint8Array): boolean {
  return verifyStatement(signingPublicKey, approvalStatement(approval), approval.signature);
}

/** RFC 8785 bytes of what a site signs under a bundle: the outside form that anyone can verify offline. */
export function ratificationStatement(
  ratification: Pick<Ratification, 'bundleDigest' | 'studyHash' | 'rosterVersion' | 'transcriptHead' | 'verdict'>,
): Uint8Array {
  const { bundleDigest, studyHash, rosterVersion, transcriptHead, verdict } = ratification;
  return canonicalBytes({ bundleDigest, rosterVersion, studyHash, transcriptHead, verdict });
}

export function signRatification(ratification: Omit<Ratification, 'signature'>, signingKey: Secret): Ratification {
  return { ...ratification, signature: signStatement(signingKey, ratificationStatement(ratification)) };
}

export function ratificationIsSigned(ratification: Ratification, signingPublicKey: Uint8Array): boolean {
  return verifyStatement(signingPublicKey, ratificationStatement(ratification), ratification.signature);
}

/** The study document as it travels: RFC 8785 bytes of the checked study. */
export function studyDocument(study: Study): Uint8Array {
  return canonicalBytes(study);
}

/** Throws STUDY_HASH_MISMATCH where the bytes are not the study of that hash. */
export function readStudyDocument(bytes: Uint8Array, wantedHash: string): Study {
  const mismatch = (why: string) => new ConcordatError('STUDY_HASH_MISMATCH', `the study document ${why}`);
  let plain: unknown;
  try {
    plain = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    throw mismatch('is not JSON');
  }
  const parsed = studySchema.safeParse(plain);
  if (!parsed.success) throw mismatch('does not follow the schema');
  if (studyHash(parsed.data) !== wantedHash) throw mismatch(`has another hash than ${wantedHash}`);
  const contradiction = contradictions(parsed.data)[0];
  if (contradiction !== undefined) throw mismatch(`contradicts itself: ${contradiction.message}`);
  return parsed.data;
}
