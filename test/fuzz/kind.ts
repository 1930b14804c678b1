import type { SeededRandom } from '../../shared/rng.js';

/**
 * One form of input that Concordat reads. `make` starts from specimens that real code made and breaks them; `run` reads
 * the bytes as the product would. It returns where the input was taken, throws a ConcordatError where it was refused, and
 * throws `Refused` where a library in front of us (protobuf, under gRPC's own guard) turned it away.
 */
export interface FuzzKind {
  readonly name: string;
  /** Share of the runs, relative to the other kinds. */
  readonly weight: number;
  /** Builds specimens; called once in a process that uses the kind. */
  prepare(): FuzzTarget;
}

export interface FuzzTarget {
  make(random: SeededRandom): Uint8Array;
  run(input: Uint8Array): void;
}

/** Turned away before Concordat's own code saw it, by code that the product runs under a guard. */
export class Refused extends Error {}

/** A promise of the product that did not hold, although nothing was thrown. */
export class Broken extends Error {}

const text = new TextDecoder();

export function textOf(bytes: Uint8Array): string {
  return text.decode(bytes);
}

export function bytesOf(content: string): Uint8Array {
  return new Uint8Array(Buffer.from(content, 'utf8'));
}

/** Plain data with bytes and numbers that JSON has no word for, as text: inputs of reducers travel so. */
export function pack(value: unknown): Uint8Array {
  return bytesOf(
    JSON.stringify(value, function (this: Record<string, unknown>, key, shown: unknown) {
      // Buffers have a toJSON of their own, so the value is taken from its holder.
      const item = this[key];
      if (item instanceof Float64Array) return { $f64: Array.from(item, (entry) => String(entry)) };
      if (item instanceof Uint8Array) return { $bytes: Buffer.from(item).toString('base64') };
      if (typeof item === 'number' && (!Number.isFinite(item) || Object.is(item, -0)))
        return { $number: Object.is(item, -0) ? '-0' : String(item) };
      if (item === undefined) return { $undefined: true };
      return shown;
    }),
  );
}

export function unpack(bytes: Uint8Array): unknown {
  return JSON.parse(textOf(bytes), (_key, item: unknown) => {
    if (typeof item !== 'object' || item === null) return item;
    const { $bytes, $f64, $number } = item as Record<string, unknown>;
    if (typeof $bytes === 'string') return new Uint8Array(Buffer.from($bytes, 'base64'));
    if (Array.isArray($f64)) return Float64Array.from($f64, Number);
    if (typeof $number === 'string') return Number($number);
    return item;
  });
}

/** Mostly the JSON as it is, now and then broken as text. */
export function jsonOrText(
  random: SeededRandom,
  json: string,
  mutate: (random: SeededRandom, text: string) => string,
): Uint8Array {
  return bytesOf(random.integer(4) === 0 ? mutate(random, json) : json);
}
