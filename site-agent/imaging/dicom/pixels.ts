import { ConcordatError } from '../../../shared/errors.js';
import type { Dataset } from './dataset.js';
import { unusable } from './dataset.js';
import type { DicomFile } from './parse.js';
import { rleFrame } from './rle.js';
import { TAG, tagName } from './tags.js';

/** How the pixels of every frame lie. */
export interface PixelLayout {
  readonly rows: number;
  readonly columns: number;
  readonly frames: number;
  /** 1 is a bitmap; 32 may be floating point, 64 is. */
  readonly bitsAllocated: 1 | 8 | 16 | 32 | 64;
  readonly bitsStored: number;
  readonly highBit: number;
  readonly signed: boolean;
  readonly kind: 'integer' | 'float';
}

/** Stored values of one frame, row by row, before any rescaling. */
export type Stored =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array;

/**
 * Decompresses one frame of a JPEG family to little-endian samples of `layout.bitsAllocated` bits. Loaded by a shell, because the codecs
 * are WebAssembly files.
 */
export type FrameDecoder = (transferSyntax: string, bytes: Uint8Array, layout: PixelLayout) => Uint8Array;

export const RLE = '1.2.840.10008.1.2.5';

/** @throws ConcordatError IMAGE_TAG_MISSING, IMAGE_UNREADABLE, IMAGE_PIXEL_TYPE */
export function pixelLayout(dataset: Dataset): PixelLayout {
  const whole = (tag: number): number => dataset.require(tag, dataset.ushort(tag));
  const rows = whole(TAG.rows);
  const columns = whole(TAG.columns);
  if (rows === 0 || columns === 0)
    throw new ConcordatError('IMAGE_UNREADABLE', `the image has size ${columns} × ${rows}`);
  const samples = dataset.ushort(TAG.samplesPerPixel) ?? 1;
  const photometric = dataset.text(TAG.photometric);
  if (samples !== 1 || (photometric !== null && !photometric.startsWith('MONOCHROME')))
    throw new ConcordatError('IMAGE_PIXEL_TYPE', 'the pixels are colours, not one number each');
  const bitsAllocated = whole(TAG.bitsAllocated);
  if (
    bitsAllocated !== 1 &&
    bitsAllocated !== 8 &&
    bitsAllocated !== 16 &&
    bitsAllocated !== 32 &&
    bitsAllocated !== 64
  )
    throw new ConcordatError('IMAGE_PIXEL_TYPE', `pixels of ${bitsAllocated} bits are not supported`);
  const kind = dataset.has(TAG.floatPixels) || dataset.has(TAG.doublePixels) ? 'float' : 'integer';
  if (kind === 'integer' && bitsAllocated === 64)
    throw new ConcordatError('IMAGE_PIXEL_TYPE', 'integer pixels of 64 bits are not supported');
  const bitsStored = dataset.ushort(TAG.bitsStored) ?? bitsAllocated;
  const highBit = dataset.ushort(TAG.highBit) ?? bitsStored - 1;
  if (bitsStored < 1 || bitsStored > bitsAllocated || highBit >= bitsAllocated || highBit + 1 < bitsStored)
    throw unusable(
      TAG.bitsStored,
      `says ${bitsStored} with ${tagName(TAG.highBit)} ${highBit} in ${bitsAllocated} bits, which cannot be`,
    );
  const frames = dataset.decimal(TAG.frames) ?? 1;
  if (!Number.isSafeInteger(frames) || frames < 1) throw unusable(TAG.frames, 'is no number of frames');
  return {
    rows,
    columns,
    frames,
    bitsAllocated,
    bitsStored,
    highBit,
    signed: (dataset.ushort(TAG.signed) ?? 0) === 1,
    kind,
  };
}

/** The frames of a file, decompressed one at a time. */
export class Frames {
  private readonly native: Uint8Array | null;
  private readonly compressed: readonly Uint8Array[];

  /** @throws ConcordatError IMAGE_UNREADABLE where the pixels are missing, too few, or their frames cannot be told apart. */
  constructor(
    private readonly file: DicomFile,
    readonly layout: PixelLayout,
    private readonly decode: FrameDecoder,
  ) {
    const { dataset } = file;
    const tag = [TAG.pixels, TAG.floatPixels, TAG.doublePixels].find((candidate) => dataset.has(candidate));
    if (tag === undefined)
      throw new ConcordatError('IMAGE_UNREADABLE', `the file has no pixels: ${tagName(TAG.pixels)} is missing`);
    const element = dataset.element(tag)!;
    if (element.undefinedLength) {
      this.native = null;
      this.compressed = framesOf(fragmentsOf(dataset), layout.frames, dataset);
      return;
    }
    this.compressed = [];
    this.native = inByteOrder(dataset, tag, layout);
    const needed = Math.ceil((layout.rows * layout.columns * layout.frames * layout.bitsAllocated) / 8);
    if (this.native.length < needed)
      throw new ConcordatError(
        'IMAGE_UNREADABLE',
        `the file has ${this.native.length} bytes of pixels where ${needed} are needed`,
      );
  }

  get isCompressed(): boolean {
    return this.native === null;
  }

  /**
   * Bits of one frame as 0 and 1. Uncompressed they are packed across frames without padding, the lowest bit first; a decoder gives a byte for
   * each.
   */
  bitmap(frame: number): Uint8Array {
    const { rows, columns } = this.layout;
    const count = rows * columns;
    const bits = new Uint8Array(count);
    if (this.native === null) {
      const bytes = this.decompressed(frame);
      if (bytes.length < count) throw new ConcordatError('IMAGE_UNREADABLE', 'a compressed frame is too short');
      for (let i = 0; i < count; i++) bits[i] = bytes[i] === 0 ? 0 : 1;
      return bits;
    }
    for (let i = 0, bit = frame * count; i < count; i++, bit++) bits[i] = (this.native[bit >>> 3]! >>> (bit & 7)) & 1;
    return bits;
  }

  /** Stored values of one frame. */
  stored(frame: number): Stored {
    const { rows, columns, bitsAllocated, kind } = this.layout;
    if (bitsAllocated === 1) return this.bitmap(frame);
    const count = rows * columns;
    const width = bitsAllocated / 8;
    const bytes = Buffer.from(new ArrayBuffer(count * width));
    if (this.native === null) {
      const frameBytes = this.decompressed(frame);
      if (frameBytes.length < bytes.length)
        throw new ConcordatError('IMAGE_UNREADABLE', 'a compressed frame has fewer pixels than the header says');
      bytes.set(frameBytes.subarray(0, bytes.length));
    } else {
      bytes.set(this.native.subarray(frame * bytes.length, (frame + 1) * bytes.length));
      if (!this.file.dataset.encoding.littleEndian) toLittleEndian(bytes, width);
    }
    if (kind === 'float') return width === 4 ? new Float32Array(bytes.buffer) : new Float64Array(bytes.buffer);
    return cleaned(bytes.buffer, this.layout);
  }

  private decompressed(frame: number): Uint8Array {
    const bytes = this.compressed[frame]!;
    const { rows, columns, bitsAllocated } = this.layout;
    if (this.file.transferSyntax === RLE) return rleFrame(bytes, rows * columns, Math.max(1, bitsAllocated / 8));
    return this.decode(this.file.transferSyntax, bytes, this.layout);
  }
}

/**
 * The bytes of uncompressed pixels. Samples of a byte or less that travel as 16-bit words are swapped in pairs here, over the whole value,
 * because a frame of an odd number of bytes begins within a word.
 */
function inByteOrder(dataset: Dataset, tag: number, { bitsAllocated }: PixelLayout): Uint8Array {
  const bytes = dataset.bytes(tag)!;
  const { vr } = dataset.element(tag)!;
  if (dataset.encoding.littleEndian || bitsAllocated > 8 || vr !== 'OW' || bytes.length % 2 !== 0) return bytes;
  return Buffer.from(bytes).swap16();
}

function toLittleEndian(bytes: Buffer, width: number): void {
  if (width === 2) bytes.swap16();
  else if (width === 4) bytes.swap32();
  else if (width === 8) bytes.swap64();
}

/** Only the stored bits count: the others may hold overlays, and the sign stands at the highest of them. */
function cleaned(buffer: ArrayBuffer, { bitsAllocated, bitsStored, highBit, signed }: PixelLayout): Stored {
  const values =
    bitsAllocated === 8
      ? signed
        ? new Int8Array(buffer)
        : new Uint8Array(buffer)
      : bitsAllocated === 16
        ? signed
          ? new Int16Array(buffer)
          : new Uint16Array(buffer)
        : signed
          ? new Int32Array(buffer)
          : new Uint32Array(buffer);
  if (bitsStored === bitsAllocated) return values;
  const up = 31 - highBit;
  const down = 32 - bitsStored;
  for (let i = 0; i < values.length; i++) {
    const top = values[i]! << up;
    values[i] = signed ? top >> down : top >>> down;
  }
  return values;
}

/** Fragments of compressed pixels; the first is the offset table, which may be empty. */
function fragmentsOf(dataset: Dataset): Uint8Array[] {
  const { offset, end, encoding } = dataset.element(TAG.pixels)!;
  const view = new DataView(encoding.bytes.buffer, encoding.bytes.byteOffset, encoding.bytes.byteLength);
  const fragments: Uint8Array[] = [];
  for (let at = offset; at + 8 <= end; ) {
    const length = view.getUint32(at + 4, encoding.littleEndian);
    fragments.push(encoding.bytes.subarray(at + 8, at + 8 + length));
    at += 8 + length;
  }
  return fragments;
}

/** The bytes of each frame: by the offset table, or one fragment each, or by where a JPEG stream begins. */
function framesOf([table, ...fragments]: Uint8Array[], frames: number, dataset: Dataset): Uint8Array[] {
  if (table === undefined || fragments.length === 0)
    throw new ConcordatError('IMAGE_UNREADABLE', 'the compressed pixels are empty');
  if (frames === 1) return [joined(fragments)];
  if (fragments.length === frames) return fragments;
  const starts = frameStarts(table, fragments, frames, dataset);
  if (starts === null || starts.length !== frames || starts[0] !== 0)
    throw new ConcordatError(
      'IMAGE_UNREADABLE',
      `the compressed pixels are ${fragments.length} fragments for ${frames} frames, and nothing tells which belong together`,
    );
  return starts.map((start, i) => joined(fragments.slice(start, starts[i + 1] ?? fragments.length)));
}

function frameStarts(
  table: Uint8Array,
  fragments: readonly Uint8Array[],
  frames: number,
  dataset: Dataset,
): number[] | null {
  const offsets = offsetsOf(table, dataset);
  if (offsets !== null && offsets.length === frames) {
    const byOffset = new Map<number, number>();
    let offset = 0;
    fragments.forEach((fragment, i) => {
      byOffset.set(offset, i);
      offset += 8 + fragment.length;
    });
    const starts = offsets.map((value) => byOffset.get(value) ?? -1);
    return starts.every((start, i) => start > (starts[i - 1] ?? -1)) ? starts : null;
  }
  const begins = (bytes: Uint8Array): boolean => bytes[0] === 0xff && (bytes[1] === 0xd8 || bytes[1] === 0x4f);
  return fragments.flatMap((fragment, i) => (begins(fragment) ? [i] : []));
}

function offsetsOf(table: Uint8Array, dataset: Dataset): number[] | null {
  const extended = dataset.bytes(TAG.extendedOffsets);
  const bytes = extended ?? table;
  if (bytes.length === 0) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return extended === null
    ? Array.from({ length: Math.floor(bytes.length / 4) }, (_, i) => view.getUint32(4 * i, true))
    : Array.from({ length: Math.floor(bytes.length / 8) }, (_, i) => Number(view.getBigUint64(8 * i, true)));
}

const joined = (parts: readonly Uint8Array[]): Uint8Array => (parts.length === 1 ? parts[0]! : Buffer.concat(parts));
