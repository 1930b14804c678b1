import { describe, expect, it } from 'vitest';
import type { CoordinatorMessage, PreKey } from '../../shared/messages.js';
import { signStatement } from '../../shared/secagg/keys.js';
import { offerContext } from '../../shared/secagg/pre-keys.site.js';
import { preKeyStatement } from '../../shared/secagg/statements.js';
import type { DividedSites } from '../../shared/secagg/survivors.js';
import { Secret } from '../../shared/secret.js';
import { EMPTY_GUARD, guardDecision, guardRequest } from '../../site-agent/guard.js';
import { isInOrder, type JoinedRounds } from '../../site-agent/round-order.js';
import { preKeyOf } from '../secagg/kit.js';
import { siteNames } from '../sim/federation.js';
import { makeTerms, type SimRound } from '../sim/world.js';
import { HonestSite, offered, roundsOf, signedBy } from './adversary.js';

/** The coordinator as the attacker, against the real reducer of one or two sites. Every refusal has its code and a report. */
const terms = makeTerms(siteNames(4), { onMissingSite: 'continue' });
const { studyHash } = terms.roster;
const [alder, birch, cedar, dogwood] = siteNames(4) as [string, string, string, string];
const ALL: DividedSites = { survivors: [alder, birch, cedar, dogwood], dropped: [] };
const THREE: DividedSites = { survivors: [alder, birch, cedar], dropped: [dogwood] };

/** alder with its masked input in, in an attempt whose other sites the test plays. */
function uploaded(over = terms) {
  const site = HonestSite.of(over, alder);
  const attempt = offered(over, [site]);
  site.hear(attempt.offerTo(alder));
  site.upload(attempt.round);
  const { context, preKeyDigest } = site.state.attempt!;
  return { site, attempt, context, preKeyDigest };
}

const propose = (of: { context: string; preKeyDigest: string }, set: DividedSites): CoordinatorMessage => ({
  ...{ type: 'survivorsProposal', studyHash, context: of.context, preKeyDigest: of.preKeyDigest },
  ...set,
});

const unmask = (
  of: { context: string; preKeyDigest: string },
  set: DividedSites,
  signers: readonly string[],
): CoordinatorMessage => ({
  ...{ type: 'unmaskRequest', studyHash, context: of.context, preKeyDigest: of.preKeyDigest },
  ...set,
  signatures: signedBy(signers, terms, of, set),
});

describe('substitutes keys', () => {
  const own = new Secret(new Uint8Array(32).fill(9));
  const changed = (preKey: PreKey, changes: Partial<PreKey>, key?: Secret): PreKey => {
    const next = { ...preKey, ...changes };
    return key === undefined ? next : { ...next, signature: signStatement(key, preKeyStatement(next)) };
  };
  const withBirch = (change: (preKey: PreKey) => PreKey) => {
    const site = HonestSite.of(terms, alder);
    const { offerTo } = offered(terms, [site]);
    const offer = offerTo(alder);
    site.hear({ ...offer, preKeys: offer.preKeys.map((entry) => (entry.site === birch ? change(entry) : entry)) });
    expect(site.state.attempt).toBeNull();
    expect(site.reports).toEqual(site.refusals());
    return site.refusals();
  };
  const mine = preKeyOf(terms, cedar, 1, 'of the coordinator').preKey;

  it.each([
    ['a mask key of its own', (key: PreKey) => changed(key, { maskPublicKey: mine.maskPublicKey })],
    ['the same, signed with its own key', (key: PreKey) => changed(key, { maskPublicKey: mine.maskPublicKey }, own)],
    ['another incarnation', (key: PreKey) => changed(key, { incarnation: 'second' })],
    ['a hash of a seed that it knows', (key: PreKey) => changed(key, { selfSeedHash: new Uint8Array(32) })],
    ['commitments of its own', (key: PreKey) => changed(key, { shares: mine.shares })],
  ])('of a peer: %s', (_, change) => {
    expect(withBirch(change)).toEqual(['SECAGG_SIGNATURE_INVALID']);
  });

  it('of a peer: boxes that the peer did not seal, or keys of another slot or study', () => {
    expect(withBirch((key) => changed(key, { boxes: mine.boxes.filter(({ holder }) => holder === alder) }))).toEqual([
      'SECAGG_PRE_KEY_INVALID',
    ]);
    expect(withBirch(() => preKeyOf(terms, birch, 2).preKey)).toEqual(['SECAGG_PRE_KEY_INVALID']);
    const elsewhere = preKeyOf(makeTerms(siteNames(4), {}, 99), birch, 1).preKey;
    expect(withBirch(() => elsewhere)).toEqual(['SECAGG_PRE_KEY_INVALID']);
  });

  it('of the site itself: it knows its own pre-key byte for byte', () => {
    const site = HonestSite.of(terms, alder);
    const { offerTo } = offered(terms, [site]);
    const offer = offerTo(alder);
    const other = preKeyOf(terms, alder, 1, 'made by whoever stole the signing key').preKey;
    site.hear({ ...offer, preKeys: [other, ...offer.preKeys.slice(1)] });
    expect(site.refusals()).toEqual(['SECAGG_PRE_KEY_INVALID']);
  });
});

describe('adds sites, or leaves one out', () => {
  const more = makeTerms([...siteNames(4), 'zelkova'], { onMissingSite: 'continue' });

  it('a site of its own in an attempt, or a later roster that has one', () => {
    const site = HonestSite.of(terms, alder);
    const { offerTo } = offered(terms, [site]);
    const offer = offerTo(alder);
    const ghost = preKeyOf({ ...more, roster: { ...more.roster, studyHash } }, 'zelkova', 1).preKey;
    site.hear({ ...offer, sites: [...offer.sites, 'zelkova'], preKeys: [...offer.preKeys, ghost] });
    expect(site.refusals()).toEqual(['SECAGG_SET_INVALID']);
    site.hear({ ...offer, rosterVersion: 2 });
    expect(site.refusals()).toEqual(['SECAGG_SET_INVALID']);
    site.hear({ ...offer, sites: [alder, alder, birch, cedar] });
    expect(site.refusals()).toEqual(['SECAGG_SET_INVALID']);
    expect(site.state.attempt).toBeNull();
  });

  it('re-asks with one site missing: refused where the study waits, and by the guard where it does not', () => {
    const waiting = makeTerms(siteNames(4), { onMissingSite: 'wait' });
    const site = HonestSite.of(waiting, alder);
    const { offerTo } = offered(waiting, [site]);
    const offer = offerTo(alder);
    site.hear({ ...offer, sites: offer.sites.slice(0, 3), preKeys: offer.preKeys.slice(0, 3) });
    expect(site.refusals()).toEqual(['SECAGG_SET_INVALID']);

    const asked: string[][] = [];
    const careful = HonestSite.of(terms, alder, ({ survivors }) => {
      asked.push([...survivors]);
      return survivors.length < 4 ? 'POLICY_GUARD_ISOLATES' : 'ok';
    });
    const again = offered(terms, [careful]).offerTo(alder);
    careful.hear({ ...again, sites: again.sites.slice(0, 3), preKeys: again.preKeys.slice(0, 3) });
    expect(careful.refusals()).toEqual(['POLICY_GUARD_ISOLATES']);
    expect(asked).toEqual([[alder, birch, cedar]]);
  });

  it('another broadcast does not make it another question: the guard counts sets, whatever was broadcast', () => {
    const leaf = (name: string) => ({
      ...{ name, kind: 'moments.sums', shape: [1], bound: 1, ring: 128, fractionBits: 80 },
      contributors: ALL.survivors.map((site) => ({ site, cells: [0] })),
      ...{ visibility: 'total', momentColumns: 0, fold: 'all', meaning: 'x' },
    });
    const rules = { minSites: 3, showAggregate: [], minimumCohort: 1, own: null };
    const request = (name: string, sites: readonly string[]) => guardRequest([leaf(name) as never], sites, 's', 1);
    const first = guardDecision(EMPTY_GUARD, request('exponent 4', ALL.survivors), rules);
    expect(first.ok).toBe(true);
    const near = guardDecision(first.ok ? first.state : EMPTY_GUARD, request('exponent 5', THREE.survivors), rules);
    expect(near).toMatchObject({ ok: false, code: 'POLICY_GUARD_ISOLATES' });
  });
});

describe('shows two survivor sets', () => {
  it('to one site: the second is refused, whoever has signed it', () => {
    const { site, ...of } = uploaded();
    expect(site.hear(propose(of, THREE)).map(({ type }) => type)).toEqual(['survivorsSigned']);
    site.hear(propose(of, ALL));
    expect(site.refusals()).toEqual(['SECAGG_SET_CHANGED']);
    site.hear(unmask(of, ALL, ALL.survivors));
    expect(site.refusals()).toEqual(['SECAGG_SET_CHANGED']);
    expect(site.released).toBe(false);
  });

  it('to two sites: neither finds t signatures on its own set', () => {
    const [one, two] = [HonestSite.of(terms, alder), HonestSite.of(terms, birch)];
    const attempt = offered(terms, [one, two]);
    for (const site of [one, two]) {
      site.hear(attempt.offerTo(site.config.site));
      site.upload(attempt.round);
    }
    const { context, preKeyDigest } = one.state.attempt!;
    const of = { context, preKeyDigest };
    one.hear(propose(of, ALL));
    two.hear(propose(of, THREE));
    // One liar beside the coordinator (c = 1 of four) signs both.
    one.hear(unmask(of, ALL, [alder, cedar]));
    two.hear(unmask(of, THREE, [birch, cedar]));
    expect([one.refusals(), two.refusals()]).toEqual([['SECAGG_THRESHOLD'], ['SECAGG_THRESHOLD']]);
    // Signatures on the other set do not count for this one.
    const mixed = unmask(of, ALL, [alder, cedar]) as Extract<CoordinatorMessage, { type: 'unmaskRequest' }>;
    one.hear({ ...mixed, signatures: [...mixed.signatures, ...signedBy([birch], terms, of, THREE)] });
    expect(one.refusals()).toEqual(['SECAGG_SIGNATURE_INVALID']);
    expect(one.released || two.released).toBe(false);
  });

  it('a site as survivor and as dropped, twice, not at all, or in another order', () => {
    const { site, ...of } = uploaded();
    for (const set of [
      { survivors: ALL.survivors, dropped: [dogwood] },
      { survivors: [alder, alder, birch, cedar], dropped: [dogwood] },
      { survivors: [alder, birch, cedar], dropped: [] },
      { survivors: [alder, cedar, birch], dropped: [dogwood] },
      { survivors: [...ALL.survivors, 'zelkova'], dropped: [] },
      { survivors: [birch, cedar, dogwood], dropped: [alder] },
    ]) {
      site.hear(propose(of, set));
      expect(site.refusals()).toEqual(['SECAGG_SET_INVALID']);
      site.hear(unmask(of, set, set.survivors));
      expect(site.released).toBe(false);
    }
  });
});

describe('asks below the thresholds', () => {
  it('a set of fewer than max(t, minSites), an attempt of fewer, shares for fewer than t signatures', () => {
    const { site, ...of } = uploaded();
    site.hear(propose(of, { survivors: [alder, birch], dropped: [cedar, dogwood] }));
    expect(site.refusals()).toEqual(['SECAGG_SET_INVALID']);
    site.hear(unmask(of, ALL, [alder, birch]));
    expect(site.refusals()).toEqual(['SECAGG_THRESHOLD']);
    site.hear(unmask(of, ALL, [alder, alder, birch, birch]));
    expect(site.refusals()).toEqual(['SECAGG_THRESHOLD']);
    const fresh = HonestSite.of(terms, alder);
    const offer = offered(terms, [fresh]).offerTo(alder);
    fresh.hear({ ...offer, sites: [alder, birch], preKeys: offer.preKeys.slice(0, 2) });
    expect(fresh.refusals()).toEqual(['SECAGG_SET_INVALID']);
  });
});

describe('replays', () => {
  it('an attempt: its keys have served, whatever the number', () => {
    const { site, attempt, context } = uploaded();
    const offer = attempt.offerTo(alder);
    site.hear({ ...offer, attempt: 2 });
    expect(site.refusals()).toEqual(['SECAGG_PRE_KEY_REUSED']);
    site.hear({ type: 'attemptClosed', studyHash, context, outcome: 'total' });
    site.hear(offer);
    expect(site.refusals()).toEqual(['SECAGG_PRE_KEY_REUSED']);
    const next = offered(terms, [site], 3, roundsOf(terms)[1]!);
    site.hear(next.offerTo(alder));
    expect(site.refusals()).toEqual([]);
    site.hear(offer);
    expect(site.refusals()).toEqual(['SECAGG_ATTEMPT_STALE']);
  });

  it('a round: with fresh keys and the same question it is answered the same, with another one it is refused', () => {
    const { site, attempt, context } = uploaded();
    site.hear({ type: 'attemptClosed', studyHash, context, outcome: 'total' });
    const again = offered(terms, [site], 2, attempt.round).offerTo(alder);
    for (const other of [
      { ...again, broadcastHash: 'bb'.repeat(32) },
      { ...again, declarationHash: 'dd'.repeat(32) },
      { ...again, computation: 'validate' },
    ]) {
      site.hear(other);
      expect(site.refusals()).toEqual(['SECAGG_ROUND_CHANGED']);
    }
    expect(site.state.attempt).toBeNull();
    site.hear(again);
    expect(site.state.attempt?.context).toBe(offerContext(again));
  });

  it('a round that it never ran, behind one that it did', () => {
    const site = HonestSite.of(terms, alder);
    const later = offered(terms, [site], 1, roundsOf(terms)[2]!);
    site.hear(later.offerTo(alder));
    site.upload(later.round);
    const { context } = site.state.attempt!;
    site.hear({ type: 'attemptClosed', studyHash, context, outcome: 'total' });
    site.hear(offered(terms, [site], 2, roundsOf(terms)[0]!).offerTo(alder));
    expect(site.refusals()).toEqual(['SECAGG_ROUND_CHANGED']);
  });

  it('another question under the number of a later round, after an earlier one was asked again', () => {
    const site = HonestSite.of(terms, alder);
    const [first, second] = roundsOf(terms) as [SimRound, SimRound];
    const run = (round: SimRound, slot: number) => {
      site.hear(offered(terms, [site], slot, round).offerTo(alder));
      const { context } = site.state.attempt!;
      site.hear({ type: 'attemptClosed', studyHash, context, outcome: 'total' });
    };
    run(first, 1);
    run(second, 2);
    run(first, 3);
    const again = offered(terms, [site], 4, second).offerTo(alder);
    site.hear({ ...again, broadcastHash: 'bb'.repeat(32) });
    expect(site.refusals()).toEqual(['SECAGG_ROUND_CHANGED']);
    site.hear(again);
    expect(site.state.attempt?.context).toBe(offerContext(again));
  });

  it('a slot so far ahead that none would be left', () => {
    const site = HonestSite.of(terms, alder);
    for (const slot of [Number.MAX_SAFE_INTEGER, 2_000_000]) {
      expect(site.hear({ type: 'preKeyRequest', studyHash, slot }).map(({ type }) => type)).toEqual(['siteRefusal']);
      expect(site.refusals()).toEqual(['SECAGG_PRE_KEY_INVALID']);
    }
    expect(site.preKey(7).slot).toBe(7);
  });

  it('computations out of the order of the study', () => {
    const plan = ['describe', 'combat', 'moments', 'validate'];
    const joined = new Map<string, JoinedRounds>([
      ['describe', { first: 1, last: 4 }],
      ['combat', { first: 5, last: 7 }],
    ]);
    const next = (instance: string, iteration: number, round: number) =>
      isInOrder(plan, joined, { instance, iteration, round });
    expect(next('combat', 3, 7)).toBe(true);
    expect(next('combat', 4, 8)).toBe(true);
    expect(next('moments', 1, 8)).toBe(true);
    // A site that was away may find the study further on.
    expect(next('validate', 2, 12)).toBe(true);
    for (const [instance, iteration, round] of [
      ['describe', 1, 8],
      ['describe', 8, 8],
      ['combat', 1, 8],
      ['combat', 2, 8],
      ['moments', 4, 8],
      ['moments', 0, 8],
      ['moments', 1.5, 8],
      ['exfiltrate', 1, 8],
    ] as const)
      expect(next(instance, iteration, round), `${instance} ${iteration} ${round}`).toBe(false);
  });
});
