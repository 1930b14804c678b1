import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { writeReplacing } from '../../../shared/durable-files.js';
import { cannotOpen, filesBeside, isFolder, namesIn, notAFile, sizeAndTime } from '../../imaging/shell/read-file.js';

const knownSchema = z.record(
  z.string(),
  z.strictObject({ size: z.number(), modifiedMs: z.number(), sha256: z.string() }),
);
type Known = z.output<typeof knownSchema>[string];

/**
 * SHA-256 of images, each of one file, of a header and its samples, or of a folder of files, remembered by size and time of change, so that a cohort whose images did not change is not read again.
 * The memory is a file at the site.
 */
export class FileDigests {
  private readonly known: Map<string, Known>;
  private changed = false;

  constructor(private readonly file: string) {
    this.known = new Map(Object.entries(readKnown(file)));
  }

  /** @throws ConcordatError IMAGE_UNREADABLE where there is no file or folder at the path, or it may not be read. */
  async of(target: string): Promise<string> {
    if (!isFolder(target)) {
      const found = await this.ofFile(target);
      if (found === null) throw notAFile(target);
      const beside = filesBeside(target);
      if (beside.length === 0) return found;
      // Headers of different images may be alike to the last byte.
      const all = createHash('sha256').update(`${found}\n`);
      for (const other of beside) all.update(`${(await this.ofFile(other)) ?? 'missing'}\n`);
      return all.digest('hex');
    }
    const all = createHash('sha256');
    for (const name of namesIn(target, { recursive: true })) {
      const member = await this.ofFile(path.join(target, name));
      if (member !== null) all.update(`${name}\n${member}\n`);
    }
    return all.digest('hex');
  }

  save(): void {
    if (!this.changed) return;
    writeReplacing(
      this.file,
      JSON.stringify(Object.fromEntries([...this.known].sort(([a], [b]) => (a < b ? -1 : 1)))),
      0o600,
    );
    this.changed = false;
  }

  /** Null where it is no file: a folder, a pipe, a link to nothing. */
  private async ofFile(file: string): Promise<string | null> {
    const stat = sizeAndTime(file);
    if (stat === null) return null;
    const { size, modifiedMs } = stat;
    const known = this.known.get(file);
    if (known !== undefined && known.size === size && known.modifiedMs === modifiedMs) return known.sha256;
    const hash = createHash('sha256');
    try {
      for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
    } catch (error) {
      throw cannotOpen(file, error);
    }
    const sha256 = hash.digest('hex');
    this.known.set(file, { size, modifiedMs, sha256 });
    this.changed = true;
    return sha256;
  }
}

function readKnown(file: string): Record<string, Known> {
  if (!existsSync(file)) return {};
  try {
    return knownSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    // What is remembered can always be computed again.
    return {};
  }
}
