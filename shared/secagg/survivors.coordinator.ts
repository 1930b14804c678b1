import { ed25519Verify } from '../ed25519.js';
import { ConcordatError } from '../errors.js';
import type { RoundTerms, SurvivorsSigned } from '../messages.js';
import { survivorsStatement } from './statements.js';
import { type DividedSites, sameSet } from './survivors.js';

/** The signature is the site's, on the set that was proposed. Throws SECAGG_SET_CHANGED or SECAGG_SIGNATURE_INVALID. */
export function checkSignedSet(
  terms: RoundTerms,
  site: string,
  preKeyDigest: string,
  proposed: DividedSites,
  message: SurvivorsSigned,
): void {
  if (!sameSet(proposed, message))
    throw new ConcordatError('SECAGG_SET_CHANGED', `site ${site} signed another set than was proposed`);
  const key = terms.roster.sites.find((entry) => entry.site === site)?.signingPublicKey;
  const bytes = survivorsStatement(message.context, preKeyDigest, message.survivors, message.dropped);
  if (key === undefined || !ed25519Verify(key, bytes, message.signature))
    throw new ConcordatError('SECAGG_SIGNATURE_INVALID', `the set of survivors is not signed by ${site}`);
}

/** Everybody whose masked input is durable survives; the others are dropped. */
export function divideSites(sites: readonly string[], received: ReadonlySet<string>): DividedSites {
  return {
    survivors: sites.filter((site) => received.has(site)),
    dropped: sites.filter((site) => !received.has(site)),
  };
}
