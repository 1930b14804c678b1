import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { assert, ConcordatError } from '../shared/errors.js';
import { folderKeys } from '../shared/key-folder.js';
import { type FolderKeys, sealBytes, unsealBytes, withEither } from '../shared/key-vault.js';
import { blobMissing, secretMissing } from '../shared/memory-stores.js';
import { Secret } from '../shared/secret.js';
import {
  bufferOf,
  type Database,
  guardedStore,
  inTransaction,
  logTable,
  openSqlite,
  requireOpen,
  type SqliteBytes,
  sqliteLog,
} from '../shared/sqlite.js';
import type { SiteStore } from '../shared/stores.js';

/** Version of the tables. */
const FORMAT = 1;

/**
 * What a site keeps, in two SQLite files with write-ahead log and synchronous FULL: `site.db` is the log, the settings and
 * the egress ledger, fit for a backup; `erasable.db` holds secrets and blobs and must not be in one. There deleted content
 * is overwritten with zeros, and the write-ahead log is emptied after an erasure so that it holds no copy. Where the
 * site's keys are protected, secrets are sealed under the same folder key.
 * Throws STORE_UNWRITABLE, STORE_VERSION, STORE_DAMAGED or STORE_KEYS_*.
 */
export function openSiteStore(folder: string): SiteStore {
  guardedStore(folder, () => mkdirSync(folder, { recursive: true, mode: 0o700 }));
  const sealing = secretSealing(folderKeys(path.join(folder, 'keys')));
  const db = openSqlite(path.join(folder, 'site.db'), {
    format: FORMAT,
    erasing: true,
    tables: `${logTable('records')}
     CREATE TABLE IF NOT EXISTS settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
     CREATE TABLE IF NOT EXISTS ledger (line INTEGER PRIMARY KEY, entry TEXT NOT NULL) STRICT;`,
  });
  const erasable = openSqlite(path.join(folder, 'erasable.db'), {
    format: FORMAT,
    erasing: true,
    tables: `CREATE TABLE IF NOT EXISTS secrets (
       study TEXT NOT NULL, name TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (study, name)) STRICT;
     CREATE TABLE IF NOT EXISTS blobs (hash TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;`,
  });
  const attempt = <T>(action: () => T): T =>
    guardedStore(folder, () => {
      requireOpen(db, folder);
      return action();
    });
  const group = new WriteGroup(db, erasable);
  const log = sqliteLog(db, 'records', folder);
  // Prepared once: most of a small write's cost was the preparation of its statement.
  const sql = {
    putBlob: erasable.prepare('INSERT OR IGNORE INTO blobs (hash, value) VALUES (?, ?)'),
    getBlob: erasable.prepare('SELECT value FROM blobs WHERE hash = ?'),
    blobSize: erasable.prepare('SELECT length(value) AS size FROM blobs WHERE hash = ?'),
    deleteBlob: erasable.prepare('DELETE FROM blobs WHERE hash = ?'),
    putSecret: erasable.prepare('INSERT OR REPLACE INTO secrets (study, name, value) VALUES (?, ?, ?)'),
    getSecret: erasable.prepare('SELECT value FROM secrets WHERE study = ? AND name = ?'),
    secretNames: erasable.prepare('SELECT name FROM secrets WHERE study = ? ORDER BY name'),
    eraseSecrets: erasable.prepare('DELETE FROM secrets WHERE study = ? AND name IN (SELECT value FROM json_each(?))'),
    setSetting: db.prepare('INSERT OR REPLACE INTO settings (key, value) VALUES (?, ?)'),
    getSetting: db.prepare('SELECT value FROM settings WHERE key = ?'),
    settings: db.prepare('SELECT key, value FROM settings ORDER BY key'),
    appendLedger: db.prepare('INSERT INTO ledger (entry) VALUES (?)'),
    ledger: db.prepare('SELECT entry FROM ledger ORDER BY line'),
  };
  const namesOf = (study: string) =>
    (sql.secretNames.all(study) as { readonly name: string }[]).map(({ name }) => name);

  return {
    ...log,
    append: (records) => {
      attempt(() => group.writes('log'));
      return log.append(records);
    },
    together: (action) => group.together(attempt, action),
    onceDurable: (action) => group.onceDurable(action),
    putBlob: (bytes) =>
      attempt(() => {
        const hash = createHash('sha256').update(bytes).digest('hex');
        group.writes('erasable');
        sql.putBlob.run(hash, bufferOf(bytes));
        return hash;
      }),
    getBlob(hash) {
      const row = attempt(() => sql.getBlob.get(hash)) as { readonly value: SqliteBytes } | undefined;
      if (row === undefined) throw blobMissing(hash);
      const bytes = new Uint8Array(row.value);
      if (createHash('sha256').update(bytes).digest('hex') !== hash)
        throw new ConcordatError('STORE_DAMAGED', `the stored blob ${hash.slice(0, 12)}… is not what was written`);
      return bytes;
    },
    blobSize(hash) {
      const row = attempt(() => sql.blobSize.get(hash));
      return (row as { readonly size: number } | undefined)?.size ?? null;
    },
    deleteBlob: (hash) => attempt(() => group.deletes(() => void sql.deleteBlob.run(hash))),
    putSecret: (study, name, secret) =>
      attempt(() => {
        group.writes('erasable');
        sql.putSecret.run(study, name, sealing.seal(`${study}/${name}`, secret));
      }),
    getSecret(study, name) {
      const row = attempt(() => sql.getSecret.get(study, name)) as { readonly value: SqliteBytes } | undefined;
      if (row === undefined) throw secretMissing(name);
      return sealing.open(`${study}/${name}`, new Uint8Array(row.value));
    },
    secretNames: (study) => attempt(() => namesOf(study)),
    eraseSecretsExcept: (study, names) =>
      attempt(() => {
        // Those that are there now: what is put later in the same group is not meant.
        const gone = namesOf(study).filter((name) => !names.includes(name));
        // The sweep comes often and usually finds nothing; emptying the log each time would cost three flushes.
        if (gone.length > 0) group.erases(() => void sql.eraseSecrets.run(study, JSON.stringify(gone)));
      }),
    setSetting: (key, value) =>
      attempt(() => {
        group.writes('log');
        sql.setSetting.run(key, value);
      }),
    getSetting(key) {
      const row = attempt(() => sql.getSetting.get(key));
      return (row as { readonly value: string } | undefined)?.value ?? null;
    },
    settings() {
      const rows = attempt(() => sql.settings.all());
      return new Map(
        (rows as { readonly key: string; readonly value: string }[]).map(({ key, value }) => [key, value]),
      );
    },
    exclusively: (act) => attempt(() => inTransaction(db, act)),
    appendLedger: (entry) =>
      attempt(() => {
        group.writes('log');
        return sql.appendLedger.run(entry).lastInsertRowid as number;
      }),
    ledger: () => attempt(() => sql.ledger.all()).map((row) => (row as { readonly entry: string }).entry),
    close() {
      db.close();
      erasable.close();
    },
  };
}

/** What is written to the two files of a site as one. Outside of `together` every statement is a transaction by itself. */
class WriteGroup {
  private open = false;
  private readonly begun = new Set<'erasable' | 'log'>();
  private deletions: (() => void)[] = [];
  private erasing = false;
  private after: (() => void)[] = [];

  constructor(
    private readonly log: Database,
    private readonly erasable: Database,
  ) {}

  together(guarded: (action: () => void) => void, action: () => void): void {
    assert(!this.open, 'groups of writes do not nest');
    this.open = true;
    let after: readonly (() => void)[];
    try {
      action();
      guarded(() => this.commit());
      after = this.after;
    } catch (error) {
      for (const file of this.begun) this.rollBack(file);
      throw error;
    } finally {
      this.open = false;
      this.begun.clear();
      this.deletions = [];
      this.erasing = false;
      this.after = [];
    }
    for (const run of after) run();
  }

  onceDurable(action: () => void): void {
    if (this.open) this.after.push(action);
    else action();
  }

  /** A statement for that file follows. */
  writes(file: 'erasable' | 'log'): void {
    if (!this.open || this.begun.has(file)) return;
    this.fileOf(file).exec('BEGIN IMMEDIATE');
    this.begun.add(file);
  }

  /** Deletes now, or when the records that make it right are durable. */
  deletes(action: () => void): void {
    if (this.open) this.deletions.push(action);
    else action();
  }

  erases(action: () => void): void {
    if (this.open) this.erasing = true;
    this.deletes(action);
    if (!this.open) this.forget();
  }

  private commit(): void {
    for (const file of ['erasable', 'log'] as const) {
      if (!this.begun.has(file)) continue;
      this.fileOf(file).exec('COMMIT');
      this.begun.delete(file);
    }
    if (this.deletions.length === 0) return;
    this.writes('erasable');
    for (const deletion of this.deletions) deletion();
    this.erasable.exec('COMMIT');
    this.begun.delete('erasable');
    if (this.erasing) this.forget();
  }

  /** A write-ahead log that was copied into its file and emptied holds no copy of what was erased. */
  private forget(): void {
    this.erasable.pragma('wal_checkpoint(TRUNCATE)');
  }

  private rollBack(file: 'erasable' | 'log'): void {
    // After some failures SQLite has done so by itself.
    if (this.fileOf(file).inTransaction) this.fileOf(file).exec('ROLLBACK');
  }

  private fileOf(file: 'erasable' | 'log'): Database {
    return file === 'log' ? this.log : this.erasable;
  }
}

/** What a sealed secret begins with; an unsealed one has 32 random bytes. */
const SEALED_SECRET = Buffer.from('cncseal1', 'latin1');

function secretSealing(keys: FolderKeys | null) {
  return {
    seal: (name: string, secret: Secret): Buffer =>
      keys === null
        ? Buffer.from(secret.reveal())
        : Buffer.concat([
            SEALED_SECRET,
            sealBytes(keys.current, name, secret.reveal(), new Uint8Array(randomBytes(12))),
          ]),
    open(name: string, value: Uint8Array): Secret {
      if (Buffer.compare(value.subarray(0, SEALED_SECRET.length), SEALED_SECRET) !== 0) return new Secret(value);
      if (keys === null)
        throw new ConcordatError('STORE_DAMAGED', 'a secret is sealed, and the vault of the site’s keys is gone');
      const sealed = value.subarray(SEALED_SECRET.length);
      return withEither(keys, (key) => new Secret(unsealBytes(key, name, sealed)));
    },
  };
}

/**
 * Writes every secret of the site anew: sealed as its keys are now, or, before protection is taken away, plain. Call while
 * no agent runs. Throws like `openSiteStore`.
 */
export function rewriteSecrets(folder: string, as: 'protected' | 'plain'): void {
  const file = path.join(folder, 'erasable.db');
  if (!existsSync(file)) return;
  openSiteStore(folder).close();
  const keys = folderKeys(path.join(folder, 'keys'));
  const [reading, writing] = [secretSealing(keys), secretSealing(as === 'plain' ? null : keys)];
  guardedStore(folder, () => {
    const db = openSqlite(file, { format: FORMAT, erasing: true, tables: '' });
    const rows = db.prepare('SELECT study, name, value FROM secrets').all() as {
      readonly study: string;
      readonly name: string;
      readonly value: SqliteBytes;
    }[];
    const update = db.prepare('UPDATE secrets SET value = ? WHERE study = ? AND name = ?');
    db.transaction(() => {
      for (const { study, name, value } of rows) {
        const secret = reading.open(`${study}/${name}`, new Uint8Array(value));
        update.run(writing.seal(`${study}/${name}`, secret), study, name);
      }
    }).immediate();
    db.pragma('wal_checkpoint(TRUNCATE)');
    db.close();
  });
}
