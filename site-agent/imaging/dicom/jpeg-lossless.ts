import { ConcordatError } from '../../../shared/errors.js';
import { BitReader, decodeSymbol, type HuffmanTable, readTables } from './jpeg-huffman.js';

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
  const bits = new BitReader(bytes, stream.scan, damaged);
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
  const category = decodeSymbol(bits, table, damaged);
  if (category > 16) throw damaged();
  if (category === 0) return 0;
  if (category === 16) return 32768;
  const value = bits.read(category);
  return value < 1 << (category - 1) ? value - (1 << category) + 1 : value;
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
    } else if (marker === 0xc4) readTables(body, tables, damaged);
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

const damaged = (): ConcordatError =>
  new ConcordatError('IMAGE_UNREADABLE', 'a frame compressed by lossless JPEG is damaged');
