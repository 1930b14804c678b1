import { ed25519Sign, ed25519Verify } from '../ed25519.js';
import { ConcordatError } from '../errors.js';
import type { RoundTerms, SurvivorsSigned, UnmaskRequest } from '../messages.js';
import type { Secret } from '../secret.js';
import { threshold } from './context.js';
import { survivorsStatement } from './statements.js';
import type { DividedSites } from './survivors.js';

/** The signed answer to a proposal; the set has been checked and is durable. */
export function signSurvivors(
  studyHash: string,
  context: string,
  preKeyDigest: string,
  set: DividedSites,
  signingKey: Secret,
): SurvivorsSigned {
  const { survivors, dropped } = set;
  const signature = ed25519Sign(signingKey, survivorsStatement(context, preKeyDigest, survivors, dropped));
  return { type: 'survivorsSigned', studyHash, context, survivors, dropped, signature };
}

/**
 * At least t different survivors have signed this very set, so no other set of this attempt can reach t.
 * Throws SECAGG_SIGNATURE_INVALID or SECAGG_THRESHOLD.
 */
export function checkAgreement(terms: RoundTerms, preKeyDigest: string, request: UnmaskRequest): void {
  const bytes = survivorsStatement(request.context, preKeyDigest, request.survivors, request.dropped);
  const signers = new Set<string>();
  for (const { site, signature } of request.signatures) {
    const key = terms.roster.sites.find((entry) => entry.site === site)?.signingPublicKey;
    if (key === undefined || !request.survivors.includes(site) || !ed25519Verify(key, bytes, signature))
      throw new ConcordatError(
        'SECAGG_SIGNATURE_INVALID',
        `the set of survivors carries a signature that is not ${site}'s`,
      );
    signers.add(site);
  }
  const needed = threshold(terms);
  if (signers.size < needed)
    throw new ConcordatError(
      'SECAGG_THRESHOLD',
      `${signers.size} sites signed the set of survivors, ${needed} are needed`,
    );
}
