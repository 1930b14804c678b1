import type { ConcordatError } from '../../../shared/errors.js';

/** What a decoder throws on a stream that cannot be read. */
type Damaged = () => ConcordatError;

/** Codes by their length: the smallest code of that length, how many there are, and where their symbols begin. */
export interface HuffmanTable {
  readonly smallest: readonly number[];
  readonly counts: readonly number[];
  readonly first: readonly number[];
  readonly symbols: Uint8Array;
}

export function decodeSymbol(
  bits: BitReader,
  { smallest, counts, first, symbols }: HuffmanTable,
  damaged: Damaged,
): number {
  let code = 0;
  for (let length = 1; length <= 16; length++) {
    code = (code << 1) | bits.read(1);
    const offset = code - smallest[length]!;
    if (offset >= 0 && offset < counts[length]!) return symbols[first[length]! + offset]!;
  }
  throw damaged();
}

/** Bits of the entropy-coded part, the highest first; a zero after 0xFF is stuffing. */
export class BitReader {
  private held = 0;
  private count = 0;

  constructor(
    private readonly bytes: Uint8Array,
    private at: number,
    private readonly damaged: Damaged,
  ) {}

  read(length: number): number {
    while (this.count < length) {
      const byte = this.bytes[this.at];
      if (byte === undefined) throw this.damaged();
      if (byte === 0xff) {
        if (this.bytes[this.at + 1] !== 0) throw this.damaged();
        this.at++;
      }
      this.at++;
      this.held = ((this.held & 0xffff) << 8) | byte;
      this.count += 8;
    }
    this.count -= length;
    return (this.held >>> this.count) & ((1 << length) - 1);
  }

  /** Skips to after the next restart mark. */
  restart(): void {
    this.count = 0;
    const marker = this.bytes[this.at + 1] ?? 0;
    if (this.bytes[this.at] !== 0xff || marker < 0xd0 || marker > 0xd7) throw this.damaged();
    this.at += 2;
  }
}

/** Adds the tables of one marker, by their class (16 for alternating coefficients) and number. */
export function readTables(body: Uint8Array, tables: Map<number, HuffmanTable>, damaged: Damaged): void {
  for (let at = 0; at + 17 <= body.length; ) {
    const counts = [0, ...body.subarray(at + 1, at + 17)];
    const total = counts.reduce((sum, count) => sum + count, 0);
    if (at + 17 + total > body.length) throw damaged();
    const smallest = [0];
    const first = [0];
    let code = 0;
    let symbols = 0;
    for (let length = 1; length <= 16; length++) {
      smallest[length] = code;
      first[length] = symbols;
      code = (code + counts[length]!) << 1;
      symbols += counts[length]!;
    }
    tables.set(body[at]! & 31, { smallest, counts, first, symbols: body.slice(at + 17, at + 17 + total) });
    at += 17 + total;
  }
}
