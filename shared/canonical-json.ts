import { ConcordatError } from './errors.js';

/**
 * JSON Canonicalization Scheme (RFC 8785): keys sorted by UTF-16 code units, numbers in ECMAScript's shortest
 * round-trip form, no white space. What is hashed or signed as JSON goes through here, so one value has one text.
 *
 * Properties with the value undefined are left out. Throws WIRE_NOT_CANONICAL for what I-JSON cannot carry: NaN,
 * infinities, lone surrogates, and anything that is no plain data.
 */
export function canonicalJson(value: unknown): string {
  return written(value, 0);
}

/** Deeper nesting is refused: a few bytes of brackets must not exhaust the stack. */
const DEPTH_MAX = 200;

function written(value: unknown, depth: number): string {
  if (depth > DEPTH_MAX) throw refused('it is nested too deep');
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw refused(`${value} is no JSON number`);
    return JSON.stringify(value);
  }
  if (typeof value === 'string') {
    if (!isWellFormed(value)) throw refused('a text holds half of a surrogate pair');
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map((item) => written(item, depth + 1)).join(',')}]`;
  if (typeof value === 'object' && isPlain(value)) {
    const record = value as Record<string, unknown>;
    let text = '';
    // The default order of strings is by UTF-16 code units, as RFC 8785 section 3.2.3 wants.
    for (const key of Object.keys(record).sort())
      if (record[key] !== undefined)
        text += `${text === '' ? '' : ','}${written(key, 0)}:${written(record[key], depth + 1)}`;
    return `{${text}}`;
  }
  throw refused(`a value of type ${typeof value} is no plain data`);
}

export function canonicalBytes(value: unknown): Uint8Array {
  return Buffer.from(canonicalJson(value), 'utf8');
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function isWellFormed(text: string): boolean {
  // Most are ASCII, and a surrogate is rare: only then the pairs are looked at.
  return !/[\uD800-\uDFFF]/.test(text) || !LONE_SURROGATE.test(text);
}

const LONE_SURROGATE = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/;

function refused(reason: string): ConcordatError {
  return new ConcordatError('WIRE_NOT_CANONICAL', `cannot be written as canonical JSON: ${reason}`);
}
