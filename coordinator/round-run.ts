import { LIMITS } from '../shared/limits.js';
import type { CoordinatorMessage, Exchange } from '../shared/messages.js';
import { rosterSites } from '../shared/secagg/context.js';
import { owingSites, promptFor } from './round-prompts.js';
import { applyRecord, type RoundState } from './round-state.js';
import type { RoundConfig, RoundEffect, RoundRecord, RoundReport } from './round-types.js';

/**
 * One step of the round reducer while it runs: the state so far, the effects so far, and the few ways to add to them.
 * What follows from an event is in round.ts, what follows from the durable facts in round-progress.ts.
 */
export class RoundRun {
  readonly effects: RoundEffect[] = [];
  readonly secure: boolean;
  readonly roster: readonly string[];

  constructor(
    readonly config: RoundConfig,
    public state: RoundState,
    readonly nowMs: number,
  ) {
    this.secure = config.terms.mode === 'secure';
    this.roster = rosterSites(config.terms);
  }

  owing(): string[] {
    return owingSites(this.config.terms, this.state);
  }

  /** Sends (again) what this site has not answered. */
  prompt(site: string): void {
    const message = promptFor(this.config.terms, this.state, site);
    if (message !== null) this.send(site, message);
  }

  acknowledge(site: string): void {
    const { attempt } = this.state;
    const blobHash = attempt?.inputs.get(site);
    if (attempt === null || blobHash === undefined) return;
    this.send(site, { type: 'maskedInputReceived', studyHash: this.studyHash(), context: attempt.context, blobHash });
  }

  /** Opens an exchange: asks everybody who is present. */
  exchange(exchange: Exchange): void {
    const { opening, attempt, attempts } = this.state;
    const skipped = exchange === 'agreement' && (!this.secure || this.config.terms.coordinator === 'curious');
    if (skipped) return;
    this.report({ kind: 'exchange', exchange, round: opening!.round, attempt: attempt?.attempt ?? attempts + 1 });
    for (const site of this.owing()) this.prompt(site);
  }

  needsEverybody(): boolean {
    return this.config.terms.onMissingSite === 'wait' || this.state.everybody;
  }

  studyHash(): string {
    return this.config.terms.roster.studyHash;
  }

  /** Sets when the open exchange has lasted long enough: no later than that from now, or than it was to be. */
  setDeadline(atMostMs = Number.POSITIVE_INFINITY): void {
    const deadlineMs = Math.min(atMostMs, this.nowMs + this.config.exchangeTimeoutMs);
    const sinceMs = Math.min(this.state.sinceMs ?? this.nowMs, this.nowMs);
    this.state = { ...this.state, deadlineMs, sinceMs };
    this.emit({ type: 'setTimer', atMs: Math.min(deadlineMs, ...this.graceEnds()) });
  }

  /** Of the sites that owe something, those whose connection broke so long ago that the others need not wait. */
  lostForLong(): string[] {
    return this.owing().filter((site) => this.graceEnd(site) <= this.nowMs);
  }

  /** Instants to come at which `lostForLong` may name one more. */
  private graceEnds(): number[] {
    if (this.needsEverybody()) return [];
    return this.owing().flatMap((site) => {
      const end = this.graceEnd(site);
      return end > this.nowMs && end < Number.POSITIVE_INFINITY ? [end] : [];
    });
  }

  private graceEnd(site: string): number {
    return (this.state.lost.get(site) ?? Number.POSITIVE_INFINITY) + (this.config.lossGraceMs ?? LIMITS.lossGraceMs);
  }

  /** The site got on within the last span of an exchange, and the exchange is not longer than any may be. */
  isBusy(site: string): boolean {
    const { progress, present, sinceMs } = this.state;
    const atMs = progress.get(site)?.atMs;
    if (atMs === undefined || !present.has(site)) return false;
    const inTime = sinceMs === null || this.nowMs - sinceMs < LIMITS.exchangeMaxMs;
    return inTime && this.nowMs - atMs <= this.config.exchangeTimeoutMs;
  }

  log(record: RoundRecord): void {
    this.emit({ type: 'persist', record });
    this.state = applyRecord(this.state, record);
  }

  send(site: string, message: CoordinatorMessage): void {
    if (this.state.present.has(site)) this.emit({ type: 'send', site, message });
  }

  report(report: RoundReport): void {
    this.emit({ type: 'report', report });
  }

  emit(effect: RoundEffect): void {
    this.effects.push(effect);
  }
}
