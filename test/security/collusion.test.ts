import { describe, expect, it } from 'vitest';
import { packWords, unpackWords } from '../../shared/fixed-point.js';
import type { RoundTerms } from '../../shared/messages.js';
import { type SeededRandom, seededRandom } from '../../shared/rng.js';
import { fewestSurvivors, threshold } from '../../shared/secagg/context.js';
import { agree } from '../../shared/secagg/keys.js';
import { maskedInput } from '../../shared/secagg/masked-input.site.js';
import { acceptOffer, heldShare } from '../../shared/secagg/pre-keys.site.js';
import { applyMasks } from '../../shared/secagg/prg.js';
import { combineShares } from '../../shared/secagg/shamir.js';
import type { DividedSites } from '../../shared/secagg/survivors.js';
import { Secret } from '../../shared/secret.js';
import { openAttempt, preKeyOf, unmaskedSum, without } from '../secagg/kit.js';
import { siteNames } from '../sim/federation.js';
import { entriesOf, makeTerms, plainSum, type SimRound, simKeys } from '../sim/world.js';
import { HonestSite, offered, signedBy } from './adversary.js';
import { bytesOf, Coalition, maskName, OpenAttempt, sentBytes, type Vector } from './coalition.js';
import { type Point, valueAt } from './gf256.js';

/**
 * Sites that pool all they have with the coordinator. Up to the documented c, what they see says nothing of the honest
 * inputs but their sum: for any other honest inputs with that sum these tests build other masks under which the coalition
 * sees the same bytes.
 *
 * What is shown by construction holds whatever anybody computes (information theory): masks that the coalition cannot
 * compute are one-time pads over the ring, and fewer than t shares fit every secret equally well. What it rests on: the
 * masks are as good as random strings (HKDF-SHA256 and AES-256-CTR are pseudorandom, X25519 secrets are unpredictable), the
 * boxes hide what they hold (XSalsa20-Poly1305), and salted SHA-256 commitments hide the other shares.
 */
interface Case {
  readonly n: number;
  readonly coordinator: RoundTerms['coordinator'];
  readonly minSites: number;
  readonly c: number;
}

/** docs/security.md, "Thresholds". */
const MALICIOUS: readonly Case[] = (
  [
    [3, 3, 1],
    [4, 3, 1],
    [5, 3, 1],
    [5, 4, 2],
    [6, 3, 1],
    [6, 5, 3],
    [10, 3, 1],
    [10, 5, 3],
  ] as const
).map(([n, minSites, c]) => ({ n, coordinator: 'malicious', minSites, c }));
const CURIOUS: readonly Case[] = (
  [
    [3, 3, 1],
    [4, 3, 1],
    [5, 4, 2],
    [6, 5, 3],
    [10, 7, 5],
  ] as const
).map(([n, minSites, c]) => ({ n, coordinator: 'curious', minSites, c }));

const CASES = [...MALICIOUS, ...CURIOUS].flatMap((entry) => {
  const terms = makeTerms(siteNames(entry.n), { ...entry, onMissingSite: 'continue' });
  const drops = entry.n > fewestSurvivors(terms) ? [false, true] : [false];
  return drops.map((dropped) => ({ ...entry, dropped }));
});

function randomVector(like: Vector, rings: readonly number[], random: SeededRandom): Vector {
  const word = () => BigInt(random.integer(2 ** 31)) * 2n ** 33n + BigInt(random.integer(2 ** 31));
  return like.map((tensor, t) => tensor.map(() => BigInt.asUintN(rings[t]!, (word() << 64n) | word())));
}

/** Other inputs of the honest sites, the same sum over the survivors, and the masks that make them look the same. */
function otherWorld(real: OpenAttempt, coalition: Coalition, random: SeededRandom): OpenAttempt {
  const { attempt } = real;
  const { survivors, dropped } = coalition.set;
  const rings = attempt.round.specs.map(({ ring }) => ring);
  const honest = survivors.filter((site) => !coalition.members.includes(site));
  const inputs = new Map(real.inputs);
  const replaced = new Map<string, Vector>();
  const zero = real.plus(real.inputs.get(honest[0]!)!, real.inputs.get(honest[0]!)!, -1n);
  // Along the chain of honest survivors each mask takes up what the inputs before it have changed.
  let moved = zero;
  for (const [at, site] of honest.entries()) {
    const before = real.inputs.get(site)!;
    const last = at === honest.length - 1;
    const after = last ? real.plus(before, moved, -1n) : randomVector(before, rings, random);
    inputs.set(site, after);
    moved = real.plus(moved, real.plus(after, before, -1n), 1n);
    if (!last) replaced.set(maskName(site, honest[at + 1]!), real.plus(real.mask(site, honest[at + 1]!), moved, -1n));
  }
  for (const site of dropped) {
    const after = randomVector(real.inputs.get(site)!, rings, random);
    const change = real.plus(after, real.inputs.get(site)!, -1n);
    inputs.set(site, after);
    replaced.set(maskName(site, site), real.plus(real.mask(site, site), change, -1n));
  }
  return new OpenAttempt(attempt, inputs, replaced, real.generated);
}

describe('up to c sites with the coordinator', () => {
  it.each(CASES)(
    'n = $n, $coordinator, minSites $minSites, c = $c, dropped: $dropped',
    ({ n, coordinator, minSites, c, dropped }) => {
      const attempt = openAttempt(n, { coordinator, minSites, onMissingSite: 'continue' });
      const t = threshold(attempt.terms);
      expect(c).toBe(Math.min(coordinator === 'malicious' ? 2 * t - n - 1 : t - 1, minSites - 2));
      const real = OpenAttempt.of(attempt);
      for (const site of attempt.sites)
        expect(Buffer.from(bytesOf(attempt, real.maskedInput(site))).equals(sentBytes(attempt, site))).toBe(true);

      const random = seededRandom('coalition', n, coordinator, minSites);
      const names = [...attempt.sites];
      random.shuffle(names as never);
      const members = names.slice(0, c).sort();
      const set = dropped ? without(attempt, names[c]!) : without(attempt);
      const coalition = new Coalition(members, attempt, set);
      const seen = coalition.view(real);
      for (let trial = 0; trial < 3; trial++) {
        const other = otherWorld(real, coalition, random);
        // Other inputs of every honest site, the same sum, and no mask changed that the coalition could check.
        for (const site of names.slice(c)) expect(other.inputs.get(site)).not.toEqual(real.inputs.get(site));
        expect(other.total(set.survivors)).toEqual(real.total(set.survivors));
        for (const name of other.replaced.keys()) {
          const [a, b] = name.split(' ') as [string, string];
          expect(coalition.computes(a, b), name).toBe(false);
        }
        expect(coalition.view(other) === seen).toBe(true);
      }
      // The same inputs without other masks would be seen at once: the comparison is not blind.
      const unmasked = new OpenAttempt(attempt, otherWorld(real, coalition, random).inputs, new Map(), real.generated);
      expect(coalition.view(unmasked) === seen).toBe(false);
    },
  );

  it.each([...MALICIOUS, ...CURIOUS])(
    'n = $n, $coordinator, c = $c: the shares that they hold fit every secret equally well',
    ({ n, coordinator, minSites, c }) => {
      const attempt = openAttempt(n, { coordinator, minSites });
      const t = threshold(attempt.terms);
      const random = seededRandom('shares', n, coordinator);
      const bytes = () => Uint8Array.from({ length: 32 }, () => random.integer(256));
      const dealer = attempt.sites.at(-1)!;
      const members = attempt.sites.slice(0, c);
      const x = (site: string) => attempt.sites.indexOf(site) + 1;
      const share = (holder: string) =>
        heldShare(attempt.held.get(holder)!, attempt.sites.indexOf(dealer), 'mask').share;
      for (let trial = 0; trial < 3; trial++) {
        const secret = bytes();
        const points: Point[] = [{ x: 0, y: secret }, ...members.map((site) => ({ x: x(site), y: share(site) }))];
        for (const site of attempt.sites.slice(c)) if (points.length < t) points.push({ x: x(site), y: bytes() });
        expect(points).toHaveLength(t);
        const shares = attempt.sites.map((site) => ({ x: x(site), share: valueAt(points, x(site)) }));
        // A sharing of the other secret, by the product's own reconstruction, in which the coalition holds what it holds.
        expect(combineShares(shares.slice(-t))).toEqual(secret);
        for (const site of members) expect(shares[x(site) - 1]!.share).toEqual(share(site));
      }
    },
  );
});

/** The coalition's liars sign whatever is wanted; honest sites follow the protocol. */
function twoSets(n: number, liarCount: number, firstGroup: number) {
  const terms = makeTerms(siteNames(n), { onMissingSite: 'continue' });
  const names = siteNames(n);
  const liars = names.slice(n - liarCount);
  const honest = names.slice(0, n - liarCount).map((site) => HonestSite.of(terms, site));
  const attempt = offered(terms, honest);
  for (const site of honest) {
    site.hear(attempt.offerTo(site.config.site));
    site.upload(attempt.round);
  }
  const { context, preKeyDigest } = honest[0]!.state.attempt!;
  const { studyHash } = terms.roster;
  const victim = names[0]!;
  const sets: DividedSites[] = [
    { survivors: names, dropped: [] },
    { survivors: names.slice(1), dropped: [victim] },
  ];
  const groups = [honest.slice(0, firstGroup), honest.slice(firstGroup)];
  const releasing = groups.map((group, index) => {
    const set = sets[index]!;
    const signers = [...group.map((site) => site.config.site), ...liars].sort();
    const of = { context, preKeyDigest };
    const message = { studyHash, context, preKeyDigest, ...set };
    for (const site of group) site.hear({ type: 'survivorsProposal', ...message });
    const signatures = signedBy(signers, terms, of, set);
    return group.filter((site) => {
      site.hear({ type: 'unmaskRequest', ...message, signatures });
      return site.released;
    });
  });
  return { terms, liars, honest, attempt, groups, releasing, context, preKeyDigest, victim };
}

describe('beyond c', () => {
  const BEYOND = [
    [4, 2, 1],
    [5, 3, 1],
    [6, 4, 1],
    [10, 4, 3],
  ] as const;

  it.each(BEYOND)('n = %i: 2t - n = %i liars get two sets signed and read one site', (n, liarCount, firstGroup) => {
    const world = twoSets(n, liarCount, firstGroup);
    const { terms, liars, attempt, releasing, victim, context, preKeyDigest } = world;
    expect(liarCount).toBe(2 * threshold(terms) - n);
    const names = attempt.sites;
    const index = names.indexOf(victim);
    const share = (holder: string, held: Secret, kind: 'self' | 'mask') => ({
      x: names.indexOf(holder) + 1,
      share: heldShare(held, index, kind).share,
    });
    const liarsHeld = liars.map((site) => {
      const own = { site, preKey: preKeyOf(terms, site, 1).preKey, boxKey: simKeys(site).boxKey };
      return [site, acceptOffer(terms, attempt.offerTo(site), own).held] as const;
    });
    const gathered = (group: number, kind: 'self' | 'mask') =>
      combineShares(
        [
          ...releasing[group]!.map((site) => share(site.config.site, site.secrets.get('shares-1')!, kind)),
          ...liarsHeld.map(([site, held]) => share(site, held, kind)),
        ].slice(0, threshold(terms)),
      );
    const seed = new Secret(gathered(0, 'self'));
    const maskKey = new Secret(gathered(1, 'mask'));

    // The victim's masked input as it left, with every mask taken off.
    const { specs, words } = attempt.round;
    const peers = attempt.preKeys.filter(({ site }) => site !== victim);
    const input = unpackWords(specs, packWords(words.get(victim)!));
    const keys = world.honest[0]!.secrets.get('keys-1')!;
    const sent = unpackWords(specs, maskedInput({ context, preKeyDigest, site: victim, peers }, specs, input, keys));
    expect(sent).not.toEqual(words.get(victim));
    applyMasks(sent, specs, [
      { secret: seed, scope: { kind: 'self', context, preKeyDigest, lower: victim, upper: victim }, sign: -1 },
    ]);
    for (const { site, maskPublicKey } of peers) {
      const scope = { kind: 'pair', context, preKeyDigest, lower: victim, upper: site } as const;
      applyMasks(sent, specs, [{ secret: agree(maskKey, maskPublicKey)!, scope, sign: -1 }]);
    }
    expect(sent).toEqual(words.get(victim));
  });

  it.each(BEYOND)('n = %i: with one liar fewer than %i no second set finds t signatures', (n, liarCount) => {
    // The victim itself signs no set without it.
    for (let firstGroup = 1; firstGroup <= n - liarCount; firstGroup++) {
      const { groups, releasing } = twoSets(n, liarCount - 1, firstGroup);
      expect(releasing.filter((group) => group.length > 0).length).toBeLessThan(2);
      const refused = groups.flatMap((group, at) => (releasing[at]!.length === 0 ? group : []));
      for (const site of refused) expect(site.refusals()).toEqual(['SECAGG_THRESHOLD']);
      expect(refused.length).toBeGreaterThan(0);
    }
  });

  it('minSites - 1 colluders in a sum that minSites sites fill take themselves out and read the last', () => {
    const attempt = openAttempt(5);
    // A fold that holds two sites out: they send zeros.
    const [victim, ...others] = attempt.sites as [string, ...string[]];
    const zeros = (site: string) => attempt.round.words.get(site)!.map((block) => new BigUint64Array(block.length));
    const words = new Map(attempt.round.words);
    for (const site of others.slice(2)) words.set(site, zeros(site));
    const round: SimRound = { ...attempt.round, words };
    const total = entriesOf(round, unmaskedSum({ ...attempt, round }, without(attempt), attempt.sites));
    const colluders = others.slice(0, attempt.terms.minSites - 1);
    const open = OpenAttempt.of({ ...attempt, round });
    const left = colluders.reduce<Vector>((rest, site) => open.plus(rest, open.inputs.get(site)!, -1n), total);
    expect(left).toEqual(plainSum(round, [victim]));
    // One of them alone is left with a sum of two.
    expect(open.plus(total, open.inputs.get(colluders[0]!)!, -1n)).not.toEqual(plainSum(round, [victim]));
  });
});
