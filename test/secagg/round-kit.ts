import { expect } from 'vitest';
import { stepRound } from '../../coordinator/round.js';
import { INITIAL_ROUND_STATE, type RoundState, recover } from '../../coordinator/round-state.js';
import type { RoundEffect, RoundEvent, RoundRecord } from '../../coordinator/round-types.js';
import type { RoundTerms, SiteMessage } from '../../shared/messages.js';
import { maskedInputMessage } from '../../shared/secagg/masked-input.site.js';
import { sha256Hex } from '../../shared/secagg/statements.js';
import type { DividedSites } from '../../shared/secagg/survivors.js';
import { signSurvivors } from '../../shared/secagg/survivors.site.js';
import { simKeys } from '../sim/world.js';
import { type Attempt, inputOf, openAttempt, preKeyOf } from './kit.js';

export const TIMEOUT_MS = 1000;
export const GRACE_MS = 300;
export type Untimed<T> = T extends unknown ? Omit<T, 'nowMs'> : never;

/** The coordinator's reducer under a test's thumb, with sites whose every message the test makes. */
export class Coordinator {
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

export const types = (effects: readonly RoundEffect[]) =>
  effects.map((effect) => (effect.type === 'persist' ? effect.record.type : effect.type));
