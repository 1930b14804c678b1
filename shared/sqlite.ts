import { closeSync, openSync } from 'node:fs';
import LibsqlDatabase from 'libsql';
import { ConcordatError } from './errors.js';
import type { EventStore, NewRecord, StoredRecord } from './stores.js';

/** What libsql gives for a BLOB. */
export type SqliteBytes = ArrayBuffer | Uint8Array;

/**
 * Opens (or makes, readable by its owner only, in a folder that is there) an SQLite file with write-ahead log and synchronous FULL, so that a write
 * that returned survives a crash. `format` is the version of the tables: another one is refused, never guessed.
 * `erasing`: deleted content is overwritten with zeros.
 *
 * @throws ConcordatError STORE_UNWRITABLE, STORE_VERSION or STORE_DAMAGED.
 */
export function openSqlite(
  file: string,
  options: { readonly format: number; readonly tables: string; readonly erasing?: boolean },
): Database {
  return guardedStore(file, () => {
    closeSync(openSync(file, 'a', 0o600));
    const db = new LibsqlDatabase(file);
    db.pragma('busy_timeout = 10000');
    const found = db.prepare('PRAGMA user_version').get() as { user_version: number };
    if (found.user_version !== 0 && found.user_version !== options.format)
      throw new ConcordatError(
        'STORE_VERSION',
        found.user_version > options.format
          ? `${file} has format ${found.user_version}, made by a newer Concordat; this one knows ${options.format}: upgrade it`
          : `${file} has format ${found.user_version}, which this Concordat (format ${options.format}) no longer opens`,
      );
    db.pragma('journal_mode = WAL');
    db.pragma('synchronous = FULL');
    if (options.erasing === true) db.pragma('secure_delete = ON');
    db.exec(options.tables);
    db.exec(`PRAGMA user_version = ${options.format}`);
    return db;
  });
}

/** SQLite's and the file system's complaints about `place` as errors of the table. */
export function guardedStore<T>(place: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (error instanceof ConcordatError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    const damaged = /malformed|not a database|corrupt/i.test(reason);
    const code = damaged ? 'STORE_DAMAGED' : 'STORE_UNWRITABLE';
    throw new ConcordatError(code, `the store ${place} failed: ${reason}`, { cause: error });
  }
}

/**
 * A statement that was prepared before goes on writing after its file is closed, beside whoever opened the file anew; and to
 * ask a closed file whether a transaction is open ends the process. So this is asked before every use.
 *
 * @throws ConcordatError STORE_UNWRITABLE.
 */
export function requireOpen(db: Database, place: string): void {
  if (!db.open) throw new ConcordatError('STORE_UNWRITABLE', `the store ${place} is closed`);
}

export type Database = LibsqlDatabase.Database;
type Statement = LibsqlDatabase.Statement<unknown[]>;

/** Records that one statement takes. */
const BATCH_MAX = 32;

/** The same bytes as SQLite binds them. */
export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** All of it or nothing, with the right to write from its first read on; within another one it is part of that. */
export function inTransaction<T>(db: Database, act: () => T): T {
  return db.inTransaction ? act() : (db.transaction(act).immediate() as T);
}

/** SQL of an append-only log in the table `name`. */
export function logTable(name: 'events' | 'records'): string {
  return `CREATE TABLE IF NOT EXISTS ${name} (
       sequence INTEGER PRIMARY KEY, study TEXT NOT NULL, type TEXT NOT NULL, payload BLOB NOT NULL) STRICT;
     CREATE INDEX IF NOT EXISTS ${name}_by_study ON ${name} (study, sequence);`;
}

/** The log in that table; `place` is what an error names. */
export function sqliteLog(
  db: Database,
  name: 'events' | 'records',
  place: string,
): Pick<EventStore, 'append' | 'replay'> {
  // One statement for each small length of a batch: a statement is a transaction by itself, and SQLite numbers on from the largest.
  const inserts = new Map<number, Statement>();
  const insert = (count: number): Statement => {
    let statement = inserts.get(count);
    if (statement === undefined) {
      const rows = Array.from({ length: count }, () => '(?, ?, ?)').join(', ');
      statement = db.prepare(`INSERT INTO ${name} (study, type, payload) VALUES ${rows}`);
      inserts.set(count, statement);
    }
    return statement;
  };
  const page = db.prepare(`SELECT * FROM ${name} WHERE sequence > ? ORDER BY sequence LIMIT 500`);
  const pageOfStudy = db.prepare(`SELECT * FROM ${name} WHERE sequence > ? AND study = ? ORDER BY sequence LIMIT 500`);
  const rowsAfter = (after: number, study: string | undefined) =>
    guardedStore(place, () => {
      requireOpen(db, place);
      return study === undefined ? page.all(after) : pageOfStudy.all(after, study);
    }) as (Omit<StoredRecord, 'payload'> & { readonly payload: SqliteBytes })[];
  return {
    append: (records: readonly NewRecord[]) =>
      guardedStore(place, () => {
        requireOpen(db, place);
        const put = (batch: readonly NewRecord[]): number => {
          const values = batch.flatMap(({ study, type, payload }) => [study, type, bufferOf(payload)]);
          return insert(batch.length).run(...values).lastInsertRowid as number;
        };
        if (records.length === 0) return 0;
        if (records.length <= BATCH_MAX) return put(records);
        let sequence = 0;
        inTransaction(db, () => {
          for (let from = 0; from < records.length; from += BATCH_MAX)
            sequence = put(records.slice(from, from + BATCH_MAX));
        });
        return sequence;
      }),
    // Read page by page, so that a long log is never held in memory and appends may happen meanwhile.
    *replay({ study, after = 0 } = {}): Iterable<StoredRecord> {
      for (let from = after; ; ) {
        const rows = rowsAfter(from, study);
        for (const row of rows)
          yield { sequence: row.sequence, study: row.study, type: row.type, payload: new Uint8Array(row.payload) };
        if (rows.length === 0) return;
        from = rows.at(-1)!.sequence;
      }
    },
  };
}
