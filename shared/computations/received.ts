import { ConcordatError } from '../errors.js';

/**
 * Readers for what a site is sent: broadcasts and public results. Each gives the value in its type or throws
 * POLICY_BROADCAST_INVALID, so that nothing of another shape, no NaN, no absurd number and no foreign name reaches the
 * half that sees patient rows. `what` names the field; a message never repeats a value.
 */
export function invalid(what: string, why: string): ConcordatError {
  return new ConcordatError('POLICY_BROADCAST_INVALID', `what the coordinator sent cannot be used: ${what} ${why}`);
}

/** Standardized coefficients and logits beyond this are no model, whatever the data. */
export const COEFFICIENT_LIMIT = 2 ** 30;
/** Values of a column on its own scale are below this (shared/scaling.ts). */
export const VALUE_LIMIT = 2 ** 128;

/** A plain object with exactly these own fields; a field that is undefined counts as absent. */
export function record(value: unknown, what: string, fields: readonly string[]): Record<string, unknown> {
  const read = anyRecord(value, what);
  const present = Object.keys(read).filter((key) => read[key] !== undefined);
  if (present.length !== fields.length || fields.some((field) => !Object.hasOwn(read, field)))
    throw invalid(what, `does not have exactly the fields ${fields.join(', ')}`);
  return read;
}

export function anyRecord(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || ArrayBuffer.isView(value))
    throw invalid(what, 'is no object');
  return value as Record<string, unknown>;
}

export function list(value: unknown, what: string, lengthMax: number): readonly unknown[] {
  if (!Array.isArray(value)) throw invalid(what, 'is no list');
  if (value.length > lengthMax) throw invalid(what, `has more than ${lengthMax} entries`);
  return value;
}

/** Exactly one entry for each of `count`. */
export function listOf(value: unknown, what: string, count: number): readonly unknown[] {
  const read = list(value, what, count);
  if (read.length !== count) throw invalid(what, `does not have ${count} entries`);
  return read;
}

export function number(value: unknown, what: string, low: number, high: number): number {
  if (typeof value !== 'number' || !(value >= low && value <= high)) throw invalid(what, `is not between its limits`);
  return value;
}

export function integer(value: unknown, what: string, low: number, high: number): number {
  if (!Number.isSafeInteger(value)) throw invalid(what, 'is no whole number');
  return number(value, what, low, high);
}

export function oneOf<T extends string>(value: unknown, what: string, options: readonly T[]): T {
  const found = options.find((option) => option === value);
  if (found === undefined) throw invalid(what, `is none of ${options.join(', ')}`);
  return found;
}

export function numbers(value: unknown, what: string, length: number, limit: number): Float64Array {
  if (!(value instanceof Float64Array)) throw invalid(what, 'is no array of numbers');
  if (value.length !== length) throw invalid(what, `does not have ${length} numbers`);
  if (!value.every((entry) => Math.abs(entry) <= limit)) throw invalid(what, 'holds a number beyond its limits');
  return value;
}

export function integers(value: unknown, what: string, length: number, low: number, high: number): Int32Array {
  if (!(value instanceof Int32Array)) throw invalid(what, 'is no array of whole numbers');
  if (value.length !== length) throw invalid(what, `does not have ${length} numbers`);
  if (!value.every((entry) => entry >= low && entry <= high)) throw invalid(what, 'holds a number beyond its limits');
  return value;
}

/** Ascending positions below `count`, each at most once. */
export function positions(value: unknown, what: string, count: number): Int32Array {
  if (!(value instanceof Int32Array)) throw invalid(what, 'is no array of positions');
  if (value.some((entry, at) => entry < 0 || entry >= count || (at > 0 && value[at - 1]! >= entry)))
    throw invalid(what, 'does not list known positions once and in order');
  return value;
}

export function flags(value: unknown, what: string, length: number): Uint8Array {
  if (!(value instanceof Uint8Array) || value.length !== length || value.some((entry) => entry > 1))
    throw invalid(what, `does not have ${length} flags`);
  return value;
}

/** Names out of `among`, each at most once and in that order. */
export function names(value: unknown, what: string, among: readonly string[]): readonly string[] {
  const read = list(value, what, among.length);
  let last = -1;
  for (const name of read) {
    const at = among.indexOf(name as string);
    if (at <= last) throw invalid(what, 'does not list known names once and in order');
    last = at;
  }
  return read as readonly string[];
}

/** Every key at most once. */
export function once(keys: readonly (string | number)[], what: string): void {
  if (new Set(keys).size !== keys.length) throw invalid(what, 'lists something twice');
}
