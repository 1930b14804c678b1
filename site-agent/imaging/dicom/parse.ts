import { inflateRawSync } from 'node:zlib';
import { ConcordatError } from '../../../shared/errors.js';
import { Dataset, type Element, type Encoding } from './dataset.js';
import { TAG, tagName } from './tags.js';

export const IMPLICIT_LITTLE = '1.2.840.10008.1.2';
export const EXPLICIT_LITTLE = '1.2.840.10008.1.2.1';
const DEFLATED = '1.2.840.10008.1.2.1.99';
const EXPLICIT_BIG = '1.2.840.10008.1.2.2';

/** A deflated data set is no larger than this; images in it are small, because pixels are better compressed otherwise. */
const DEFLATED_BYTES_MAX = 512 * 1024 * 1024;

export interface DicomFile {
  readonly transferSyntax: string;
  readonly dataset: Dataset;
}

/** Whether a file is DICOM by its preamble, or without one begins with an attribute of group 2 or 8. */
export const looksLikeDicom = (bytes: Uint8Array): boolean =>
  hasPreamble(bytes) ||
  (bytes.length > 8 && (bytes[0] === 2 || bytes[0] === 8) && bytes[1] === 0 && bytes[3] === 0 && plausibleStart(bytes));

const hasPreamble = (bytes: Uint8Array): boolean =>
  bytes.length >= 132 && bytes[128] === 0x44 && bytes[129] === 0x49 && bytes[130] === 0x43 && bytes[131] === 0x4d;

function plausibleStart(bytes: Uint8Array): boolean {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(4, true);
  return isVr(bytes[4]!, bytes[5]!) || length < bytes.length;
}

/**
 * Reads a DICOM file's attributes; values are looked at only when they are asked for. Explicit and implicit VR, either byte order,
 * deflated; a file without preamble or without file meta information is read by what its first attribute looks like.
 * @throws ConcordatError IMAGE_FORMAT_UNKNOWN, IMAGE_UNREADABLE
 */
export function parseDicom(bytes: Uint8Array): DicomFile {
  if (!looksLikeDicom(bytes)) throw new ConcordatError('IMAGE_FORMAT_UNKNOWN', 'the file is not DICOM');
  const start = hasPreamble(bytes) ? 132 : 0;
  const meta = new Map<number, Element>();
  const end = readElements({ bytes, littleEndian: true, explicit: true }, start, bytes.length, meta, {
    whileGroup: 2,
    depth: 0,
  });
  const metaSet = new Dataset({ bytes, littleEndian: true, explicit: true }, meta, readItems);
  const named = metaSet.text(TAG.transferSyntax);
  if (meta.size > 0 && named === null)
    throw new ConcordatError(
      'IMAGE_UNREADABLE',
      `the file does not say how it is encoded: ${tagName(TAG.transferSyntax)} is missing`,
    );
  const transferSyntax = named ?? (isVr(bytes[end + 4] ?? 0, bytes[end + 5] ?? 0) ? EXPLICIT_LITTLE : IMPLICIT_LITTLE);
  const body = transferSyntax === DEFLATED ? inflated(bytes.subarray(end)) : bytes;
  const encoding: Encoding = {
    bytes: body,
    littleEndian: transferSyntax !== EXPLICIT_BIG,
    explicit: transferSyntax !== IMPLICIT_LITTLE,
  };
  const elements = new Map<number, Element>();
  readElements(encoding, transferSyntax === DEFLATED ? 0 : end, body.length, elements, { depth: 0 });
  return { transferSyntax, dataset: new Dataset(encoding, elements, readItems) };
}

function inflated(bytes: Uint8Array): Uint8Array {
  try {
    return inflateRawSync(bytes, { maxOutputLength: DEFLATED_BYTES_MAX });
  } catch (error) {
    throw new ConcordatError('IMAGE_UNREADABLE', 'the deflated data set is damaged', { cause: error });
  }
}

const isVr = (first: number, second: number): boolean =>
  first >= 0x41 && first <= 0x5a && second >= 0x41 && second <= 0x5a;

/** VRs whose length takes four bytes in explicit encoding. */
const LONG_FORM = new Set(['OB', 'OD', 'OF', 'OL', 'OV', 'OW', 'SQ', 'SV', 'UC', 'UN', 'UR', 'UT', 'UV']);
const UNDEFINED = 0xffffffff;
const ITEM = 0xfffee000;
const ITEM_END = 0xfffee00d;
const SEQUENCE_END = 0xfffee0dd;
/** Deeper nesting than any object has: a guard against a file made to exhaust the stack. */
const DEPTH_MAX = 32;

interface Stop {
  /** Stops before the first attribute of another group. */
  readonly whileGroup?: number;
  /** Stops at an item's end mark, which an item of undefined length has. */
  readonly atItemEnd?: boolean;
  readonly depth: number;
}

/** Reads attributes from `offset` and gives where they end. */
function readElements(
  encoding: Encoding,
  offset: number,
  end: number,
  elements: Map<number, Element>,
  stop: Stop,
): number {
  if (stop.depth > DEPTH_MAX) throw damaged('sequences are nested too deeply');
  const { bytes, littleEndian } = encoding;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = offset;
  while (at + 8 <= end) {
    const tag = tagAt(view, at, littleEndian);
    if (stop.whileGroup !== undefined && tag >>> 16 !== stop.whileGroup) return at;
    if (tag === ITEM_END && stop.atItemEnd) return at + 8;
    if (tag === ITEM_END || tag === SEQUENCE_END) {
      // A stray end mark of a sequence that had a length; harmless, and some writers leave it.
      at += 8;
      continue;
    }
    const head = headAt(encoding, view, at, end);
    at = head.valueAt;
    if (head.length === UNDEFINED) {
      const isFragments = (tag === TAG.pixels || head.vr === 'OB' || head.vr === 'OW') && head.vr !== 'SQ';
      const inner = head.vr === 'UN' ? { ...encoding, explicit: false, littleEndian: true } : encoding;
      const until = isFragments ? skipFragments(view, at, end, littleEndian) : skipItems(inner, at, end, stop.depth);
      elements.set(tag, {
        vr: isFragments ? 'OB' : 'SQ',
        offset: at,
        end: until,
        undefinedLength: true,
        encoding: inner,
      });
      at = until + 8;
    } else {
      if (at + head.length > end) throw damaged(`it ends within ${tagName(tag)}`);
      elements.set(tag, { vr: head.vr, offset: at, end: at + head.length, undefinedLength: false, encoding });
      at += head.length;
    }
  }
  if (stop.atItemEnd) throw damaged('it ends within an item');
  return at;
}

function headAt(
  { explicit, littleEndian, bytes }: Encoding,
  view: DataView,
  at: number,
  end: number,
): { vr: string; length: number; valueAt: number } {
  // A writer of explicit VR that knows none for an attribute sometimes writes it as implicit.
  if (!explicit || !isVr(bytes[at + 4]!, bytes[at + 5]!))
    return { vr: '', length: view.getUint32(at + 4, littleEndian), valueAt: at + 8 };
  const vr = String.fromCharCode(bytes[at + 4]!, bytes[at + 5]!);
  if (!LONG_FORM.has(vr)) return { vr, length: view.getUint16(at + 6, littleEndian), valueAt: at + 8 };
  if (at + 12 > end) throw damaged('it ends within an attribute');
  return { vr, length: view.getUint32(at + 8, littleEndian), valueAt: at + 12 };
}

const tagAt = (view: DataView, at: number, littleEndian: boolean): number =>
  view.getUint16(at, littleEndian) * 0x10000 + view.getUint16(at + 2, littleEndian);

/** Where the end mark of a sequence of undefined length stands. */
function skipItems(encoding: Encoding, offset: number, end: number, depth: number): number {
  const view = new DataView(encoding.bytes.buffer, encoding.bytes.byteOffset, encoding.bytes.byteLength);
  let at = offset;
  while (at + 8 <= end) {
    const tag = tagAt(view, at, encoding.littleEndian);
    const length = view.getUint32(at + 4, encoding.littleEndian);
    if (tag === SEQUENCE_END) return at;
    if (tag !== ITEM) throw damaged('a sequence holds something that is no item');
    at += 8;
    if (length === UNDEFINED) at = readElements(encoding, at, end, new Map(), { atItemEnd: true, depth: depth + 1 });
    else at += length;
  }
  throw damaged('it ends within a sequence');
}

function skipFragments(view: DataView, offset: number, end: number, littleEndian: boolean): number {
  let at = offset;
  while (at + 8 <= end) {
    const tag = tagAt(view, at, littleEndian);
    if (tag === SEQUENCE_END) return at;
    if (tag !== ITEM) throw damaged('compressed pixels hold something that is no fragment');
    at += 8 + view.getUint32(at + 4, littleEndian);
  }
  throw damaged('it ends within compressed pixels');
}

/** The items of a sequence. */
function readItems({ offset, end, encoding }: Element, depth: number): Dataset[] {
  const view = new DataView(encoding.bytes.buffer, encoding.bytes.byteOffset, encoding.bytes.byteLength);
  const items: Dataset[] = [];
  let at = offset;
  while (at + 8 <= end) {
    const tag = tagAt(view, at, encoding.littleEndian);
    const length = view.getUint32(at + 4, encoding.littleEndian);
    if (tag === SEQUENCE_END) break;
    if (tag !== ITEM) throw damaged('a sequence holds something that is no item');
    at += 8;
    const until = length === UNDEFINED ? end : at + length;
    if (until > end) throw damaged('an item is longer than its sequence');
    const elements = new Map<number, Element>();
    at = readElements(encoding, at, until, elements, { atItemEnd: length === UNDEFINED, depth: depth + 1 });
    if (length !== UNDEFINED) at = until;
    items.push(new Dataset(encoding, elements, readItems, depth + 1));
  }
  return items;
}

const damaged = (what: string): ConcordatError =>
  new ConcordatError('IMAGE_UNREADABLE', `the DICOM file is damaged: ${what}`);
