import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ERROR_TABLE } from '../shared/error-table.js';
import { assert, ConcordatError, type ErrorEntry } from '../shared/errors.js';

const ENTRIES = Object.entries<ErrorEntry>(ERROR_TABLE);
const AREAS = [
  'STUDY',
  'COHORT',
  'SITE',
  'ENROLL',
  'SECAGG',
  'POLICY',
  'WIRE',
  'STORE',
  'BUNDLE',
  'IMAGE',
  'CLI',
  'INTERNAL',
];

/** Codes that only a whole command or a running agent raises and no test does yet. This list may only shrink. */
const UNTESTED = [
  'COHORT_CHANGED',
  'SITE_SIGNATURE_INVALID',
  'STUDY_EXISTS',
  'STUDY_SITES_UNKNOWN',
  'POLICY_DECLARATION_MISMATCH',
  'SITE_ALREADY_DECIDED',
  'BUNDLE_MODEL_UNUSABLE',
  'BUNDLE_NOT_VERIFIED',
  'BUNDLE_UNKNOWN',
  'CLI_FILE_MISSING',
  'CLI_FILE_FORBIDDEN',
  'CLI_COORDINATOR_SILENT',
];

function sources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => readFileSync(`${entry.parentPath}/${entry.name}`, 'utf8'));
}

describe('the error table', () => {
  it.each(ENTRIES)('%s has an area, a hint that is a sentence, and a fitting exit status', (code, entry) => {
    const area = code.split('_')[0]!;
    expect(AREAS).toContain(area);
    expect(code).toMatch(/^[A-Z]+(_[A-Z0-9]+)+$/);
    expect(entry.hint.length).toBeGreaterThanOrEqual(15);
    expect(entry.hint).toMatch(/[.)]$/);
    expect(entry.hint).not.toMatch(/\b(todo|stack trace)\b/);
    if (area === 'POLICY') expect([2, 3]).toContain(entry.exit);
    if (area === 'INTERNAL') expect([entry.fault, entry.exit]).toEqual(['bug', 5]);
  });

  it('and docs/errors.md name the same codes with the same hints', () => {
    const doc = readFileSync('docs/errors.md', 'utf8');
    const documented = [...doc.matchAll(/^\| `([A-Z0-9_]+)` \|.*\| (.*) \|$/gm)].map((match) => [match[1], match[2]]);
    expect(documented.length).toBeGreaterThan(0);
    expect(new Map(documented as [string, string][])).toEqual(
      new Map(ENTRIES.map(([code, entry]) => [code, entry.hint.replaceAll('|', '\\|')])),
    );
  });

  it('has no code that the product never raises', () => {
    const text = ['cli', 'coordinator', 'site-agent', 'harmonization', 'shared']
      .flatMap(sources)
      .filter((source) => !source.includes('export const ERROR_TABLE'))
      .join('\n');
    expect(ENTRIES.map(([code]) => code).filter((code) => !text.includes(`'${code}'`))).toEqual([]);
  });

  it('has no code without a test that names it', () => {
    const tests = sources('test')
      .join('\n')
      .replace(/const UNTESTED = [^;]*;/, '');
    expect(ENTRIES.map(([code]) => code).filter((code) => !UNTESTED.includes(code) && !tests.includes(code))).toEqual(
      [],
    );
  });

  it('gives every error its entry, and assertions the code of a defect', () => {
    const error = new ConcordatError('STUDY_INVALID', 'x', { problems: [{ message: 'y' }] });
    expect(error.entry).toBe(ERROR_TABLE.STUDY_INVALID);
    expect(error.hint).toBe(ERROR_TABLE.STUDY_INVALID.hint);
    expect(new ConcordatError('STUDY_INVALID', 'x', { hint: 'own' }).hint).toBe('own');
    expect(() => assert(false, 'broken')).toThrow(expect.objectContaining({ code: 'INTERNAL_BUG' }));
  });
});
