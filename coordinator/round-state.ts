import type { ErrorCode } from '../shared/errors.js';
import { assert } from '../shared/errors.js';
import type { PreKey, ReleasedShare } from '../shared/messages.js';
import type { DividedSites } from '../shared/secagg/survivors.js';
import { folded } from '../shared/stored-shapes.js';
import type { RoundOpening, RoundRecord } from './round-types.js';
import { nextPhase, type RoundPhase } from './transitions.js';

/** One open attempt, as far as it is durable. */
export interface AttemptState {
  readonly context: string;
  readonly attempt: number;
  readonly slot: number;
  readonly sites: readonly string[];
  /** In the order of `sites`; empty in plain mode. */
  readonly preKeys: readonly PreKey[];
  readonly preKeyDigest: string;
  /** site -> hash of its masked input. */
  readonly inputs: ReadonlyMap<string, string>;
  readonly out: ReadonlyMap<string, ErrorCode>;
  readonly set: DividedSites | null;
  readonly signatures: ReadonlyMap<string, Uint8Array>;
  readonly shares: ReadonlyMap<string, readonly ReleasedShare[]>;
}

/** A list that grows at its head, so that a state shares it with the states before it; a set would be copied with every total. */
export interface EndedAttempt {
  readonly context: string;
  readonly before: EndedAttempt | null;
}

export function endedInTotal(state: RoundState, context: string): boolean {
  for (let ended = state.totals; ended !== null; ended = ended.before) if (ended.context === context) return true;
  return false;
}

export interface SiteProgress {
  readonly uploadBytes: number;
  readonly workMs: number;
  readonly atMs: number;
}

/** How the last round ended; told again after a restart, in case nobody heard. */
export type RoundEnd =
  | {
      readonly kind: 'done';
      readonly opening: RoundOpening;
      readonly attempt: number;
      readonly context: string;
      readonly sites: readonly string[];
      readonly totalHash: string;
    }
  | {
      readonly kind: 'failed';
      readonly opening: RoundOpening;
      readonly code: ErrorCode;
      readonly sites: readonly string[];
    };

export interface RoundState {
  readonly phase: RoundPhase;
  readonly opening: RoundOpening | null;
  /** Attempts of the open round so far. */
  readonly attempts: number;
  /** Slot of the next attempt. */
  readonly slot: number;
  /** How often in this study a site made others' or its own pre-keys useless before an attempt was opened with them. */
  readonly preKeyTurns: number;
  /** Pre-keys for that slot. */
  readonly preKeys: ReadonlyMap<string, PreKey>;
  readonly attempt: AttemptState | null;
  /** A site refused to go on without the missing: this round is repeated only with everybody. */
  readonly everybody: boolean;
  readonly end: RoundEnd | null;
  /** Attempts that ended in a total, the last one first, for sites that were away when they were told. */
  readonly totals: EndedAttempt | null;
  // What follows is forgotten in a restart.
  readonly present: ReadonlySet<string>;
  /** Sites given up on (`continue`), until they come back. */
  readonly missing: ReadonlySet<string>;
  readonly deadlineMs: number | null;
  readonly reminders: number;
  /** When the open exchange began. */
  readonly sinceMs: number | null;
  /** Site -> how far it has got in the open exchange, and when it last got on. */
  readonly progress: ReadonlyMap<string, SiteProgress>;
  /** Site -> when its connection broke; until it is back. */
  readonly lost: ReadonlyMap<string, number>;
  /** Attempts of the open round given up by this process because a masked input was damaged on disk. */
  readonly damaged: number;
  /** `unmask` was asked of the shell for the open attempt. */
  readonly unmasking: boolean;
}

export const INITIAL_ROUND_STATE: RoundState = {
  phase: 'idle',
  opening: null,
  attempts: 0,
  slot: 1,
  preKeyTurns: 0,
  preKeys: new Map(),
  attempt: null,
  everybody: false,
  end: null,
  totals: null,
  present: new Set(),
  missing: new Set(),
  deadlineMs: null,
  reminders: 0,
  sinceMs: null,
  progress: new Map(),
  lost: new Map(),
  damaged: 0,
  unmasking: false,
};

/** State as the durable records leave it; feed `resumed` next. Throws STORE_DAMAGED where they do not follow from each other. */
export function recover(records: Iterable<RoundRecord>): RoundState {
  return folded("the coordinator's log", () => {
    let state = INITIAL_ROUND_STATE;
    for (const record of records) state = applyRecord(state, record);
    return state;
  });
}

/** The only place where durable state changes. */
export function applyRecord(state: RoundState, record: RoundRecord): RoundState {
  const next = { ...change(state, record), phase: nextPhase(state.phase, record.type) };
  if (next.phase === state.phase) return next;
  return { ...next, deadlineMs: null, reminders: 0, sinceMs: null, progress: new Map() };
}

function change(state: RoundState, record: RoundRecord): RoundState {
  switch (record.type) {
    case 'roundOpened': {
      const { type: _, ...opening } = record;
      // A round that failed and is opened again goes on counting: the number of an attempt is part of its context.
      const again =
        state.end?.kind === 'failed' &&
        state.end.opening.computation === opening.computation &&
        state.end.opening.round === opening.round;
      return { ...state, opening, attempts: again ? state.attempts : 0, everybody: false, end: null };
    }
    case 'preKey':
      return { ...state, preKeys: withEntry(state.preKeys, record.preKey.site, record.preKey) };
    case 'preKeyVoid': {
      const preKeys = new Map(state.preKeys);
      preKeys.delete(record.site);
      return { ...state, preKeys, preKeyTurns: state.preKeyTurns + 1 };
    }
    case 'slotSkipped':
      return { ...state, slot: record.slot, preKeys: new Map(), preKeyTurns: state.preKeyTurns + 1 };
    case 'attemptOpened':
      return {
        ...state,
        attempts: state.attempts + 1,
        slot: record.slot + 1,
        preKeys: new Map(),
        unmasking: false,
        attempt: {
          context: record.context,
          attempt: record.attempt,
          slot: record.slot,
          sites: record.sites,
          preKeys: record.sites.flatMap((site) => state.preKeys.get(site) ?? []),
          preKeyDigest: record.preKeyDigest,
          inputs: new Map(),
          out: new Map(),
          set: null,
          signatures: new Map(),
          shares: new Map(),
        },
      };
    case 'maskedInput': {
      const attempt = openAttempt(state, record.context);
      const next = { ...attempt, inputs: withEntry(attempt.inputs, record.site, record.blobHash) };
      const preKeys =
        record.nextPreKey === null ? state.preKeys : withEntry(state.preKeys, record.site, record.nextPreKey);
      return { ...state, attempt: next, preKeys };
    }
    case 'siteOut': {
      const attempt = openAttempt(state, record.context);
      return { ...state, attempt: { ...attempt, out: withEntry(attempt.out, record.site, record.code) } };
    }
    case 'survivors': {
      const attempt = openAttempt(state, record.context);
      assert(attempt.set === null, 'an attempt has one survivor set');
      return {
        ...state,
        attempt: { ...attempt, set: { survivors: record.survivors, dropped: record.dropped } },
      };
    }
    case 'signature': {
      const attempt = openAttempt(state, record.context);
      const signatures = withEntry(attempt.signatures, record.site, record.signature);
      return { ...state, attempt: { ...attempt, signatures } };
    }
    case 'agreed':
      openAttempt(state, record.context);
      return state;
    case 'shares': {
      const attempt = openAttempt(state, record.context);
      return { ...state, attempt: { ...attempt, shares: withEntry(attempt.shares, record.site, record.shares) } };
    }
    case 'attemptAborted':
      openAttempt(state, record.context);
      return {
        ...state,
        attempt: null,
        unmasking: false,
        everybody: state.everybody || record.reason === 'refused',
      };
    case 'total': {
      const attempt = openAttempt(state, record.context);
      assert(state.opening !== null, 'a total belongs to an open round');
      const end: RoundEnd = {
        kind: 'done',
        opening: state.opening,
        attempt: attempt.attempt,
        context: attempt.context,
        sites: record.sites,
        totalHash: record.totalHash,
      };
      const totals = { context: attempt.context, before: state.totals };
      return { ...state, attempt: null, opening: null, unmasking: false, end, totals };
    }
    case 'roundFailed': {
      assert(state.opening !== null, 'only an open round can fail');
      const end: RoundEnd = { kind: 'failed', opening: state.opening, code: record.code, sites: record.sites };
      return { ...state, attempt: null, opening: null, unmasking: false, end };
    }
    case 'abandoned':
      return { ...state, attempt: null, opening: null, preKeys: new Map(), unmasking: false };
  }
}

function openAttempt(state: RoundState, context: string): AttemptState {
  assert(state.attempt !== null && state.attempt.context === context, 'the record belongs to the open attempt');
  return state.attempt;
}

function withEntry<V>(map: ReadonlyMap<string, V>, key: string, value: V): ReadonlyMap<string, V> {
  return new Map(map).set(key, value);
}
