import { describe, expect, it } from 'vitest';
import {
  bytes,
  decimals,
  duration,
  errorJson,
  errorText,
  estimate,
  percent,
  significant,
  table,
} from '../../cli/format.js';
import { ConcordatError } from '../../shared/errors.js';

describe('terminal text', () => {
  it('aligns columns: numbers right, text left, wide characters as two', () => {
    expect(
      table(
        ['site', 'n', 'AUC'],
        [
          ['alder', 128, '0.81'],
          ['肝臓', 9, '–'],
        ],
      ),
    ).toBe(['site     n   AUC', '─────  ───  ────', 'alder  128  0.81', '肝臓     9     –'].join('\n'));
  });

  it('writes numbers for people', () => {
    expect(['0 B', '999 B', '1.0 kB', '12.3 kB', '123 kB', '1.0 MB']).toEqual(
      [0, 999, 1000, 12_345, 123_456, 1_000_000].map(bytes),
    );
    expect([12, 999, 1500, 59_940, 61_000, 3_720_000].map(duration)).toEqual([
      '12 ms',
      '999 ms',
      '1.5 s',
      '59.9 s',
      '1 min 01 s',
      '1 h 02 min',
    ]);
    expect([0, 0.123456, 1e-9, 123456789, null].map((value) => significant(value))).toEqual([
      '0',
      '0.1235',
      '1.000e-9',
      '1.235e+8',
      '–',
    ]);
    expect([percent(0.256), percent(0.256, 1), percent(Number.NaN), decimals(Number.NaN, 2)]).toEqual([
      '26 %',
      '25.6 %',
      '–',
      '–',
    ]);
    expect(estimate({ value: 0.812, low: 0.744, high: 0.876 })).toBe('0.81 (0.74–0.88)');
    expect([estimate(null), estimate({ suppressed: true }), estimate({ value: 1, low: null })]).toEqual([
      '–',
      'suppressed',
      '1.00',
    ]);
  });
});

describe('errors', () => {
  const problems = Array.from({ length: 25 }, (_, at) => ({
    file: 'cases.csv',
    row: at + 2,
    column: 'age',
    message: 'is not a number',
  }));
  const error = new ConcordatError('COHORT_INVALID', 'cases.csv cannot be used as it is: 25 problems', { problems });

  it('as text: message, the first twenty places, hint, code', () => {
    const lines = errorText(error).split('\n');
    expect(lines[0]).toBe('error: cases.csv cannot be used as it is: 25 problems');
    expect(lines[2]).toMatch(/^ {2}file +row +column +problem$/);
    expect(lines.filter((line) => line.includes('is not a number'))).toHaveLength(20);
    expect(lines).toContain('  … and 5 more problems (--json lists all)');
    expect(lines[lines.length - 2]).toBe(`hint: ${error.hint}`);
    expect(lines[lines.length - 1]).toBe('code: COHORT_INVALID');
    expect(lines.every((line) => line.length < 200)).toBe(true);
  });

  it('as JSON: one document with the contract fields, all problems', () => {
    const document = JSON.parse(errorJson(error)) as { error: Record<string, unknown> };
    expect(Object.keys(document)).toEqual(['error']);
    expect(Object.keys(document.error).sort()).toEqual(['code', 'fault', 'hint', 'message', 'problems']);
    expect(document.error['problems']).toEqual(problems);
    expect(errorJson(error)).not.toContain('stack');
  });

  it('without places stay short', () => {
    expect(errorText(new ConcordatError('STUDY_UNREADABLE', 'x cannot be read')).split('\n')).toHaveLength(3);
  });
});
