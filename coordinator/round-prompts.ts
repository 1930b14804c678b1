import type { CoordinatorMessage, RoundTerms } from '../shared/messages.js';
import { rosterSites } from '../shared/secagg/context.js';
import { preKeysFor } from '../shared/secagg/pre-keys.coordinator.js';
import type { RoundState } from './round-state.js';
import type { RoundOpening } from './round-types.js';

/** What sites owe in the open exchange, and the message that asks for it. */

/** The parts of a round that every attempt's context has. */
export function identityOf(terms: RoundTerms, opening: RoundOpening) {
  const { studyHash, rosterVersion } = terms.roster;
  const { computation, round, broadcastHash, declarationHash } = opening;
  return { studyHash, rosterVersion, computation, round, broadcastHash, declarationHash };
}

/** Sites that have not answered what the open exchange asks, in roster order. */
export function owingSites(terms: RoundTerms, state: RoundState): string[] {
  const { phase, attempt, preKeys, present } = state;
  const secure = terms.mode === 'secure';
  if (phase === 'preKeys')
    return rosterSites(terms).filter((site) => !present.has(site) || (secure && !preKeys.has(site)));
  if (attempt === null) return [];
  const answered =
    phase === 'maskedInput' ? attempt.inputs : phase === 'agreement' ? attempt.signatures : attempt.shares;
  const asked = phase === 'maskedInput' ? attempt.sites : secure ? attempt.set!.survivors : [];
  return asked.filter((site) => !answered.has(site) && !attempt.out.has(site));
}

/** What to send (again) to this site; null where it owes nothing. */
export function promptFor(terms: RoundTerms, state: RoundState, site: string): CoordinatorMessage | null {
  const { phase, attempt, opening, slot, preKeys } = state;
  const { studyHash } = terms.roster;
  if (phase === 'preKeys')
    return terms.mode === 'secure' && !preKeys.has(site) ? { type: 'preKeyRequest', studyHash, slot } : null;
  if (attempt === null || opening === null || !owingSites(terms, state).includes(site)) return null;
  if (phase === 'maskedInput')
    return {
      type: 'attemptOffer',
      ...identityOf(terms, opening),
      attempt: attempt.attempt,
      slot: attempt.slot,
      sites: attempt.sites,
      preKeys: preKeysFor(attempt.preKeys, site),
    };
  const { context, preKeyDigest } = attempt;
  const set = { studyHash, context, preKeyDigest, ...attempt.set! };
  if (phase === 'agreement') return { type: 'survivorsProposal', ...set };
  if (phase !== 'unmask') return null;
  const signatures = [...attempt.signatures].map(([signer, signature]) => ({ site: signer, signature }));
  return { type: 'unmaskRequest', ...set, signatures };
}
