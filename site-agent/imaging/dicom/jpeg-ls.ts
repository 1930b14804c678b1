import { ConcordatError } from '../../../shared/errors.js';

/**
 * JPEG-LS of one component, lossless and near-lossless (ITU-T T.87). Own code, because a decoder compiled from C++ was found to loop for ever
 * on damaged streams; here each step gives a sample or consumes bits that are there.
 * @param bytes the whole stream
 * @param width bytes of a sample in the result, 1 or 2
 * @returns little-endian samples, row by row
 * @throws ConcordatError IMAGE_UNREADABLE; IMAGE_CODEC_UNSUPPORTED for restart intervals and mapping tables, which DICOM writers do not use
 */
export function jpegLsFrame(bytes: Uint8Array, width: 1 | 2): Uint8Array {
  const stream = readMarkers(bytes);
  const { rows, columns } = stream;
  const coder = new Coder(stream, new Bits(bytes, stream.scan));
  const result = new Uint8Array(rows * columns * width);
  // One sample more on either side: the neighbours of the first and of the last.
  let above = new Int32Array(columns + 2);
  let line = new Int32Array(columns + 2);
  for (let row = 0; row < rows; row++) {
    above[columns + 1] = above[columns]!;
    line[0] = above[1]!;
    coder.line(above, line, columns);
    for (let column = 0; column < columns; column++) {
      const at = (row * columns + column) * width;
      const sample = line[column + 1]!;
      result[at] = sample & 0xff;
      if (width === 2) result[at + 1] = sample >> 8;
    }
    [above, line] = [line, above];
  }
  return result;
}

/** Lengths of runs by their state (table J of the standard). */
const RUN_BITS = [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15];
const REGULAR = 365;

/** The decoder's state; names of the fields as in the standard: A, B, C, N of each context, Nn of the two of run interruption. */
class Coder {
  private readonly a: Int32Array;
  private readonly b = new Int32Array(REGULAR);
  private readonly c = new Int32Array(REGULAR);
  private readonly n = new Int32Array(REGULAR + 2).fill(1);
  private readonly nn = new Int32Array(2);
  private readonly range: number;
  private readonly rangeBits: number;
  private readonly limit: number;
  private readonly step: number;
  private runState = 0;

  constructor(
    private readonly parameters: Parameters,
    private readonly bits: Bits,
  ) {
    const { near, maximum } = parameters;
    this.step = 2 * near + 1;
    this.range = Math.floor((maximum + 2 * near) / this.step) + 1;
    this.rangeBits = bitLength(this.range - 1);
    const sampleBits = Math.max(2, bitLength(maximum));
    this.limit = 2 * (sampleBits + Math.max(8, sampleBits));
    this.a = new Int32Array(REGULAR + 2).fill(Math.max(2, (this.range + 32) >> 6));
  }

  line(above: Int32Array, line: Int32Array, columns: number): void {
    for (let x = 1; x <= columns; ) {
      const [left, up, upLeft, upRight] = [line[x - 1]!, above[x]!, above[x - 1]!, above[x + 1]!];
      const context =
        81 * this.quantized(upRight - up) + 9 * this.quantized(up - upLeft) + this.quantized(upLeft - left);
      if (context !== 0) line[x++] = this.regular(context, left, up, upLeft);
      else x = this.run(above, line, x, columns);
    }
  }

  private quantized(gradient: number): number {
    const { near, t1, t2, t3 } = this.parameters;
    const size = gradient < 0 ? -gradient : gradient;
    const level = size <= near ? 0 : size < t1 ? 1 : size < t2 ? 2 : size < t3 ? 3 : 4;
    return gradient < 0 ? -level : level;
  }

  private regular(context: number, left: number, up: number, upLeft: number): number {
    const { near, maximum, reset } = this.parameters;
    const { a, b, c, n } = this;
    const sign = context < 0 ? -1 : 1;
    const q = sign * context;
    let predicted =
      upLeft >= Math.max(left, up)
        ? Math.min(left, up)
        : upLeft <= Math.min(left, up)
          ? Math.max(left, up)
          : left + up - upLeft;
    predicted = Math.min(maximum, Math.max(0, predicted + sign * c[q]!));
    const k = this.golombParameter(n[q]!, a[q]!);
    const mapped = this.golomb(k, this.limit);
    let error = (mapped & 1) === 0 ? mapped >> 1 : -((mapped + 1) >> 1);
    if (near === 0 && k === 0 && 2 * b[q]! <= -n[q]!) error = -error - 1;
    a[q]! += Math.abs(error);
    b[q]! += error * this.step;
    if (n[q] === reset) {
      a[q]! >>= 1;
      b[q]! >>= 1;
      n[q]! >>= 1;
    }
    n[q]! += 1;
    if (b[q]! <= -n[q]!) {
      b[q] = Math.max(b[q]! + n[q]!, 1 - n[q]!);
      if (c[q]! > -128) c[q]! -= 1;
    } else if (b[q]! > 0) {
      b[q] = Math.min(b[q]! - n[q]!, 0);
      if (c[q]! < 127) c[q]! += 1;
    }
    return this.reconstructed(predicted, sign * error);
  }

  /** A run of the sample to the left, and the sample that ends it; gives the place after both. */
  private run(above: Int32Array, line: Int32Array, start: number, columns: number): number {
    const value = line[start - 1]!;
    let x = start;
    while (this.bits.read(1) === 1) {
      const length = 1 << RUN_BITS[this.runState]!;
      const end = Math.min(x + length, columns + 1);
      line.fill(value, x, end);
      if (end - x === length && this.runState < 31) this.runState++;
      x = end;
      if (x > columns) return x;
    }
    const rest = this.bits.read(RUN_BITS[this.runState]!);
    if (x + rest > columns) throw damaged();
    line.fill(value, x, x + rest);
    x += rest;
    line[x] = this.interruption(value, above[x]!);
    if (this.runState > 0) this.runState--;
    return x + 1;
  }

  private interruption(left: number, up: number): number {
    const { near, reset } = this.parameters;
    const { a, n, nn } = this;
    const type = Math.abs(left - up) <= near ? 1 : 0;
    const q = REGULAR + type;
    const k = this.golombParameter(n[q]!, type === 0 ? a[q]! : a[q]! + (n[q]! >> 1));
    const mapped = this.golomb(k, this.limit - RUN_BITS[this.runState]! - 1);
    const twice = mapped + type;
    const odd = (twice & 1) === 1;
    const size = (twice + (odd ? 1 : 0)) >> 1;
    const error = (k !== 0 || 2 * nn[type]! >= n[q]!) === odd ? -size : size;
    if (error < 0) nn[type]! += 1;
    a[q]! += (mapped + 1 - type) >> 1;
    if (n[q] === reset) {
      a[q]! >>= 1;
      n[q]! >>= 1;
      nn[type]! >>= 1;
    }
    n[q]! += 1;
    return type === 1 ? this.reconstructed(left, error) : this.reconstructed(up, left > up ? -error : error);
  }

  private golombParameter(count: number, sum: number): number {
    let k = 0;
    while (count << k < sum) {
      if (++k > 24) throw damaged();
    }
    return k;
  }

  private golomb(k: number, limit: number): number {
    const longest = limit - this.rangeBits - 1;
    let zeros = 0;
    while (this.bits.read(1) === 0) if (++zeros > longest) throw damaged();
    return zeros < longest ? (zeros << k) | this.bits.read(k) : this.bits.read(this.rangeBits) + 1;
  }

  private reconstructed(predicted: number, error: number): number {
    const { near, maximum } = this.parameters;
    let sample = predicted + error * this.step;
    if (sample < -near) sample += this.range * this.step;
    else if (sample > maximum + near) sample -= this.range * this.step;
    return Math.min(maximum, Math.max(0, sample));
  }
}

const bitLength = (value: number): number => 32 - Math.clz32(value);

/** Bits of the coded part, the highest first; after 0xFF a byte has seven. */
class Bits {
  private held = 0;
  private count = 0;
  private wasFull = false;

  constructor(
    private readonly bytes: Uint8Array,
    private at: number,
  ) {}

  read(length: number): number {
    let value = 0;
    for (let left = length; left > 0; left--) value = (value << 1) | this.bit();
    return value;
  }

  private bit(): number {
    if (this.count === 0) {
      const byte = this.bytes[this.at++];
      if (byte === undefined || (this.wasFull && byte >= 0x80)) throw damaged();
      this.held = byte;
      this.count = this.wasFull ? 7 : 8;
      this.wasFull = byte === 0xff;
    }
    return (this.held >>> --this.count) & 1;
  }
}

interface Parameters {
  readonly rows: number;
  readonly columns: number;
  /** Largest error of a sample; 0 is lossless. */
  readonly near: number;
  readonly maximum: number;
  readonly t1: number;
  readonly t2: number;
  readonly t3: number;
  readonly reset: number;
}

function readMarkers(bytes: Uint8Array): Parameters & { readonly scan: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let frame: { rows: number; columns: number; bits: number } | null = null;
  let preset = [0, 0, 0, 0, 0];
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
    if (marker === 0xf7) {
      if (body.length < 9 || body[5] !== 1 || body[0]! < 2 || body[0]! > 16) throw damaged();
      frame = { bits: body[0]!, rows: view.getUint16(at + 5), columns: view.getUint16(at + 7) };
    } else if (marker === 0xf8) {
      if (body[0] !== 1 || body.length < 11) throw unsupported('a mapping table');
      preset = [0, 1, 2, 3, 4].map((i) => view.getUint16(at + 5 + 2 * i));
    } else if (marker === 0xdd) throw unsupported('a restart interval');
    else if (marker === 0xda) {
      if (frame === null || frame.rows === 0 || frame.columns === 0 || body.length < 6 || body[0] !== 1)
        throw damaged();
      if (body[2] !== 0 || (body[5]! & 15) !== 0) throw unsupported('a mapping table');
      return { ...parameters(frame, body[3]!, preset), scan: end };
    }
    at = end;
  }
  throw damaged();
}

/** Thresholds as the stream gives them, or the standard's from the largest sample and error. */
function parameters(
  frame: { rows: number; columns: number; bits: number },
  near: number,
  preset: readonly number[],
): Parameters {
  const maximum = preset[0] || (1 << frame.bits) - 1;
  if (maximum >= 1 << frame.bits || near > Math.min(255, maximum >> 1)) throw damaged();
  const clamped = (value: number, lowest: number): number => (value > maximum || value < lowest ? lowest : value);
  const basic = (small: number, least: number, weight: number): number => {
    if (maximum >= 128)
      return Math.floor((Math.min(maximum, 4095) + 128) / 256) * (small - least) + least + weight * near;
    return Math.max(least, Math.floor(small / Math.floor(256 / (maximum + 1))) + weight * near);
  };
  const t1 = preset[1] || clamped(basic(3, 2, 3), near + 1);
  const t2 = preset[2] || clamped(basic(7, 3, 5), t1);
  const t3 = preset[3] || clamped(basic(21, 4, 7), t2);
  return { rows: frame.rows, columns: frame.columns, near, maximum, t1, t2, t3, reset: preset[4] || 64 };
}

const damaged = (): ConcordatError =>
  new ConcordatError('IMAGE_UNREADABLE', 'a frame compressed by JPEG-LS is damaged');
const unsupported = (what: string): ConcordatError =>
  new ConcordatError('IMAGE_CODEC_UNSUPPORTED', `JPEG-LS with ${what} is not supported`);
