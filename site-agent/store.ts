import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { ConcordatError } from '../shared/errors.js';
import { folderKeys } from '../shared/key-folder.js';
import { type FolderKeys, sealBytes, unsealBytes, withEither } from '../shared/key-vault.js';
import { blobMissing, secretMissing } from '../shared/memory-stores.js';
import { Secret } from '../shared/secret.js';
import { guardedStore, inTransaction, logTable, openSqlite, type SqliteBytes, sqliteLog } from '../shared/sqlite.js';
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
  const ledgerLength = db.prepare('SELECT coalesce(max(line), 0) AS line FROM ledger');
  const attempt = <T>(action: () => T): T => guardedStore(folder, action);
  const forget = () => void erasable.pragma('wal_checkpoint(TRUNCATE)');

  return {
    ...sqliteLog(db, 'records', folder),
    putBlob: (bytes) =>
      attempt(() => {
        const hash = createHash('sha256').update(bytes).digest('hex');
        erasable.prepare('INSERT OR IGNORE INTO blobs (hash, value) VALUES (?, ?)').run(hash, Buffer.from(bytes));
        return hash;
      }),
    getBlob(hash) {
      const row = attempt(() => erasable.prepare('SELECT value FROM blobs WHERE hash = ?').get(hash)) as
        | { readonly value: SqliteBytes }
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
        erasable.prepare(sql).run(study, name, sealing.seal(`${study}/${name}`, secret));
      }),
    getSecret(study, name) {
      const row = attempt(() =>
        erasable.prepare('SELECT value FROM secrets WHERE study = ? AND name = ?').get(study, name),
      ) as { readonly value: SqliteBytes } | undefined;
      if (row === undefined) throw secretMissing(name);
      return sealing.open(`${study}/${name}`, new Uint8Array(row.value));
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
    exclusively: (act) => attempt(() => inTransaction(db, act)),
    appendLedger: (entry) =>
      attempt(() => {
        let line = 0;
        inTransaction(db, () => {
          line = (ledgerLength.get() as { line: number }).line + 1;
          db.prepare('INSERT INTO ledger (line, entry) VALUES (?, ?)').run(line, entry);
        });
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
