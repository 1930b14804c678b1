import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../shared/limits.js';
import { preKeyOf, sharesOf, without } from './kit.js';
import { Coordinator, GRACE_MS, TIMEOUT_MS, types } from './round-kit.js';

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
