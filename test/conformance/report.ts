import type { Row } from './sheet.js';

const COLUMNS = [
  'group',
  'case',
  'quantity',
  'class',
  'reference',
  'version',
  'values',
  'worst',
  'unit',
  'tolerance',
  'status',
  'reason',
] as const satisfies readonly (keyof Row)[];

/** conformance.csv: one line per quantity of a golden, RFC 4180 quoting. */
export function csvOf(rows: readonly Row[]): string {
  const cell = (value: string | number | null): string => {
    const text = value === null ? '' : String(value);
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const lines = rows.map((row) => COLUMNS.map((column) => cell(row[column])).join(','));
  return `${[COLUMNS.join(','), ...lines].join('\n')}\n`;
}

interface Summary {
  group: string;
  quantity: string;
  class: string;
  pass: number;
  fail: number;
  unsupported: number;
  worst: number | null;
  unit: string;
}

/** One aligned line per group and quantity over all cases, then every failure in full. */
export function tableOf(rows: readonly Row[]): string {
  const summaries = new Map<string, Summary>();
  for (const row of rows) {
    const key = JSON.stringify([row.group, row.quantity]);
    const one = summaries.get(key) ?? { ...row, pass: 0, fail: 0, unsupported: 0, worst: null };
    one[row.status]++;
    if (one.class === '') one.class = row.class;
    if (row.worst !== null && (one.worst === null || row.worst > one.worst)) {
      one.worst = row.worst;
      one.unit = row.unit;
    }
    summaries.set(key, one);
  }
  const lines: string[][] = [['group', 'quantity', 'class', 'status', 'worst', 'unit']];
  for (const one of summaries.values()) {
    const counts = (['pass', 'fail', 'unsupported'] as const).filter((status) => one[status] > 0);
    const status = counts.map((name) => (one[name] > 1 ? `${name} ${one[name]}` : name)).join(', ');
    const worst = one.worst === null ? '' : one.worst === 0 ? '0' : one.worst.toExponential(1);
    lines.push([one.group, one.quantity, one.class, status, worst, one.worst === null ? '' : one.unit]);
  }
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  const text = lines.map((line) =>
    line
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  );
  const failures = rows
    .filter((row) => row.status === 'fail')
    .map((row) => {
      const numbers = row.worst === null ? '' : ` worst ${row.worst.toExponential(2)} ${row.unit} (${row.tolerance})`;
      return `FAIL ${row.case}: ${row.quantity} against ${row.reference}:${numbers} ${row.reason}`.trimEnd();
    });
  return [...text, ...(failures.length === 0 ? [] : ['', ...failures])].join('\n');
}

export interface Counts {
  readonly pass: number;
  readonly fail: number;
  readonly unsupported: number;
}

export function countsOf(rows: readonly Row[]): Counts {
  const count = (status: Row['status']): number => rows.filter((row) => row.status === status).length;
  return { pass: count('pass'), fail: count('fail'), unsupported: count('unsupported') };
}

export function lastLineOf(counts: Counts): string {
  return `PASS ${counts.pass} FAIL ${counts.fail} UNSUPPORTED ${counts.unsupported}`;
}
