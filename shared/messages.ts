import type { ErrorCode } from './errors.js';

/**
 * Every message of a round between the coordinator and a site, as domain types. The wire codec (shared/wire) turns them
 * into protobuf and back; the signatures cover bytes of our own making (shared/secagg/statements.ts), never protobuf.
 *
 * Hashes are 64 lower-case hexadecimal digits (SHA-256). `context` is the attempt's context C (shared/secagg/context.ts)
 * and names the attempt. Lists of sites are sorted by code unit and free of duplicates.
 */

/** What one holder gets from one dealer's pre-key, without the boxes. */
export interface ShareCommitment {
  readonly holder: string;
  /** SHA-256 over the salted share of the self seed, 32 bytes. */
  readonly selfCommitment: Uint8Array;
  /** SHA-256 over the salted share of the mask key, 32 bytes. */
  readonly maskCommitment: Uint8Array;
  /** SHA-256 over both boxes for this holder, 32 bytes: so that an offer may leave out the boxes of others. */
  readonly boxesHash: Uint8Array;
}

/** The two shares for one holder, each sealed: nonce (24 bytes) followed by the box. */
export interface ShareBoxes {
  readonly holder: string;
  readonly self: Uint8Array;
  readonly mask: Uint8Array;
}

/** One site's fresh keys for one slot of one study. A pre-key serves one attempt, ever. */
export interface PreKey {
  readonly studyHash: string;
  readonly rosterVersion: number;
  /** Counts attempts within the study; 1, 2, ... */
  readonly slot: number;
  readonly site: string;
  /** Names the life of the site's secret store; a site restored from a backup takes a new one. */
  readonly incarnation: string;
  /** X25519, 32 bytes. */
  readonly maskPublicKey: Uint8Array;
  /** SHA-256 of the self seed, 32 bytes. */
  readonly selfSeedHash: Uint8Array;
  /** One entry for each site of the roster, the dealer included, in roster order. */
  readonly shares: readonly ShareCommitment[];
  /** From the dealer: one entry for each site of the roster. In an offer: only the receiver's. Not signed directly. */
  readonly boxes: readonly ShareBoxes[];
  /** Ed25519 by the dealer, 64 bytes. */
  readonly signature: Uint8Array;
}

export interface SiteSignature {
  readonly site: string;
  /** Ed25519, 64 bytes. */
  readonly signature: Uint8Array;
}

/** `self`: a share of a survivor's self seed. `mask`: a share of a dropped site's mask key. */
export type ShareKind = 'self' | 'mask';

export interface ReleasedShare {
  readonly dealer: string;
  readonly kind: ShareKind;
  /** 32 bytes. */
  readonly share: Uint8Array;
  /** 16 bytes. */
  readonly salt: Uint8Array;
}

// Coordinator to site ------------------------------------------------------------------------------------------------

/** Asks for a pre-key in an exchange of its own: after a start, an abort, a restart or a missing site. */
export interface PreKeyRequest {
  readonly type: 'preKeyRequest';
  readonly studyHash: string;
  readonly slot: number;
}

/** Opens one attempt of one round. In plain mode `preKeys` is empty. */
export interface AttemptOffer {
  readonly type: 'attemptOffer';
  readonly studyHash: string;
  readonly rosterVersion: number;
  readonly computation: string;
  readonly round: number;
  readonly attempt: number;
  readonly slot: number;
  readonly broadcastHash: string;
  readonly declarationHash: string;
  /** The sites of this attempt: all of the roster, or under `continue` those that gave a pre-key. */
  readonly sites: readonly string[];
  /** One for each of `sites`, in that order, each with only the receiver's boxes. */
  readonly preKeys: readonly PreKey[];
}

/** The masked input is durable at the coordinator. */
export interface MaskedInputReceived {
  readonly type: 'maskedInputReceived';
  readonly studyHash: string;
  readonly context: string;
  readonly blobHash: string;
}

/** Asks for a signature on the survivor set (skipped where the coordinator is only curious). */
export interface SurvivorsProposal {
  readonly type: 'survivorsProposal';
  readonly studyHash: string;
  readonly context: string;
  readonly preKeyDigest: string;
  readonly survivors: readonly string[];
  readonly dropped: readonly string[];
}

/** Asks for shares; carries at least t signatures on the same set, or none where the coordinator is only curious. */
export interface UnmaskRequest {
  readonly type: 'unmaskRequest';
  readonly studyHash: string;
  readonly context: string;
  readonly preKeyDigest: string;
  readonly survivors: readonly string[];
  readonly dropped: readonly string[];
  readonly signatures: readonly SiteSignature[];
}

/** The attempt is over: the site destroys its secrets. After `total` the round is over as well. */
export interface AttemptClosed {
  readonly type: 'attemptClosed';
  readonly studyHash: string;
  readonly context: string;
  readonly outcome: 'total' | 'aborted';
}

export type CoordinatorMessage =
  | PreKeyRequest
  | AttemptOffer
  | MaskedInputReceived
  | SurvivorsProposal
  | UnmaskRequest
  | AttemptClosed;

// Site to coordinator ------------------------------------------------------------------------------------------------

/** First message of a connection: the coordinator answers with whatever this site still owes. */
export interface SiteReady {
  readonly type: 'siteReady';
  readonly studyHash: string;
  readonly incarnation: string;
  /** The attempt that is open at the site, or null. */
  readonly context: string | null;
}

export interface PreKeyAnswer {
  readonly type: 'preKeyAnswer';
  readonly studyHash: string;
  readonly preKey: PreKey;
}

/** Sent after the blob with the masked words has been transferred; carries the pre-key of the next slot. */
export interface MaskedInput {
  readonly type: 'maskedInput';
  readonly studyHash: string;
  readonly context: string;
  readonly blobHash: string;
  readonly byteLength: number;
  /** Null in plain mode. */
  readonly nextPreKey: PreKey | null;
  /** Ed25519 by the site over (context, blob hash, length). */
  readonly signature: Uint8Array;
}

export interface SurvivorsSigned {
  readonly type: 'survivorsSigned';
  readonly studyHash: string;
  readonly context: string;
  readonly survivors: readonly string[];
  readonly dropped: readonly string[];
  readonly signature: Uint8Array;
}

export interface SharesReleased {
  readonly type: 'sharesReleased';
  readonly studyHash: string;
  readonly context: string;
  readonly shares: readonly ReleasedShare[];
  /** Ed25519 by the holder over the context and all shares. */
  readonly signature: Uint8Array;
}

export type Exchange = 'preKeys' | 'maskedInput' | 'agreement' | 'unmask';

/** The site will not go on with this attempt, and says why. Nothing about a patient. */
export interface SiteRefusal {
  readonly type: 'siteRefusal';
  readonly studyHash: string;
  /** Null where the refusal is to a pre-key request. */
  readonly context: string | null;
  readonly exchange: Exchange;
  readonly code: ErrorCode;
  /** Sites that the refusal is about, e.g. the dealer of a box that does not open. */
  readonly about: readonly string[];
}

export type SiteMessage = SiteReady | PreKeyAnswer | MaskedInput | SurvivorsSigned | SharesReleased | SiteRefusal;

// Roster and terms: what the study's hash pins -----------------------------------------------------------------------

export interface RosterSite {
  readonly site: string;
  /** Ed25519, raw 32 bytes. */
  readonly signingPublicKey: Uint8Array;
  /** X25519, raw 32 bytes; one per study and site. */
  readonly boxPublicKey: Uint8Array;
}

export interface StudyRoster {
  readonly studyHash: string;
  readonly rosterVersion: number;
  /** Sorted by site. Position + 1 is the site's x in Shamir's scheme. */
  readonly sites: readonly RosterSite[];
}

/** How rounds of a study run; all of it follows from the study document and the roster. */
export interface RoundTerms {
  readonly roster: StudyRoster;
  readonly mode: 'secure' | 'plain';
  /** `curious`: no agreement exchange and a threshold of a simple majority. */
  readonly coordinator: 'malicious' | 'curious';
  readonly minSites: number;
  readonly onMissingSite: 'wait' | 'continue';
}
