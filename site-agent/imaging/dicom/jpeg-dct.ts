import { ConcordatError } from '../../../shared/errors.js';
import { BitReader, decodeSymbol, type HuffmanTable, readTables } from './jpeg-huffman.js';

/**
 * Lossy JPEG of one component by sequential DCT (ITU-T T.81, process 4), which the codec for 8 bits leaves out at 12.
 * @param bytes the whole stream
 * @param width bytes of a sample in the result, 1 or 2
 * @returns little-endian samples, row by row
 * @throws ConcordatError IMAGE_UNREADABLE
 */
export function dctFrame(bytes: Uint8Array, width: 1 | 2): Uint8Array {
  const { rows, columns, precision, restart, dc, ac, steps, scan } = readMarkers(bytes);
  const [across, down] = [Math.ceil(columns / 8), Math.ceil(rows / 8)];
  // A block takes two bits at least.
  if (across * down > 4 * (bytes.length - scan)) throw damaged();
  const result = new Uint8Array(rows * columns * width);
  const bits = new BitReader(bytes, scan, damaged);
  const coefficients = new Float64Array(64);
  const samples = new Float64Array(64);
  const middle = 1 << (precision - 1);
  const maximum = 2 * middle - 1;
  let constant = 0;
  for (let block = 0; block < across * down; block++) {
    if (restart > 0 && block > 0 && block % restart === 0) {
      bits.restart();
      constant = 0;
    }
    coefficients.fill(0);
    constant += signed(bits, decodeSymbol(bits, dc, damaged));
    coefficients[0] = constant * steps[0]!;
    readAlternating(bits, ac, steps, coefficients);
    inverse(coefficients, samples, precision === 8 ? 2 : 1);
    const [left, top] = [8 * (block % across), 8 * Math.floor(block / across)];
    for (let y = top; y < Math.min(top + 8, rows); y++)
      for (let x = left; x < Math.min(left + 8, columns); x++) {
        const value = Math.min(maximum, Math.max(0, samples[8 * (y - top) + x - left]! + middle));
        const at = (y * columns + x) * width;
        result[at] = value & 0xff;
        if (width === 2) result[at + 1] = value >> 8;
      }
  }
  return result;
}

/** Where the coefficients of the zigzag order stand, row by row. */
const ZIGZAG = [
  0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
  35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47,
  55, 62, 63,
];

function readAlternating(
  bits: BitReader,
  table: HuffmanTable,
  steps: readonly number[],
  coefficients: Float64Array,
): void {
  for (let k = 1; k < 64; k++) {
    const symbol = decodeSymbol(bits, table, damaged);
    const [zeros, size] = [symbol >> 4, symbol & 15];
    if (size === 0) {
      if (zeros !== 15) return;
      k += 15;
      continue;
    }
    k += zeros;
    if (k > 63) throw damaged();
    coefficients[ZIGZAG[k]!] = signed(bits, size) * steps[k]!;
  }
}

function signed(bits: BitReader, size: number): number {
  if (size === 0) return 0;
  if (size > 15) throw damaged();
  const value = bits.read(size);
  return value < 1 << (size - 1) ? value - (1 << size) + 1 : value;
}

/** Bits after the point of the constants. */
const CONSTANT_BITS = 13;
const LINE = new Float64Array(8);
const HALFWAY = new Float64Array(64);

/**
 * The inverse transform in whole numbers as the Independent JPEG Group's library has it (jidctint.c), so that every sample is the one that GDCM and
 * SimpleITK give: C. Loeffler, A. Ligtenberg, G. Moschytz, ICASSP 1989, pp. 988-991, scaled by √8 a pass, with constants of 13 bits.
 * @param between bits after the point that are kept between the passes: 2 where samples have 8 bits, 1 where they have 12
 */
function inverse(coefficients: Float64Array, samples: Float64Array, between: 1 | 2): void {
  for (let column = 0; column < 8; column++) {
    for (let k = 0; k < 8; k++) LINE[k] = coefficients[8 * k + column]!;
    inverseLine(CONSTANT_BITS - between);
    for (let k = 0; k < 8; k++) HALFWAY[8 * k + column] = LINE[k]!;
  }
  for (let row = 0; row < 8; row++) {
    for (let k = 0; k < 8; k++) LINE[k] = HALFWAY[8 * row + k]!;
    // Three bits for the factor 8 of both passes.
    inverseLine(CONSTANT_BITS + between + 3);
    for (let k = 0; k < 8; k++) samples[8 * row + k] = LINE[k]!;
  }
}

/** One pass over `LINE`, in place; `shift` bits are rounded away. The decimals are the constants times 2^13. */
function inverseLine(shift: number): void {
  const scale = 1 << CONSTANT_BITS;
  const common = (LINE[2]! + LINE[6]!) * 4433;
  const [low, high] = [common - LINE[6]! * 15137, common + LINE[2]! * 6270];
  const [sum, difference] = [(LINE[0]! + LINE[4]!) * scale, (LINE[0]! - LINE[4]!) * scale];
  const even = [sum + high, difference + low, difference - low, sum - high];
  const [a, b, c, d] = [LINE[7]!, LINE[5]!, LINE[3]!, LINE[1]!];
  const all = (a + c + b + d) * 9633;
  const [ad, bc] = [(a + d) * -7373, (b + c) * -20995];
  const [ac, bd] = [(a + c) * -16069 + all, (b + d) * -3196 + all];
  const odd = [d * 12299 + ad + bd, c * 25172 + bc + ac, b * 16819 + bc + bd, a * 2446 + ad + ac];
  const unit = 1 << shift;
  for (let k = 0; k < 4; k++) {
    LINE[k] = Math.floor((even[k]! + odd[k]!) / unit + 0.5);
    LINE[7 - k] = Math.floor((even[k]! - odd[k]!) / unit + 0.5);
  }
}

interface Markers {
  readonly rows: number;
  readonly columns: number;
  readonly precision: number;
  /** Blocks between restart marks; 0 without them. */
  readonly restart: number;
  readonly dc: HuffmanTable;
  readonly ac: HuffmanTable;
  /** Quantization steps in zigzag order. */
  readonly steps: readonly number[];
  readonly scan: number;
}

function readMarkers(bytes: Uint8Array): Markers {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const tables = new Map<number, HuffmanTable>();
  const quantization = new Map<number, number[]>();
  let frame: { precision: number; rows: number; columns: number; steps: number } | null = null;
  let restart = 0;
  for (let at = 2; at + 4 <= bytes.length; ) {
    if (bytes[at] !== 0xff) throw damaged();
    const marker = bytes[at + 1]!;
    if (marker === 0xff) {
      at++;
      continue;
    }
    const end = at + 2 + view.getUint16(at + 2);
    if (end > bytes.length || end < at + 4) throw damaged();
    const body = bytes.subarray(at + 4, end);
    if (marker === 0xc0 || marker === 0xc1) {
      if (body.length < 9 || body[5] !== 1 || (body[0] !== 8 && body[0] !== 12)) throw damaged();
      frame = { precision: body[0]!, rows: view.getUint16(at + 5), columns: view.getUint16(at + 7), steps: body[8]! };
    } else if (marker === 0xc4) readTables(body, tables, damaged);
    else if (marker === 0xdb) readSteps(body, quantization);
    else if (marker === 0xdd) restart = view.getUint16(at + 4);
    else if (marker === 0xda) {
      const dc = tables.get(body[2]! >> 4);
      const ac = tables.get(16 + (body[2]! & 15));
      const steps = frame === null ? undefined : quantization.get(frame.steps);
      if (frame === null || body[0] !== 1 || dc === undefined || ac === undefined || steps === undefined)
        throw damaged();
      return { ...frame, restart, dc, ac, steps, scan: end };
    }
    at = end;
  }
  throw damaged();
}

function readSteps(body: Uint8Array, quantization: Map<number, number[]>): void {
  for (let at = 0; at < body.length; ) {
    const width = body[at]! >> 4 === 0 ? 1 : 2;
    if (at + 1 + 64 * width > body.length) throw damaged();
    const start = at + 1;
    const step = (i: number): number =>
      width === 1 ? body[start + i]! : 256 * body[start + 2 * i]! + body[start + 2 * i + 1]!;
    quantization.set(
      body[at]! & 15,
      Array.from({ length: 64 }, (_, i) => step(i)),
    );
    at = start + 64 * width;
  }
}

const damaged = (): ConcordatError =>
  new ConcordatError('IMAGE_UNREADABLE', 'a frame compressed by lossy JPEG is damaged');
