import { closeSync, openSync } from 'node:fs';
import Database from 'libsql';
import { ConcordatError } from '../shared/errors.js';
import type { EventStore, StoredRecord } from '../shared/stores.js';

/** Version of the tables; another one is refused, never guessed. */
const FORMAT = 1;

interface Row {
  readonly sequence: number;
  readonly study: string;
  readonly type: string;
  readonly payload: ArrayBuffer | Uint8Array;
}

/**
 * The coordinator's log in one SQLite file: write-ahead log, synchronous FULL, so that `append` returns after the flush
 * to disk. Throws STORE_UNWRITABLE, STORE_VERSION or STORE_DAMAGED.
 */
export function openEventStore(file: string): EventStore {
  const db = openDatabase(file);
  db.exec(
    `CREATE TABLE IF NOT EXISTS events (
       sequence INTEGER PRIMARY KEY, study TEXT NOT NULL, type TEXT NOT NULL, payload BLOB NOT NULL) STRICT;
     CREATE INDEX IF NOT EXISTS events_by_study ON events (study, sequence);`,
  );
  const insert = db.prepare('INSERT INTO events (sequence, study, type, payload) VALUES (?, ?, ?, ?)');
  const last = db.prepare('SELECT coalesce(max(sequence), 0) AS sequence FROM events');
  const page = db.prepare('SELECT * FROM events WHERE sequence > ? ORDER BY sequence LIMIT 500');
  const pageOfStudy = db.prepare('SELECT * FROM events WHERE sequence > ? AND study = ? ORDER BY sequence LIMIT 500');
  return {
    append: (records) =>
      guarded(file, () => {
        let sequence = 0;
        db.transaction(() => {
          sequence = (last.get() as { sequence: number }).sequence;
          for (const { study, type, payload } of records) insert.run(++sequence, study, type, Buffer.from(payload));
        }).immediate();
        return sequence;
      }),
    // Read page by page, so that a long log is never held in memory and appends may happen meanwhile.
    *replay({ study, after = 0 } = {}): Iterable<StoredRecord> {
      for (let from = after; ; ) {
        const rows = guarded(
          file,
          () => (study === undefined ? page.all(from) : pageOfStudy.all(from, study)) as Row[],
        );
        for (const row of rows)
          yield { sequence: row.sequence, study: row.study, type: row.type, payload: new Uint8Array(row.payload) };
        if (rows.length === 0) return;
        from = rows.at(-1)!.sequence;
      }
    },
    close: () => void db.close(),
  };
}

function openDatabase(file: string): Database.Database {
  return guarded(file, () => {
    closeSync(openSync(file, 'a', 0o600));
    const db = new Database(file);
    db.pragma('busy_timeout = 10000');
    const found = db.prepare('PRAGMA user_version').get() as { user_version: number };
    if (found.user_version !== 0 && found.user_version !== FORMAT)
      throw new ConcordatError(
        'STORE_VERSION',
        `${file} has format ${found.user_version}, this program writes ${FORMAT}`,
      );
    db.pragma('journal_mode = WAL');
    db.pragma('synchronous = FULL');
    db.exec(`PRAGMA user_version = ${FORMAT}`);
    return db;
  });
}

/** SQLite's and the file system's complaints as errors of the table. */
function guarded<T>(file: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (error instanceof ConcordatError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    const damaged = /malformed|not a database|corrupt/i.test(reason);
    const code = damaged ? 'STORE_DAMAGED' : 'STORE_UNWRITABLE';
    throw new ConcordatError(code, `the store ${file} failed: ${reason}`, { cause: error });
  }
}
