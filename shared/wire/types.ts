import type { SignedLedgerHead } from '../egress-ledger.js';
import type { CoordinatorMessage, SiteMessage } from '../messages.js';
import type { StudyCoordinatorMessage, StudySiteMessage } from '../study-messages.js';

/** What the parts of the protocol carry besides the messages of rounds and studies, as domain types. */

export interface Hello {
  readonly type: 'hello';
  readonly site: string;
  /** The newest that the site speaks, and the oldest. */
  readonly protocolVersion: number;
  readonly oldestProtocolVersion: number;
  readonly programVersion: string;
}

export interface Welcome {
  readonly type: 'welcome';
  /** The one that both speak from here on. */
  readonly protocolVersion: number;
  readonly programVersion: string;
  readonly heartbeatIntervalMs: number;
  readonly rosterVersion: number;
}

export interface Heartbeat {
  readonly type: 'heartbeat';
  readonly sequence: number;
}

export interface HeartbeatAnswer {
  readonly type: 'heartbeatAnswer';
  readonly sequence: number;
}

/** The head of the site's egress ledger, signed by the site. */
export interface LedgerHeadMessage extends SignedLedgerHead {
  readonly type: 'ledgerHead';
}

/** The head that the coordinator logged last for the site, signed by the transport authority. */
export interface LedgerCountersigned extends SignedLedgerHead {
  readonly type: 'ledgerCountersigned';
}

/** What a site's handlers may send and receive; hello, welcome and heartbeats stay inside the RPC shells. */
export type FromSite = SiteMessage | StudySiteMessage | LedgerHeadMessage;
export type ToSite = CoordinatorMessage | StudyCoordinatorMessage | LedgerCountersigned;

export type SiteFrame = FromSite | Hello | Heartbeat;
export type CoordinatorFrame = ToSite | Welcome | HeartbeatAnswer;

export interface UploadChunk {
  /** In the first chunk of a stream; null in the others. */
  readonly blobSha256: string | null;
  readonly blobSize: number | null;
  readonly offset: number;
  readonly data: Uint8Array;
  readonly sha256: string;
}

export interface DownloadChunk {
  /** In the first chunk; null in the others. */
  readonly blobSize: number | null;
  readonly offset: number;
  readonly data: Uint8Array;
  readonly sha256: string;
}

export interface BlobStat {
  readonly complete: boolean;
  readonly offset: number;
}

export interface UploadReceipt {
  readonly sha256: string;
  readonly size: number;
}

export interface DownloadRequest {
  readonly sha256: string;
  readonly offset: number;
}

export interface BundleEntry {
  readonly name: string;
  readonly version: number;
  readonly digest: string;
  readonly studyHash: string;
  readonly phase: string;
  /** RFC 3339. */
  readonly publishedAt: string;
}

export interface BundleDetail {
  readonly bundle: BundleEntry;
  readonly files: readonly { readonly path: string; readonly sha256: string; readonly size: number }[];
}

export interface BundleQuery {
  readonly name: string;
  /** Null asks for the newest. */
  readonly version: number | null;
}
