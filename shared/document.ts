import { createHash } from 'node:crypto';
import { ConcordatError } from './errors.js';

/**
 * Documents are what the coordinator broadcasts and what computations return: plain data with Float64Array and
 * Uint8Array leaves. The encoding is canonical (sorted keys, shortest round-trip numbers, little-endian binary), so a
 * document has one hash and numbers arrive bit for bit.
 *
 * Layout: 'CDOC' | version u8 = 1 | header length u32 LE | header JSON (UTF-8) | the arrays one after another, each
 * padded to 8 bytes. In the header an array stands as {"$array":[kind, offset, length]}.
 */
export const VERSION = 1;
const MAGIC = Buffer.from(`CDOC${String.fromCharCode(VERSION)}`, 'latin1');

type ArrayKind = 'f64' | 'u8' | 'i32';

export function encodeDocument(value: unknown): Uint8Array {
  const parts: Uint8Array[] = [];
  let offset = 0;
  const place = (kind: ArrayKind, bytes: Uint8Array, length: number) => {
    const reference = `{"$array":["${kind}",${offset},${length}]}`;
    const padding = (8 - (bytes.byteLength % 8)) % 8;
    parts.push(bytes);
    if (padding > 0) parts.push(PADDING.subarray(0, padding));
    offset += bytes.byteLength + padding;
    return reference;
  };
  /** JSON text of the item; undefined for what JSON leaves out. */
  const written = (item: unknown): string | undefined => {
    if (typeof item === 'number' && !Number.isFinite(item)) return `{"$number":"${item}"}`;
    if (typeof item !== 'object' || item === null) return JSON.stringify(item);
    if (item instanceof Float64Array) return place('f64', bytesOf(item), item.length);
    if (item instanceof Int32Array) return place('i32', bytesOf(item), item.length);
    if (item instanceof Uint8Array) return place('u8', item, item.length);
    let text = '';
    if (Array.isArray(item)) {
      for (const inner of item) text += `${text === '' ? '' : ','}${written(inner) ?? 'null'}`;
      return `[${text}]`;
    }
    const source = item as Record<string, unknown>;
    const members: [string, string][] = [];
    for (const key of Object.keys(source).sort()) {
      const inner = written(source[key]);
      if (inner !== undefined) members.push([key, inner]);
    }
    for (const [key, inner] of inOrder(members)) text += `${text === '' ? '' : ','}${JSON.stringify(key)}:${inner}`;
    return `{${text}}`;
  };
  const header = Buffer.from(written(value)!, 'utf8');
  const length = Buffer.alloc(4);
  length.writeUInt32LE(header.length);
  return Buffer.concat([MAGIC, length, header, ...parts]);
}

const PADDING = new Uint8Array(7);

/** Sorted by key, but keys that look like an index come first and by number, as in any object of the language. */
function inOrder(members: [string, string][]): [string, string][] {
  return members.some(([key]) => key >= '0' && key < ':') ? Object.entries(Object.fromEntries(members)) : members;
}

/** Deeper nesting is refused: a few bytes of brackets must not exhaust the reader's stack. */
const DEPTH_MAX = 100;

const NUMBER_WORDS: ReadonlyMap<unknown, number> = new Map<unknown, number>([
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
]);

/**
 * Throws WIRE_DOCUMENT_INVALID where the bytes are not a document, and WIRE_VERSION_MISMATCH where they are one of a newer
 * Concordat. Takes no more memory than a small multiple of the bytes, whatever lengths they declare.
 */
export function decodeDocument(bytes: Uint8Array): unknown {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.length < 9 || !view.subarray(0, 4).equals(MAGIC.subarray(0, 4)))
    throw invalid('it does not start with the mark of a document');
  if (view[4]! > VERSION)
    throw new ConcordatError(
      'WIRE_VERSION_MISMATCH',
      `a document has format ${view[4]}, this side reads up to ${VERSION}: it was made by a newer Concordat, upgrade this side`,
    );
  if (view[4] !== VERSION) throw invalid('it has no known version');
  const headerLength = view.readUInt32LE(5);
  const start = 9 + headerLength;
  if (start > view.length) throw invalid('its header is longer than the document');
  let header: unknown;
  try {
    header = JSON.parse(view.toString('utf8', 9, start));
  } catch {
    throw invalid('its header is not JSON');
  }
  // The writer places every array once, so together they are no longer than what follows the header.
  let unread = view.length - start;
  const arrays = new ArraysOf(view, start);
  const revive = (item: unknown, depth: number): unknown => {
    if (typeof item !== 'object' || item === null) return item;
    if (depth > DEPTH_MAX) throw invalid('its header is nested too deep');
    if (Array.isArray(item)) {
      for (let i = 0; i < item.length; i++) item[i] = revive(item[i], depth + 1);
      return item;
    }
    const record = item as Record<string, unknown>;
    if (Object.hasOwn(record, '$array')) {
      const array = arrays.read(record['$array'], unread);
      unread -= array.byteLength;
      return array;
    }
    if (Object.hasOwn(record, '$number')) {
      const number = NUMBER_WORDS.get(record['$number']);
      if (number === undefined) throw invalid('a number is none');
      return number;
    }
    // What JSON gave is nobody else's, so it is filled in place; its keys are its own, also one named __proto__.
    for (const key of Object.keys(record)) {
      const inner = record[key];
      if (typeof inner === 'object' && inner !== null) record[key] = revive(inner, depth + 1);
    }
    return record;
  };
  return revive(header, 0);
}

export function documentHash(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Up to this size the keys and hashes of a document lie in one piece of memory: a record of a log holds dozens of them. */
const SHARED_BYTES_MAX = 65_536;

/** The arrays behind the header. What was received may be unaligned, or memory that is used again, so they are copied out of it. */
class ArraysOf {
  private copy: Uint8Array | undefined;
  /** Arrays before this offset were given out, and no later one may share their memory. */
  private given = 0;

  constructor(
    private readonly view: Buffer,
    private readonly start: number,
  ) {}

  read(reference: unknown, unread: number): Float64Array | Int32Array | Uint8Array {
    const [kind, offset, length] = Array.isArray(reference) ? (reference as [string, number, number]) : ['', -1, -1];
    const width = kind === 'f64' ? 8 : kind === 'i32' ? 4 : kind === 'u8' ? 1 : 0;
    const from = this.start + offset;
    const valid =
      width > 0 && Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
    if (!valid || from + length * width > this.view.length) throw invalid('an array lies outside it');
    if (length * width > unread) throw invalid('its arrays lie over each other');
    if (kind === 'u8' && this.view.length - this.start <= SHARED_BYTES_MAX && offset >= this.given) {
      this.given = offset + length;
      this.copy ??= new Uint8Array(this.view.subarray(this.start));
      return new Uint8Array(this.copy.buffer, offset, length);
    }
    const fresh = new Uint8Array(this.view.subarray(from, from + length * width)).buffer;
    if (kind === 'f64') return new Float64Array(fresh);
    if (kind === 'i32') return new Int32Array(fresh);
    return new Uint8Array(fresh);
  }
}

function bytesOf(array: Float64Array | Int32Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

function invalid(why: string): ConcordatError {
  return new ConcordatError('WIRE_DOCUMENT_INVALID', `a document could not be read: ${why}`);
}
