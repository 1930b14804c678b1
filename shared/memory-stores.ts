import { createHash } from 'node:crypto';
import { ConcordatError } from './errors.js';
import { Secret } from './secret.js';
import type { EventStore, NewRecord, PartialBlobStore, SiteStore, StoredRecord } from './stores.js';

/** Stores that live as long as the process, for simulations and tests; the same contract as the durable ones. */
export function memoryEventStore(): EventStore {
  const log: StoredRecord[] = [];
  return {
    append(records: readonly NewRecord[]): number {
      // Copied before the first is pushed, so that a record that cannot be copied leaves none behind.
      const added = records.map(({ study, type, payload }, i) => ({
        sequence: log.length + i + 1,
        study,
        type,
        payload: payload.slice(),
      }));
      log.push(...added);
      return log.length;
    },
    *replay({ study, after = 0 } = {}): Iterable<StoredRecord> {
      const end = log.length;
      for (let i = after; i < end; i++) {
        const record = log[i]!;
        if (study === undefined || record.study === study) yield { ...record, payload: new Uint8Array(record.payload) };
      }
    },
    close(): void {},
  };
}

export function memoryBlobStore(): PartialBlobStore {
  const blobs = new Map<string, Uint8Array>();
  const partials = new Map<string, Uint8Array>();
  const key = (owner: string, hash: string) => `${owner}/${hash}`;
  const partialSize = (owner: string, hash: string) => partials.get(key(owner, hash))?.length ?? 0;
  const find = (hash: string): Uint8Array => {
    const found = blobs.get(hash);
    if (found === undefined) throw blobMissing(hash);
    return found;
  };
  return {
    putBlob(bytes) {
      const hash = sha256(bytes);
      blobs.set(hash, new Uint8Array(bytes));
      return hash;
    },
    getBlob: (hash) => new Uint8Array(find(hash)),
    blobSize: (hash) => blobs.get(hash)?.length ?? null,
    deleteBlob: (hash) => void blobs.delete(hash),
    isWhole: (hash) => blobs.has(hash),
    readBlob: (hash, offset, length) => new Uint8Array(find(hash).subarray(offset, offset + length)),
    partialSize,
    appendPartial(owner, hash, offset, bytes) {
      if (offset !== partialSize(owner, hash)) throw offsetMismatch(offset, partialSize(owner, hash));
      partials.set(key(owner, hash), Buffer.concat([partials.get(key(owner, hash)) ?? new Uint8Array(), bytes]));
    },
    finishPartial(owner, hash) {
      const bytes = partials.get(key(owner, hash)) ?? new Uint8Array();
      partials.delete(key(owner, hash));
      if (sha256(bytes) !== hash) throw hashMismatch(hash);
      blobs.set(hash, new Uint8Array(bytes));
    },
    dropPartial: (owner, hash) => void partials.delete(key(owner, hash)),
    blobHashes: () => [...blobs.keys()],
    sweepPartials(keep) {
      for (const name of partials.keys()) if (!keep(name.slice(0, name.lastIndexOf('/')))) partials.delete(name);
    },
  };
}

export function memorySiteStore(): SiteStore {
  const secrets = new Map<string, Map<string, Secret>>();
  const settings = new Map<string, string>();
  const ledger: string[] = [];
  const ofStudy = (study: string) => secrets.get(study) ?? secrets.set(study, new Map()).get(study)!;
  let waiting: (() => void)[] | null = null;
  return {
    ...memoryEventStore(),
    ...memoryBlobStore(),
    together(action) {
      waiting = [];
      try {
        action();
      } catch (error) {
        waiting = null;
        throw error;
      }
      const after = waiting;
      waiting = null;
      for (const run of after) run();
    },
    onceDurable(action) {
      if (waiting === null) action();
      else waiting.push(action);
    },
    putSecret: (study, name, secret) => void ofStudy(study).set(name, new Secret(secret.reveal())),
    getSecret(study, name) {
      const found = ofStudy(study).get(name);
      if (found === undefined) throw secretMissing(name);
      return new Secret(found.reveal());
    },
    secretNames: (study) => [...ofStudy(study).keys()].sort(),
    eraseSecretsExcept(study, names) {
      for (const [name, secret] of ofStudy(study)) {
        if (names.includes(name)) continue;
        secret.wipe();
        ofStudy(study).delete(name);
      }
    },
    setSetting: (key, value) => void settings.set(key, value),
    getSetting: (key) => settings.get(key) ?? null,
    settings: () => new Map([...settings].sort(([a], [b]) => (a < b ? -1 : 1))),
    exclusively: (act) => act(),
    appendLedger: (entry) => ledger.push(entry),
    ledger: () => [...ledger],
  };
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export function blobMissing(hash: string): ConcordatError {
  return new ConcordatError('STORE_BLOB_MISSING', `there is no blob ${hash.slice(0, 12)}… here`);
}

export function hashMismatch(hash: string): ConcordatError {
  return new ConcordatError('WIRE_HASH_MISMATCH', `what arrived as blob ${hash.slice(0, 12)}… has another SHA-256`);
}

export function offsetMismatch(offset: number, expected: number): ConcordatError {
  return new ConcordatError(
    'WIRE_OFFSET_MISMATCH',
    `a piece at byte ${offset} arrived where byte ${expected} comes next`,
  );
}

export function secretMissing(name: string): ConcordatError {
  return new ConcordatError('STORE_SECRET_MISSING', `the secret "${name}" is not in the store`);
}
