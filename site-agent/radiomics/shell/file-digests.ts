import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { writeReplacing } from '../../../shared/durable-files.js';
import { ConcordatError } from '../../../shared/errors.js';

const knownSchema = z.record(
  z.string(),
  z.strictObject({ size: z.number(), modifiedMs: z.number(), sha256: z.string() }),
);
type Known = z.output<typeof knownSchema>[string];

/**
 * SHA-256 of files and of folders of files, remembered by size and time of change, so that a cohort whose images did not change is not read again.
 * The memory is a file at the site.
 */
export class FileDigests {
  private readonly known: Map<string, Known>;
  private changed = false;

  constructor(private readonly file: string) {
    this.known = new Map(Object.entries(readKnown(file)));
  }

  /** @throws ConcordatError IMAGE_UNREADABLE where there is nothing at the path. */
  async of(target: string): Promise<string> {
    let isFolder: boolean;
    try {
      isFolder = statSync(target).isDirectory();
    } catch (error) {
      const reason = (error as NodeJS.ErrnoException).code ?? 'unknown reason';
      throw new ConcordatError('IMAGE_UNREADABLE', `the file cannot be opened (${reason})`);
    }
    if (!isFolder) return this.ofFile(target);
    const all = createHash('sha256');
    for (const name of readdirSync(target, { recursive: true, encoding: 'utf8' }).sort()) {
      const member = path.join(target, name);
      if (statSync(member).isFile()) all.update(`${name}\n${await this.ofFile(member)}\n`);
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

  private async ofFile(file: string): Promise<string> {
    const { size, mtimeMs: modifiedMs } = statSync(file);
    const known = this.known.get(file);
    if (known !== undefined && known.size === size && known.modifiedMs === modifiedMs) return known.sha256;
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
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
