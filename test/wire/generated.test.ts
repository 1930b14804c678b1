import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';

it('protos/gen is what scripts/gen-protos.mjs makes of the .proto files today', () => {
  const fresh = mkdtempSync(path.join(tmpdir(), 'concordat-gen-'));
  try {
    execFileSync(process.execPath, ['scripts/gen-protos.mjs', fresh]);
    expect(contents('protos/gen'), 'run `npm run gen` and commit protos/gen').toEqual(contents(fresh));
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
});

function contents(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(
    files
      .map((entry) => path.join(entry.parentPath, entry.name))
      .sort()
      .map((file) => [path.relative(folder, file), readFileSync(file, 'utf8')]),
  );
}
