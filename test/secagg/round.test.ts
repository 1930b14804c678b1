import { describe, expect, it } from 'vitest';
import { recover } from '../../coordinator/round-state.js';
import type { RoundRecord } from '../../coordinator/round-types.js';
import { nextPhase, TRANSITIONS } from '../../coordinator/transitions.js';
import { LIMITS } from '../../shared/limits.js';
import type { SharesReleased, SiteMessage } from '../../shared/messages.js';
import { signStatement } from '../../shared/secagg/keys.js';
import { maskedInputMessage } from '../../shared/secagg/masked-input.site.js';
import { preKeyStatement, sharesStatement } from '../../shared/secagg/statements.js';
import type { DividedSites } from '../../shared/secagg/survivors.js';
import { signSurvivors } from '../../shared/secagg/survivors.site.js';
import { simKeys } from '../sim/world.js';
import { codeOf, preKeyOf, sharesOf, without } from './kit.js';
import { Coordinator, types } from './round-kit.js';

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
