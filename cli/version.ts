import { readFileSync } from 'node:fs';

/** Version of this program, from its package.json (one level above cli/ in sources, two in dist/). */
export const PROGRAM_VERSION: string = readVersion();

function readVersion(): string {
  for (const candidate of ['../package.json', '../../package.json']) {
    try {
      const found = JSON.parse(readFileSync(new URL(candidate, import.meta.url), 'utf8')) as {
        name?: string;
        version?: string;
      };
      if (found.name === 'concordat' && found.version !== undefined) return found.version;
    } catch {
      // The next candidate: where the file is depends on whether this runs from sources or from dist/.
    }
  }
  return '0.0.0';
}
