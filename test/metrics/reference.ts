import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import { expect } from 'vitest';

/** Folder of reference numbers, or undefined: tests that need it then skip and say so. */
export const statsReference = (() => {
  const root = process.env['CONCORDAT_REFERENCE'];
  const folder = root === undefined ? undefined : join(root, 'stats');
  if (folder !== undefined && existsSync(folder)) return folder;
  console.warn('CONCORDAT_REFERENCE is not set: comparisons with reference implementations are skipped');
  return undefined;
})();

export function readGolden(...path: string[]): Record<string, unknown> {
  return JSON.parse(readFileSync(join(statsReference!, ...path), 'utf8')) as Record<string, unknown>;
}

export function readRows(...path: string[]): Record<string, string>[] {
  return parse(readFileSync(join(statsReference!, ...path), 'utf8'), { columns: true }) as Record<string, string>[];
}

/** Passes if |got - want| <= abs + rel |want|; says quantity, difference, tolerance and source otherwise. */
export function expectClose(
  quantity: string,
  got: number,
  want: number,
  tolerance: { abs: number; rel: number },
  source: string,
): void {
  const allowed = tolerance.abs + tolerance.rel * Math.abs(want);
  const difference = Math.abs(got - want);
  if (!(difference <= allowed))
    expect.fail(`${quantity}: got ${got}, want ${want}, difference ${difference} > ${allowed} (${source})`);
}
