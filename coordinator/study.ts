import { ConcordatError } from '../shared/errors.js';
import type { Study } from '../shared/study.js';
import { CLOSED, STUDY_TRANSITIONS, type StudyEventType, type StudyPhase } from './study-transitions.js';

/**
 * The life of one study as a reducer: `(state, event) -> [state, effects]`. Signatures were verified and totals made
 * durable before an event gets here; time never matters. Folding the logged events rebuilds the state.
 */
export interface StudyState {
  readonly studyHash: string;
  readonly rosterVersion: number;
  readonly study: Study;
  readonly phase: StudyPhase;
  /** Site -> its box public key (hexadecimal) for this study. */
  readonly approvals: ReadonlyMap<string, string>;
  readonly rounds: number;
  readonly bundleDigest: string | null;
  readonly ratifications: ReadonlyMap<string, 'ratified' | 'refused'>;
  readonly reason: string | null;
}

export type StudyEvent =
  | { readonly type: 'approval'; readonly site: string; readonly boxPublicKey: string }
  | { readonly type: 'decline'; readonly site: string; readonly reason: string }
  | { readonly type: 'withdrawal'; readonly site: string; readonly reason: string }
  | { readonly type: 'roundTotal'; readonly round: number }
  | { readonly type: 'finished'; readonly bundleDigest: string; readonly unmet: readonly string[] }
  | { readonly type: 'failure'; readonly reason: string }
  | { readonly type: 'abort'; readonly reason: string }
  | {
      readonly type: 'ratification';
      readonly site: string;
      readonly verdict: 'ratified' | 'refused';
      readonly reason: string;
    }
  | { readonly type: 'publication' };

export type StudyEffect =
  /** All sites approved: begin the first round. */
  | { readonly type: 'run' }
  | { readonly type: 'requestRatification' }
  | { readonly type: 'publish' }
  | { readonly type: 'tellClosed'; readonly phase: StudyPhase; readonly reason: string }
  /** A study that ends after validation leaves its result as a signed summary. */
  | { readonly type: 'registerSummary'; readonly phase: StudyPhase; readonly reason: string };

export function proposedStudy(study: Study, studyHash: string, rosterVersion: number): StudyState {
  return {
    studyHash,
    rosterVersion,
    study,
    phase: 'proposed',
    approvals: new Map(),
    rounds: 0,
    bundleDigest: null,
    ratifications: new Map(),
    reason: null,
  };
}

export function quorumOf(study: Study): number {
  return study.quorum ?? study.sites.training.length;
}

/** Throws STUDY_WRONG_PHASE for an event the table does not allow, naming both. */
export function studyStep(state: StudyState, event: StudyEvent): [StudyState, StudyEffect[]] {
  const moved = move(state, event.type);
  switch (event.type) {
    case 'approval': {
      const approvals = new Map(state.approvals).set(event.site, event.boxPublicKey);
      const wanted = state.study.sites.training.length + state.study.sites.external.length;
      if (approvals.size < wanted) return [{ ...moved, approvals }, []];
      return [{ ...move(moved, 'allApproved'), approvals }, [{ type: 'run' }]];
    }
    case 'decline':
      return close(moved, `${event.site} declined: ${event.reason}`);
    case 'withdrawal': {
      // A later total without the site, less an earlier one with it, would be its share: so the study ends.
      const when = state.rounds === 0 ? 'before the first total' : `after ${state.rounds} totals`;
      return close(moved, `${event.site} withdrew ${when}: ${event.reason}`);
    }
    case 'roundTotal':
      return [{ ...moved, rounds: event.round }, []];
    case 'finished': {
      const finished = { ...moved, bundleDigest: event.bundleDigest };
      if (event.unmet.length === 0) return [finished, [{ type: 'requestRatification' }]];
      return close(move(finished, 'failure'), `acceptance criteria not met: ${event.unmet.join('; ')}`);
    }
    case 'failure':
      return close(moved, event.reason);
    case 'abort':
      return close(moved, `withdrawn: ${event.reason}`);
    case 'ratification':
      return ratified(moved, event);
    case 'publication':
      return [moved, [{ type: 'tellClosed', phase: 'published', reason: 'published at quorum' }]];
  }
}

function ratified(
  state: StudyState,
  event: Extract<StudyEvent, { type: 'ratification' }>,
): [StudyState, StudyEffect[]] {
  const ratifications = new Map(state.ratifications).set(event.site, event.verdict);
  const next = { ...state, ratifications };
  if (next.phase !== 'validated') return [next, []];
  const verdicts = [...ratifications.values()];
  const voters = state.study.sites.training.length + state.study.sites.external.length;
  const quorum = quorumOf(state.study);
  if (verdicts.filter((verdict) => verdict === 'ratified').length >= quorum)
    return [move(next, 'quorum'), [{ type: 'publish' }]];
  const refused = verdicts.filter((verdict) => verdict === 'refused').length;
  if (voters - refused < quorum)
    return close(
      move(next, 'refusal'),
      `quorum of ${quorum} cannot be reached: ${event.site} refused: ${event.reason}`,
    );
  return [next, []];
}

function move(state: StudyState, event: StudyEventType): StudyState {
  const phase = STUDY_TRANSITIONS[state.phase][event];
  if (phase === undefined)
    throw new ConcordatError('STUDY_WRONG_PHASE', `the study is ${state.phase}, which does not allow "${event}"`);
  return { ...state, phase };
}

function close(state: StudyState, reason: string): [StudyState, StudyEffect[]] {
  const effects: StudyEffect[] = [{ type: 'tellClosed', phase: state.phase, reason }];
  if (state.bundleDigest !== null) effects.unshift({ type: 'registerSummary', phase: state.phase, reason });
  return [{ ...state, reason }, effects];
}

export function isClosed(state: StudyState): boolean {
  return CLOSED.has(state.phase);
}
