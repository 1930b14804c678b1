import { ConcordatError, type ErrorCode } from '../shared/errors.js';
import { LIMITS } from '../shared/limits.js';
import { attemptContext, fewestSurvivors, threshold } from '../shared/secagg/context.js';
import { preKeyDigest } from '../shared/secagg/statements.js';
import { divideSites } from '../shared/secagg/survivors.coordinator.js';
import { type MaskRemoval, rebuildMasks } from '../shared/secagg/unmask.coordinator.js';
import { identityOf } from './round-prompts.js';
import type { RoundRun } from './round-run.js';
import type { AttemptState } from './round-state.js';
import type { AbortReason } from './round-types.js';

/**
 * How a round goes on: whatever the durable facts permit, and nothing else is looked at. So a process killed at any
 * durable write goes on from there by `resumed`.
 */

/** Refusals that fresh keys cure; any other means that the site will not do what the round asks. */
const CURED_BY_NEW_ATTEMPT: readonly ErrorCode[] = [
  'SECAGG_SECRETS_LOST',
  'SECAGG_PRE_KEY_INVALID',
  'SECAGG_PRE_KEY_REUSED',
  'SECAGG_ATTEMPT_STALE',
];

/** Does whatever the durable facts permit, until nothing more follows. */
export function pursue(run: RoundRun): void {
  for (;;) {
    const before = run.state;
    if (run.state.phase === 'preKeys') pursuePreKeys(run);
    else if (run.state.phase === 'maskedInput') pursueInputs(run, run.state.attempt!);
    else if (run.state.phase === 'agreement') pursueAgreement(run, run.state.attempt!);
    else if (run.state.phase === 'unmask') pursueUnmask(run, run.state.attempt!);
    if (run.state === before) return;
  }
}

function pursuePreKeys(run: RoundRun): void {
  const { state } = run;
  if (state.attempts >= LIMITS.attemptsMax) {
    fail(run, 'SECAGG_THRESHOLD', []);
    return;
  }
  const candidates = run.needsEverybody() ? run.roster : run.roster.filter((site) => !state.missing.has(site));
  if (candidates.length < fewestSurvivors(run.config.terms)) return;
  const ready = candidates.every((site) => state.present.has(site) && (!run.secure || state.preKeys.has(site)));
  if (ready) openAttempt(run, candidates);
}

function openAttempt(run: RoundRun, sites: readonly string[]): void {
  const { opening, slot, attempts, preKeys } = run.state;
  const attempt = attempts + 1;
  const used = sites.flatMap((site) => preKeys.get(site) ?? []);
  const context = attemptContext({ ...identityOf(run.config.terms, opening!), attempt });
  const digest = preKeyDigest(run.secure ? used : []);
  run.log({ type: 'attemptOpened', context, attempt, slot, sites, preKeyDigest: digest });
  run.emit({ type: 'resetAccumulator', context });
  run.exchange('maskedInput');
}

function pursueInputs(run: RoundRun, attempt: AttemptState): void {
  const absent = attempt.sites.filter((site) => !attempt.inputs.has(site));
  const refused = absent.filter((site) => attempt.out.has(site));
  if (refused.length > 0 && run.needsEverybody()) {
    stopForRefusal(run, attempt, refused);
    return;
  }
  if (absent.length === refused.length) settle(run, attempt);
}

/** Fixes the survivor set, or gives the attempt up where too few are in it. */
export function settle(run: RoundRun, attempt: AttemptState): void {
  const set = divideSites(attempt.sites, new Set(attempt.inputs.keys()));
  if (set.survivors.length >= fewestSurvivors(run.config.terms)) {
    run.log({ type: 'survivors', context: attempt.context, ...set });
    run.exchange('agreement');
    return;
  }
  const refused = set.dropped.filter((site) => attempt.out.has(site));
  if (refused.length > 0) stopForRefusal(run, attempt, refused);
  else abort(run, attempt, 'missing', set.dropped);
}

function pursueAgreement(run: RoundRun, attempt: AttemptState): void {
  const needed = threshold(run.config.terms);
  const skipped = !run.secure || run.config.terms.coordinator === 'curious';
  if (skipped || attempt.signatures.size >= needed) {
    run.log({ type: 'agreed', context: attempt.context });
    if (run.secure) run.exchange('unmask');
    return;
  }
  // A survivor that will not stand by the set is heeded even where others would be enough.
  const refused = attempt.set!.survivors.filter((site) => refusedForGood(attempt, site));
  if (refused.length > 0) stopForRefusal(run, attempt, refused);
  else stopIfTooFew(run, attempt, attempt.signatures.size, needed, attempt.signatures);
}

function pursueUnmask(run: RoundRun, attempt: AttemptState): void {
  if (run.state.unmasking) return;
  const { terms } = run.config;
  const needed = threshold(terms);
  if (run.secure && attempt.shares.size < needed) {
    const refused = attempt.set!.survivors.filter((site) => refusedForGood(attempt, site));
    // Without an agreement exchange this is where a site first sees the set.
    if (refused.length > 0 && terms.coordinator === 'curious') stopForRefusal(run, attempt, refused);
    else stopIfTooFew(run, attempt, attempt.shares.size, needed, attempt.shares);
    return;
  }
  let removals: MaskRemoval[] = [];
  try {
    if (run.secure) removals = rebuildMasks(terms, attempt.preKeys, attempt.set!, attempt.shares);
  } catch (error) {
    if (!(error instanceof ConcordatError)) throw error;
    fail(
      run,
      error.code,
      error.problems.map((problem) => problem.message),
    );
    return;
  }
  const { computation, round, broadcastHash } = run.state.opening!;
  const { context } = attempt;
  const survivors = attempt.set!.survivors;
  run.state = { ...run.state, unmasking: true };
  run.emit({
    type: 'unmask',
    job: { context, computation, round, broadcastHash, preKeyDigest: attempt.preKeyDigest, survivors, removals },
  });
}

function stopIfTooFew(
  run: RoundRun,
  attempt: AttemptState,
  have: number,
  needed: number,
  answered: ReadonlyMap<string, unknown>,
): void {
  const survivors = attempt.set!.survivors;
  const gone = survivors.filter((site) => attempt.out.has(site) && !answered.has(site));
  const open = survivors.filter((site) => !attempt.out.has(site) && !answered.has(site));
  if (have + open.length < needed) stopForRefusal(run, attempt, gone);
}

/** New keys where they help; everybody where somebody refused to go on without the missing; otherwise the round fails. */
function stopForRefusal(run: RoundRun, attempt: AttemptState, sites: readonly string[]): void {
  const refused = sites.filter((site) => refusedForGood(attempt, site));
  const taking = attempt.set?.survivors ?? attempt.sites;
  if (refused.length === 0) abort(run, attempt, 'lostSecrets', sites);
  else if (taking.length < run.roster.length && !run.needsEverybody()) abort(run, attempt, 'refused', refused);
  else fail(run, attempt.out.get(refused[0]!)!, refused);
}

function refusedForGood(attempt: AttemptState, site: string): boolean {
  const code = attempt.out.get(site);
  return code !== undefined && !CURED_BY_NEW_ATTEMPT.includes(code);
}

export function finish(run: RoundRun, totalHash: string): void {
  const attempt = run.state.attempt!;
  run.log({ type: 'total', context: attempt.context, totalHash, sites: attempt.set!.survivors });
  close(run, attempt, 'total');
  tellEnd(run);
}

export function abort(run: RoundRun, attempt: AttemptState, reason: AbortReason, sites: readonly string[]): void {
  run.log({ type: 'attemptAborted', context: attempt.context, reason, sites });
  run.report({ kind: 'aborted', reason, sites });
  close(run, attempt, 'aborted');
  run.exchange('preKeys');
}

function fail(run: RoundRun, code: ErrorCode, sites: readonly string[]): void {
  const { attempt } = run.state;
  run.log({ type: 'roundFailed', code, sites });
  if (attempt !== null) close(run, attempt, 'aborted');
  tellEnd(run);
}

export function abandon(run: RoundRun): void {
  if (run.state.phase === 'ended') return;
  const { attempt } = run.state;
  run.log({ type: 'abandoned' });
  if (attempt !== null) close(run, attempt, 'aborted');
}

function close(run: RoundRun, attempt: AttemptState, outcome: 'total' | 'aborted'): void {
  for (const site of attempt.sites)
    run.send(site, { type: 'attemptClosed', studyHash: run.studyHash(), context: attempt.context, outcome });
  // In plain mode the total can have the very bytes of the only input that is not zero.
  const total = run.state.end?.kind === 'done' ? run.state.end.totalHash : null;
  const hashes = [...new Set(attempt.inputs.values())].filter((hash) => hash !== total);
  run.emit({ type: 'discardBlobs', hashes });
}

export function tellEnd(run: RoundRun): void {
  const { end } = run.state;
  if (end === null) return;
  const { computation, round } = end.opening;
  if (end.kind === 'done') {
    const { attempt, sites, totalHash } = end;
    run.emit({ type: 'roundDone', computation, round, attempt, sites, totalHash });
  } else {
    const who = end.sites.length > 0 ? ` (${end.sites.join(', ')})` : '';
    const message = `round ${round} of ${computation} failed: ${end.code}${who}`;
    run.emit({ type: 'roundFailed', code: end.code, message, sites: end.sites });
  }
}
