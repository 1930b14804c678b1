import { deflateRawSync } from 'node:zlib';
import { type DicomFile, parseDicom } from '../../site-agent/imaging/dicom/parse.js';
import type { FrameDecoder } from '../../site-agent/imaging/dicom/pixels.js';
import { TAG } from '../../site-agent/imaging/dicom/tags.js';

export const SYNTAX = {
  implicit: '1.2.840.10008.1.2',
  explicit: '1.2.840.10008.1.2.1',
  deflated: '1.2.840.10008.1.2.1.99',
  bigEndian: '1.2.840.10008.1.2.2',
  rle: '1.2.840.10008.1.2.5',
} as const;

/** A value as its VR takes it: text, 16-bit numbers, items of a sequence, bytes as they are, or fragments of compressed pixels. */
export type Value =
  | string
  | number
  | readonly Attributes[]
  | Uint8Array
  | { readonly fragments: readonly Uint8Array[] };
export type Attributes = readonly (readonly [tag: number, vr: string, value: Value])[];

export interface FileOptions {
  readonly syntax?: string;
  readonly preamble?: boolean;
  readonly meta?: boolean;
  /** Sequences and items end with a mark instead of having a length. */
  readonly undefinedLengths?: boolean;
}

/** The bytes of a DICOM file, written from PS3.5 and apart from the product, which has no writer. */
export function dicomBytes(attributes: Attributes, options: FileOptions = {}): Uint8Array {
  const { syntax = SYNTAX.explicit, preamble = true, meta = true, undefinedLengths = false } = options;
  const how = { little: syntax !== SYNTAX.bigEndian, explicit: syntax !== SYNTAX.implicit, undefinedLengths };
  const body = encoded(attributes, how);
  const header = meta
    ? encoded([[TAG.transferSyntax, 'UI', syntax]], { little: true, explicit: true, undefinedLengths: false })
    : new Uint8Array(0);
  return Buffer.concat([
    preamble ? Buffer.concat([Buffer.alloc(128), Buffer.from('DICM')]) : Buffer.alloc(0),
    header,
    syntax === SYNTAX.deflated ? deflateRawSync(body) : body,
  ]);
}

export const dicomFile = (attributes: Attributes, options: FileOptions = {}): DicomFile =>
  parseDicom(dicomBytes(attributes, options));

interface How {
  readonly little: boolean;
  readonly explicit: boolean;
  readonly undefinedLengths: boolean;
}

const LONG = new Set(['OB', 'OW', 'OF', 'OD', 'SQ', 'UN', 'UT']);

function encoded(attributes: Attributes, how: How): Buffer {
  return Buffer.concat(
    [...attributes]
      .sort(([a], [b]) => a - b)
      .flatMap(([tag, vr, value]) => {
        const isFragments = typeof value === 'object' && 'fragments' in value;
        const isSequence = Array.isArray(value);
        const bytes = isFragments
          ? Buffer.concat([...value.fragments.map((fragment) => item(fragment, how)), mark(0xfffee0dd, how)])
          : isSequence
            ? sequence(value as readonly Attributes[], how)
            : plain(vr, value as string | number | Uint8Array, how);
        const length = isFragments || (isSequence && how.undefinedLengths) ? 0xffffffff : bytes.length;
        return [tagBytes(tag, how), lengthBytes(vr, length, how), bytes];
      }),
  );
}

function plain(vr: string, value: string | number | Uint8Array, how: How): Buffer {
  if (typeof value === 'number') {
    const bytes = Buffer.alloc(2);
    if (how.little) bytes.writeUInt16LE(value);
    else bytes.writeUInt16BE(value);
    return bytes;
  }
  const bytes = Buffer.from(value as string & Uint8Array);
  return bytes.length % 2 === 0
    ? bytes
    : Buffer.concat([bytes, Buffer.from([vr === 'UI' || typeof value !== 'string' ? 0 : 0x20])]);
}

function sequence(items: readonly Attributes[], how: How): Buffer {
  const parts = items.map((attributes) => {
    const bytes = encoded(attributes, how);
    return how.undefinedLengths
      ? Buffer.concat([tagBytes(0xfffee000, how), uint32(0xffffffff, how), bytes, mark(0xfffee00d, how)])
      : item(bytes, how);
  });
  return Buffer.concat(how.undefinedLengths ? [...parts, mark(0xfffee0dd, how)] : parts);
}

const item = (bytes: Uint8Array, how: How): Buffer =>
  Buffer.concat([tagBytes(0xfffee000, how), uint32(bytes.length, how), bytes]);
const mark = (tag: number, how: How): Buffer => Buffer.concat([tagBytes(tag, how), uint32(0, how)]);

function tagBytes(tag: number, how: How): Buffer {
  const bytes = Buffer.alloc(4);
  if (how.little) {
    bytes.writeUInt16LE(Math.floor(tag / 65536));
    bytes.writeUInt16LE(tag % 65536, 2);
  } else bytes.writeUInt32BE(tag);
  return bytes;
}

function uint32(value: number, how: How): Buffer {
  const bytes = Buffer.alloc(4);
  if (how.little) bytes.writeUInt32LE(value);
  else bytes.writeUInt32BE(value);
  return bytes;
}

function lengthBytes(vr: string, length: number, how: How): Buffer {
  if (!how.explicit) return uint32(length, how);
  if (LONG.has(vr)) return Buffer.concat([Buffer.from(vr), Buffer.alloc(2), uint32(length, how)]);
  const short = Buffer.alloc(2);
  if (how.little) short.writeUInt16LE(length);
  else short.writeUInt16BE(length);
  return Buffer.concat([Buffer.from(vr), short]);
}

/** What a slice under test says; 3 columns, 2 rows, 16 bits signed, unless told otherwise. */
export interface SliceFile {
  readonly position?: readonly number[] | null;
  readonly orientation?: readonly number[];
  readonly spacing?: readonly number[];
  readonly rows?: number;
  readonly columns?: number;
  readonly bits?: readonly [allocated: number, stored: number, high: number];
  readonly signed?: boolean;
  readonly values?: readonly number[];
  readonly slope?: string;
  readonly intercept?: string;
  readonly series?: string;
  readonly pixels?: Value;
  readonly more?: Attributes;
  /** Attributes that are left out. */
  readonly less?: readonly number[];
  readonly littleEndian?: boolean;
}

/** The attributes of one CT slice. */
export function sliceAttributes(slice: SliceFile = {}): Attributes {
  const {
    rows = 2,
    columns = 3,
    bits = [16, 16, 15],
    signed = true,
    orientation = [1, 0, 0, 0, 1, 0],
    less = [],
  } = slice;
  const position = slice.position === undefined ? [0, 0, 0] : slice.position;
  const values = slice.values ?? Array.from({ length: rows * columns }, (_, i) => i);
  const all: Attributes = [
    [TAG.sopClass, 'UI', '1.2.840.10008.5.1.4.1.1.2'],
    [TAG.modality, 'CS', 'CT'],
    [0x00100010, 'PN', 'Secret^Patient'],
    [0x00100020, 'LO', 'ID-4711'],
    [TAG.seriesInstance, 'UI', slice.series ?? '1.2.3'],
    ...(position === null ? [] : ([[TAG.position, 'DS', position.join('\\')]] as const)),
    [TAG.orientation, 'DS', orientation.join('\\')],
    [TAG.samplesPerPixel, 'US', 1],
    [TAG.photometric, 'CS', 'MONOCHROME2'],
    [TAG.rows, 'US', rows],
    [TAG.columns, 'US', columns],
    [TAG.pixelSpacing, 'DS', (slice.spacing ?? [0.5, 0.75]).join('\\')],
    [TAG.bitsAllocated, 'US', bits[0]],
    [TAG.bitsStored, 'US', bits[1]],
    [TAG.highBit, 'US', bits[2]],
    [TAG.signed, 'US', signed ? 1 : 0],
    ...(slice.intercept === undefined ? [] : ([[TAG.intercept, 'DS', slice.intercept]] as const)),
    ...(slice.slope === undefined ? [] : ([[TAG.slope, 'DS', slice.slope]] as const)),
    [TAG.pixels, 'OW', slice.pixels ?? sampleBytes(values, bits[0], slice.littleEndian ?? true)],
    ...(slice.more ?? []),
  ];
  const added = new Set((slice.more ?? []).map(([tag]) => tag));
  return all.filter(([tag], i) => !less.includes(tag) && (!added.has(tag) || i >= all.length - added.size));
}

export function sampleBytes(values: readonly number[], bits: number, little = true): Uint8Array {
  const bytes = Buffer.alloc((values.length * bits) / 8);
  values.forEach((value, i) => {
    if (bits === 8) bytes[i] = value & 0xff;
    else if (bits === 16)
      little ? bytes.writeUInt16LE(value & 0xffff, 2 * i) : bytes.writeUInt16BE(value & 0xffff, 2 * i);
    else little ? bytes.writeInt32LE(value, 4 * i) : bytes.writeInt32BE(value, 4 * i);
  });
  return bytes;
}

export const noDecoder: FrameDecoder = () => {
  throw new Error('this test has no compressed frames');
};
