import { constants, gunzipSync, inflateRawSync, inflateSync, type ZlibOptions } from 'node:zlib';
import { ConcordatError } from '../../shared/errors.js';
import { IMAGE_BYTES_MAX } from './room.js';
import type { Samples } from './volume.js';

/** How samples lie in a file. 64-bit integers come out as float64. */
export type PixelType =
  | 'int8'
  | 'uint8'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'uint32'
  | 'int64'
  | 'uint64'
  | 'float32'
  | 'float64';

export const BYTES_PER_SAMPLE: Record<PixelType, 1 | 2 | 4 | 8> = {
  int8: 1,
  uint8: 1,
  int16: 2,
  uint16: 2,
  int32: 4,
  uint32: 4,
  int64: 8,
  uint64: 8,
  float32: 4,
  float64: 8,
};

/**
 * How many samples an image of this size has.
 * @throws ConcordatError IMAGE_UNREADABLE where they are more than any image has: then the header is damaged.
 */
export function sampleCount(size: readonly number[], type: PixelType): number {
  const count = size.reduce((product, length) => product * length, 1);
  if (!(count * BYTES_PER_SAMPLE[type] <= IMAGE_BYTES_MAX))
    throw new ConcordatError(
      'IMAGE_UNREADABLE',
      `the header announces ${size.join(' × ')} voxels, more than any image has`,
    );
  return count;
}

/** A stream that deflate wrote holds at most 1032 bytes for each of its own; what claims more is a lie about its size. */
const DEFLATE_RATIO_MAX = 1032;
/** Bytes that may follow the samples: padding, a trailer of the program that wrote the file. */
const TRAILER_BYTES_MAX = 1024 * 1024;

export const isGzip = (bytes: Uint8Array): boolean => bytes[0] === 0x1f && bytes[1] === 0x8b;

/**
 * The first bytes of a gzip stream, as far as the first 4 KiB of it give them.
 * @throws ConcordatError IMAGE_UNREADABLE where they are no gzip stream.
 */
export function gunzipStart(bytes: Uint8Array): Uint8Array {
  try {
    return gunzipSync(bytes.subarray(0, 4096), { finishFlush: constants.Z_SYNC_FLUSH });
  } catch (error) {
    throw new ConcordatError('IMAGE_UNREADABLE', 'the gzip stream is damaged at its start', { cause: error });
  }
}

/**
 * Inflates a stream that should hold `byteCount` bytes; memory stays within that and a trailer, whatever the stream holds.
 * @param form 'gzip' with header and checksum, 'zlib' with its own, or 'raw'.
 * @throws ConcordatError IMAGE_UNREADABLE where it is damaged or far too long; whether it is long enough, the reader of the samples tells
 */
export function inflateExpecting(bytes: Uint8Array, byteCount: number, form: 'gzip' | 'zlib' = 'gzip'): Uint8Array {
  if (byteCount > bytes.length * DEFLATE_RATIO_MAX)
    throw new ConcordatError(
      'IMAGE_UNREADABLE',
      `the header announces ${byteCount} bytes, more than ${bytes.length} compressed bytes can hold`,
    );
  const options = {
    maxOutputLength: byteCount + TRAILER_BYTES_MAX,
    // One output buffer of the right size instead of many that are joined at the end.
    chunkSize: byteCount + 1024,
  };
  let inflated: Uint8Array;
  try {
    inflated = form === 'gzip' ? gunzipLeniently(bytes, options) : inflateSync(bytes, options);
  } catch (error) {
    const tooLong = error instanceof RangeError;
    throw new ConcordatError(
      'IMAGE_UNREADABLE',
      tooLong
        ? 'the compressed stream holds far more than its header announces'
        : 'the compressed stream is damaged or cut short',
      { cause: error },
    );
  }
  return inflated;
}

/**
 * As gzip itself does, without what follows the streams: zlib takes any byte there but 0 for a stream that is damaged. The checksum of what was
 * inflated is verified either way.
 */
function gunzipLeniently(bytes: Uint8Array, options: ZlibOptions): Uint8Array {
  try {
    return gunzipSync(bytes, options);
  } catch (error) {
    const end = error instanceof RangeError ? null : endOfFirstStream(bytes, options);
    if (end === null || end >= bytes.length || isGzip(bytes.subarray(end))) throw error;
    return gunzipSync(bytes.subarray(0, end), options);
  }
}

/** Where the first stream of a gzip file ends, with its checksum and length; null where it is damaged. */
function endOfFirstStream(bytes: Uint8Array, options: ZlibOptions): number | null {
  const flags = bytes[3]!;
  let at = 10;
  if ((flags & 4) !== 0) at += 2 + bytes[at]! + 256 * bytes[at + 1]!;
  // A name and a comment, each ended by 0.
  for (const flag of [8, 16]) if ((flags & flag) !== 0) at = bytes.indexOf(0, at) + 1;
  if ((flags & 2) !== 0) at += 2;
  try {
    const { engine } = inflateRawSync(bytes.subarray(at), { ...options, info: true } as ZlibOptions) as unknown as {
      readonly engine: { readonly bytesWritten: number };
    };
    return at + engine.bytesWritten + 8;
  } catch {
    return null;
  }
}

/** A whole compressed file of unknown size is no larger than this. */
const GUNZIP_BYTES_MAX = 1024 * 1024 * 1024;

/**
 * A whole gzip file, if its start is what is looked for; null where it is not.
 * @throws ConcordatError IMAGE_UNREADABLE where the stream is damaged or holds more than any file of an image
 */
export function gunzipWhole(bytes: Uint8Array, isWanted: (start: Uint8Array) => boolean): Uint8Array | null {
  if (!isWanted(gunzipStart(bytes))) return null;
  try {
    return gunzipSync(bytes, { maxOutputLength: GUNZIP_BYTES_MAX });
  } catch (error) {
    throw new ConcordatError('IMAGE_UNREADABLE', 'the compressed stream is damaged or cut short', { cause: error });
  }
}

/**
 * Samples from bytes, which are left as they are.
 * @throws ConcordatError IMAGE_UNREADABLE where the bytes are too few, or a 64-bit integer is beyond ±2^53.
 */
export function samplesFrom(
  bytes: Uint8Array,
  type: PixelType,
  count: number,
  { offset = 0, littleEndian = true }: { readonly offset?: number; readonly littleEndian?: boolean } = {},
): Samples {
  const width = BYTES_PER_SAMPLE[type];
  if (!Number.isSafeInteger(offset) || offset < 0 || offset + count * width > bytes.length)
    throw new ConcordatError(
      'IMAGE_UNREADABLE',
      `the file ends after ${Math.max(0, Math.floor((bytes.length - offset) / width))} of ${count} samples`,
    );
  // A fresh buffer is aligned for every type, and keeps neither the file nor its compressed form alive.
  const own = Buffer.from(new ArrayBuffer(count * width));
  own.set(bytes.subarray(offset, offset + count * width));
  if (!littleEndian) {
    if (width === 2) own.swap16();
    else if (width === 4) own.swap32();
    else if (width === 8) own.swap64();
  }
  const { buffer } = own;
  switch (type) {
    case 'int8':
      return new Int8Array(buffer);
    case 'uint8':
      return new Uint8Array(buffer);
    case 'int16':
      return new Int16Array(buffer);
    case 'uint16':
      return new Uint16Array(buffer);
    case 'int32':
      return new Int32Array(buffer);
    case 'uint32':
      return new Uint32Array(buffer);
    case 'float32':
      return new Float32Array(buffer);
    case 'float64':
      return new Float64Array(buffer);
    case 'int64':
      return exactNumbers(new BigInt64Array(buffer));
    case 'uint64':
      return exactNumbers(new BigUint64Array(buffer));
  }
}

function exactNumbers(integers: BigInt64Array | BigUint64Array): Float64Array {
  const values = new Float64Array(integers.length);
  for (let i = 0; i < values.length; i++) {
    values[i] = Number(integers[i]!);
    if (!Number.isSafeInteger(values[i]))
      throw new ConcordatError('IMAGE_UNREADABLE', 'a 64-bit integer lies beyond ±2^53 and would be rounded');
  }
  return values;
}

/** The name of an array's pixel type. */
export function pixelTypeOf(data: Samples): Exclude<PixelType, 'int64' | 'uint64'> {
  if (data instanceof Int8Array) return 'int8';
  if (data instanceof Uint8Array) return 'uint8';
  if (data instanceof Int16Array) return 'int16';
  if (data instanceof Uint16Array) return 'uint16';
  if (data instanceof Int32Array) return 'int32';
  if (data instanceof Uint32Array) return 'uint32';
  return data instanceof Float32Array ? 'float32' : 'float64';
}

/** The samples' bytes in little-endian order, as every machine that Node runs on holds them. */
export const bytesOf = (data: Samples): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
