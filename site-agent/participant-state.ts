import type { ErrorCode } from '../shared/errors.js';
import { assert } from '../shared/errors.js';
import type { PreKey } from '../shared/messages.js';
import type { DividedSites } from '../shared/secagg/survivors.js';
import { folded } from '../shared/stored-shapes.js';
import type { ParticipantRecord } from './participant-types.js';

/**
 * Phases of one attempt at a site, and which record may follow in which. A pair that is not in the table is a defect.
 *
 * joined        the offer was checked; the contribution is being computed or masked
 * masked        the masked input is durable and may leave; only these bytes are ever sent
 * acknowledged  the coordinator has it
 * signed        the one survivor set of this attempt is durable
 * released      its shares have been given away
 * refused       this site does nothing more in this attempt
 */
export type SitePhase = 'joined' | 'masked' | 'acknowledged' | 'signed' | 'released' | 'refused';

type AttemptRecord = 'masked' | 'acknowledged' | 'signedSet' | 'released' | 'refused';

export const SITE_TRANSITIONS: { readonly [phase in SitePhase]: { readonly [type in AttemptRecord]?: SitePhase } } = {
  joined: { masked: 'masked', refused: 'refused' },
  masked: { acknowledged: 'acknowledged', refused: 'refused' },
  acknowledged: { signedSet: 'signed', refused: 'refused' },
  signed: { released: 'released' },
  released: {},
  refused: {},
};

export interface SiteAttempt {
  readonly phase: SitePhase;
  readonly context: string;
  readonly computation: string;
  readonly round: number;
  readonly attempt: number;
  readonly slot: number;
  readonly broadcastHash: string;
  readonly declarationHash: string;
  readonly sites: readonly string[];
  readonly preKeyDigest: string;
  readonly maskPublicKeys: readonly Uint8Array[];
  readonly blobHash: string | null;
  readonly byteLength: number;
  readonly set: DividedSites | null;
  readonly refusal: ErrorCode | null;
}

export interface HeldContribution {
  readonly computation: string;
  readonly round: number;
  readonly broadcastHash: string;
  readonly declarationHash: string;
  readonly blobHash: string;
  readonly byteLength: number;
}

/** What a round was about: computation, broadcast and declaration. A state shares the list with the states before it. */
export interface JoinedRound {
  readonly round: number;
  readonly subject: string;
  readonly before: JoinedRound | null;
}

export interface ParticipantState {
  readonly incarnation: string | null;
  /** Highest slot whose pre-key has served an attempt here. */
  readonly lastSlot: number;
  /** A pre-key that has served no attempt yet. */
  readonly pending: { readonly preKey: PreKey; readonly secretName: string } | null;
  readonly attempt: SiteAttempt | null;
  /** The rounds that this site joined, the last one first; their numbers only rise. */
  readonly rounds: JoinedRound | null;
  /** What this site sends in the open round, the same words in every attempt. */
  readonly contribution: HeldContribution | null;
  // What follows is forgotten in a restart.
  readonly connected: boolean;
  /** Asked of the shell and not answered yet. */
  readonly busy: 'contribute' | 'mask' | null;
}

export const INITIAL_PARTICIPANT_STATE: ParticipantState = {
  incarnation: null,
  lastSlot: 0,
  pending: null,
  attempt: null,
  rounds: null,
  contribution: null,
  connected: false,
  busy: null,
};

/** Name in the secret store of the keys of a slot, and of the shares that peers gave us for it. */
export const keysName = (slot: number): string => `keys-${slot}`;
export const sharesName = (slot: number): string => `shares-${slot}`;

/** What one round asks; the same in every attempt of it. */
export function roundSubject(of: Pick<SiteAttempt, 'computation' | 'broadcastHash' | 'declarationHash'>): string {
  return `${of.computation} ${of.broadcastHash} ${of.declarationHash}`;
}

/** Secrets that are still needed; all others are destroyed. */
export function neededSecrets(state: ParticipantState): string[] {
  const names: string[] = [];
  if (state.pending !== null) names.push(state.pending.secretName);
  const { attempt } = state;
  if (attempt === null || attempt.phase === 'refused' || attempt.maskPublicKeys.length === 0) return names;
  // Once the masked input is durable the site's own keys have done their work.
  if (attempt.phase === 'joined') names.push(keysName(attempt.slot));
  names.push(sharesName(attempt.slot));
  return names;
}

/** State as the durable records leave it; feed `resumed` next. Throws STORE_DAMAGED where they do not follow from each other. */
export function recover(records: Iterable<ParticipantRecord>): ParticipantState {
  return folded("this site's log", () => {
    let state = INITIAL_PARTICIPANT_STATE;
    for (const record of records) state = applyRecord(state, record);
    return state;
  });
}

/** The only place where durable state changes. */
export function applyRecord(state: ParticipantState, record: ParticipantRecord): ParticipantState {
  switch (record.type) {
    case 'incarnation':
      assert(state.attempt === null, 'a new incarnation starts without an attempt');
      return { ...state, incarnation: record.incarnation, pending: null };
    case 'preKey':
      assert(record.preKey.slot > state.lastSlot, 'a pre-key serves one attempt');
      return { ...state, pending: { preKey: record.preKey, secretName: record.secretName } };
    case 'joined': {
      assert(state.attempt === null && record.slot > state.lastSlot, 'an attempt joins a fresh slot');
      const { type: _, ...joined } = record;
      const attempt: SiteAttempt = {
        ...joined,
        phase: 'joined',
        blobHash: null,
        byteLength: 0,
        set: null,
        refusal: null,
      };
      const { round } = record;
      // An earlier one that is asked again, from an old log, is in the list already.
      const known = state.rounds !== null && round <= state.rounds.round;
      const rounds = known ? state.rounds : { round, subject: roundSubject(record), before: state.rounds };
      return { ...state, attempt, rounds, lastSlot: record.slot, pending: null, busy: null };
    }
    case 'contribution': {
      const { type: _, ...contribution } = record;
      return { ...state, contribution };
    }
    case 'masked':
      return advance(state, record, { blobHash: record.blobHash, byteLength: record.byteLength });
    case 'acknowledged':
    case 'released':
      return advance(state, record, {});
    case 'signedSet':
      return advance(state, record, { set: { survivors: record.survivors, dropped: record.dropped } });
    case 'refused':
      return advance(state, record, { refusal: record.code });
    case 'closed':
      assert(state.attempt?.context === record.context, 'only the open attempt can close');
      return {
        ...state,
        attempt: null,
        busy: null,
        contribution: record.outcome === 'total' ? null : state.contribution,
      };
  }
}

function advance(
  state: ParticipantState,
  record: Extract<ParticipantRecord, { type: AttemptRecord }>,
  changes: Partial<SiteAttempt>,
): ParticipantState {
  const { attempt } = state;
  assert(attempt?.context === record.context, `record ${record.type} belongs to the open attempt`);
  const phase = SITE_TRANSITIONS[attempt.phase][record.type];
  assert(phase !== undefined, `record ${record.type} cannot follow in phase ${attempt.phase} at a site`);
  return { ...state, attempt: { ...attempt, ...changes, phase } };
}
