import { ConcordatError } from '../../../shared/errors.js';

/**
 * Lossless JPEG of one component (ITU-T T.81, process 14: Huffman coding, predictors 1 to 7), which the codecs for the other JPEG families
 * leave out.
 * @param bytes the whole stream
 * @param width bytes of a sample in the result, 1 or 2
 * @returns little-endian samples, row by row
 * @throws ConcordatError IMAGE_UNREADABLE
 */
export function losslessFrame(bytes: Uint8Array, width: 1 | 2): Uint8Array {
  const stream = readMarkers(bytes);
  const { rows, columns, precision, predictor, shift, restart, table } = stream;
  // A sample takes a bit at least.
  if (rows * columns > 8 * (bytes.length - stream.scan)) throw damaged();
  const samples = new Uint16Array(rows * columns);
  const bits = new BitReader(bytes, stream.scan);
  const half = 1 << (precision - shift - 1);
  const mask = 0xffff;
  let left = restart;
  let lineOfRestart = 0;
  for (let row = 0, i = 0; row < rows; row++)
    for (let column = 0; column < columns; column++, i++) {
      if (restart > 0 && left === 0) {
        bits.restart();
        left = restart;
        lineOfRestart = row;
        if (column !== 0) throw damaged();
      }
      left--;
      let predicted: number;
      if (row === lineOfRestart) predicted = column === 0 ? half : samples[i - 1]!;
      else if (column === 0) predicted = samples[i - columns]!;
      else predicted = predict(predictor, samples[i - 1]!, samples[i - columns]!, samples[i - columns - 1]!);
      samples[i] = (predicted + difference(bits, table)) & mask;
    }
  const result = new Uint8Array(samples.length * width);
  for (let i = 0; i < samples.length; i++) {
    const value = samples[i]! << shift;
    result[i * width] = value & 0xff;
    if (width === 2) result[i * width + 1] = (value >>> 8) & 0xff;
  }
  return result;
}

/** The seven predictors, from the samples left, above and above left. */
function predict(predictor: number, a: number, b: number, c: number): number {
  switch (predictor) {
    case 1:
      return a;
    case 2:
      return b;
    case 3:
      return c;
    case 4:
      return a + b - c;
    case 5:
      return a + ((b - c) >> 1);
    case 6:
      return b + ((a - c) >> 1);
    default:
      return (a + b) >> 1;
  }
}

function difference(bits: BitReader, table: HuffmanTable): number {
  const category = decodeSymbol(bits, table);
  if (category === 0) return 0;
  if (category === 16) return 32768;
  const value = bits.read(category);
  return value < 1 << (category - 1) ? value - (1 << category) + 1 : value;
}

/** Codes by their length: the smallest code of that length, how many there are, and where their symbols begin. */
interface HuffmanTable {
  readonly smallest: readonly number[];
  readonly counts: readonly number[];
  readonly first: readonly number[];
  readonly symbols: Uint8Array;
}

function decodeSymbol(bits: BitReader, { smallest, counts, first, symbols }: HuffmanTable): number {
  let code = 0;
  for (let length = 1; length <= 16; length++) {
    code = (code << 1) | bits.read(1);
    const offset = code - smallest[length]!;
    if (offset >= 0 && offset < counts[length]!) {
      const category = symbols[first[length]! + offset]!;
      if (category > 16) throw damaged();
      return category;
    }
  }
  throw damaged();
}

/** Bits of the entropy-coded part, the highest first; a zero after 0xFF is stuffing. */
class BitReader {
  private held = 0;
  private count = 0;

  constructor(
    private readonly bytes: Uint8Array,
    private at: number,
  ) {}

  read(length: number): number {
    while (this.count < length) {
      const byte = this.bytes[this.at];
      if (byte === undefined) throw damaged();
      if (byte === 0xff) {
        if (this.bytes[this.at + 1] !== 0) throw damaged();
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
    if (this.bytes[this.at] !== 0xff || marker < 0xd0 || marker > 0xd7) throw damaged();
    this.at += 2;
  }
}

interface Markers {
  readonly rows: number;
  readonly columns: number;
  readonly precision: number;
  readonly predictor: number;
  readonly shift: number;
  /** Samples between restart marks; 0 without them. */
  readonly restart: number;
  readonly table: HuffmanTable;
  /** Where the coded samples begin. */
  readonly scan: number;
}

function readMarkers(bytes: Uint8Array): Markers {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const tables = new Map<number, HuffmanTable>();
  let frame: Pick<Markers, 'rows' | 'columns' | 'precision'> | null = null;
  let restart = 0;
  for (let at = 2; at + 4 <= bytes.length; ) {
    if (bytes[at] !== 0xff) throw damaged();
    const marker = bytes[at + 1]!;
    if (marker === 0xff) {
      at++;
      continue;
    }
    const length = view.getUint16(at + 2);
    const end = at + 2 + length;
    if (length < 2 || end > bytes.length) throw damaged();
    const body = bytes.subarray(at + 4, end);
    if (marker === 0xc3) {
      if (body.length < 9 || body[5] !== 1) throw damaged();
      frame = { precision: body[0]!, rows: view.getUint16(at + 5), columns: view.getUint16(at + 7) };
      if (frame.precision < 2 || frame.precision > 16) throw damaged();
    } else if (marker === 0xc4) readTables(body, tables);
    else if (marker === 0xdd) restart = view.getUint16(at + 4);
    else if (marker === 0xda) {
      const table = tables.get(body[2]! >>> 4);
      const [predictor, shift] = [body[3] ?? 0, (body[5] ?? 0) & 15];
      if (frame === null || body.length < 6 || body[0] !== 1 || table === undefined || predictor < 1 || predictor > 7)
        throw damaged();
      if (shift >= frame.precision) throw damaged();
      return { ...frame, predictor, shift, restart, table, scan: end };
    }
    at = end;
  }
  throw damaged();
}

function readTables(body: Uint8Array, tables: Map<number, HuffmanTable>): void {
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
    tables.set(body[at]! & 15, { smallest, counts, first, symbols: body.slice(at + 17, at + 17 + total) });
    at += 17 + total;
  }
}

const damaged = (): ConcordatError =>
  new ConcordatError('IMAGE_UNREADABLE', 'a frame compressed by lossless JPEG is damaged');
