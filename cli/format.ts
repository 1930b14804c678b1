import type { ConcordatError, Problem } from '../shared/errors.js';

/** How things look on a terminal. Pure text; colour and progress are the commands' affair. */
export type Align = 'left' | 'right';

export interface TableOptions {
  /** By column; by default numbers right, everything else left. */
  readonly align?: readonly (Align | undefined)[];
  readonly indent?: string;
}

/** A column-aligned table with a rule below its header. Width is counted in code points, wide characters as two. */
export function table(
  header: readonly string[],
  rows: readonly (readonly (string | number)[])[],
  options: TableOptions = {},
): string {
  const cells = rows.map((row) => header.map((_, at) => String(row[at] ?? '')));
  const widths = header.map((name, at) => Math.max(width(name), ...cells.map((row) => width(row[at]!))));
  const align = header.map(
    (_, at): Align =>
      options.align?.[at] ?? (cells.length > 0 && cells.every((row) => isNumber(row[at]!)) ? 'right' : 'left'),
  );
  const line = (texts: readonly string[]) =>
    `${options.indent ?? ''}${texts
      .map((text, at) => {
        const padding = ' '.repeat(widths[at]! - width(text));
        return align[at] === 'right' ? padding + text : text + padding;
      })
      .join('  ')}`.trimEnd();
  const rule = `${options.indent ?? ''}${widths.map((size) => '─'.repeat(size)).join('  ')}`;
  return [line(header), rule, ...cells.map(line)].join('\n');
}

function isNumber(text: string): boolean {
  return text === '' || text === '–' || /^[+-]?\d[\d,.\s]*(%|[eE][+-]?\d+)?$/.test(text) || /^-?0?\.\d+/.test(text);
}

function width(text: string): number {
  let total = 0;
  for (const character of text) total += /\p{Mn}/u.test(character) ? 0 : WIDE.test(character) ? 2 : 1;
  return total;
}

const WIDE =
  /[\u1100-\u115F\u2E80-\uA4CF\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF00-\uFF60\uFFE0-\uFFE6]|\p{Extended_Pictographic}/u;

/** Lines of at most `columns` characters, broken between words; a longer word stands alone. */
export function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && width(line) + 1 + width(word) > columns) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** Fixed decimals; `–` for what has no value. */
export function decimals(value: number | null | undefined, digits: number): string {
  return value === null || value === undefined || !Number.isFinite(value) ? '–' : value.toFixed(digits);
}

/** Four significant digits, exponents where they help: for coefficients and differences. */
export function significant(value: number | null | undefined, digits = 4): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  if (value === 0) return '0';
  const size = Math.abs(value);
  return size >= 1e-3 && size < 1e6 ? String(Number(value.toPrecision(digits))) : value.toExponential(digits - 1);
}

/** `0.81 (0.74–0.88)`, `suppressed`, or `–` where it is not estimable. */
export function estimate(
  value:
    | { readonly value: number; readonly low?: number | null; readonly high?: number | null }
    | { readonly suppressed: true }
    | null,
  digits = 2,
): string {
  if (value === null) return '–';
  if ('suppressed' in value) return 'suppressed';
  const point = decimals(value.value, digits);
  if (value.low === undefined || value.low === null || value.high === undefined || value.high === null) return point;
  return `${point} (${decimals(value.low, digits)}–${decimals(value.high, digits)})`;
}

export function percent(share: number, digits = 0): string {
  return Number.isFinite(share) ? `${(100 * share).toFixed(digits)} %` : '–';
}

/** Powers of 1000, as networks count: `1.2 MB`. */
export function bytes(count: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = count;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 || value >= 99.5 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

export function duration(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 59_950) return `${(milliseconds / 1000).toFixed(1)} s`;
  const seconds = Math.round(milliseconds / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, '0')} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}

/** `1 site`, `3 sites`. */
export function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}

const PROBLEMS_SHOWN = 20;

/** An error for a person: what happened, where (the first twenty places), what to do, and the code to look up. */
export function errorText(error: ConcordatError): string {
  const lines = [`error: ${error.message}`];
  if (error.problems.length > 0) {
    lines.push('', problemTable(error.problems.slice(0, PROBLEMS_SHOWN)));
    const more = error.problems.length - PROBLEMS_SHOWN;
    if (more > 0) lines.push(`  … and ${count(more, 'more problem')} (--json lists all)`);
    lines.push('');
  }
  lines.push(`hint: ${error.hint}`, `code: ${error.code}`);
  return lines.join('\n');
}

/** Problems with the columns that at least one of them fills. */
export function problemTable(problems: readonly Problem[]): string {
  const columns = (['file', 'row', 'column'] as const).filter((key) =>
    problems.some((item) => item[key] !== undefined),
  );
  if (columns.length === 0) return problems.map((item) => `  ${item.message}`).join('\n');
  return table(
    [...columns, 'problem'],
    problems.map((item) => [...columns.map((key) => item[key] ?? ''), item.message]),
    { indent: '  ' },
  );
}

/** The error document of the `--json` contract: one object, stable fields. */
export function errorJson(error: ConcordatError): string {
  const { code, entry, message, hint, problems } = error;
  const listed = problems.map((item) => ({
    ...(item.file === undefined ? {} : { file: item.file }),
    ...(item.row === undefined ? {} : { row: item.row }),
    ...(item.column === undefined ? {} : { column: item.column }),
    message: item.message,
  }));
  return JSON.stringify({ error: { code, fault: entry.fault, message, hint, problems: listed } }, null, 2);
}
