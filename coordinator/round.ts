import { ConcordatError, type ErrorCode } from '../shared/errors.js';
import { LIMITS } from '../shared/limits.js';
import type { CoordinatorMessage, SiteMessage } from '../shared/messages.js';
import { attemptContext, fewestSurvivors, rosterSites, threshold } from '../shared/secagg/context.js';
import { checkMaskedInput } from '../shared/secagg/masked-input.coordinator.js';
import { hasAllBoxes } from '../shared/secagg/pre-keys.coordinator.js';
import { checkPreKey } from '../shared/secagg/pre-keys.js';
import { preKeyDigest } from '../shared/secagg/statements.js';
import { checkSignedSet, divideSites } from '../shared/secagg/survivors.coordinator.js';
import { checkShares, type MaskRemoval, rebuildMasks } from '../shared/secagg/unmask.coordinator.js';
import { identityOf, owingSites, promptFor } from './round-prompts.js';
import { type AttemptState, applyRecord, type RoundState } from './round-state.js';
import type {
  AbortReason,
  RoundConfig,
  RoundEffect,
  RoundEvent,
  RoundOpening,
  RoundRecord,
  RoundReport,
} from './round-types.js';

/**
 * The coordinator's side of a study's rounds: start reading here. Pure: time comes in events, durable facts leave as
 * `persist` effects, and the state is the fold of those facts (round-state.ts) plus who is present and since when.
 *
 * Every handler notes what has happened; `pursue` then goes on as far as the durable facts permit. Because it looks at
 * nothing else, a process killed at any durable write goes on from there by `resumed`.
 */
export function stepRound(
  config: RoundConfig,
  state: RoundState,
  event: RoundEvent,
): { readonly state: RoundState; readonly effects: readonly RoundEffect[] } {
  const run = new Run(config, state, event.nowMs);
  run.handle(event);
  return { state: run.state, effects: run.effects };
}

/** Refusals that fresh keys cure; any other means that the site will not do what the round asks. */
const CURED_BY_NEW_ATTEMPT: readonly ErrorCode[] = [
  'SECAGG_SECRETS_LOST',
  'SECAGG_PRE_KEY_INVALID',
  'SECAGG_PRE_KEY_REUSED',
  'SECAGG_ATTEMPT_STALE',
];

class Run {
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

  handle(event: RoundEvent): void {
    switch (event.type) {
      case 'open':
        this.open(event);
        break;
      case 'connected':
        break;
      case 'disconnected': {
        const present = new Set(this.state.present);
        present.delete(event.site);
        this.state = { ...this.state, present };
        break;
      }
      case 'message':
        this.receive(event.site, event.message);
        break;
      case 'tick':
        if (this.state.deadlineMs !== null && this.nowMs >= this.state.deadlineMs) this.deadline();
        break;
      case 'unmasked':
        if (this.state.phase === 'unmask' && this.state.attempt?.context === event.context)
          this.finish(event.totalHash);
        break;
      case 'abandon':
        this.abandon();
        break;
      case 'resumed':
        this.resume();
        break;
    }
    this.pursue();
    if (this.state.deadlineMs === null && this.state.opening !== null) this.setDeadline();
  }

  // Going on ---------------------------------------------------------------------------------------------------------

  /** Does whatever the durable facts permit, until nothing more follows. */
  private pursue(): void {
    for (;;) {
      const before = this.state;
      if (this.state.phase === 'preKeys') this.pursuePreKeys();
      else if (this.state.phase === 'maskedInput') this.pursueInputs(this.state.attempt!);
      else if (this.state.phase === 'agreement') this.pursueAgreement(this.state.attempt!);
      else if (this.state.phase === 'unmask') this.pursueUnmask(this.state.attempt!);
      if (this.state === before) return;
    }
  }

  private pursuePreKeys(): void {
    const { state } = this;
    if (state.attempts >= LIMITS.attemptsMax) {
      this.fail('SECAGG_THRESHOLD', []);
      return;
    }
    const candidates = this.needsEverybody() ? this.roster : this.roster.filter((site) => !state.missing.has(site));
    if (candidates.length < fewestSurvivors(this.config.terms)) return;
    const ready = candidates.every((site) => state.present.has(site) && (!this.secure || state.preKeys.has(site)));
    if (ready) this.openAttempt(candidates);
  }

  private openAttempt(sites: readonly string[]): void {
    const { opening, slot, attempts, preKeys } = this.state;
    const attempt = attempts + 1;
    const used = sites.flatMap((site) => preKeys.get(site) ?? []);
    const context = attemptContext({ ...identityOf(this.config.terms, opening!), attempt });
    const digest = preKeyDigest(this.secure ? used : []);
    this.log({ type: 'attemptOpened', context, attempt, slot, sites, preKeyDigest: digest });
    this.emit({ type: 'resetAccumulator', context });
    this.exchange('maskedInput');
  }

  private pursueInputs(attempt: AttemptState): void {
    const absent = attempt.sites.filter((site) => !attempt.inputs.has(site));
    const refused = absent.filter((site) => attempt.out.has(site));
    if (refused.length > 0 && this.needsEverybody()) {
      this.stopForRefusal(attempt, refused);
      return;
    }
    if (absent.length === refused.length) this.settle(attempt);
  }

  /** Fixes the survivor set, or gives the attempt up where too few are in it. */
  private settle(attempt: AttemptState): void {
    const set = divideSites(attempt.sites, new Set(attempt.inputs.keys()));
    if (set.survivors.length >= fewestSurvivors(this.config.terms)) {
      this.log({ type: 'survivors', context: attempt.context, ...set });
      this.exchange('agreement');
      return;
    }
    const refused = set.dropped.filter((site) => attempt.out.has(site));
    if (refused.length > 0) this.stopForRefusal(attempt, refused);
    else this.abort(attempt, 'missing', set.dropped);
  }

  private pursueAgreement(attempt: AttemptState): void {
    const needed = threshold(this.config.terms);
    const skipped = !this.secure || this.config.terms.coordinator === 'curious';
    if (skipped || attempt.signatures.size >= needed) {
      this.log({ type: 'agreed', context: attempt.context });
      if (this.secure) this.exchange('unmask');
      return;
    }
    // A survivor that will not stand by the set is heeded even where others would be enough.
    const refused = attempt.set!.survivors.filter((site) => this.refusedForGood(attempt, site));
    if (refused.length > 0) this.stopForRefusal(attempt, refused);
    else this.stopIfTooFew(attempt, attempt.signatures.size, needed, attempt.signatures);
  }

  private pursueUnmask(attempt: AttemptState): void {
    if (this.state.unmasking) return;
    const { terms } = this.config;
    const needed = threshold(terms);
    if (this.secure && attempt.shares.size < needed) {
      const refused = attempt.set!.survivors.filter((site) => this.refusedForGood(attempt, site));
      // Without an agreement exchange this is where a site first sees the set.
      if (refused.length > 0 && terms.coordinator === 'curious') this.stopForRefusal(attempt, refused);
      else this.stopIfTooFew(attempt, attempt.shares.size, needed, attempt.shares);
      return;
    }
    let removals: MaskRemoval[] = [];
    try {
      if (this.secure) removals = rebuildMasks(terms, attempt.preKeys, attempt.set!, attempt.shares);
    } catch (error) {
      if (!(error instanceof ConcordatError)) throw error;
      this.fail(
        error.code,
        error.problems.map((problem) => problem.message),
      );
      return;
    }
    const { computation, round, broadcastHash } = this.state.opening!;
    const { context } = attempt;
    const survivors = attempt.set!.survivors;
    this.state = { ...this.state, unmasking: true };
    this.emit({
      type: 'unmask',
      job: { context, computation, round, broadcastHash, preKeyDigest: attempt.preKeyDigest, survivors, removals },
    });
  }

  private stopIfTooFew(
    attempt: AttemptState,
    have: number,
    needed: number,
    answered: ReadonlyMap<string, unknown>,
  ): void {
    const survivors = attempt.set!.survivors;
    const gone = survivors.filter((site) => attempt.out.has(site) && !answered.has(site));
    const open = survivors.filter((site) => !attempt.out.has(site) && !answered.has(site));
    if (have + open.length < needed) this.stopForRefusal(attempt, gone);
  }

  /** New keys where they help; everybody where somebody refused to go on without the missing; otherwise the round fails. */
  private stopForRefusal(attempt: AttemptState, sites: readonly string[]): void {
    const refused = sites.filter((site) => this.refusedForGood(attempt, site));
    const taking = attempt.set?.survivors ?? attempt.sites;
    if (refused.length === 0) this.abort(attempt, 'lostSecrets', sites);
    else if (taking.length < this.roster.length && !this.needsEverybody()) this.abort(attempt, 'refused', refused);
    else this.fail(attempt.out.get(refused[0]!)!, refused);
  }

  private refusedForGood(attempt: AttemptState, site: string): boolean {
    const code = attempt.out.get(site);
    return code !== undefined && !CURED_BY_NEW_ATTEMPT.includes(code);
  }

  private finish(totalHash: string): void {
    const attempt = this.state.attempt!;
    this.log({ type: 'total', context: attempt.context, totalHash, sites: attempt.set!.survivors });
    this.close(attempt, 'total');
    this.tellEnd();
  }

  private abort(attempt: AttemptState, reason: AbortReason, sites: readonly string[]): void {
    this.log({ type: 'attemptAborted', context: attempt.context, reason, sites });
    this.report({ kind: 'aborted', reason, sites });
    this.close(attempt, 'aborted');
    this.exchange('preKeys');
  }

  private fail(code: ErrorCode, sites: readonly string[]): void {
    const { attempt } = this.state;
    this.log({ type: 'roundFailed', code, sites });
    if (attempt !== null) this.close(attempt, 'aborted');
    this.tellEnd();
  }

  private abandon(): void {
    if (this.state.phase === 'ended') return;
    const { attempt } = this.state;
    this.log({ type: 'abandoned' });
    if (attempt !== null) this.close(attempt, 'aborted');
  }

  private close(attempt: AttemptState, outcome: 'total' | 'aborted'): void {
    for (const site of attempt.sites)
      this.send(site, { type: 'attemptClosed', studyHash: this.studyHash(), context: attempt.context, outcome });
    // In plain mode the total can have the very bytes of the only input that is not zero.
    const total = this.state.end?.kind === 'done' ? this.state.end.totalHash : null;
    const hashes = [...new Set(attempt.inputs.values())].filter((hash) => hash !== total);
    this.emit({ type: 'discardBlobs', hashes });
  }

  private tellEnd(): void {
    const { end } = this.state;
    if (end === null) return;
    const { computation, round } = end.opening;
    if (end.kind === 'done') {
      const { attempt, sites, totalHash } = end;
      this.emit({ type: 'roundDone', computation, round, attempt, sites, totalHash });
    } else {
      const who = end.sites.length > 0 ? ` (${end.sites.join(', ')})` : '';
      const message = `round ${round} of ${computation} failed: ${end.code}${who}`;
      this.emit({ type: 'roundFailed', code: end.code, message, sites: end.sites });
    }
  }

  // Events -----------------------------------------------------------------------------------------------------------

  private open(event: RoundOpening): void {
    const { phase, end, opening } = this.state;
    const same = (other: RoundOpening) => other.computation === event.computation && other.round === event.round;
    if (phase === 'idle' && end !== null && end.kind === 'done' && same(end.opening)) {
      this.tellEnd();
      return;
    }
    if (phase !== 'idle') {
      const what = opening !== null && same(opening) ? 'open, repeated' : `open in phase ${phase}`;
      this.report({ kind: 'ignored', site: '', what, code: null });
      return;
    }
    const { computation, round, broadcastHash, declarationHash, contributionBytes } = event;
    this.log({ type: 'roundOpened', computation, round, broadcastHash, declarationHash, contributionBytes });
    this.exchange('preKeys');
  }

  private resume(): void {
    const { attempt, phase } = this.state;
    if (phase === 'idle') this.tellEnd();
    if (attempt === null) return;
    this.emit({ type: 'resetAccumulator', context: attempt.context });
    for (const [site, blobHash] of attempt.inputs)
      this.emit({ type: 'accumulate', context: attempt.context, site, blobHash });
  }

  /** An exchange has lasted as long as it may. A present site is reminded; one that is gone counts as missing. */
  private deadline(): void {
    const { phase, attempt, reminders } = this.state;
    const absent = this.owing();
    const waitLonger = (site: string) => this.state.present.has(site) && reminders < LIMITS.remindersMax;
    this.state = { ...this.state, deadlineMs: null, reminders: reminders + 1 };
    if (absent.length > 0 && phase !== 'idle' && phase !== 'ended')
      this.report({ kind: 'missing', exchange: phase, sites: absent });
    const missing = absent.filter((site) => !waitLonger(site));
    if (phase === 'preKeys' && !this.needsEverybody()) {
      this.state = { ...this.state, missing: new Set([...this.state.missing, ...missing]) };
    } else if (phase === 'maskedInput' && missing.length > 0) {
      if (this.needsEverybody()) {
        this.abort(attempt!, 'missing', missing);
      } else if (missing.length === absent.length) {
        this.state = { ...this.state, missing: new Set([...this.state.missing, ...missing]) };
        this.settle(attempt!);
      }
    }
    if ((phase === 'agreement' || phase === 'unmask') && missing.length > 0 && !this.needsEverybody())
      this.stopIfUnreachable(attempt!, absent, missing);
    // An exchange that has just begun has asked already.
    if (this.state.phase === phase && this.state.attempt === attempt)
      for (const site of this.owing()) this.prompt(site);
  }

  /** Under `continue` nobody waits for a survivor that may be gone for good, where without it no threshold is reached. */
  private stopIfUnreachable(attempt: AttemptState, absent: readonly string[], missing: readonly string[]): void {
    const answered = this.state.phase === 'agreement' ? attempt.signatures.size : attempt.shares.size;
    const reachable = absent.length - missing.length;
    if (!this.secure || answered + reachable >= threshold(this.config.terms)) return;
    this.state = { ...this.state, missing: new Set([...this.state.missing, ...missing]) };
    this.abort(attempt, 'missing', missing);
  }

  private receive(site: string, message: SiteMessage): void {
    if (!this.roster.includes(site) || message.studyHash !== this.studyHash() || this.state.phase === 'ended') {
      this.report({ kind: 'ignored', site, what: message.type, code: null });
      return;
    }
    try {
      if (message.type === 'siteReady') this.siteReady(site, message.incarnation, message.context);
      else if (message.type === 'preKeyAnswer') this.preKeyAnswer(site, message.preKey);
      else this.receiveInAttempt(site, message);
    } catch (error) {
      if (!(error instanceof ConcordatError) || error.code === 'INTERNAL_BUG') throw error;
      this.report({ kind: 'ignored', site, what: message.type, code: error.code });
    }
  }

  private siteReady(site: string, incarnation: string, context: string | null): void {
    const { attempt, preKeys, totalContexts } = this.state;
    const missing = new Set(this.state.missing);
    missing.delete(site);
    this.state = { ...this.state, present: new Set(this.state.present).add(site), missing };
    const unused = preKeys.get(site);
    if (unused !== undefined && unused.incarnation !== incarnation) this.log({ type: 'preKeyVoid', site });
    const mine = attempt?.preKeys.find((preKey) => preKey.site === site);
    if (attempt !== null && mine !== undefined && mine.incarnation !== incarnation && !attempt.out.has(site))
      this.log({ type: 'siteOut', context: attempt.context, site, code: 'SECAGG_SECRETS_LOST' });
    if (context !== null && context !== attempt?.context) {
      const outcome = totalContexts.has(context) ? 'total' : 'aborted';
      this.send(site, { type: 'attemptClosed', studyHash: this.studyHash(), context, outcome });
    }
    this.acknowledge(site);
    this.prompt(site);
  }

  private preKeyAnswer(site: string, preKey: Extract<SiteMessage, { type: 'preKeyAnswer' }>['preKey']): void {
    const { slot, preKeys } = this.state;
    if (!this.secure || preKey.site !== site || preKey.slot < slot || preKeys.get(site)?.slot === preKey.slot) return;
    checkPreKey(this.config.terms, preKey.slot, preKey);
    if (!hasAllBoxes(preKey)) throw new ConcordatError('SECAGG_PRE_KEY_INVALID', `${site} sent too few boxes`);
    if (preKey.slot > slot) {
      if (this.state.phase !== 'preKeys' && this.state.phase !== 'idle') return;
      this.log({ type: 'slotSkipped', slot: preKey.slot });
      for (const other of this.roster) if (other !== site) this.prompt(other);
    }
    this.log({ type: 'preKey', preKey });
  }

  private receiveInAttempt(site: string, message: Exclude<SiteMessage, { type: 'siteReady' | 'preKeyAnswer' }>): void {
    const { attempt, phase, slot } = this.state;
    const late = () => this.report({ kind: 'ignored', site, what: message.type, code: null });
    if (message.type === 'siteRefusal' && message.context === null) {
      // The site cannot take up the study at all: nothing to decide here, but the operator has to know whom to ask.
      this.report({ kind: 'refused', site, code: message.code, about: message.about });
      return;
    }
    if (attempt === null || message.context !== attempt.context || !attempt.sites.includes(site)) {
      late();
      return;
    }
    const { context } = attempt;
    const { terms } = this.config;
    if (message.type === 'siteRefusal') {
      this.report({ kind: 'refused', site, code: message.code, about: message.about });
      const done =
        phase === 'maskedInput' ? attempt.inputs : phase === 'agreement' ? attempt.signatures : attempt.shares;
      if (!attempt.out.has(site) && !done.has(site)) this.log({ type: 'siteOut', context, site, code: message.code });
    } else if (message.type === 'maskedInput') {
      if (attempt.inputs.has(site)) {
        if (attempt.inputs.get(site) === message.blobHash) this.acknowledge(site);
        else this.report({ kind: 'ignored', site, what: 'another masked input', code: 'SECAGG_SET_CHANGED' });
        return;
      }
      if (phase !== 'maskedInput' || attempt.out.has(site)) {
        late();
        return;
      }
      checkMaskedInput(terms, site, message, this.state.opening!.contributionBytes);
      const { nextPreKey, blobHash } = message;
      // A stale next pre-key is no reason to turn the masked input away: a fresh one is asked for later.
      const next = this.secure && nextPreKey?.slot === slot && nextPreKey.site === site ? nextPreKey : null;
      if (next !== null) checkPreKey(terms, slot, next);
      this.log({
        type: 'maskedInput',
        context,
        site,
        blobHash,
        nextPreKey: next !== null && hasAllBoxes(next) ? next : null,
      });
      this.emit({ type: 'accumulate', context, site, blobHash });
      this.acknowledge(site);
    } else if (message.type === 'survivorsSigned') {
      if (phase !== 'agreement' || !attempt.set!.survivors.includes(site) || attempt.signatures.has(site)) {
        late();
        return;
      }
      checkSignedSet(terms, site, attempt.preKeyDigest, attempt.set!, message);
      this.log({ type: 'signature', context, site, signature: message.signature });
    } else {
      const enough = attempt.shares.size >= threshold(terms);
      if (phase !== 'unmask' || enough || !attempt.set!.survivors.includes(site) || attempt.shares.has(site)) {
        late();
        return;
      }
      try {
        checkShares(terms, site, attempt.preKeys, attempt.set!, message);
      } catch (error) {
        // The commitments say that this holder lied; its shares count for nothing in this attempt.
        if (error instanceof ConcordatError && error.code === 'SECAGG_SHARE_INVALID' && !attempt.out.has(site))
          this.log({ type: 'siteOut', context, site, code: error.code });
        throw error;
      }
      this.log({ type: 'shares', context, site, shares: message.shares });
    }
  }

  // What sites owe ---------------------------------------------------------------------------------------------------

  private owing(): string[] {
    return owingSites(this.config.terms, this.state);
  }

  /** Sends (again) what this site has not answered. */
  private prompt(site: string): void {
    const message = promptFor(this.config.terms, this.state, site);
    if (message !== null) this.send(site, message);
  }

  private acknowledge(site: string): void {
    const { attempt } = this.state;
    const blobHash = attempt?.inputs.get(site);
    if (attempt === null || blobHash === undefined) return;
    this.send(site, { type: 'maskedInputReceived', studyHash: this.studyHash(), context: attempt.context, blobHash });
  }

  /** Opens an exchange: asks everybody who is present. */
  private exchange(exchange: 'preKeys' | 'maskedInput' | 'agreement' | 'unmask'): void {
    const { opening, attempt, attempts } = this.state;
    const skipped = exchange === 'agreement' && (!this.secure || this.config.terms.coordinator === 'curious');
    if (skipped) return;
    this.report({ kind: 'exchange', exchange, round: opening!.round, attempt: attempt?.attempt ?? attempts + 1 });
    for (const site of this.owing()) this.prompt(site);
  }

  private needsEverybody(): boolean {
    return this.config.terms.onMissingSite === 'wait' || this.state.everybody;
  }

  private studyHash(): string {
    return this.config.terms.roster.studyHash;
  }

  private setDeadline(): void {
    const deadlineMs = this.nowMs + this.config.exchangeTimeoutMs;
    this.state = { ...this.state, deadlineMs };
    this.emit({ type: 'setTimer', atMs: deadlineMs });
  }

  private log(record: RoundRecord): void {
    this.emit({ type: 'persist', record });
    this.state = applyRecord(this.state, record);
  }

  private send(site: string, message: CoordinatorMessage): void {
    if (this.state.present.has(site)) this.emit({ type: 'send', site, message });
  }

  private report(report: RoundReport): void {
    this.emit({ type: 'report', report });
  }

  private emit(effect: RoundEffect): void {
    this.effects.push(effect);
  }
}
