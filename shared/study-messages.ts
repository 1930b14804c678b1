/**
 * Messages of a study's life between coordinator and site, as domain types; those of a round are in messages.ts. Hashes
 * are 64 lower-case hexadecimal digits. Everything big travels as a blob and is named by its hash.
 */

/** `withdrawn`: said after an approval; the site contributes nothing more. */
export type Decision = 'approved' | 'declined' | 'withdrawn';

/** A site's signed decision on a study. The signature covers `approvalStatement`. */
export interface Approval {
  readonly studyHash: string;
  readonly rosterVersion: number;
  /** Hash of that roster version: pins every site's key. */
  readonly rosterHash: string;
  readonly site: string;
  readonly decision: Decision;
  /** Why declined or withdrawn; empty where approved. */
  readonly reason: string;
  /** X25519, raw 32 bytes, made for this study at this site; zeros where not approved. */
  readonly boxPublicKey: Uint8Array;
  /** Ed25519, 64 bytes. */
  readonly signature: Uint8Array;
}

/** A site's signature under a bundle, or its refusal. The signature covers `ratificationStatement`. */
export interface Ratification {
  readonly studyHash: string;
  readonly bundleDigest: string;
  readonly rosterVersion: number;
  readonly transcriptHead: string;
  readonly site: string;
  readonly verdict: 'ratified' | 'refused';
  /** Why refused; empty where ratified. Not signed. */
  readonly reason: string;
  readonly signature: Uint8Array;
}

// Coordinator to site ------------------------------------------------------------------------------------------------

/** The study document is a blob of the canonical JSON of the checked study; its hash is checked against studyHash. */
export interface StudyProposed {
  readonly type: 'studyProposed';
  readonly studyHash: string;
  readonly rosterVersion: number;
  readonly documentBlob: string;
}

/** All sites approved: each site checks every approval and knows every box key. */
export interface StudyStarted {
  readonly type: 'studyStarted';
  readonly studyHash: string;
  readonly approvals: readonly Approval[];
}

export interface StudyProgress {
  readonly type: 'studyProgress';
  readonly studyHash: string;
  readonly computation: string;
  readonly round: number;
}

export interface RatificationRequest {
  readonly type: 'ratificationRequest';
  readonly studyHash: string;
  readonly rosterVersion: number;
  readonly bundleDigest: string;
  readonly transcriptHead: string;
  /** Path in the bundle -> blob hash, bundle.json and result.json included. */
  readonly files: readonly { readonly path: string; readonly blobHash: string }[];
}

export interface StudyClosed {
  readonly type: 'studyClosed';
  readonly studyHash: string;
  readonly phase: 'published' | 'declined' | 'failed' | 'withdrawn';
  readonly reason: string;
}

/** The newest roster, with the chain before it, as a blob. */
export interface RosterPublished {
  readonly type: 'rosterPublished';
  readonly rosterVersion: number;
  readonly rosterBlob: string;
}

/** The coordinator's answer: length and root of the transcript now, and the proofs (shared/transcript.ts). */
export interface TranscriptProof {
  readonly type: 'transcriptProof';
  readonly studyHash: string;
  readonly size: number;
  readonly root: string;
  /** As it was asked for. */
  readonly context: string | null;
  /** Where the site's masked input of that attempt stands; null where none is there or none was asked for. */
  readonly index: number | null;
  readonly inclusion: readonly string[];
  /** That the transcript of the length asked from is the beginning of this one. */
  readonly consistency: readonly string[];
}

export type StudyCoordinatorMessage =
  | StudyProposed
  | StudyStarted
  | StudyProgress
  | RatificationRequest
  | StudyClosed
  | TranscriptProof
  | RosterPublished;

// Site to coordinator ------------------------------------------------------------------------------------------------

export interface ApprovalMessage {
  readonly type: 'approval';
  readonly approval: Approval;
}

export interface RatificationMessage {
  readonly type: 'ratification';
  readonly ratification: Ratification;
}

/** A site's computing thread gets on; liveness is the stream's own heartbeat. */
export interface TaskProgress {
  readonly type: 'taskProgress';
  readonly studyHash: string;
  readonly computation: string;
  readonly round: number;
  readonly message: string;
  /** How long the thread has been at work in all, milliseconds; an idle one adds nothing. An endless loop does: LIMITS.exchangeMaxMs. */
  readonly workMs: number;
}

/** Asks whether this site's masked input of an attempt is in the transcript, and what was added since. */
export interface TranscriptRequest {
  readonly type: 'transcriptRequest';
  readonly studyHash: string;
  /** Length of the transcript as this site saw it last; 0 for none. */
  readonly size: number;
  /** The attempt; null where only the head is asked for. */
  readonly context: string | null;
}

export type StudySiteMessage = ApprovalMessage | RatificationMessage | TaskProgress | TranscriptRequest;
