import { closeSync, fsyncSync, linkSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';
import { ConcordatError } from './errors.js';

/** Small files, written so that after a crash they are the old or the new, never half; and flushed before the return. */
let temporary = 0;

/** Puts the file in the place of whatever was there. */
export function writeReplacing(file: string, content: string, mode: number): void {
  withTemporary(file, content, mode, (made) => renameSync(made, file));
}

/** Throws ENROLL_KEYS_EXIST where the file exists. */
export function writeNewFile(file: string, content: string, mode: number): void {
  if (!writeOnce(file, content, mode)) throw new ConcordatError('ENROLL_KEYS_EXIST', `${file} exists already`);
}

/** False where the file exists already; of two writers at once exactly one gets true. */
export function writeOnce(file: string, content: string, mode: number): boolean {
  let written = true;
  withTemporary(file, content, mode, (made) => {
    try {
      // A hard link fails where the name is taken, and shows the whole content at once.
      linkSync(made, file);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      written = false;
    }
  });
  return written;
}

/** Whether a name in a folder is that of a draft of the file `original`, as a killed process leaves it. */
export function isTemporaryOf(name: string, original: string): boolean {
  return name.startsWith(`.${original}.`) && /^\d+\.\d+$/.test(name.slice(original.length + 2));
}

function withTemporary(file: string, content: string, mode: number, place: (made: string) => void): void {
  const folder = path.dirname(file);
  const made = path.join(folder, `.${path.basename(file)}.${process.pid}.${++temporary}`);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const handle = openSync(made, 'w', mode);
    try {
      writeSync(handle, content);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    place(made);
    flushFolder(folder);
  } catch (error) {
    if (error instanceof ConcordatError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new ConcordatError('STORE_UNWRITABLE', `${file} cannot be written: ${reason}`, { cause: error });
  } finally {
    rmSync(made, { force: true });
  }
}

/** Makes the names in the folder durable. */
export function flushFolder(folder: string): void {
  // Windows cannot open folders; there a rename is as durable as the file system makes it.
  if (process.platform === 'win32') return;
  const handle = openSync(folder, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
