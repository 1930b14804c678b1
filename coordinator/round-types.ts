import type { ErrorCode } from '../shared/errors.js';
import type {
  CoordinatorMessage,
  Exchange,
  PreKey,
  ReleasedShare,
  RoundTerms,
  SiteMessage,
} from '../shared/messages.js';
import type { MaskRemoval } from '../shared/secagg/unmask.coordinator.js';

/**
 * What the round reducer takes and gives. The shell (1) appends each `persist` record durably before it carries out a
 * later effect of the same list, (2) carries out effects in order, (3) after a restart folds the records with `recover`
 * and then feeds `resumed`. Bytes of contributions never enter the reducer: they are named by their hash.
 */
export interface RoundConfig {
  readonly terms: RoundTerms;
  /** How long an exchange may last before sites that have not answered count as missing. */
  readonly exchangeTimeoutMs: number;
  /** How long the others wait for a site whose connection broke; LIMITS.lossGraceMs unless a test's clock is shorter. */
  readonly lossGraceMs?: number;
}

export interface RoundOpening {
  readonly computation: string;
  readonly round: number;
  readonly broadcastHash: string;
  readonly declarationHash: string;
  /** Length of one contribution: 8 bytes a word, two words an entry in ring 128. */
  readonly contributionBytes: number;
}

export type RoundEvent = { readonly nowMs: number } & (
  | ({ readonly type: 'open' } & RoundOpening)
  /** The transport is up; the site counts as present from its `siteReady` message on. */
  | { readonly type: 'connected'; readonly site: string }
  | { readonly type: 'disconnected'; readonly site: string }
  /** For `maskedInput` the shell has the blob durable, with checked hash and length, before it feeds the message. */
  | { readonly type: 'message'; readonly site: string; readonly message: SiteMessage }
  /**
   * The site got on with what it owes: bytes of an upload that have arrived, or milliseconds that its computing thread
   * has worked. Counts only where it is more than it was; a heartbeat says nothing of it.
   */
  | { readonly type: 'progress'; readonly site: string; readonly of: ProgressKind; readonly amount: number }
  /** Time passes; at or after the instant of the last `setTimer`. */
  | { readonly type: 'tick' }
  /** Answer to `unmask`: the total is durable under this hash. */
  | { readonly type: 'unmasked'; readonly context: string; readonly totalHash: string }
  /** Answer to `accumulate`: the acknowledged masked input of this site is no longer what was written. */
  | { readonly type: 'inputDamaged'; readonly context: string; readonly site: string }
  /** The study ends (withdrawn, failed): close what is open and start nothing more. */
  | { readonly type: 'abandon' }
  /** First event after `recover`. */
  | { readonly type: 'resumed' }
);

export type ProgressKind = 'upload' | 'work';

export type AbortReason = 'missing' | 'refused' | 'lostSecrets' | 'damaged';

/** Durable facts; the state is their fold (coordinator/round-state.ts). */
export type RoundRecord =
  | ({ readonly type: 'roundOpened' } & RoundOpening)
  | { readonly type: 'preKey'; readonly preKey: PreKey }
  /** The site has a new secret store: its unused pre-key is worth nothing. */
  | { readonly type: 'preKeyVoid'; readonly site: string }
  /** Sites have seen later slots than we know (our log came from a backup): go on from this one. */
  | { readonly type: 'slotSkipped'; readonly slot: number }
  | {
      readonly type: 'attemptOpened';
      readonly context: string;
      readonly attempt: number;
      readonly slot: number;
      readonly sites: readonly string[];
      readonly preKeyDigest: string;
    }
  | {
      readonly type: 'maskedInput';
      readonly context: string;
      readonly site: string;
      readonly blobHash: string;
      readonly nextPreKey: PreKey | null;
      /** Of the site, over (context, blob hash, length). */
      readonly signature: Uint8Array;
    }
  /** The site will do nothing more in this attempt: it refused, lost its keys, or lied. */
  | { readonly type: 'siteOut'; readonly context: string; readonly site: string; readonly code: ErrorCode }
  | {
      readonly type: 'survivors';
      readonly context: string;
      readonly survivors: readonly string[];
      readonly dropped: readonly string[];
    }
  | { readonly type: 'signature'; readonly context: string; readonly site: string; readonly signature: Uint8Array }
  /** Enough signatures on the set, or none needed. */
  | { readonly type: 'agreed'; readonly context: string }
  | {
      readonly type: 'shares';
      readonly context: string;
      readonly site: string;
      readonly shares: readonly ReleasedShare[];
    }
  | {
      readonly type: 'attemptAborted';
      readonly context: string;
      readonly reason: AbortReason;
      readonly sites: readonly string[];
    }
  | { readonly type: 'total'; readonly context: string; readonly totalHash: string; readonly sites: readonly string[] }
  | { readonly type: 'roundFailed'; readonly code: ErrorCode; readonly sites: readonly string[] }
  | { readonly type: 'abandoned' };

export interface UnmaskJob {
  readonly context: string;
  readonly computation: string;
  readonly round: number;
  readonly broadcastHash: string;
  readonly preKeyDigest: string;
  readonly survivors: readonly string[];
  /** Empty in plain mode. */
  readonly removals: readonly MaskRemoval[];
}

export type RoundEffect =
  | { readonly type: 'persist'; readonly record: RoundRecord }
  | { readonly type: 'send'; readonly site: string; readonly message: CoordinatorMessage }
  /** Start a new accumulator of zeros for this attempt; any other is dropped. */
  | { readonly type: 'resetAccumulator'; readonly context: string }
  /** Add the blob to the accumulator of this attempt; where it cannot be read whole, answer `inputDamaged` and unmask nothing. */
  | { readonly type: 'accumulate'; readonly context: string; readonly site: string; readonly blobHash: string }
  /** shared/secagg/unmask.coordinator.ts removeMasks over the accumulator; store the words; answer `unmasked`. */
  | { readonly type: 'unmask'; readonly job: UnmaskJob }
  | { readonly type: 'setTimer'; readonly atMs: number }
  /** The blobs of a closed attempt are no longer needed. */
  | { readonly type: 'discardBlobs'; readonly hashes: readonly string[] }
  | {
      readonly type: 'roundDone';
      readonly computation: string;
      readonly round: number;
      readonly attempt: number;
      readonly sites: readonly string[];
      readonly totalHash: string;
    }
  | {
      readonly type: 'roundFailed';
      readonly code: ErrorCode;
      readonly message: string;
      readonly sites: readonly string[];
    }
  /** Stop the rounds of this study in this process, with this error; nothing is logged, a restart goes on. */
  | { readonly type: 'stop'; readonly code: ErrorCode; readonly message: string }
  /** For progress and the operator; decides nothing. */
  | { readonly type: 'report'; readonly report: RoundReport };

export type RoundReport =
  | { readonly kind: 'exchange'; readonly exchange: Exchange; readonly round: number; readonly attempt: number }
  | { readonly kind: 'missing'; readonly exchange: Exchange; readonly sites: readonly string[] }
  | { readonly kind: 'aborted'; readonly reason: AbortReason; readonly sites: readonly string[] }
  | { readonly kind: 'refused'; readonly site: string; readonly code: ErrorCode; readonly about: readonly string[] }
  /** A masked input changed on the coordinator's own disk; the site did nothing wrong. */
  | { readonly kind: 'damaged'; readonly site: string; readonly code: ErrorCode }
  /** A message that was not accepted: late, repeated, wrongly signed. */
  | { readonly kind: 'ignored'; readonly site: string; readonly what: string; readonly code: ErrorCode | null };
