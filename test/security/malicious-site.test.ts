import { afterEach, describe, expect, it } from 'vitest';
import { stepRound } from '../../coordinator/round.js';
import { INITIAL_ROUND_STATE, type RoundState } from '../../coordinator/round-state.js';
import type { RoundEffect, RoundEvent } from '../../coordinator/round-types.js';
import { decodeTotal } from '../../shared/fixed-point.js';
import { LIMITS } from '../../shared/limits.js';
import { sha256 } from '../../shared/memory-stores.js';
import type { PreKey, RoundTerms, SharesReleased, SiteMessage } from '../../shared/messages.js';
import { isLowOrder, signStatement } from '../../shared/secagg/keys.js';
import { maskedInputMessage } from '../../shared/secagg/masked-input.site.js';
import { preKeyStatement, sharesStatement } from '../../shared/secagg/statements.js';
import { signSurvivors } from '../../shared/secagg/survivors.site.js';
import { openStubs } from '../../site-agent/rpc-channel.js';
import {
  type Attempt,
  inputOf,
  openAttempt,
  preKeyOf,
  released,
  sharesOf,
  unmaskedSum,
  without,
} from '../secagg/kit.js';
import { entriesOf, plainSum, simKeys } from '../sim/world.js';
import { Loopback } from '../support/federation.js';

/**
 * A site as the attacker, against the coordinator's real reducer. What it can do is corrupt a total, and hold a study up;
 * every lie that can be seen is refused with its code in a report that names the site, and changes nothing.
 */
class Coordinator {
  state: RoundState = INITIAL_ROUND_STATE;
  effects: readonly RoundEffect[] = [];
  nowMs = 0;
  readonly attempt: Attempt;

  constructor(count: number, options: Partial<Omit<RoundTerms, 'roster'>> = {}) {
    this.attempt = openAttempt(count, options);
    for (const site of this.attempt.sites)
      this.hear(site, { type: 'siteReady', studyHash: this.studyHash, incarnation: 'first', context: null });
    const { computation, round, broadcastHash, declarationHash, bytes } = this.attempt.round;
    this.feed({ type: 'open', computation, round, broadcastHash, declarationHash, contributionBytes: bytes });
  }

  get studyHash() {
    return this.attempt.terms.roster.studyHash;
  }

  feed(event: RoundEvent extends infer E ? (E extends RoundEvent ? Omit<E, 'nowMs'> : never) : never): void {
    const config = { terms: this.attempt.terms, exchangeTimeoutMs: 1000 };
    const next = stepRound(config, this.state, { ...event, nowMs: this.nowMs } as RoundEvent);
    this.state = next.state;
    this.effects = next.effects;
  }

  /** Code and site of what the last message was turned away with; the operator's log has the same. */
  hear(site: string, message: SiteMessage): string[] {
    this.feed({ type: 'message', site, message });
    return this.effects.flatMap((effect) =>
      effect.type === 'report' && effect.report.kind === 'ignored'
        ? [`${effect.report.site} ${effect.report.code}`]
        : [],
    );
  }

  preKeys(sites: readonly string[] = this.attempt.sites): this {
    for (const preKey of this.attempt.preKeys)
      if (sites.includes(preKey.site))
        this.hear(preKey.site, { type: 'preKeyAnswer', studyHash: this.studyHash, preKey });
    return this;
  }

  input(site: string) {
    const { context, round } = this.attempt;
    return maskedInputMessage({
      ...{ studyHash: this.studyHash, context, site, blobHash: sha256(inputOf(this.attempt, site)) },
      ...{ byteLength: round.bytes, nextPreKey: null, signingKey: simKeys(site).signingKey },
    });
  }

  inputs(sites: readonly string[] = this.attempt.sites): this {
    for (const site of sites) this.hear(site, this.input(site));
    return this;
  }

  get logged(): boolean {
    return this.effects.some((effect) => effect.type === 'persist');
  }
}

const resigned = (preKey: PreKey, changes: Partial<PreKey>): PreKey => {
  const changed = { ...preKey, ...changes };
  return { ...changed, signature: signStatement(simKeys(preKey.site).signingKey, preKeyStatement(changed)) };
};

describe('a pre-key that its site really signed', () => {
  // RFC 7748, section 6.1, and the points of small order on the curve (and its twist) in their usual encodings.
  const LOW_ORDER = [
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000000',
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  ].map((hex) => Uint8Array.from(Buffer.from(hex, 'hex')));

  const refusalOf = (change: (preKey: PreKey) => PreKey) => {
    const run = new Coordinator(4);
    const preKey = change(run.attempt.preKeys[1]!);
    const said = run.hear('birch', { type: 'preKeyAnswer', studyHash: run.studyHash, preKey });
    expect(run.logged).toBe(false);
    // The site may still send a proper one.
    run.preKeys();
    expect(run.state.attempt?.sites).toEqual(run.attempt.sites);
    return said;
  };

  it.each(LOW_ORDER)('with a mask key of low order', (maskPublicKey) => {
    expect(isLowOrder(maskPublicKey)).toBe(true);
    expect(refusalOf((preKey) => resigned(preKey, { maskPublicKey }))).toEqual(['birch SECAGG_PRE_KEY_INVALID']);
  });

  it('for a slot so far ahead that none would be left for anybody', () => {
    for (const slot of [Number.MAX_SAFE_INTEGER, LIMITS.slotsAheadMax + 2])
      expect(refusalOf((preKey) => preKeyOf(openAttempt(4).terms, preKey.site, slot).preKey)).toEqual([
        'birch SECAGG_PRE_KEY_INVALID',
      ]);
  });

  it('for one slot ahead of the last, again and again: the log and the slots of the others are not for it to use up', () => {
    const run = new Coordinator(4);
    const { terms } = run.attempt;
    const ahead = (by: number) => preKeyOf(terms, 'birch', run.state.slot + by).preKey;
    let [skips, said]: [number, string[]] = [0, []];
    for (; skips <= LIMITS.preKeyTurnsMax && said.length === 0; skips++)
      said = run.hear('birch', { type: 'preKeyAnswer', studyHash: run.studyHash, preKey: ahead(1) });
    expect([skips, said]).toEqual([LIMITS.preKeyTurnsMax + 1, ['birch SECAGG_PRE_KEY_INVALID']]);
    expect(run.logged).toBe(false);
    expect(run.hear('birch', { type: 'preKeyAnswer', studyHash: run.studyHash, preKey: ahead(2) })).toEqual(said);
    // Nor by another incarnation each time.
    run.hear('alder', {
      type: 'preKeyAnswer',
      studyHash: run.studyHash,
      preKey: preKeyOf(terms, 'alder', run.state.slot).preKey,
    });
    expect(run.state.preKeys.has('alder')).toBe(true);
    run.hear('alder', { type: 'siteReady', studyHash: run.studyHash, incarnation: 'second', context: null });
    expect(run.logged).toBe(false);
    // The round begins with the slot that is left.
    for (const site of run.attempt.sites)
      run.hear(site, {
        type: 'preKeyAnswer',
        studyHash: run.studyHash,
        preKey: preKeyOf(terms, site, run.state.slot).preKey,
      });
    expect(run.state.phase).toBe('maskedInput');
  });

  it('of another study or roster, to fewer holders, with too few boxes or those of another slot', () => {
    const invalid = ['birch SECAGG_PRE_KEY_INVALID'];
    expect(refusalOf((preKey) => resigned(preKey, { studyHash: 'ee'.repeat(32) }))).toEqual(invalid);
    expect(refusalOf((preKey) => resigned(preKey, { rosterVersion: 2 }))).toEqual(invalid);
    expect(refusalOf((preKey) => resigned(preKey, { shares: preKey.shares.slice(1) }))).toEqual(invalid);
    expect(refusalOf((preKey) => ({ ...preKey, boxes: preKey.boxes.slice(1) }))).toEqual(invalid);
    const other = preKeyOf(openAttempt(4).terms, 'birch', 2).preKey;
    expect(refusalOf((preKey) => ({ ...preKey, boxes: other.boxes }))).toEqual(invalid);
    expect(refusalOf((preKey) => ({ ...preKey, incarnation: 'forged' }))).toEqual(['birch SECAGG_SIGNATURE_INVALID']);
  });
});

describe('a masked input', () => {
  it('of another length, forged, of another attempt, from somebody else: nothing changes', () => {
    const run = new Coordinator(4).preKeys();
    const good = run.input('alder');
    const again = (changes: Partial<typeof good>) =>
      maskedInputMessage({ ...good, ...changes, site: 'alder', signingKey: simKeys('alder').signingKey });
    for (const [site, message, code] of [
      ['alder', again({ byteLength: good.byteLength + 8 }), 'alder SECAGG_LENGTH_MISMATCH'],
      ['alder', again({ byteLength: 2 ** 40 }), 'alder SECAGG_LENGTH_MISMATCH'],
      ['alder', { ...good, blobHash: 'ee'.repeat(32) }, 'alder SECAGG_SIGNATURE_INVALID'],
      ['birch', good, 'birch SECAGG_SIGNATURE_INVALID'],
      // Validly signed, about another attempt or study: there is nothing that it could be added to.
      ['alder', again({ context: 'ee'.repeat(32) }), 'alder SECAGG_ATTEMPT_STALE'],
      ['alder', again({ studyHash: 'ee'.repeat(32) }), 'alder null'],
      ['zelkova', good, 'zelkova null'],
    ] as const) {
      expect(run.hear(site, message)).toEqual([code]);
      expect(run.logged).toBe(false);
    }
    expect(run.hear('alder', good)).toEqual([]);
    expect(run.logged).toBe(true);
  });

  it('sent twice counts once, and another one in its place does not count', () => {
    const run = new Coordinator(4).preKeys().inputs(['alder']);
    run.hear('alder', run.input('alder'));
    expect(run.effects.some((effect) => effect.type === 'accumulate')).toBe(false);
    const signingKey = simKeys('alder').signingKey;
    const other = maskedInputMessage({ ...run.input('alder'), blobHash: 'ee'.repeat(32), site: 'alder', signingKey });
    expect(run.hear('alder', other)).toEqual(['alder SECAGG_SET_CHANGED']);
    expect(run.logged).toBe(false);
  });

  it('can be out of every bound, and nobody can see it: it spoils the total, and reads nothing', () => {
    const attempt = openAttempt(4);
    const { specs } = attempt.round;
    const honest = attempt.round.words.get('birch')!;
    const lie = honest.map((block) => block.map((word) => word + 0x0123456789abcdefn));
    const words = new Map(attempt.round.words).set('birch', lie);
    const round = { ...attempt.round, words };
    // The attempt goes through, and every share that is released is the one that was dealt.
    const total = unmaskedSum({ ...attempt, round }, without(attempt), attempt.sites);
    expect(entriesOf(round, total)).toEqual(plainSum(round, attempt.sites));
    expect(entriesOf(round, total)).not.toEqual(plainSum(attempt.round, attempt.sites));
    expect(decodeTotal(specs, total).get(specs[0]!.name)).not.toEqual(
      decodeTotal(specs, unmaskedSum(attempt, without(attempt), attempt.sites)).get(specs[0]!.name),
    );
    // That birch reads nothing by it: to it, as to any coalition up to c, other inputs look the same (collusion.test.ts).
  });
});

describe('signatures and shares', () => {
  it('a signature on another set than was proposed, or a forged one', () => {
    const run = new Coordinator(4).preKeys().inputs();
    const { context, preKeyDigest } = run.attempt;
    const sign = (over: ReturnType<typeof without>) =>
      signSurvivors(run.studyHash, context, preKeyDigest, over, simKeys('cedar').signingKey);
    expect(run.hear('cedar', sign(without(run.attempt, 'alder')))).toEqual(['cedar SECAGG_SET_CHANGED']);
    expect(run.hear('birch', sign(without(run.attempt)))).toEqual(['birch SECAGG_SIGNATURE_INVALID']);
    expect(run.state.attempt?.signatures.size).toBe(0);
  });

  it('a wrong share is named by its commitment, whichever it is, and the others are enough', () => {
    const run = new Coordinator(4).preKeys().inputs();
    const set = without(run.attempt);
    const { context, preKeyDigest } = run.attempt;
    for (const site of run.attempt.sites)
      if (run.state.phase === 'agreement')
        run.hear(site, signSurvivors(run.studyHash, context, preKeyDigest, set, simKeys(site).signingKey));
    const good = sharesOf(run.attempt, 'birch', set);
    const lies = good.shares.map((_, at): SharesReleased => {
      const shares = good.shares.map((share, index) =>
        index === at ? { ...share, share: share.share.map((byte, place) => (place === 31 ? byte ^ 1 : byte)) } : share,
      );
      return {
        ...good,
        shares,
        signature: signStatement(simKeys('birch').signingKey, sharesStatement(context, 'birch', shares)),
      };
    });
    for (const lie of lies) {
      expect(run.hear('birch', lie)).toEqual(['birch SECAGG_SHARE_INVALID']);
      expect(run.state.attempt?.out.get('birch')).toBe('SECAGG_SHARE_INVALID');
    }
    for (const [holder, shares] of released(run.attempt, ['alder', 'cedar', 'dogwood'], set))
      run.hear(holder, { ...sharesOf(run.attempt, holder, set), shares });
    expect(run.effects.some((effect) => effect.type === 'unmask')).toBe(true);
  });
});

describe('a site that never ends its upload', () => {
  it('is given up by the round after its reminders, and named, though it stays connected', () => {
    const run = new Coordinator(4, { onMissingSite: 'continue' }).preKeys().inputs(['alder', 'birch', 'cedar']);
    const named = new Set<string>();
    for (let i = 0; i <= LIMITS.remindersMax && run.state.phase === 'maskedInput'; i++) {
      run.nowMs += 1000;
      run.feed({ type: 'tick' });
      for (const effect of run.effects)
        if (effect.type === 'report' && effect.report.kind === 'missing') named.add(effect.report.sites.join());
    }
    expect([...named]).toEqual(['dogwood']);
    expect(run.state.attempt?.set).toEqual(without(run.attempt, 'dogwood'));
  });

  let loopback: Loopback | undefined;
  afterEach(() => loopback?.stop());

  it('is dropped by its progress: a byte now and then is none', async () => {
    loopback = await Loopback.start();
    const alder = await loopback.join('alder');
    await loopback.sign();
    const { port } = loopback.server;
    await loopback.server.close();
    await loopback.listen({ port, livenessTimeoutMs: 300, heartbeatIntervalMs: 50 });
    const { stubs, close } = openStubs({
      address: `127.0.0.1:${port}`,
      authorityPem: alder.invitation.authority,
      certificate: { certificatePem: alder.tlsCertificatePem, privateKeyPem: alder.tlsKeyPem },
    });
    const blob = new Uint8Array(1_000_000);
    const digest = (bytes: Uint8Array) => Buffer.from(sha256(bytes), 'hex');
    let sent = 0;
    const drip = new Promise<string>((resolve) => {
      const call = stubs.transfer.upload((error) =>
        resolve(`${error?.metadata?.get('concordat-code')[0]} ${error?.details}`),
      );
      call.on('error', () => undefined);
      const data = Buffer.from([0]);
      const timer = setInterval(() => {
        if (sent >= 200) return;
        const first = sent === 0 ? { blobSha256: digest(blob), blobSize: String(blob.length) } : {};
        call.write({ ...first, offset: String(sent), data, sha256: digest(data) });
        sent++;
      }, 20);
      call.on('close', () => clearInterval(timer));
      call.on('status', () => clearInterval(timer));
    });
    expect(await drip).toMatch(/^WIRE_SILENT .*"alder"/);
    expect(sent).toBeLessThan(200);
    close();
  }, 30_000);
});
