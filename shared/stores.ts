import type { Secret } from './secret.js';

/**
 * What the two processes keep. Every call is synchronous, and what it says is durable when it returns: a process killed
 * right after has lost nothing that was acknowledged. Implementations: files (coordinator/event-store.ts,
 * coordinator/blob-store.ts, site-agent/store.ts) and memory (shared/memory-stores.ts), one contract suite for both.
 */
export interface NewRecord {
  /** Hash of the study, or '' for what belongs to none. */
  readonly study: string;
  readonly type: string;
  /** A document (shared/document.ts) or JSON; the store does not look inside. */
  readonly payload: Uint8Array;
}

export interface StoredRecord extends NewRecord {
  /** 1, 2, ... in the order of appending, without gaps. */
  readonly sequence: number;
}

/** Append-only log. */
export interface EventStore {
  /** All or none of the batch; returns the sequence of its last record. */
  append(records: readonly NewRecord[]): number;
  /** In order of sequence, from `after` + 1; of one study, or of all. */
  replay(options?: { readonly study?: string; readonly after?: number }): Iterable<StoredRecord>;
  close(): void;
}

/** Bytes under their SHA-256 (lower-case hexadecimal). */
export interface BlobStore {
  /** Storing what is there already is no error. Nothing of `bytes` is kept: the caller may use the memory again. */
  putBlob(bytes: Uint8Array): string;
  /**
   * Where `into` has the blob's length it may be filled and given back instead of new memory; it holds nothing of use after
   * a throw. Throws STORE_BLOB_MISSING; STORE_DAMAGED where the bytes no longer have their hash.
   */
  getBlob(hash: string, into?: Uint8Array): Uint8Array;
  /** Size in bytes, or null where there is none. */
  blobSize(hash: string): number | null;
  /** Deleting what is not there is no error. */
  deleteBlob(hash: string): void;
}

/** Arrival of a blob in pieces, resumable by its sender; `owner` keeps senders of equal blobs apart. */
export interface PartialBlobStore extends BlobStore {
  /** Bytes from `offset`, at most `length`, without reading the rest. Throws STORE_BLOB_MISSING. */
  readBlob(hash: string, offset: number, length: number): Uint8Array;
  /** Whether a blob of that name is there and has the bytes of its name; reads all of it. */
  isWhole(hash: string): boolean;
  /** How much of it has arrived; 0 where nothing has. Not durable: after a crash it may be less. */
  partialSize(owner: string, hash: string): number;
  /** Throws WIRE_OFFSET_MISMATCH unless `offset` is the partial size. */
  appendPartial(owner: string, hash: string, offset: number, bytes: Uint8Array): void;
  /** Makes the whole durable under its hash. Throws WIRE_HASH_MISMATCH, and then forgets the pieces. */
  finishPartial(owner: string, hash: string): void;
  dropPartial(owner: string, hash: string): void;
  /** Hashes of all whole blobs, in no order. */
  blobHashes(): readonly string[];
  /** Drops the pieces of every other owner, and drafts of a killed process. For the one process that writes here. */
  sweepPartials(keep: (owner: string) => boolean): void;
}

/** What one site keeps. Secrets and blobs live apart from the log, in files that forget what is deleted. */
export interface SiteStore extends EventStore, BlobStore {
  /**
   * What `action` writes becomes durable together, when this returns: secrets and blobs first, then log, settings and ledger as
   * one, deletions last. A crash in between leaves a secret or blob too many, never a record of one that is not there.
   * Where it throws nothing of log, settings and ledger is kept.
   */
  together(action: () => void): void;
  /** Runs `action` once everything written so far is durable: at once, but for `together`; not at all where that failed. */
  onceDurable(action: () => void): void;
  putSecret(study: string, name: string, secret: Secret): void;
  /** Throws STORE_SECRET_MISSING. */
  getSecret(study: string, name: string): Secret;
  secretNames(study: string): readonly string[];
  eraseSecretsExcept(study: string, names: readonly string[]): void;
  setSetting(key: string, value: string): void;
  getSetting(key: string): string | null;
  settings(): ReadonlyMap<string, string>;
  /** Nobody else, in this process or another, writes the log or settings while it runs: what it reads stays so until it has written. */
  exclusively<T>(act: () => T): T;
  /** The egress ledger: append-only lines; the caller chains their hashes. Returns the line's number from 1. */
  appendLedger(entry: string): number;
  ledger(): readonly string[];
}
