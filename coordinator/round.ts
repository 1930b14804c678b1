import { ConcordatError, type ErrorCode } from '../shared/errors.js';
import { LIMITS } from '../shared/limits.js';
import type { SiteMessage } from '../shared/messages.js';
import { fewestSurvivors, threshold } from '../shared/secagg/context.js';
import { checkMaskedInput } from '../shared/secagg/masked-input.coordinator.js';
import { hasAllBoxes } from '../shared/secagg/pre-keys.coordinator.js';
import { checkPreKey } from '../shared/secagg/pre-keys.js';
import { checkSignedSet } from '../shared/secagg/survivors.coordinator.js';
import { checkShares } from '../shared/secagg/unmask.coordinator.js';
import { abandon, abort, finish, pursue, settle, tellEnd } from './round-progress.js';
import { RoundRun } from './round-run.js';
import { type AttemptState, endedInTotal, type RoundState } from './round-state.js';
import type { ProgressKind, RoundConfig, RoundEffect, RoundEvent, RoundOpening } from './round-types.js';

/**
 * The coordinator's side of a study's rounds: start reading here. Pure: time comes in events, durable facts leave as
 * `persist` effects, and the state is the fold of those facts (round-state.ts) plus who is present and since when.
 *
 * Every handler here notes what has happened; `pursue` (round-progress.ts) then goes on as far as the durable facts
 * permit. Because it looks at nothing else, a process killed at any durable write goes on from there by `resumed`.
 */
export function stepRound(
  config: RoundConfig,
  state: RoundState,
  event: RoundEvent,
): { readonly state: RoundState; readonly effects: readonly RoundEffect[] } {
  const run = new RoundRun(config, state, event.nowMs);
  handle(run, event);
  return { state: run.state, effects: run.effects };
}

function handle(run: RoundRun, event: RoundEvent): void {
  switch (event.type) {
    case 'open':
      open(run, event);
      break;
    case 'connected':
      run.state = { ...run.state, lost: withoutKey(run.state.lost, event.site) };
      break;
    case 'disconnected':
      disconnected(run, event.site);
      break;
    case 'progress':
      progress(run, event.site, event.of, event.amount);
      break;
    case 'message':
      receive(run, event.site, event.message);
      break;
    case 'tick':
      if (run.state.deadlineMs === null) break;
      if (run.nowMs >= run.state.deadlineMs) deadline(run);
      // The clock was set back since: no exchange may last longer for that.
      else run.setDeadline(run.state.deadlineMs);
      break;
    case 'unmasked':
      if (run.state.phase === 'unmask' && run.state.attempt?.context === event.context) finish(run, event.totalHash);
      break;
    case 'inputDamaged':
      if (run.state.attempt?.context === event.context) damaged(run, run.state.attempt, event.site);
      break;
    case 'abandon':
      abandon(run);
      break;
    case 'resumed':
      resume(run);
      break;
  }
  giveUpTheLost(run);
  pursue(run);
  if (run.state.deadlineMs === null && run.state.opening !== null) run.setDeadline();
}

function open(run: RoundRun, event: RoundOpening): void {
  const { phase, end, opening } = run.state;
  const same = (other: RoundOpening) => other.computation === event.computation && other.round === event.round;
  if (phase === 'idle' && end !== null && end.kind === 'done' && same(end.opening)) {
    tellEnd(run);
    return;
  }
  if (phase !== 'idle') {
    const what = opening !== null && same(opening) ? 'open, repeated' : `open in phase ${phase}`;
    run.report({ kind: 'ignored', site: '', what, code: null });
    return;
  }
  const { computation, round, broadcastHash, declarationHash, contributionBytes } = event;
  run.state = { ...run.state, damaged: 0 };
  run.log({ type: 'roundOpened', computation, round, broadcastHash, declarationHash, contributionBytes });
  run.exchange('preKeys');
}

function resume(run: RoundRun): void {
  const { attempt, phase } = run.state;
  if (phase === 'idle') tellEnd(run);
  if (attempt === null) return;
  run.emit({ type: 'resetAccumulator', context: attempt.context });
  for (const [site, blobHash] of attempt.inputs)
    run.emit({ type: 'accumulate', context: attempt.context, site, blobHash });
}

/**
 * The acknowledged bytes are gone, and the sites must not send this attempt's again from nothing: a new attempt with fresh
 * masks makes the same total. Whatever was signed or released of the old one stays what it is: it is never unmasked.
 */
function damaged(run: RoundRun, attempt: AttemptState, site: string): void {
  const code = 'STORE_INPUT_DAMAGED';
  run.report({ kind: 'damaged', site, code });
  const times = run.state.damaged + 1;
  run.state = { ...run.state, damaged: times };
  if (times <= LIMITS.damagedInputsMax) abort(run, attempt, 'damaged', [site]);
  else run.emit({ type: 'stop', code, message: stoppedBy(times) });
}

const stoppedBy = (times: number) =>
  `masked inputs of one round were damaged on the coordinator's disk ${times} times; check the disk, then start the coordinator again`;

function disconnected(run: RoundRun, site: string): void {
  const present = new Set(run.state.present);
  present.delete(site);
  const lost = new Map(run.state.lost).set(site, run.nowMs);
  run.state = { ...run.state, present, lost, progress: withoutKey(run.state.progress, site) };
  // The end of its grace may come before the exchange's own.
  const { deadlineMs } = run.state;
  if (deadlineMs !== null && !run.needsEverybody() && run.owing().includes(site)) run.setDeadline(deadlineMs);
}

/** Only what rises is progress: neither the same bytes sent twice nor a thread that stands still. */
function progress(run: RoundRun, site: string, of: ProgressKind, amount: number): void {
  if (!run.state.present.has(site) || !run.owing().includes(site)) return;
  const before = run.state.progress.get(site) ?? { uploadBytes: 0, workMs: 0 };
  const { uploadBytes, workMs } = of === 'upload' ? { ...before, uploadBytes: amount } : { ...before, workMs: amount };
  if (uploadBytes <= before.uploadBytes && workMs <= before.workMs) return;
  const now = { uploadBytes, workMs, atMs: run.nowMs };
  run.state = { ...run.state, progress: new Map(run.state.progress).set(site, now) };
}

/**
 * Under `continue` a broken connection that did not come back in its grace is as good as a missed deadline. Looked at
 * after every event, because the last of the others may have answered since.
 */
function giveUpTheLost(run: RoundRun): void {
  if (run.needsEverybody()) return;
  const lost = run.lostForLong().filter((site) => !run.state.missing.has(site));
  if (lost.length > 0) giveUp(run, run.owing(), lost);
}

function withoutKey<V>(map: ReadonlyMap<string, V>, key: string): ReadonlyMap<string, V> {
  return map.has(key) ? new Map([...map].filter(([other]) => other !== key)) : map;
}

/**
 * An exchange has lasted as long as it may. A site that gets on is left to it, one that is present is reminded a number of
 * times, one that is gone counts as missing.
 */
function deadline(run: RoundRun): void {
  const { phase, attempt, reminders } = run.state;
  const absent = run.owing();
  const remindersMax = run.needsEverybody() ? LIMITS.remindersMax : LIMITS.stalledRemindersMax;
  const waitLonger = (site: string) => run.state.present.has(site) && (reminders < remindersMax || run.isBusy(site));
  run.state = { ...run.state, deadlineMs: null, reminders: reminders + 1 };
  const silent = absent.filter((site) => !run.isBusy(site));
  if (silent.length > 0 && phase !== 'idle' && phase !== 'ended')
    run.report({ kind: 'missing', exchange: phase, sites: silent });
  const missing = absent.filter((site) => !waitLonger(site));
  giveUp(run, absent, missing);
  // An exchange that has just begun has asked already.
  if (run.state.phase === phase && run.state.attempt === attempt)
    for (const site of run.owing()) if (!run.isBusy(site)) run.prompt(site);
}

/** Of the sites that still owe something (`absent`), these are not waited for any longer. */
function giveUp(run: RoundRun, absent: readonly string[], missing: readonly string[]): void {
  const { phase, attempt } = run.state;
  if (phase === 'preKeys' && !run.needsEverybody()) {
    const away = new Set([...run.state.missing, ...missing]);
    // Given up on as too slow, but here, and without them the round cannot go on: they are asked once more.
    const few = run.roster.length - away.size < fewestSurvivors(run.config.terms);
    const kept = few ? [...away].filter((site) => !run.state.present.has(site) || missing.includes(site)) : away;
    run.state = { ...run.state, missing: new Set(kept) };
  } else if (phase === 'maskedInput' && missing.length > 0) {
    if (run.needsEverybody()) {
      abort(run, attempt!, 'missing', missing);
    } else if (missing.length === absent.length) {
      run.state = { ...run.state, missing: new Set([...run.state.missing, ...missing]) };
      settle(run, attempt!);
    }
  }
  if ((phase === 'agreement' || phase === 'unmask') && missing.length > 0 && !run.needsEverybody())
    stopIfUnreachable(run, attempt!, absent, missing);
}

/** Under `continue` nobody waits for a survivor that may be gone for good, where without it no threshold is reached. */
function stopIfUnreachable(
  run: RoundRun,
  attempt: AttemptState,
  absent: readonly string[],
  missing: readonly string[],
): void {
  const answered = run.state.phase === 'agreement' ? attempt.signatures.size : attempt.shares.size;
  const reachable = absent.length - missing.length;
  if (!run.secure || answered + reachable >= threshold(run.config.terms)) return;
  run.state = { ...run.state, missing: new Set([...run.state.missing, ...missing]) };
  abort(run, attempt, 'missing', missing);
}

function receive(run: RoundRun, site: string, message: SiteMessage): void {
  if (!run.roster.includes(site) || message.studyHash !== run.studyHash() || run.state.phase === 'ended') {
    run.report({ kind: 'ignored', site, what: message.type, code: null });
    return;
  }
  try {
    if (message.type === 'siteReady') siteReady(run, site, message.incarnation, message.context);
    else if (message.type === 'preKeyAnswer') preKeyAnswer(run, site, message.preKey);
    else receiveInAttempt(run, site, message);
  } catch (error) {
    if (!(error instanceof ConcordatError) || error.code === 'INTERNAL_BUG') throw error;
    run.report({ kind: 'ignored', site, what: message.type, code: error.code });
  }
}

function siteReady(run: RoundRun, site: string, incarnation: string, context: string | null): void {
  const { attempt, preKeys } = run.state;
  const missing = new Set(run.state.missing);
  missing.delete(site);
  run.state = {
    ...run.state,
    missing,
    present: new Set(run.state.present).add(site),
    lost: withoutKey(run.state.lost, site),
    // Another process may be there now, whose counters begin anew.
    progress: withoutKey(run.state.progress, site),
  };
  const unused = preKeys.get(site);
  // Left standing, it costs the attempt that is opened with it, and attempts are counted.
  const spent = run.state.preKeyTurns >= LIMITS.preKeyTurnsMax;
  if (unused !== undefined && unused.incarnation !== incarnation && !spent) run.log({ type: 'preKeyVoid', site });
  const mine = attempt?.preKeys.find((preKey) => preKey.site === site);
  // Its masked input is in and it knows nothing of the attempt: it came back with an older disk, and nobody told it so.
  const forgotten = attempt?.inputs.has(site) === true && context !== attempt.context;
  if (
    attempt !== null &&
    mine !== undefined &&
    !attempt.out.has(site) &&
    (forgotten || mine.incarnation !== incarnation)
  )
    run.log({ type: 'siteOut', context: attempt.context, site, code: 'SECAGG_SECRETS_LOST' });
  if (context !== null && context !== attempt?.context) {
    const outcome = endedInTotal(run.state, context) ? 'total' : 'aborted';
    run.send(site, { type: 'attemptClosed', studyHash: run.studyHash(), context, outcome });
  }
  run.acknowledge(site);
  run.prompt(site);
}

function preKeyAnswer(
  run: RoundRun,
  site: string,
  preKey: Extract<SiteMessage, { type: 'preKeyAnswer' }>['preKey'],
): void {
  const { slot, preKeys } = run.state;
  if (!run.secure || preKey.site !== site || preKey.slot < slot || preKeys.get(site)?.slot === preKey.slot) return;
  checkPreKey(run.config.terms, preKey.slot, preKey);
  if (!hasAllBoxes(preKey)) throw new ConcordatError('SECAGG_PRE_KEY_INVALID', `${site} sent too few boxes`);
  if (preKey.slot > slot + LIMITS.slotsAheadMax)
    throw new ConcordatError('SECAGG_PRE_KEY_INVALID', `${site} is ${preKey.slot - slot} slots ahead`);
  if (preKey.slot > slot) {
    if (run.state.phase !== 'preKeys' && run.state.phase !== 'idle') return;
    if (run.state.preKeyTurns >= LIMITS.preKeyTurnsMax)
      throw new ConcordatError('SECAGG_PRE_KEY_INVALID', `${site} runs ahead once more, as sites did too often`);
    run.log({ type: 'slotSkipped', slot: preKey.slot });
    for (const other of run.roster) if (other !== site) run.prompt(other);
  }
  run.log({ type: 'preKey', preKey });
  if (!run.state.missing.has(site)) return;
  // Given up on as too slow, but here: only a new connection would bring it back otherwise.
  run.state = { ...run.state, missing: new Set([...run.state.missing].filter((other) => other !== site)) };
}

function receiveInAttempt(
  run: RoundRun,
  site: string,
  message: Exclude<SiteMessage, { type: 'siteReady' | 'preKeyAnswer' }>,
): void {
  const { attempt, phase, slot } = run.state;
  const late = (code: ErrorCode | null = null) => run.report({ kind: 'ignored', site, what: message.type, code });
  if (message.type === 'siteRefusal' && message.context === null) {
    // The site cannot take up the study at all: nothing to decide here, but the operator has to know whom to ask.
    run.report({ kind: 'refused', site, code: message.code, about: message.about });
    return;
  }
  if (attempt === null || message.context !== attempt.context || !attempt.sites.includes(site)) {
    // A refusal may well come after its attempt is over; work for another attempt is added to nothing.
    late(message.type === 'siteRefusal' ? null : 'SECAGG_ATTEMPT_STALE');
    return;
  }
  const { context } = attempt;
  const { terms } = run.config;
  if (message.type === 'siteRefusal') {
    run.report({ kind: 'refused', site, code: message.code, about: message.about });
    const done = phase === 'maskedInput' ? attempt.inputs : phase === 'agreement' ? attempt.signatures : attempt.shares;
    if (!attempt.out.has(site) && !done.has(site)) run.log({ type: 'siteOut', context, site, code: message.code });
  } else if (message.type === 'maskedInput') {
    if (attempt.inputs.has(site)) {
      if (attempt.inputs.get(site) === message.blobHash) run.acknowledge(site);
      else run.report({ kind: 'ignored', site, what: 'another masked input', code: 'SECAGG_SET_CHANGED' });
      return;
    }
    if (phase !== 'maskedInput' || attempt.out.has(site)) {
      late();
      return;
    }
    checkMaskedInput(terms, site, message, run.state.opening!.contributionBytes);
    const { nextPreKey, blobHash } = message;
    // A stale next pre-key is no reason to turn the masked input away: a fresh one is asked for later.
    const next = run.secure && nextPreKey?.slot === slot && nextPreKey.site === site ? nextPreKey : null;
    if (next !== null) checkPreKey(terms, slot, next);
    run.log({
      type: 'maskedInput',
      context,
      site,
      blobHash,
      nextPreKey: next !== null && hasAllBoxes(next) ? next : null,
      signature: message.signature,
    });
    run.emit({ type: 'accumulate', context, site, blobHash });
    run.acknowledge(site);
  } else if (message.type === 'survivorsSigned') {
    if (phase !== 'agreement' || !attempt.set!.survivors.includes(site) || attempt.signatures.has(site)) {
      late();
      return;
    }
    checkSignedSet(terms, site, attempt.preKeyDigest, attempt.set!, message);
    run.log({ type: 'signature', context, site, signature: message.signature });
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
        run.log({ type: 'siteOut', context, site, code: error.code });
      throw error;
    }
    run.log({ type: 'shares', context, site, shares: message.shares });
  }
}
