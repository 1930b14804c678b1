import { SITE_NAME } from '../enrollment.js';
import { ConcordatError } from '../errors.js';
import { toHex } from '../hex.js';
import { LIMITS } from '../limits.js';

/**
 * Small two-way translators between what protobuf loads (every field may be absent) and domain types (nothing is absent,
 * lengths and ranges hold). One table of fields serves both directions, so they cannot drift apart.
 */
export interface Codec<T> {
  encode(value: T): unknown;
  /** `path` names the field in errors. Throws WIRE_FIELD_MISSING or WIRE_FIELD_INVALID. */
  decode(wire: unknown, path: string): T;
}

function missing(path: string): ConcordatError {
  return new ConcordatError('WIRE_FIELD_MISSING', `the field ${path} is missing`);
}

function invalid(path: string, why: string): ConcordatError {
  return new ConcordatError('WIRE_FIELD_INVALID', `the field ${path} ${why}`);
}

function present(wire: unknown, path: string): unknown {
  if (wire === undefined || wire === null) throw missing(path);
  return wire;
}

/** Bytes of one length, or of any up to the limit of a message; copied, because what gRPC gives may be a view. */
export function bytes(length?: number): Codec<Uint8Array> {
  return {
    encode: (value) => Buffer.from(value.buffer, value.byteOffset, value.byteLength),
    decode: (wire, path) => {
      const value = present(wire, path);
      if (!(value instanceof Uint8Array)) throw invalid(path, 'is not bytes');
      if (length !== undefined && value.length !== length)
        throw invalid(path, `has ${value.length} bytes, expected ${length}`);
      return new Uint8Array(value);
    },
  };
}

/** Bytes that are used up before the message is let go of: not copied, for the megabytes of a transfer. */
export const passingBytes: Codec<Uint8Array> = {
  encode: bytes().encode,
  decode: (wire, path) => {
    const value = present(wire, path);
    if (!(value instanceof Uint8Array)) throw invalid(path, 'is not bytes');
    return value;
  },
};

/** SHA-256: 32 bytes on the wire, 64 lower-case hexadecimal digits inside. */
export const hash: Codec<string> = {
  encode: (value) => Buffer.from(value, 'hex'),
  decode: (wire, path) => toHex(bytes(32).decode(wire, path)),
};

export function text(maxCharacters: number): Codec<string> {
  return {
    encode: (value) => value,
    decode: (wire, path) => {
      const value = present(wire, path);
      if (typeof value !== 'string') throw invalid(path, 'is not text');
      if (value.length > maxCharacters) throw invalid(path, `is longer than ${maxCharacters} characters`);
      return value;
    },
  };
}

/** A short name: not empty, no control characters. */
export const name: Codec<string> = {
  encode: (value) => value,
  decode: (wire, path) => {
    const value = text(200).decode(wire, path);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: refusing them is the purpose.
    if (value === '' || /[\u0000-\u001f\u007f]/.test(value))
      throw invalid(path, 'is empty or holds control characters');
    return value;
  },
};

/** A file below a folder that the receiver chooses: forward slashes, no way up or out of it, on any system. */
export const filePath: Codec<string> = {
  encode: (value) => value,
  decode: (wire, path) => {
    const value = name.decode(wire, path);
    const parts = value.split('/');
    if (/[\\:]/.test(value) || parts.some((part) => part === '' || part === '.' || part === '..'))
      throw invalid(path, 'is not the path of a file within a folder');
    return value;
  },
};

export const site: Codec<string> = {
  encode: (value) => value,
  decode: (wire, path) => {
    const value = text(63).decode(wire, path);
    if (!SITE_NAME.test(value)) throw invalid(path, 'is not the name of a site');
    return value;
  },
};

export const uint32: Codec<number> = {
  encode: (value) => value,
  decode: (wire, path) => {
    const value = present(wire, path);
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0) throw invalid(path, 'is not a count');
    return value;
  },
};

/** Loaded as a decimal string; anything beyond 2^53 - 1 is refused rather than rounded. */
export const uint64: Codec<number> = {
  encode: (value) => String(value),
  decode: (wire, path) => {
    const value = present(wire, path);
    const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : Number.NaN;
    if (!Number.isSafeInteger(number)) throw invalid(path, 'is not a count below 2^53');
    return number;
  },
};

export const bool: Codec<boolean> = {
  encode: (value) => value,
  decode: (wire, path) => {
    const value = present(wire, path);
    if (typeof value !== 'boolean') throw invalid(path, 'is not true or false');
    return value;
  },
};

/** Domain word <-> name of the enum's value. UNSPECIFIED and numbers that this version does not know are refused. */
export function oneOf<T extends string>(values: Readonly<Record<T, string>>): Codec<T> {
  const back = new Map(Object.entries<string>(values).map(([word, wire]) => [wire, word as T]));
  return {
    encode: (value) => values[value],
    decode: (wire, path) => {
      const value = present(wire, path);
      const word = typeof value === 'string' ? back.get(value) : undefined;
      if (word === undefined)
        throw invalid(path, typeof value === 'string' ? `has the unknown value ${value.slice(0, 40)}` : 'is no word');
      return word;
    },
  };
}

export function list<T>(item: Codec<T>, maxLength: number = LIMITS.sitesMax): Codec<readonly T[]> {
  return {
    encode: (value) => value.map((entry) => item.encode(entry)),
    decode: (wire, path) => {
      const value = wire ?? [];
      if (!Array.isArray(value)) throw invalid(path, 'is not a list');
      if (value.length > maxLength)
        throw invalid(path, `has ${value.length} entries, at most ${maxLength} are allowed`);
      return value.map((entry: unknown, index) => item.decode(entry, `${path}[${index}]`));
    },
  };
}

/** Sites sorted by code unit, each once: the only order in which they are hashed or signed. */
export const sortedSites: Codec<readonly string[]> = {
  encode: (value) => [...value],
  decode: (wire, path) => {
    const value = list(site).decode(wire, path);
    if (value.some((entry, index) => index > 0 && value[index - 1]! >= entry))
      throw invalid(path, 'is not sorted or names a site twice');
    return value;
  },
};

/** Absent on the wire stands for null. */
export function nullable<T>(inner: Codec<T>): Codec<T | null> {
  return {
    encode: (value) => (value === null ? undefined : inner.encode(value)),
    decode: (wire, path) => (wire === undefined || wire === null ? null : inner.decode(wire, path)),
  };
}

/** Fields of a protobuf message as its generated type has them, without the markers of optional fields. */
type WireFields<Wire> = Exclude<keyof Wire, `_${string}`>;

/** Every field of the domain type, and those of the generated type exactly: a forgotten one is a compile error. */
export type FieldsOf<Domain, Wire> = { readonly [K in keyof Omit<Domain, 'type'>]-?: Codec<Domain[K]> } & {
  readonly [K in WireFields<Wire>]: K extends keyof Domain ? Codec<Domain[K]> : never;
};

export function message<Domain, Wire>(fields: FieldsOf<Domain, Wire>): Codec<Omit<Domain, 'type'>> {
  const table = Object.entries(fields) as [string, Codec<unknown>][];
  return {
    encode: (value) => {
      const wire: Record<string, unknown> = {};
      for (const [key, codec] of table) {
        const encoded = codec.encode((value as Record<string, unknown>)[key]);
        if (encoded !== undefined) wire[key] = encoded;
      }
      return wire;
    },
    decode: (wire, path) => {
      const source = present(wire, path);
      if (typeof source !== 'object') throw invalid(path, 'is not a message');
      const record = source as Record<string, unknown>;
      const domain: Record<string, unknown> = {};
      for (const [key, codec] of table) domain[key] = codec.decode(record[key], `${path}.${key}`);
      return domain as Omit<Domain, 'type'>;
    },
  };
}
