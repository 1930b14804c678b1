import type { EnrollmentGrant, EnrollmentRequest } from './enrollment.js';
import type { ConcordatError } from './errors.js';
import type { PartialBlobStore } from './stores.js';
import type { BundleDetail, BundleEntry, BundleQuery, FromSite, ToSite } from './wire/types.js';

/**
 * The line between coordinator and sites, as both sides see it: over gRPC (coordinator/rpc.ts, site-agent/rpc.ts) or in
 * memory (shared/memory-transport.ts), under one contract suite. Messages of one site arrive in the order they were sent
 * within a connection; what was not received when a connection ends is gone, and the reducers send again on `connected`.
 */
export interface CoordinatorHandlers {
  onSiteConnected(site: string): void;
  /** An error thrown here ends the connection; the site is told its code. */
  onSiteMessage(site: string, message: FromSite): void;
  onSiteDisconnected(site: string): void;
  enroll(request: EnrollmentRequest): Promise<EnrollmentGrant>;
  readonly blobs: PartialBlobStore;
  mayUpload(site: string, hash: string, size: number): boolean;
  mayDownload(site: string, hash: string): boolean;
  /** So many bytes of a blob that this site uploads have arrived, from its beginning. */
  onUploadProgress?(site: string, hash: string, bytes: number): void;
  /** Whether the site may learn that the blob is there: it may download it, or it sent it. */
  mayAsk(site: string, hash: string): boolean;
  /** The blob is durable. */
  onBlobStored(site: string, hash: string, size: number): void;
  listBundles(): readonly BundleEntry[];
  getBundle(query: BundleQuery): BundleDetail | null;
}

export interface CoordinatorLink {
  /** False where the site is not connected: nothing was sent then. */
  send(site: string, message: ToSite): boolean;
  isConnected(site: string): boolean;
  /** Ends a site's connection, e.g. because a new roster revokes it. */
  disconnect(site: string, reason: ConcordatError): void;
  close(): Promise<void>;
}

export interface SiteEvents {
  onConnected(): void;
  onMessage(message: ToSite): void;
  /** Also for an attempt to connect that failed; the next one follows by itself. */
  onDisconnected(reason: ConcordatError): void;
}

export interface SiteLink {
  readonly connected: boolean;
  /** False where there is no connection: nothing was sent then. */
  send(message: FromSite): boolean;
  /**
   * Returns the hash once the blob is durable at the coordinator; sends only what it lacks. `fresh`: it was never sent before, so
   * that a short one is sent without asking what is there.
   */
  upload(bytes: Uint8Array, fresh?: boolean): Promise<string>;
  /** Checked against its hash. Throws WIRE_SIZE_EXCEEDED before it has taken more than `bytesMax`. */
  download(hash: string, bytesMax?: number): Promise<Uint8Array>;
  listBundles(): Promise<readonly BundleEntry[]>;
  getBundle(query: BundleQuery): Promise<BundleDetail>;
  close(): Promise<void>;
}
