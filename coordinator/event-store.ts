import { logTable, openSqlite, sqliteLog } from '../shared/sqlite.js';
import type { EventStore } from '../shared/stores.js';

/** Version of the tables. */
const FORMAT = 1;

/**
 * The coordinator's log in one SQLite file; `append` returns after the flush to disk. Throws STORE_UNWRITABLE,
 * STORE_VERSION or STORE_DAMAGED.
 */
export function openEventStore(file: string): EventStore {
  const db = openSqlite(file, { format: FORMAT, tables: logTable('events') });
  return { ...sqliteLog(db, 'events', file), close: () => void db.close() };
}
