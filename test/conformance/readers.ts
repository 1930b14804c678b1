import { readFileSync } from 'node:fs';
import { parse } from 'csv-parse/sync';

/** Reference inputs and goldens: CSV where an empty cell is missing, JSON where NaN and infinities are strings. */

export interface Table {
  readonly columns: readonly string[];
  readonly n: number;
  has(column: string): boolean;
  text(column: string): readonly string[];
  /** Empty and NA are NaN; anything else that is no number is an error naming the column. */
  numbers(column: string): Float64Array;
}

/** A file of a case that is missing or not what case.json says: the run ends with status 2. */
export class UnreadableCase extends Error {}

export function numberOf(text: string): number | undefined {
  const trimmed = text.trim();
  if (trimmed === '' || trimmed === 'NA' || trimmed === 'NaN') return Number.NaN;
  if (trimmed === 'Inf' || trimmed === 'Infinity') return Number.POSITIVE_INFINITY;
  if (trimmed === '-Inf' || trimmed === '-Infinity') return Number.NEGATIVE_INFINITY;
  const value = Number(trimmed);
  return Number.isNaN(value) ? undefined : value;
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new UnreadableCase(`${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

export function readTable(file: string): Table {
  let rows: string[][];
  try {
    rows = parse(readText(file), { skip_empty_lines: true, bom: true });
  } catch (error) {
    if (error instanceof UnreadableCase) throw error;
    throw new UnreadableCase(`${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
  const columns = rows[0] ?? [];
  const body = rows.slice(1);
  const position = new Map(columns.map((column, index) => [column, index]));
  const text = (column: string): string[] => {
    const index = position.get(column);
    if (index === undefined) throw new UnreadableCase(`${file} has no column ${column}`);
    return body.map((row) => row[index]!);
  };
  const numbers = (column: string): Float64Array =>
    Float64Array.from(text(column), (cell, row) => {
      const value = numberOf(cell);
      if (value === undefined) throw new UnreadableCase(`${file}, column ${column}, line ${row + 2}: not a number`);
      return value;
    });
  return { columns, n: body.length, has: (column) => position.has(column), text, numbers };
}

/** A JSON golden as it stands; use `numeric` for its numbers. */
export function readJson(file: string): Record<string, unknown> {
  try {
    const parsed: unknown = parseJson(readText(file));
    if (isRecord(parsed)) return parsed;
    throw new Error('not an object');
  } catch (error) {
    if (error instanceof UnreadableCase) throw error;
    throw new UnreadableCase(`${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** JSON, also with the bare NaN and Infinity that Python writes: they become the strings that `numeric` reads. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const quoted = text.replace(/"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b/g, (token) =>
      token.startsWith('"') ? token : JSON.stringify(token),
    );
    if (quoted === text) throw error;
    return JSON.parse(quoted);
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value at a path of keys and array positions, or undefined. */
export function valueAt(root: unknown, path: readonly string[]): unknown {
  let value = root;
  for (const key of path) {
    if (Array.isArray(value)) value = value[Number(key)] as unknown;
    else if (isRecord(value)) value = value[key];
    else return undefined;
  }
  return value;
}

/**
 * All numbers of a golden value in reading order: a number, a list, a matrix, an object {name: number} or
 * {rows, cols, data}. Null is NaN; "NaN", "Inf" and "-Inf" are what they say. Undefined where there is other text.
 */
export function numeric(value: unknown): number[] | undefined {
  if (typeof value === 'number') return [value];
  if (value === null) return [Number.NaN];
  if (typeof value === 'string') {
    const parsed = numberOf(value);
    return parsed === undefined || value.trim() === '' ? undefined : [parsed];
  }
  if (isRecord(value) && Array.isArray(value['data'])) return numeric(value['data']);
  const parts = Array.isArray(value) ? value : isRecord(value) ? Object.values(value) : undefined;
  if (parts === undefined) return undefined;
  const numbers: number[] = [];
  for (const part of parts) {
    const inner = numeric(part);
    if (inner === undefined) return undefined;
    for (const one of inner) numbers.push(one);
  }
  return numbers;
}
