import { createHash } from 'node:crypto';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import path from 'node:path';
import Database from 'libsql';
import { ConcordatError } from '../shared/errors.js';
import { blobMissing, secretMissing } from '../shared/memory-stores.js';
import { Secret } from '../shared/secret.js';
import type { SiteStore, StoredRecord } from '../shared/stores.js';

/** Version of the tables; another one is refused, never guessed. */
const FORMAT = 1;

/** What libsql gives for a BLOB. */
type Bytes = ArrayBuffer | Uint8Array;

/**
 * What a site keeps, in two SQLite files with write-ahead log and synchronous FULL: `site.db` is the log, the settings and
 * the egress ledger, fit for a backup; `erasable.db` holds secrets and blobs and must not be in one. There deleted content
 * is overwritten with zeros, and the write-ahead log is emptied after an erasure so that it holds no copy.
 * Throws STORE_UNWRITABLE, STORE_VERSION or STORE_DAMAGED.
 */
export function openSiteStore(folder: string): SiteStore {
  const db = openDatabase(
    path.join(folder, 'site.db'),
    `CREATE TABLE IF NOT EXISTS records (
       sequence INTEGER PRIMARY KEY, study TEXT NOT NULL, type TEXT NOT NULL, payload BLOB NOT NULL) STRICT;
     CREATE INDEX IF NOT EXISTS records_by_study ON records (study, sequence);
     CREATE TABLE IF NOT EXISTS settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
     CREATE TABLE IF NOT EXISTS ledger (line INTEGER PRIMARY KEY, entry TEXT NOT NULL) STRICT;`,
  );
  const erasable = openDatabase(
    path.join(folder, 'erasable.db'),
    `CREATE TABLE IF NOT EXISTS secrets (
       study TEXT NOT NULL, name TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (study, name)) STRICT;
     CREATE TABLE IF NOT EXISTS blobs (hash TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;`,
  );
  const insert = db.prepare('INSERT INTO records (sequence, study, type, payload) VALUES (?, ?, ?, ?)');
  const last = db.prepare('SELECT coalesce(max(sequence), 0) AS sequence FROM records');
  const page = db.prepare('SELECT * FROM records WHERE sequence > ? ORDER BY sequence LIMIT 500');
  const pageOfStudy = db.prepare('SELECT * FROM records WHERE sequence > ? AND study = ? ORDER BY sequence LIMIT 500');
  const ledgerLength = db.prepare('SELECT coalesce(max(line), 0) AS line FROM ledger');
  const attempt = <T>(action: () => T): T => guarded(folder, action);
  const forget = () => void erasable.pragma('wal_checkpoint(TRUNCATE)');

  return {
    append: (records) =>
      attempt(() => {
        let sequence = 0;
        db.transaction(() => {
          sequence = (last.get() as { sequence: number }).sequence;
          for (const { study, type, payload } of records) insert.run(++sequence, study, type, Buffer.from(payload));
        }).immediate();
        return sequence;
      }),
    *replay({ study, after = 0 } = {}): Iterable<StoredRecord> {
      for (let from = after; ; ) {
        const rows = attempt(() => (study === undefined ? page.all(from) : pageOfStudy.all(from, study))) as (Omit<
          StoredRecord,
          'payload'
        > & { readonly payload: Bytes })[];
        for (const row of rows)
          yield { sequence: row.sequence, study: row.study, type: row.type, payload: new Uint8Array(row.payload) };
        if (rows.length === 0) return;
        from = rows.at(-1)!.sequence;
      }
    },
    putBlob: (bytes) =>
      attempt(() => {
        const hash = createHash('sha256').update(bytes).digest('hex');
        erasable.prepare('INSERT OR IGNORE INTO blobs (hash, value) VALUES (?, ?)').run(hash, Buffer.from(bytes));
        return hash;
      }),
    getBlob(hash) {
      const row = attempt(() => erasable.prepare('SELECT value FROM blobs WHERE hash = ?').get(hash)) as
        | { readonly value: Bytes }
        | undefined;
      if (row === undefined) throw blobMissing(hash);
      const bytes = new Uint8Array(row.value);
      if (createHash('sha256').update(bytes).digest('hex') !== hash)
        throw new ConcordatError('STORE_DAMAGED', `the stored blob ${hash.slice(0, 12)}… is not what was written`);
      return bytes;
    },
    blobSize(hash) {
      const row = attempt(() => erasable.prepare('SELECT length(value) AS size FROM blobs WHERE hash = ?').get(hash));
      return (row as { readonly size: number } | undefined)?.size ?? null;
    },
    deleteBlob: (hash) => attempt(() => void erasable.prepare('DELETE FROM blobs WHERE hash = ?').run(hash)),
    putSecret: (study, name, secret) =>
      attempt(() => {
        const sql = 'INSERT OR REPLACE INTO secrets (study, name, value) VALUES (?, ?, ?)';
        erasable.prepare(sql).run(study, name, Buffer.from(secret.reveal()));
      }),
    getSecret(study, name) {
      const row = attempt(() =>
        erasable.prepare('SELECT value FROM secrets WHERE study = ? AND name = ?').get(study, name),
      ) as { readonly value: Bytes } | undefined;
      if (row === undefined) throw secretMissing(name);
      return new Secret(new Uint8Array(row.value));
    },
    secretNames: (study) =>
      attempt(() => erasable.prepare('SELECT name FROM secrets WHERE study = ? ORDER BY name').all(study)).map(
        (row) => (row as { readonly name: string }).name,
      ),
    eraseSecretsExcept: (study, names) =>
      attempt(() => {
        const others = 'FROM secrets WHERE study = ? AND name NOT IN (SELECT value FROM json_each(?))';
        // The sweep comes often and usually finds nothing; emptying the log each time would cost three flushes.
        const found = erasable.prepare(`SELECT count(*) AS n ${others}`).get(study, JSON.stringify(names));
        if ((found as { readonly n: number }).n === 0) return;
        erasable.prepare(`DELETE ${others}`).run(study, JSON.stringify(names));
        forget();
      }),
    setSetting: (key, value) =>
      attempt(() => void db.prepare('INSERT OR REPLACE INTO settings (key, value) VALUES (?, ?)').run(key, value)),
    getSetting(key) {
      const row = attempt(() => db.prepare('SELECT value FROM settings WHERE key = ?').get(key));
      return (row as { readonly value: string } | undefined)?.value ?? null;
    },
    settings() {
      const rows = attempt(() => db.prepare('SELECT key, value FROM settings ORDER BY key').all());
      return new Map(
        (rows as { readonly key: string; readonly value: string }[]).map(({ key, value }) => [key, value]),
      );
    },
    appendLedger: (entry) =>
      attempt(() => {
        let line = 0;
        db.transaction(() => {
          line = (ledgerLength.get() as { line: number }).line + 1;
          db.prepare('INSERT INTO ledger (line, entry) VALUES (?, ?)').run(line, entry);
        }).immediate();
        return line;
      }),
    ledger: () =>
      attempt(() => db.prepare('SELECT entry FROM ledger ORDER BY line').all()).map(
        (row) => (row as { readonly entry: string }).entry,
      ),
    close() {
      db.close();
      erasable.close();
    },
  };
}

function openDatabase(file: string, tables: string): Database.Database {
  return guarded(file, () => {
    mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
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
    db.pragma('secure_delete = ON');
    db.exec(tables);
    db.exec(`PRAGMA user_version = ${FORMAT}`);
    return db;
  });
}

/** SQLite's and the file system's complaints as errors of the table. */
function guarded<T>(place: string, action: () => T): T {
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
