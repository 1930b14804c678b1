import { mkdirSync } from 'node:fs';
import path from 'node:path';
import Database from 'libsql';
import { ConcordatError } from '../shared/errors.js';

export interface FolderLock {
  release(): void;
}

/**
 * One process a folder: two agents on the same folder could sign two survivor sets for one attempt. The lock is an open
 * exclusive transaction on a file of its own, so the operating system ends it with the process, also after SIGKILL, and
 * commands that only read the stores are not kept out. Throws STORE_LOCKED.
 */
export function lockFolder(folder: string): FolderLock {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const db = new Database(path.join(folder, 'process.lock'));
  try {
    db.pragma('busy_timeout = 500');
    db.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    db.close();
    throw new ConcordatError('STORE_LOCKED', `another process works in ${folder}`, { cause: error });
  }
  return {
    release: () => {
      // libsql's close alone keeps the transaction.
      db.exec('ROLLBACK');
      db.close();
    },
  };
}

/** What `open` gives; where it throws, the folder is free again, for a next try in this process too. */
export function releasing<T>(lock: FolderLock, open: () => T): T {
  try {
    return open();
  } catch (error) {
    lock.release();
    throw error;
  }
}
