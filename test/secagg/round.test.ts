import { describe, expect, it } from 'vitest';
import { stepRound } from '../../coordinator/round.js';
import { INITIAL_ROUND_STATE, type RoundState, recover } from '../../coordinator/round-state.js';
import type { RoundEffect, RoundEvent, RoundRecord } from '../../coordinator/round-types.js';
import { nextPhase, TRANSITIONS } from '../../coordinator/transitions.js';
import { LIMITS } from '../../shared/limits.js';
import type { RoundTerms, SharesReleased, SiteMessage } from '../../shared/messages.js';
import { signStatement } from '../../shared/secagg/keys.js';
import { maskedInputMessage } from '../../shared/secagg/masked-input.site.js';
import { preKeyStatement, sha256Hex, sharesStatement } from '../../shared/secagg/statements.js';
import type { DividedSites } from '../../shared/secagg/survivors.js';
import { signSurvivors } from '../../shared/secagg/survivors.site.js';
import { simKeys } from '../sim/world.js';
import { type Attempt, codeOf, inputOf, openAttempt, preKeyOf, sharesOf, without } from './kit.js';

const TIMEOUT_MS = 1000;
const GRACE_MS = 300;
type Untimed<T> = T extends unknown ? Omit<T, 'nowMs'> : never;

/** The coordinator's reducer under a test's thumb, with sites whose every message the test makes. */
class Coordinator {
  state: RoundState = INITIAL_ROUND_STATE;
  readonly records: RoundRecord[] = [];
  effects: readonly RoundEffect[] = [];
  nowMs = 0;
  readonly attempt: Attempt;

  constructor(count: number, options: Partial<Omit<RoundTerms, 'roster'>> = {}) {
    this.attempt = openAttempt(count, options);
  }

  feed(event: Untimed<RoundEvent>): readonly RoundEffect[] {
    const config = { terms: this.attempt.terms, exchangeTimeoutMs: TIMEOUT_MS, lossGraceMs: GRACE_MS };
    const { state, effects } = stepRound(config, this.state, { ...event, nowMs: this.nowMs } as RoundEvent);
    this.state = state;
    this.effects = effects;
    for (const effect of effects) if (effect.type === 'persist') this.records.push(effect.record);
    // What is durable is the fold of the records, at every moment.
    const durable = recover(this.records);
    const { present, missing, deadlineMs, reminders, unmasking, sinceMs, progress, lost, damaged } = state;
    const forgotten = { present, missing, deadlineMs, reminders, unmasking, sinceMs, progress, lost, damaged };
    expect({ ...durable, ...forgotten }).toEqual(state);
    return effects;
  }

  hear(site: string, message: SiteMessage) {
    return this.feed({ type: 'message', site, message });
  }

  get studyHash() {
    return this.attempt.terms.roster.studyHash;
  }

  open() {
    const { computation, round, broadcastHash, declarationHash, bytes } = this.attempt.round;
    return this.feed({ type: 'open', computation, round, broadcastHash, declarationHash, contributionBytes: bytes });
  }

  ready(site: string, incarnation = 'first', context: string | null = null) {
    return this.hear(site, { type: 'siteReady', studyHash: this.studyHash, incarnation, context });
  }

  /** Opens the round and the attempt that the kit computed. */
  start(): this {
    for (const site of this.attempt.sites) this.ready(site);
    this.open();
    for (const preKey of this.attempt.preKeys)
      this.hear(preKey.site, { type: 'preKeyAnswer', studyHash: this.studyHash, preKey });
    expect(this.state.attempt?.context).toBe(this.attempt.context);
    return this;
  }

  input(site: string) {
    const { context, terms, round } = this.attempt;
    return maskedInputMessage({
      ...{ studyHash: this.studyHash, context, site, blobHash: sha256Hex(inputOf(this.attempt, site)) },
      byteLength: round.bytes,
      nextPreKey: preKeyOf(terms, site, 2).preKey,
      signingKey: simKeys(site).signingKey,
    });
  }

  inputs(sites: readonly string[] = this.attempt.sites): this {
    for (const site of sites) this.hear(site, this.input(site));
    return this;
  }

  signs(site: string, set: DividedSites) {
    const { context, preKeyDigest } = this.attempt;
    return this.hear(site, signSurvivors(this.studyHash, context, preKeyDigest, set, simKeys(site).signingKey));
  }

  refuses(
    site: string,
    exchange: 'maskedInput' | 'agreement' | 'unmask',
    code: 'SECAGG_SET_INVALID' | 'SECAGG_SECRETS_LOST',
  ) {
    const { context } = this.attempt;
    return this.hear(site, { type: 'siteRefusal', studyHash: this.studyHash, context, exchange, code, about: [] });
  }

  sent(type: string): string[] {
    return this.effects.flatMap((effect) =>
      effect.type === 'send' && effect.message.type === type ? [effect.site] : [],
    );
  }

  failure() {
    return this.effects.find((effect) => effect.type === 'roundFailed');
  }

  wait() {
    this.nowMs += TIMEOUT_MS;
    return this.feed({ type: 'tick' });
  }
}

const types = (effects: readonly RoundEffect[]) =>
  effects.map((effect) => (effect.type === 'persist' ? effect.record.type : effect.type));

describe('a masked input damaged on disk', () => {
  it('ends the attempt, and never the round, in every phase; another attempt is not touched', () => {
    const later = {
      maskedInput: () => undefined,
      agreement: (run: Coordinator) => run.inputs(),
      unmask: (run: Coordinator) => {
        run.inputs();
        const { sites } = run.attempt;
        for (const site of sites.slice(0, 3)) run.signs(site, { survivors: sites, dropped: [] });
      },
    };
    for (const [phase, reach] of Object.entries(later)) {
      const run = new Coordinator(4).start();
      run.inputs(run.attempt.sites.slice(0, 2));
      reach(run);
      expect(run.state.phase).toBe(phase);
      const { context } = run.attempt;
      const before = run.state;
      run.feed({ type: 'inputDamaged', context: 'of another attempt', site: 'birch' });
      expect([run.effects, run.state]).toEqual([[], before]);
      run.feed({ type: 'inputDamaged', context, site: 'birch' });
      const aborted = { type: 'attemptAborted', context, reason: 'damaged', sites: ['birch'] };
      expect(run.effects.filter((effect) => effect.type === 'persist')[0]).toEqual({
        type: 'persist',
        record: aborted,
      });
      expect(run.effects).toContainEqual({
        type: 'report',
        report: { kind: 'damaged', site: 'birch', code: 'STORE_INPUT_DAMAGED' },
      });
      expect(types(run.effects)).not.toContain('unmask');
      // Fresh pre-keys came with the inputs that are in; where all are, the next attempt is open at once.
      expect(run.state.damaged).toBe(1);
      expect(run.state.phase).toBe(phase === 'maskedInput' ? 'preKeys' : 'maskedInput');
      expect(run.state.attempt?.context).not.toBe(context);
    }
  });

  it('stops the rounds where it happens too often, and logs nothing that a restart could not take up', () => {
    const run = new Coordinator(4).start();
    run.state = { ...run.state, damaged: LIMITS.damagedInputsMax };
    const logged = run.records.length;
    run.feed({ type: 'inputDamaged', context: run.attempt.context, site: 'birch' });
    expect(run.effects.at(-1)).toMatchObject({ type: 'stop', code: 'STORE_INPUT_DAMAGED' });
    expect(run.records.length).toBe(logged);
  });
});

describe('a round', () => {
  it('goes through three exchanges and logs before it acts', () => {
    const run = new Coordinator(4).start();
    const { sites, context } = run.attempt;
    expect(types(run.effects).slice(0, 4)).toEqual(['preKey', 'attemptOpened', 'resetAccumulator', 'report']);
    expect(run.sent('attemptOffer')).toEqual(sites);
    run.hear(sites[0]!, run.input(sites[0]!));
    expect(types(run.effects)).toEqual(['maskedInput', 'accumulate', 'send']);
    run.inputs(sites.slice(1));
    // The set is durable before anybody hears of it.
    expect(types(run.effects)).toEqual([
      'maskedInput',
      'accumulate',
      'send',
      'survivors',
      'report',
      ...Array(4).fill('send'),
      'setTimer',
    ]);
    const set = without(run.attempt);
    for (const site of sites.slice(0, 3)) run.signs(site, set);
    expect(types(run.effects).slice(0, 2)).toEqual(['signature', 'agreed']);
    expect(run.sent('unmaskRequest')).toEqual(sites);
    for (const site of sites.slice(1)) run.hear(site, sharesOf(run.attempt, site, set));
    const unmask = run.effects.find((effect) => effect.type === 'unmask');
    expect(unmask?.type === 'unmask' && unmask.job.removals.map((removal) => removal.kind)).toEqual(
      Array(4).fill('self'),
    );
    run.feed({ type: 'unmasked', context, totalHash: 'dd'.repeat(32) });
    expect(types(run.effects).slice(0, 1)).toEqual(['total']);
    expect(run.sent('attemptClosed')).toEqual(sites);
    expect(run.effects.at(-1)).toMatchObject({ type: 'roundDone', sites, attempt: 1, totalHash: 'dd'.repeat(32) });
    // The pre-keys that rode on the masked inputs make the next round start at once.
    run.feed({
      ...{ type: 'open', computation: 'next', round: 3, broadcastHash: 'b', declarationHash: 'd' },
      contributionBytes: 8,
    });
    expect(run.sent('preKeyRequest')).toEqual([]);
    expect(run.sent('attemptOffer')).toEqual(sites);
  });

  it('tells the end of a round again after a restart, and once more when the round is opened again', () => {
    const run = new Coordinator(3, { mode: 'plain' });
    for (const site of run.attempt.sites) run.ready(site);
    run.open();
    const { context } = run.state.attempt!;
    for (const site of run.attempt.sites) {
      const message = { ...run.input(site), context, nextPreKey: null };
      const signature = maskedInputMessage({
        ...{ ...message, site },
        signingKey: simKeys(site).signingKey,
      }).signature;
      run.hear(site, { ...message, signature });
    }
    run.feed({ type: 'unmasked', context, totalHash: 'dd'.repeat(32) });
    const done = run.effects.at(-1)!;
    expect(done.type).toBe('roundDone');
    run.state = recover(run.records);
    expect(run.feed({ type: 'resumed' })).toEqual([done]);
    expect(run.open()).toEqual([done]);
  });

  it('after a restart adds up the masked inputs again and asks for what is owed', () => {
    const run = new Coordinator(4).start().inputs(['alder', 'birch']);
    run.state = recover(run.records);
    run.feed({ type: 'resumed' });
    expect(types(run.effects)).toEqual(['resetAccumulator', 'accumulate', 'accumulate', 'setTimer']);
    run.ready('alder', 'first', run.attempt.context);
    expect(run.effects.map((effect) => effect.type === 'send' && effect.message.type)).toEqual(['maskedInputReceived']);
    run.ready('cedar', 'first', run.attempt.context);
    expect(run.sent('attemptOffer')).toEqual(['cedar']);
    run.ready('dogwood', 'first', 'ab'.repeat(32));
    expect(run.sent('attemptClosed')).toEqual(['dogwood']);
  });
});

describe('sites that go missing', () => {
  it('wait: a new attempt over the same sites once all are back', () => {
    const run = new Coordinator(4).start().inputs(['alder', 'birch', 'cedar']);
    run.feed({ type: 'disconnected', site: 'dogwood' });
    run.wait();
    expect(types(run.effects)).toContain('attemptAborted');
    expect(run.sent('attemptClosed')).toEqual(['alder', 'birch', 'cedar']);
    expect(run.state.phase).toBe('preKeys');
    for (let i = 0; i < 5; i++) run.wait();
    expect(run.state.phase).toBe('preKeys');
    run.ready('dogwood');
    expect(run.sent('preKeyRequest')).toEqual(['dogwood']);
    const preKey = preKeyOf(run.attempt.terms, 'dogwood', 2).preKey;
    run.hear('dogwood', { type: 'preKeyAnswer', studyHash: run.studyHash, preKey });
    expect(run.state.attempt).toMatchObject({ attempt: 2, slot: 2, sites: run.attempt.sites });
  });

  it('wait: a site that is connected but slow is reminded, not given up', () => {
    const run = new Coordinator(4).start().inputs(['alder', 'birch', 'cedar']);
    run.wait();
    expect(run.sent('attemptOffer')).toEqual(['dogwood']);
    run.inputs(['dogwood']);
    expect(run.state.phase).toBe('agreement');
  });

  it('continue: goes on without it, and its masked input comes too late', () => {
    const run = new Coordinator(4, { onMissingSite: 'continue' }).start().inputs(['alder', 'birch', 'cedar']);
    run.feed({ type: 'disconnected', site: 'dogwood' });
    run.wait();
    expect(run.state.attempt?.set).toEqual(without(run.attempt, 'dogwood'));
    run.ready('dogwood', 'first', run.attempt.context);
    run.hear('dogwood', run.input('dogwood'));
    expect(run.effects).toMatchObject([{ type: 'report', report: { kind: 'ignored', site: 'dogwood' } }]);
    const set = without(run.attempt, 'dogwood');
    for (const site of set.survivors) run.signs(site, set);
    for (const site of set.survivors) run.hear(site, sharesOf(run.attempt, site, set));
    const unmask = run.effects.find((effect) => effect.type === 'unmask');
    expect(unmask?.type === 'unmask' && unmask.job.removals.filter((removal) => removal.kind === 'pair')).toHaveLength(
      3,
    );
  });

  const owingDogwood = (onMissingSite: 'wait' | 'continue') =>
    new Coordinator(4, { onMissingSite }).start().inputs(['alder', 'birch', 'cedar']);

  it('continue: a site that gets on is waited for, one that is only connected is not', () => {
    const stalled = owingDogwood('continue');
    const busy = owingDogwood('continue');
    for (let i = 1; i <= 3 * LIMITS.remindersMax; i++) {
      busy.feed({ type: 'progress', site: 'dogwood', of: i % 2 === 0 ? 'work' : 'upload', amount: 1000 * i });
      busy.wait();
      // Neither asked again nor named as missing.
      expect(types(busy.effects)).toEqual(['setTimer']);
      if (i > LIMITS.stalledRemindersMax + 1) continue;
      // The same amount again is a heartbeat, not progress.
      stalled.feed({ type: 'progress', site: 'dogwood', of: 'work', amount: 1000 });
      stalled.wait();
      expect(stalled.state.phase).toBe(i > LIMITS.stalledRemindersMax ? 'agreement' : 'maskedInput');
    }
    expect(stalled.records).toContainEqual(expect.objectContaining({ type: 'survivors', dropped: ['dogwood'] }));
    busy.inputs(['dogwood']);
    expect(busy.state.attempt?.set).toMatchObject({ dropped: [] });
  });

  it('continue: no site holds an exchange longer than any may last, however it gets on', () => {
    const run = owingDogwood('continue');
    const beganMs = run.nowMs;
    for (let workMs = 1; run.state.phase === 'maskedInput' && workMs < 20_000; workMs++) {
      run.feed({ type: 'progress', site: 'dogwood', of: 'work', amount: workMs });
      run.wait();
    }
    expect(run.state.attempt?.set).toMatchObject({ dropped: ['dogwood'] });
    expect(run.nowMs - beganMs).toBe(LIMITS.exchangeMaxMs);
  });

  it('progress counts for the exchange it was made in, from sites that owe something', () => {
    const run = owingDogwood('continue');
    run.feed({ type: 'progress', site: 'alder', of: 'work', amount: 5 });
    expect(run.state.progress.size).toBe(0);
    run.feed({ type: 'progress', site: 'dogwood', of: 'work', amount: 5 });
    // A new process counts from nothing.
    run.ready('dogwood', 'first', run.attempt.context);
    run.feed({ type: 'progress', site: 'dogwood', of: 'work', amount: 3 });
    expect(run.state.progress.get('dogwood')).toMatchObject({ workMs: 3 });
    run.inputs(['dogwood']);
    expect(run.state.progress.size).toBe(0);
  });

  it('continue: a broken connection is noticed after its grace, and one that came back in time is not', () => {
    const run = owingDogwood('continue');
    run.feed({ type: 'disconnected', site: 'dogwood' });
    expect(run.effects).toEqual([{ type: 'setTimer', atMs: GRACE_MS }]);
    run.nowMs += GRACE_MS - 1;
    run.feed({ type: 'tick' });
    expect(run.state.phase).toBe('maskedInput');
    const back = owingDogwood('continue');
    back.feed({ type: 'disconnected', site: 'dogwood' });
    back.nowMs += GRACE_MS - 1;
    back.feed({ type: 'connected', site: 'dogwood' });
    for (const one of [run, back]) {
      one.nowMs += 1;
      one.feed({ type: 'tick' });
    }
    expect(run.state.attempt?.set).toMatchObject({ dropped: ['dogwood'] });
    expect(back.state.phase).toBe('maskedInput');
  });

  it('continue: a site lost while another still computes is given up when that one has answered', () => {
    const run = new Coordinator(4, { onMissingSite: 'continue' }).start().inputs(['alder', 'birch']);
    run.feed({ type: 'disconnected', site: 'dogwood' });
    run.nowMs += GRACE_MS;
    run.feed({ type: 'tick' });
    expect(run.state.phase).toBe('maskedInput');
    run.inputs(['cedar']);
    expect(run.state.attempt?.set).toMatchObject({ dropped: ['dogwood'] });
  });

  it('continue: a site lost before the attempt holds nobody up', () => {
    const run = new Coordinator(4, { onMissingSite: 'continue' });
    for (const site of run.attempt.sites) run.ready(site);
    run.feed({ type: 'disconnected', site: 'dogwood' });
    run.open();
    for (const preKey of run.attempt.preKeys.filter(({ site }) => site !== 'dogwood'))
      run.hear(preKey.site, { type: 'preKeyAnswer', studyHash: run.studyHash, preKey });
    expect(run.state.phase).toBe('preKeys');
    run.nowMs += GRACE_MS;
    run.feed({ type: 'tick' });
    expect(run.state.attempt?.sites).toEqual(['alder', 'birch', 'cedar']);
  });

  it('continue: a site given up on as too slow is asked once more where the others are too few', () => {
    const run = new Coordinator(3, { onMissingSite: 'continue', mode: 'plain', minSites: 3 });
    for (const site of run.attempt.sites) run.ready(site);
    run.open();
    for (let i = 0; i <= LIMITS.stalledRemindersMax; i++) run.wait();
    expect(run.records.filter((record) => record.type === 'attemptAborted').length).toBe(1);
    run.wait();
    expect(run.state.attempt).toMatchObject({ attempt: 2, sites: run.attempt.sites });
  });

  it('wait: a broken connection changes nothing before the deadline, and progress never shortens the wait', () => {
    const run = owingDogwood('wait');
    run.feed({ type: 'disconnected', site: 'dogwood' });
    expect(run.effects).toEqual([]);
    run.nowMs += TIMEOUT_MS - 1;
    run.feed({ type: 'tick' });
    expect(run.state.phase).toBe('maskedInput');
    const slow = owingDogwood('wait');
    for (let i = 0; i < LIMITS.remindersMax; i++) slow.wait();
    expect(slow.state.phase).toBe('maskedInput');
  });

  it('continue: below the threshold it waits', () => {
    const run = new Coordinator(4, { onMissingSite: 'continue' }).start().inputs(['alder', 'birch']);
    for (const site of ['cedar', 'dogwood']) run.feed({ type: 'disconnected', site });
    for (let i = 0; i < 4; i++) run.wait();
    expect(run.state.phase).toBe('preKeys');
    expect(run.records.some((record) => record.type === 'survivors')).toBe(false);
  });

  it('a guard that refuses the smaller set: the round is repeated with everybody', () => {
    const run = new Coordinator(4, { onMissingSite: 'continue' }).start().inputs(['alder', 'birch', 'cedar']);
    run.feed({ type: 'disconnected', site: 'dogwood' });
    run.wait();
    run.refuses('birch', 'agreement', 'SECAGG_SET_INVALID');
    expect(run.records.at(-1)).toMatchObject({ type: 'attemptAborted', reason: 'refused', sites: ['birch'] });
    for (let i = 0; i < 4; i++) run.wait();
    expect(run.state.phase).toBe('preKeys');
    expect(run.state.everybody).toBe(true);
  });

  it('a site that lost its keys costs an attempt, and its unused pre-key with them', () => {
    const run = new Coordinator(4).start().inputs(['alder', 'birch']);
    run.ready('cedar', 'second', null);
    expect(types(run.effects)).toEqual(expect.arrayContaining(['siteOut', 'attemptAborted']));
    expect(run.sent('preKeyRequest').sort()).toEqual(['cedar', 'dogwood']);
    run.ready('alder', 'second', null);
    expect(types(run.effects)).toContain('preKeyVoid');
    expect(run.sent('preKeyRequest')).toEqual(['alder']);
  });

  it('a round gives up after too many attempts, and says so', () => {
    const run = new Coordinator(3, { mode: 'plain' });
    for (const site of run.attempt.sites) run.ready(site);
    run.open();
    for (let i = 0; i < LIMITS.attemptsMax && run.failure() === undefined; i++) {
      const { context } = run.state.attempt!;
      run.hear('alder', {
        ...{ type: 'siteRefusal', studyHash: run.studyHash, context, exchange: 'maskedInput', about: [] },
        code: 'SECAGG_SECRETS_LOST',
      });
    }
    expect(run.failure()).toMatchObject({ code: 'SECAGG_THRESHOLD' });
    expect(run.state.phase).toBe('idle');
  });
});

describe('sites that lie or refuse', () => {
  it('a refusal for good ends the round with its code and the site', () => {
    const run = new Coordinator(4).start();
    run.refuses('cedar', 'maskedInput', 'SECAGG_SET_INVALID');
    expect(run.failure()).toMatchObject({ code: 'SECAGG_SET_INVALID', sites: ['cedar'] });
    expect(run.state.phase).toBe('idle');
  });

  it('forged, short and repeated messages change nothing', () => {
    const run = new Coordinator(4).start();
    const good = run.input('alder');
    const before = run.records.length;
    const bad: [string, SiteMessage, string | null][] = [
      ['birch', good, 'SECAGG_SIGNATURE_INVALID'],
      ['alder', { ...good, byteLength: 8 }, 'SECAGG_LENGTH_MISMATCH'],
      ['alder', { ...good, context: 'ee'.repeat(32) }, 'SECAGG_ATTEMPT_STALE'],
      ['alder', { ...good, studyHash: 'ee'.repeat(32) }, null],
      ['zelkova', good, null],
    ];
    for (const [site, message, code] of bad) {
      run.hear(site, message);
      expect(run.effects).toMatchObject([{ type: 'report', report: { kind: 'ignored', site, code } }]);
    }
    expect(run.records).toHaveLength(before);
    run.hear('alder', good);
    run.hear('alder', good);
    expect(types(run.effects)).toEqual(['send']);
    run.hear('alder', { ...good, blobHash: 'ee'.repeat(32) });
    expect(run.effects).toMatchObject([{ type: 'report', report: { code: 'SECAGG_SET_CHANGED' } }]);
    const forged = { ...preKeyOf(run.attempt.terms, 'birch', 2).preKey, incarnation: 'other' };
    run.hear('birch', { type: 'preKeyAnswer', studyHash: run.studyHash, preKey: forged });
    expect(run.effects).toMatchObject([{ type: 'report', report: { code: 'SECAGG_SIGNATURE_INVALID' } }]);
  });

  function unmasking(count: number): { run: Coordinator; set: DividedSites } {
    const run = new Coordinator(count).start().inputs();
    const set = without(run.attempt);
    for (const site of run.attempt.sites) if (run.state.phase === 'agreement') run.signs(site, set);
    return { run, set };
  }

  function lie(run: Coordinator, holder: string, set: DividedSites): SharesReleased {
    const good = sharesOf(run.attempt, holder, set);
    const shares = good.shares.map((share) => ({ ...share, share: share.share.map((byte) => byte ^ 1) }));
    const signature = signStatement(simKeys(holder).signingKey, sharesStatement(good.context, holder, shares));
    return { ...good, shares, signature };
  }

  it('a holder that releases a wrong share is named; the others are enough', () => {
    const { run, set } = unmasking(4);
    run.hear('birch', lie(run, 'birch', set));
    expect(types(run.effects)).toEqual(['siteOut', 'report']);
    for (const site of ['alder', 'cedar', 'dogwood']) run.hear(site, sharesOf(run.attempt, site, set));
    expect(types(run.effects)).toContain('unmask');
  });

  it('where the others are not enough the round fails and names the liar', () => {
    const { run, set } = unmasking(3);
    run.hear('birch', lie(run, 'birch', set));
    expect(run.failure()).toMatchObject({ code: 'SECAGG_SHARE_INVALID', sites: ['birch'] });
  });

  it('a dealer whose shares do not give the key it announced is named', () => {
    // Cedar signs a self-seed hash that is not of the seed it shared.
    const run = new Coordinator(3);
    const cedar = run.attempt.preKeys[2]!;
    const changed = { ...cedar, selfSeedHash: new Uint8Array(32).fill(1) };
    const dishonest = { ...changed, signature: signStatement(simKeys('cedar').signingKey, preKeyStatement(changed)) };
    for (const site of run.attempt.sites) run.ready(site);
    run.open();
    for (const preKey of [...run.attempt.preKeys.slice(0, 2), dishonest])
      run.hear(preKey.site, { type: 'preKeyAnswer', studyHash: run.studyHash, preKey });
    run.inputs();
    const set = without(run.attempt);
    const { context, preKeyDigest } = run.state.attempt!;
    for (const site of run.attempt.sites)
      run.hear(site, signSurvivors(run.studyHash, context, preKeyDigest, set, simKeys(site).signingKey));
    for (const site of run.attempt.sites) run.hear(site, sharesOf(run.attempt, site, set));
    expect(run.failure()).toMatchObject({ code: 'SECAGG_KEY_MISMATCH', sites: ['cedar'] });
  });
});

describe('the end of a study', () => {
  it('abandoning closes the attempt and takes nothing more', () => {
    const run = new Coordinator(4).start();
    run.feed({ type: 'abandon' });
    expect(types(run.effects)[0]).toBe('abandoned');
    expect(run.sent('attemptClosed')).toEqual(run.attempt.sites);
    expect(types(run.hear('alder', run.input('alder')))).toEqual(['report']);
    expect(types(run.open())).toEqual(['report']);
  });
});

describe('the table of transitions', () => {
  it('refuses every pair that is not in it, naming both', () => {
    const records = new Set(Object.values(TRANSITIONS).flatMap((row) => Object.keys(row))) as Set<RoundRecord['type']>;
    let refused = 0;
    for (const phase of Object.keys(TRANSITIONS) as (keyof typeof TRANSITIONS)[])
      for (const type of records) {
        if (TRANSITIONS[phase][type] !== undefined) continue;
        refused++;
        expect(codeOf(() => nextPhase(phase, type))).toBe('INTERNAL_BUG');
        expect(() => nextPhase(phase, type)).toThrow(`record ${type} cannot follow in phase ${phase}`);
      }
    expect(refused).toBeGreaterThan(20);
  });

  it('lets every phase be reached and, but for the last, left', () => {
    const reached = new Set(Object.values(TRANSITIONS).flatMap((row) => Object.values(row)));
    for (const phase of Object.keys(TRANSITIONS)) expect(reached.has(phase as never)).toBe(true);
    for (const [phase, row] of Object.entries(TRANSITIONS))
      if (phase !== 'ended') expect(Object.values(row).some((next) => next !== phase)).toBe(true);
  });
});
