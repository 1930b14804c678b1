import { describe, expect, it } from 'vitest';
import { subtractInto, unpackWords } from '../../shared/fixed-point.js';
import { checkTerms, threshold } from '../../shared/secagg/context.js';
import { agree, agreementPublicKey } from '../../shared/secagg/keys.js';
import { slotMaskKey } from '../../shared/secagg/pre-keys.site.js';
import { applyMasks } from '../../shared/secagg/prg.js';
import { checkDivision } from '../../shared/secagg/survivors.js';
import { checkAgreement, signSurvivors } from '../../shared/secagg/survivors.site.js';
import { rebuildMasks } from '../../shared/secagg/unmask.coordinator.js';
import { wantedShares } from '../../shared/secagg/unmask.js';
import {
  type Attempt,
  codeOf,
  inputOf,
  maskedSum,
  openAttempt,
  preKeyOf,
  released,
  unmaskedSum,
  without,
} from '../secagg/kit.js';
import { siteNames } from '../sim/federation.js';
import { entriesOf, makeTerms, plainSum, simKeys } from '../sim/world.js';

/**
 * K. Bonawitz, V. Ivanov, B. Kreuter, A. Marcedone, H. B. McMahan, S. Patel, D. Ramage, A. Segal, K. Seth: Practical Secure
 * Aggregation for Privacy-Preserving Machine Learning. CCS 2017. One test per claim; the comment names the section and
 * every place where Concordat differs on purpose.
 */
const selfScope = (attempt: Attempt, site: string) =>
  ({ kind: 'self', context: attempt.context, preKeyDigest: attempt.preKeyDigest, lower: site, upper: site }) as const;

function pairSecret(attempt: Attempt, a: string, b: string) {
  const key = attempt.preKeys.find((preKey) => preKey.site === b)!.maskPublicKey;
  return agree(slotMaskKey(attempt.slotSecrets.get(a)!), key)!;
}

const CONTINUE = { onMissingSite: 'continue' } as const;

describe('Bonawitz et al., CCS 2017', () => {
  // Section 4, masking with one-time pads: y_u = x_u + sum_{u<v} s_uv - sum_{u>v} s_vu.
  it('pairwise masks cancel in the sum: what is left are the inputs and the self masks', () => {
    const attempt = openAttempt(4);
    const sum = maskedSum(attempt, attempt.sites);
    for (const site of attempt.sites) {
      const seed = rebuildMasks(
        attempt.terms,
        attempt.preKeys,
        without(attempt),
        released(attempt, attempt.sites, without(attempt)),
      ).find((removal) => removal.kind === 'self' && removal.site === site)!;
      if (seed.kind === 'self')
        applyMasks(sum, attempt.round.specs, [{ secret: seed.seed, scope: selfScope(attempt, site), sign: -1 }]);
    }
    expect(entriesOf(attempt.round, sum)).toEqual(plainSum(attempt.round, attempt.sites));
  });

  // Section 4: the pair secret is agreed by Diffie-Hellman, so each pair has it and nobody else needs it.
  it('both sites of a pair derive the same secret, a third one does not', () => {
    const attempt = openAttempt(3);
    const [a, b, c] = attempt.sites as [string, string, string];
    expect(pairSecret(attempt, a, b).equals(pairSecret(attempt, b, a))).toBe(true);
    expect(pairSecret(attempt, a, c).equals(pairSecret(attempt, a, b))).toBe(false);
  });

  // Section 4, handling dropped users: the survivors' shares of a dropped user's key rebuild its pairwise masks.
  it('a site that drops out before its masked input is taken out with its mask key, rebuilt from t shares', () => {
    const attempt = openAttempt(5, CONTINUE);
    const set = without(attempt, 'cedar');
    const sum = unmaskedSum(attempt, set, set.survivors);
    expect(entriesOf(attempt.round, sum)).toEqual(plainSum(attempt.round, set.survivors));
  });

  // Section 4, handling dropped users: any t of the shares will do.
  it('the total does not depend on which t holders answer', () => {
    const attempt = openAttempt(5, CONTINUE);
    const set = without(attempt, 'dogwood');
    const all = unmaskedSum(attempt, set, set.survivors);
    expect(threshold(attempt.terms)).toBe(4);
    expect(set.survivors).toHaveLength(4);
    const full = without(attempt);
    for (const left of attempt.sites) {
      const holders = attempt.sites.filter((site) => site !== left);
      expect(unmaskedSum(attempt, full, holders)).toEqual(unmaskedSum(attempt, full, attempt.sites));
    }
    expect(all).not.toEqual(unmaskedSum(attempt, full, attempt.sites));
  });

  // Section 4, double-masking: if the key of a site that was only slow becomes known, its input must stay hidden.
  it('who learns all pairwise masks of a site still does not see its input, for the self mask covers it', () => {
    const attempt = openAttempt(4);
    const late = 'birch';
    const words = unpackWords(attempt.round.specs, inputOf(attempt, late));
    for (const peer of attempt.sites) {
      if (peer === late) continue;
      const upper = late < peer;
      const { context, preKeyDigest } = attempt;
      const [first, second] = upper ? [late, peer] : [peer, late];
      const scope = { kind: 'pair', context, preKeyDigest, lower: first, upper: second } as const;
      applyMasks(words, attempt.round.specs, [
        { secret: pairSecret(attempt, late, peer), scope, sign: upper ? -1 : 1 },
      ]);
    }
    const input = attempt.round.words.get(late)!;
    words.forEach((block, index) => {
      expect(block.some((word, at) => word === input[index]![at])).toBe(false);
    });
    // With the self mask as well the input lies open: that is why nobody may give both kinds of share of one site.
    const seed = released(attempt, attempt.sites, without(attempt));
    const removal = rebuildMasks(attempt.terms, attempt.preKeys, without(attempt), seed).find(
      (candidate) => candidate.kind === 'self' && candidate.site === late,
    )!;
    if (removal.kind === 'self')
      applyMasks(words, attempt.round.specs, [{ secret: removal.seed, scope: selfScope(attempt, late), sign: -1 }]);
    expect(words).toEqual(input);
  });

  // Section 4, double-masking: no honest site reveals both kinds of share of the same site.
  it('a set calls for exactly one kind of share of each site', () => {
    const attempt = openAttempt(5, CONTINUE);
    const wanted = wantedShares(without(attempt, 'elm'));
    expect(wanted.map((share) => share.dealer).sort()).toEqual([...attempt.sites]);
    expect(wanted.filter((share) => share.kind === 'mask').map((share) => share.dealer)).toEqual(['elm']);
  });

  // Figure 4, round 3 (consistency check), and section 6: U4 must have at least t sites. Concordat signs the dropped sites
  // too, and refuses a set whose two lists overlap.
  it('a set is refused below the threshold, with a site in both lists, or with a site left out', () => {
    const attempt = openAttempt(5, CONTINUE);
    const check = (survivors: string[], dropped: string[]) =>
      codeOf(() => checkDivision(attempt.terms, attempt.sites, { survivors, dropped }));
    const [alder, birch, cedar, dogwood, elm] = attempt.sites as [string, string, string, string, string];
    expect(check([alder, birch, cedar, dogwood], [elm])).toBe('ok');
    expect(check([alder, birch, cedar], [dogwood, elm])).toBe('SECAGG_SET_INVALID');
    expect(check([alder, birch, cedar, dogwood, elm], [elm])).toBe('SECAGG_SET_INVALID');
    expect(check([alder, birch, cedar, dogwood], [])).toBe('SECAGG_SET_INVALID');
    expect(check([birch, alder, cedar, dogwood], [elm])).toBe('SECAGG_SET_INVALID');
    expect(check([alder, alder, birch, cedar, dogwood], [elm])).toBe('SECAGG_SET_INVALID');
  });

  // Figure 4, round 3: a user goes on only with at least t valid signatures on the very list it knows.
  it('shares are released only after t different sites have signed the same set', () => {
    const attempt = openAttempt(5);
    const set = without(attempt);
    const { studyHash } = attempt.terms.roster;
    const sign = (site: string, over = set) => ({
      site,
      signature: signSurvivors(studyHash, attempt.context, attempt.preKeyDigest, over, simKeys(site).signingKey)
        .signature,
    });
    const check = (signatures: { site: string; signature: Uint8Array }[]) =>
      codeOf(() =>
        checkAgreement(attempt.terms, attempt.preKeyDigest, {
          type: 'unmaskRequest',
          studyHash,
          context: attempt.context,
          preKeyDigest: attempt.preKeyDigest,
          ...set,
          signatures,
        }),
      );
    const [alder, birch, cedar, dogwood] = attempt.sites as [string, string, string, string];
    const four = [alder, birch, cedar, dogwood].map((site) => sign(site));
    expect(check(four)).toBe('ok');
    expect(check(four.slice(1))).toBe('SECAGG_THRESHOLD');
    expect(check([...four.slice(1), four[1]!])).toBe('SECAGG_THRESHOLD');
    expect(check([...four.slice(1), sign(alder, without(attempt, 'elm'))])).toBe('SECAGG_SIGNATURE_INVALID');
    expect(check([...four.slice(1), { ...four[1]!, site: alder }])).toBe('SECAGG_SIGNATURE_INVALID');
  });

  // Section 6, active adversary: t = floor(2n/3) + 1, so that two sets signed by t sites each share an honest signer;
  // honest-but-curious server: t > n/2 is enough and the consistency check is left out.
  it('the threshold is two thirds against a malicious coordinator and one half against a curious one', () => {
    const of = (n: number, coordinator: 'malicious' | 'curious') =>
      threshold(makeTerms(siteNames(n), { coordinator, mode: 'plain' }));
    expect([3, 4, 5, 6, 7, 10].map((n) => of(n, 'malicious'))).toEqual([3, 3, 4, 5, 5, 7]);
    expect([3, 4, 5, 6, 7, 10].map((n) => of(n, 'curious'))).toEqual([2, 3, 3, 4, 4, 6]);
    for (let n = 3; n <= 100; n++) {
      // Two sets of t signers share more than n/3 sites, so more than the dishonest ones.
      const t = Math.floor((2 * n) / 3) + 1;
      expect(2 * t - n).toBeGreaterThan(n / 3);
    }
  });

  // Section 4: with two sites the total gives each of them the other's input.
  it('fewer than three sites are refused', () => {
    expect(codeOf(() => checkTerms(makeTerms(siteNames(2), { minSites: 2 })))).toBe('SECAGG_TOO_FEW_SITES');
    expect(codeOf(() => checkTerms(makeTerms(siteNames(3))))).toBe('ok');
    expect(codeOf(() => checkTerms(makeTerms(siteNames(3), { minSites: 4 })))).toBe('SECAGG_TOO_FEW_SITES');
  });

  // Figure 4, rounds 0 and 1: fresh keys for each execution of the protocol.
  it('the keys of one slot have nothing to do with those of the next', () => {
    const terms = makeTerms(siteNames(3));
    const first = preKeyOf(terms, 'alder', 1).preKey;
    const second = preKeyOf(terms, 'alder', 2).preKey;
    expect(first.maskPublicKey).not.toEqual(second.maskPublicKey);
    expect(first.selfSeedHash).not.toEqual(second.selfSeedHash);
  });

  // Section 3: the public key announced is the one whose private part is shared. Concordat checks it on rebuilding.
  it('a rebuilt mask key gives the public key that its owner announced', () => {
    const attempt = openAttempt(3);
    for (const preKey of attempt.preKeys)
      expect(agreementPublicKey(slotMaskKey(attempt.slotSecrets.get(preKey.site)!))).toEqual(preKey.maskPublicKey);
  });

  // Section 4: the masked vector is uniform. Here: its words differ from those of the input and from zero, everywhere.
  it('a masked input shows nothing of a vector of zeros', () => {
    const attempt = openAttempt(3);
    const masked = unpackWords(attempt.round.specs, inputOf(attempt, 'alder'));
    const again = unpackWords(attempt.round.specs, inputOf(attempt, 'alder'));
    expect(again).toEqual(masked);
    const zero = masked.map((block, index) => {
      const difference = block.slice();
      subtractInto(difference, attempt.round.words.get('alder')![index]!, attempt.round.specs[index]!.ring);
      return difference;
    });
    for (const block of zero) expect(block.every((word) => word !== 0n)).toBe(true);
  });
});
