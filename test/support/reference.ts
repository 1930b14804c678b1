import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import { expect } from 'vitest';

/** Folder of reference values, or null where the environment names none; says so once, loudly. */
export function referenceFolder(variable: 'CONCORDAT_REFERENCE' | 'CONCORDAT_DATA', below: string): string | null {
  const root = process.env[variable];
  const folder = root === undefined ? null : join(root, below);
  if (folder !== null && existsSync(folder)) return folder;
  process.stderr.write(`SKIPPED: ${variable} does not lead to ${below}, so its reference values are not compared\n`);
  return null;
}

export function readJson(...path: string[]): unknown {
  return JSON.parse(readFileSync(join(...path), 'utf8'));
}

/** Rows of a CSV file, as text by column name. */
export function readRows(...path: string[]): Record<string, string>[] {
  return parse(readFileSync(join(...path)), { columns: true, skip_empty_lines: true }) as Record<string, string>[];
}

/** Every |got - want| <= abs + rel |want|; a failure names the place, the difference and the source. */
export function expectClose(
  got: ArrayLike<number>,
  want: ArrayLike<number>,
  tolerance: { readonly abs: number; readonly rel: number; readonly source: string },
): void {
  expect(got.length, tolerance.source).toBe(want.length);
  for (let i = 0; i < want.length; i++) {
    const difference = Math.abs(got[i]! - want[i]!);
    const allowed = tolerance.abs + tolerance.rel * Math.abs(want[i]!);
    if (!(difference <= allowed))
      expect.fail(`${tolerance.source} [${i}]: got ${got[i]}, want ${want[i]}, off ${difference}, allowed ${allowed}`);
  }
}
