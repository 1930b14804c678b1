import { mkdirSync } from 'node:fs';
import { ConcordatError } from '../../../shared/errors.js';

/**
 * A folder for features, for this user's eyes only: its files are named by content, and their values are of single patients.
 *
 * @throws ConcordatError STORE_UNWRITABLE
 */
export function makeStore(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? 'unknown reason';
    throw new ConcordatError('STORE_UNWRITABLE', `the folder for features cannot be made (${reason})`, {
      cause: error,
    });
  }
}
