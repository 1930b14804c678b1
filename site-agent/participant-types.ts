import type { ErrorCode } from '../shared/errors.js';
import type { CoordinatorMessage, PreKey, RoundTerms, ShareKind, SiteMessage } from '../shared/messages.js';
import type { Secret } from '../shared/secret.js';

/**
 * What the participant reducer of one site in one study takes and gives. The shell (1) makes each `persist` and
 * `persistSecret` durable before it carries out a later effect of the same list, (2) carries out effects in order,
 * (3) after a restart folds the records with `recover` and then feeds `resumed`. Secrets live in a store of their own that
 * can forget (not in the log, not in backups); the words of contributions and masked inputs are blobs named by hash.
 */
export interface SurvivorSet {
  readonly context: string;
  readonly computation: string;
  readonly round: number;
  readonly attempt: number;
  readonly broadcastHash: string;
  readonly declarationHash: string;
  readonly survivors: readonly string[];
  readonly dropped: readonly string[];
}

export interface ParticipantConfig {
  readonly site: string;
  readonly terms: RoundTerms;
  /** Ed25519 private key, raw 32-byte seed. */
  readonly signingKey: Secret;
  /** X25519 private key of this study, raw 32 bytes. */
  readonly boxKey: Secret;
  /** The disclosure guard: `ok`, or why this site does not let its data be part of that set. Pure. */
  readonly guard: (set: SurvivorSet) => 'ok' | ErrorCode;
}

/** `random`: 32 bytes from the operating system, fresh for each event. */
export type ParticipantEvent = { readonly nowMs: number; readonly random: Uint8Array } & (
  | { readonly type: 'connected' }
  | { readonly type: 'disconnected' }
  | { readonly type: 'message'; readonly message: CoordinatorMessage }
  /** Answer to `contribute`: encoded words, in declaration order, durable under this hash. */
  | {
      readonly type: 'contributionReady';
      readonly broadcastHash: string;
      readonly declarationHash: string;
      readonly blobHash: string;
      readonly byteLength: number;
    }
  | {
      readonly type: 'contributionRefused';
      readonly broadcastHash: string;
      readonly declarationHash: string;
      readonly code: ErrorCode;
    }
  /** Answer to `mask`: the masked input is durable under this hash. */
  | { readonly type: 'masked'; readonly context: string; readonly blobHash: string; readonly byteLength: number }
  /**
   * First event of a process, after `recover`. `secrets`: names present in the secret store. `restored`: the operator says
   * that the data comes from a backup.
   */
  | { readonly type: 'resumed'; readonly secrets: readonly string[]; readonly restored: boolean }
);

/** Durable facts; the state is their fold. */
export type ParticipantRecord =
  | { readonly type: 'incarnation'; readonly incarnation: string }
  | { readonly type: 'preKey'; readonly preKey: PreKey; readonly secretName: string }
  | {
      readonly type: 'joined';
      readonly context: string;
      readonly computation: string;
      readonly round: number;
      readonly attempt: number;
      readonly slot: number;
      readonly broadcastHash: string;
      readonly declarationHash: string;
      readonly sites: readonly string[];
      readonly preKeyDigest: string;
      /** Public mask keys of the attempt's sites, in that order; empty in plain mode. */
      readonly maskPublicKeys: readonly Uint8Array[];
    }
  | {
      readonly type: 'contribution';
      readonly computation: string;
      readonly round: number;
      readonly broadcastHash: string;
      readonly declarationHash: string;
      readonly blobHash: string;
      readonly byteLength: number;
    }
  | { readonly type: 'masked'; readonly context: string; readonly blobHash: string; readonly byteLength: number }
  | { readonly type: 'acknowledged'; readonly context: string }
  /** The one set that this site signs (or accepts, curious coordinator) in this attempt; before the signature leaves. */
  | {
      readonly type: 'signedSet';
      readonly context: string;
      readonly survivors: readonly string[];
      readonly dropped: readonly string[];
    }
  /** The kinds of share that this site gives away in this attempt follow from the set; before the shares leave. */
  | { readonly type: 'released'; readonly context: string }
  | { readonly type: 'refused'; readonly context: string; readonly code: ErrorCode }
  | {
      readonly type: 'closed';
      readonly context: string;
      readonly outcome: 'total' | 'aborted' | 'superseded' | 'lost';
    };

/** Everything shared/secagg/masked-input.site.ts needs besides secret and words. */
export interface MaskJob {
  readonly context: string;
  readonly computation: string;
  readonly round: number;
  readonly broadcastHash: string;
  readonly declarationHash: string;
  readonly contributionHash: string;
  readonly site: string;
  /** Empty in plain mode: the masked input is the contribution itself. */
  readonly peers: readonly { readonly site: string; readonly maskPublicKey: Uint8Array }[];
  readonly preKeyDigest: string;
  /** Name in the secret store of this slot's keys; null in plain mode. */
  readonly secretName: string | null;
}

export interface ReleaseJob {
  readonly studyHash: string;
  readonly context: string;
  readonly site: string;
  /** The attempt's sites, in the order in which their shares are held. */
  readonly sites: readonly string[];
  /** Name in the secret store of the shares that peers gave this site for this slot. */
  readonly secretName: string;
  readonly wanted: readonly { readonly dealer: string; readonly kind: ShareKind }[];
}

export type ParticipantEffect =
  | { readonly type: 'persist'; readonly record: ParticipantRecord }
  | { readonly type: 'persistSecret'; readonly name: string; readonly secret: Secret }
  /** Destroy every secret of this study whose name is not listed. */
  | { readonly type: 'eraseSecretsExcept'; readonly names: readonly string[] }
  | { readonly type: 'send'; readonly message: SiteMessage }
  /** Fetch the broadcast, compute behind the release gate, store the words, answer contributionReady or -Refused. */
  | {
      readonly type: 'contribute';
      readonly computation: string;
      readonly round: number;
      readonly broadcastHash: string;
      readonly declarationHash: string;
    }
  /** shared/secagg/masked-input.site.ts maskedInput; store the bytes durably; answer `masked`. */
  | { readonly type: 'mask'; readonly job: MaskJob }
  /** Transfer the blob (where the coordinator lacks it), then send the message. */
  | { readonly type: 'upload'; readonly blobHash: string; readonly message: SiteMessage }
  /** shared/secagg/unmask.site.ts releaseShares with the named secret; send what it gives. */
  | { readonly type: 'release'; readonly job: ReleaseJob }
  | { readonly type: 'discardBlobs'; readonly hashes: readonly string[] }
  | { readonly type: 'report'; readonly report: ParticipantReport };

export type ParticipantReport =
  | { readonly kind: 'joined'; readonly computation: string; readonly round: number; readonly attempt: number }
  | { readonly kind: 'uploaded'; readonly computation: string; readonly round: number; readonly attempt: number }
  | { readonly kind: 'closed'; readonly context: string; readonly outcome: string }
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly about: readonly string[] }
  | { readonly kind: 'ignored'; readonly what: string };
