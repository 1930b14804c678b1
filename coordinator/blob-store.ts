import { createHash, type Hash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { flushFolder } from '../shared/durable-files.js';
import { assert, ConcordatError } from '../shared/errors.js';
import { isSha256 } from '../shared/hex.js';
import { blobMissing, hashMismatch, offsetMismatch, sha256 } from '../shared/memory-stores.js';
import type { PartialBlobStore } from '../shared/stores.js';

/**
 * Blobs as files named by their SHA-256, in 256 folders. A file appears under its name by rename after a flush, so a name
 * that exists is complete; the folder is flushed too, so it stays. Pieces of arriving blobs are in partial/.
 */
export function openBlobStore(folder: string): PartialBlobStore {
  const partialFolder = path.join(folder, 'partial');
  mkdirSync(partialFolder, { recursive: true, mode: 0o700 });
  let temporary = 0;

  const pathOf = (hash: string): string => {
    assert(isSha256(hash), 'a blob is named by its SHA-256');
    return path.join(folder, hash.slice(0, 2), hash);
  };
  const partialOf = (owner: string, hash: string): string => {
    assert(isSha256(hash) && !/[/\\]/.test(owner), 'a partial blob is named by its owner and SHA-256');
    return path.join(partialFolder, `${owner}@${hash}`);
  };
  const sizeOf = (file: string): number | null => statSync(file, { throwIfNoEntry: false })?.size ?? null;

  /** Moves a flushed file to its final name, durably. */
  const install = (file: string, hash: string): void => {
    const target = pathOf(hash);
    const parent = path.dirname(target);
    if (!existsSync(parent)) {
      mkdirSync(parent, { recursive: true, mode: 0o700 });
      flushFolder(folder);
    }
    renameSync(file, target);
    flushFolder(parent);
  };

  /** A file under the name may still have other bytes, after a crash on a disk that does not keep its promises. */
  const isWhole = (hash: string): boolean => {
    if (sizeOf(pathOf(hash)) === null) return false;
    const handle = openSync(pathOf(hash), 'r');
    try {
      return hashOfFile(handle) === hash;
    } finally {
      closeSync(handle);
    }
  };

  const partialSize = (owner: string, hash: string): number => sizeOf(partialOf(owner, hash)) ?? 0;

  /** Of partial files that this process has written from their first byte: the hash of what is in them. */
  const arriving = new Map<string, { readonly hash: Hash; readonly size: number }>();

  return {
    putBlob: (bytes) =>
      writing(folder, () => {
        const hash = sha256(bytes);
        if (isWhole(hash)) return hash;
        const file = path.join(partialFolder, `new-${process.pid}-${++temporary}`);
        const handle = openSync(file, 'w', 0o600);
        try {
          writeAll(handle, bytes);
          fsyncSync(handle);
        } finally {
          closeSync(handle);
        }
        install(file, hash);
        return hash;
      }),
    getBlob(hash, into) {
      let bytes: Uint8Array;
      try {
        bytes = readFile(pathOf(hash), into);
      } catch {
        throw blobMissing(hash);
      }
      if (sha256(bytes) !== hash)
        throw new ConcordatError('STORE_DAMAGED', `the stored blob ${hash.slice(0, 12)}… is not what was written`);
      return bytes;
    },
    blobSize: (hash) => sizeOf(pathOf(hash)),
    isWhole,
    deleteBlob: (hash) => rmSync(pathOf(hash), { force: true }),
    readBlob(hash, offset, length) {
      if (sizeOf(pathOf(hash)) === null) throw blobMissing(hash);
      const handle = openSync(pathOf(hash), 'r');
      try {
        const buffer = Buffer.alloc(length);
        return buffer.subarray(0, readSync(handle, buffer, 0, length, offset));
      } finally {
        closeSync(handle);
      }
    },
    partialSize,
    appendPartial: (owner, hash, offset, bytes) =>
      writing(folder, () => {
        const file = partialOf(owner, hash);
        const expected = partialSize(owner, hash);
        if (offset !== expected) throw offsetMismatch(offset, expected);
        const before = offset === 0 ? { hash: createHash('sha256'), size: 0 } : arriving.get(file);
        // Until the piece is written it is not known what the file holds.
        arriving.delete(file);
        const handle = openSync(file, 'a', 0o600);
        try {
          writeAll(handle, bytes);
        } finally {
          closeSync(handle);
        }
        if (before?.size === offset)
          arriving.set(file, { hash: before.hash.update(bytes), size: offset + bytes.length });
      }),
    finishPartial: (owner, hash) =>
      writing(folder, () => {
        const file = partialOf(owner, hash);
        const handle = openSync(file, 'a+', 0o600);
        try {
          const written = arriving.get(file);
          arriving.delete(file);
          // What an earlier process received is read again: a crash may have left other bytes.
          const found = written?.size === fstatSync(handle).size ? written.hash.digest('hex') : hashOfFile(handle);
          if (found !== hash) {
            rmSync(file, { force: true });
            throw hashMismatch(hash);
          }
          fsyncSync(handle);
        } finally {
          closeSync(handle);
        }
        install(file, hash);
      }),
    dropPartial(owner, hash) {
      arriving.delete(partialOf(owner, hash));
      rmSync(partialOf(owner, hash), { force: true });
    },
    blobHashes: () =>
      readdirSync(folder).flatMap((name) =>
        /^[0-9a-f]{2}$/.test(name) ? readdirSync(path.join(folder, name)).filter(isSha256) : [],
      ),
    sweepPartials(keep) {
      for (const name of readdirSync(partialFolder)) {
        const at = name.lastIndexOf('@');
        if (at >= 0 && keep(name.slice(0, at))) continue;
        arriving.delete(path.join(partialFolder, name));
        rmSync(path.join(partialFolder, name), { force: true });
      }
    },
  };
}

function readFile(file: string, into: Uint8Array | undefined): Uint8Array {
  if (into === undefined) return readFileSync(file);
  const handle = openSync(file, 'r');
  try {
    if (fstatSync(handle).size !== into.length) return readFileSync(handle);
    let done = 0;
    for (let count = 1; count > 0; done += count) count = readSync(handle, into, done, into.length - done, done);
    return into.subarray(0, done);
  } finally {
    closeSync(handle);
  }
}

function writeAll(handle: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(handle, bytes, done, bytes.length - done);
}

function hashOfFile(handle: number): string {
  const hash = createHash('sha256');
  const buffer = Buffer.alloc(1024 * 1024);
  for (let position = 0; ; ) {
    const count = readSync(handle, buffer, 0, buffer.length, position);
    if (count === 0) return hash.digest('hex');
    hash.update(buffer.subarray(0, count));
    position += count;
  }
}

function writing<T>(folder: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (error instanceof ConcordatError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new ConcordatError('STORE_UNWRITABLE', `nothing can be written in ${folder}: ${reason}`, { cause: error });
  }
}
