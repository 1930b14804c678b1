import { createHash } from 'node:crypto';
import { ConcordatError } from '../../shared/errors.js';
import { packWords, unpackWords, zeroWords } from '../../shared/fixed-point.js';
import type { AttemptOffer, PreKey, ReleasedShare, RoundTerms } from '../../shared/messages.js';
import { rosterSites } from '../../shared/secagg/context.js';
import { accumulate } from '../../shared/secagg/masked-input.coordinator.js';
import { maskedInput } from '../../shared/secagg/masked-input.site.js';
import { preKeysFor } from '../../shared/secagg/pre-keys.coordinator.js';
import { acceptOffer, makePreKey, offerContext } from '../../shared/secagg/pre-keys.site.js';
import type { DividedSites } from '../../shared/secagg/survivors.js';
import { checkShares, rebuildMasks, removeMasks } from '../../shared/secagg/unmask.coordinator.js';
import { wantedShares } from '../../shared/secagg/unmask.js';
import { releaseShares } from '../../shared/secagg/unmask.site.js';
import type { Secret } from '../../shared/secret.js';
import { siteNames } from '../sim/federation.js';
import { makeStudy, makeTerms, type SimRound, simKeys } from '../sim/world.js';

/** One attempt of one round with every site honest, step by step and without reducers. */
export interface Attempt {
  readonly terms: RoundTerms;
  readonly sites: readonly string[];
  readonly round: SimRound;
  readonly slot: number;
  readonly context: string;
  readonly preKeyDigest: string;
  readonly preKeys: readonly PreKey[];
  readonly slotSecrets: ReadonlyMap<string, Secret>;
  readonly held: ReadonlyMap<string, Secret>;
  readonly offers: ReadonlyMap<string, AttemptOffer>;
}

export const fixedRandom = (...label: (string | number)[]): Uint8Array =>
  createHash('sha256').update(JSON.stringify(label)).digest();

export function preKeyOf(terms: RoundTerms, site: string, slot: number, label = 'pre-key') {
  return makePreKey({
    terms,
    site,
    slot,
    incarnation: 'first',
    ...simKeys(site),
    random: fixedRandom(label, site, slot),
  });
}

export function openAttempt(count: number, options: Parameters<typeof makeTerms>[1] = {}, slot = 1, seed = 1): Attempt {
  const terms = makeTerms(siteNames(count), options, seed);
  return openAttemptOf(terms, makeStudy(terms, 2, seed).rounds[1]!, slot);
}

/** Opens one attempt of that round as coordinator and sites do: pre-keys, offers, acceptance. */
export function openAttemptOf(terms: RoundTerms, round: SimRound, slot: number): Attempt {
  const sites = rosterSites(terms);
  const made = new Map(sites.map((site) => [site, preKeyOf(terms, site, slot)]));
  const preKeys = sites.map((site) => made.get(site)!.preKey);
  const offers = new Map(sites.map((site) => [site, offerFor(terms, round, preKeys, slot, site)]));
  const accepted = new Map(
    sites.map((site) => {
      const own = { site, preKey: made.get(site)!.preKey, boxKey: simKeys(site).boxKey };
      return [site, acceptOffer(terms, offers.get(site)!, own)];
    }),
  );
  return {
    terms,
    sites,
    round,
    slot,
    context: offerContext(offers.get(sites[0]!)!),
    preKeyDigest: accepted.get(sites[0]!)!.preKeyDigest,
    preKeys,
    slotSecrets: new Map(sites.map((site) => [site, made.get(site)!.slotSecret])),
    held: new Map(sites.map((site) => [site, accepted.get(site)!.held])),
    offers,
  };
}

export function offerFor(
  terms: RoundTerms,
  round: SimRound,
  preKeys: readonly PreKey[],
  slot: number,
  site: string,
): AttemptOffer {
  return {
    type: 'attemptOffer',
    studyHash: terms.roster.studyHash,
    rosterVersion: terms.roster.rosterVersion,
    computation: round.computation,
    round: round.round,
    attempt: 1,
    slot,
    broadcastHash: round.broadcastHash,
    declarationHash: round.declarationHash,
    sites: preKeys.map((preKey) => preKey.site),
    preKeys: preKeysFor(preKeys, site),
  };
}

/** y_u of one site. */
export function inputOf(attempt: Attempt, site: string): Uint8Array {
  const { context, preKeyDigest, round } = attempt;
  const peers = attempt.preKeys.filter((preKey) => preKey.site !== site);
  const words = unpackWords(round.specs, packWords(round.words.get(site)!));
  return maskedInput({ context, preKeyDigest, site, peers }, round.specs, words, attempt.slotSecrets.get(site)!);
}

export function sharesOf(attempt: Attempt, holder: string, set: DividedSites) {
  const { terms, context, sites } = attempt;
  return releaseShares(
    { studyHash: terms.roster.studyHash, context, site: holder, sites, wanted: wantedShares(set) },
    attempt.held.get(holder)!,
    simKeys(holder).signingKey,
  );
}

export function released(attempt: Attempt, holders: readonly string[], set: DividedSites) {
  const shares = new Map<string, readonly ReleasedShare[]>();
  for (const holder of holders) {
    const message = sharesOf(attempt, holder, set);
    checkShares(attempt.terms, holder, attempt.preKeys, set, message);
    shares.set(holder, message.shares);
  }
  return shares;
}

/** The sum of the survivors' masked inputs, still masked. */
export function maskedSum(attempt: Attempt, survivors: readonly string[]): BigUint64Array[] {
  const sum = zeroWords(attempt.round.specs);
  for (const site of survivors) accumulate(sum, attempt.round.specs, inputOf(attempt, site));
  return sum;
}

export function unmaskedSum(attempt: Attempt, set: DividedSites, holders: readonly string[]): BigUint64Array[] {
  const sum = maskedSum(attempt, set.survivors);
  const removals = rebuildMasks(attempt.terms, attempt.preKeys, set, released(attempt, holders, set));
  removeMasks(sum, attempt.round.specs, attempt, removals);
  return sum;
}

/** Set without these sites. */
export function without(attempt: Attempt, ...dropped: string[]): DividedSites {
  return { survivors: attempt.sites.filter((site) => !dropped.includes(site)), dropped: [...dropped].sort() };
}

/** The code that a call fails with, or `ok`. */
export function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof ConcordatError) return error.code;
    throw error;
  }
  return 'ok';
}
