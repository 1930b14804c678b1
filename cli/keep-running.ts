import { closeSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';

/** What a process is made of: everything that `start` opened, and how to close it. */
export interface Closable {
  close(): Promise<void>;
}

export interface KeptRunning<T extends Closable> {
  /** Null while it is between two starts. */
  readonly current: T | null;
  close(): Promise<void>;
}

/** How often a full disk is looked at again. */
const LOOK_MS = 2_000;
/** Room that must be there before the work begins again: a small study writes this much in a few rounds. */
const ROOM_BYTES = 256 * 1024;

/**
 * Keeps a coordinator or a site going over a full disk. What could not be written is not built upon: the study stops with
 * STORE_UNWRITABLE, and as soon as the folder takes a file again everything is closed and opened anew from what is on disk, as
 * after a crash, in the same operating-system process. `start` gets `again` (false the first time) and a function to call
 * with the code of each problem that it reports.
 *
 * @throws what the first `start` throws; a later one that fails is tried again and told to `failed`.
 */
export async function keepRunning<T extends Closable>(
  folder: string,
  start: (again: boolean, onProblem: (code: string) => void) => Promise<T>,
  failed: (error: unknown) => void,
): Promise<KeptRunning<T>> {
  let current: T | null = null;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  let restarting = Promise.resolve();
  const onProblem = (code: string) => {
    if (code === 'STORE_UNWRITABLE' && timer === undefined && !closed) timer = setTimeout(look, LOOK_MS);
  };
  const look = () => {
    if (hasRoom(folder)) restarting = restart();
    else timer = setTimeout(look, LOOK_MS);
  };
  const restart = async () => {
    const old = current;
    current = null;
    try {
      await old?.close();
      timer = undefined;
      if (!closed) current = await start(true, onProblem);
    } catch (error) {
      failed(error);
      clearTimeout(timer);
      if (!closed) timer = setTimeout(look, LOOK_MS);
    }
  };
  current = await start(false, onProblem);
  return {
    get current() {
      return current;
    },
    close: async () => {
      closed = true;
      clearTimeout(timer);
      await restarting;
      await current?.close();
    },
  };
}

function hasRoom(folder: string): boolean {
  const file = path.join(folder, `.room.${process.pid}`);
  try {
    const handle = openSync(file, 'w', 0o600);
    try {
      const written = writeSync(handle, Buffer.alloc(ROOM_BYTES, 1));
      fsyncSync(handle);
      return written === ROOM_BYTES;
    } finally {
      closeSync(handle);
    }
  } catch {
    return false;
  } finally {
    rmSync(file, { force: true });
  }
}
