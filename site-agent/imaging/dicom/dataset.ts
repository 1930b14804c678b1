import { ConcordatError } from '../../../shared/errors.js';
import { TAG, tagName } from './tags.js';

export interface Encoding {
  readonly bytes: Uint8Array;
  readonly littleEndian: boolean;
  readonly explicit: boolean;
}

/** Where an attribute's value lies; of undefined length up to its end mark. */
export interface Element {
  /** Empty where the encoding is implicit. */
  readonly vr: string;
  readonly offset: number;
  readonly end: number;
  readonly undefinedLength: boolean;
  readonly encoding: Encoding;
}

/** DICOM's decimal and integer strings. */
const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;

/**
 * The attributes of a data set or of one item. An attribute that is absent or empty is null; one that cannot be what its definition says
 * is an error that names it. No message has a value, which might be a patient's.
 */
export class Dataset {
  private readonly cache = new Map<number, readonly Dataset[]>();

  constructor(
    readonly encoding: Encoding,
    private readonly elements: ReadonlyMap<number, Element>,
    private readonly readItems: (element: Element, depth: number) => Dataset[],
    private readonly depth = 0,
  ) {}

  has(tag: number): boolean {
    return this.elements.has(tag);
  }

  element(tag: number): Element | null {
    return this.elements.get(tag) ?? null;
  }

  bytes(tag: number): Uint8Array | null {
    const element = this.elements.get(tag);
    return element === undefined ? null : element.encoding.bytes.subarray(element.offset, element.end);
  }

  /** Text without padding, as ISO 8859-1, or UTF-8 where the data set says so. */
  text(tag: number, utf8 = false): string | null {
    const bytes = this.bytes(tag);
    if (bytes === null) return null;
    const text = Buffer.from(bytes)
      .toString(utf8 ? 'utf8' : 'latin1')
      .replace(/[\0 ]+$/, '')
      .replace(/^ +/, '');
    return text === '' ? null : text;
  }

  isUtf8(): boolean {
    return this.text(TAG.characterSet)?.includes('ISO_IR 192') ?? false;
  }

  /** Decimal or integer strings, one for each value. */
  decimals(tag: number, count?: number): number[] | null {
    const text = this.text(tag);
    if (text === null) return null;
    const values = text.split('\\').map((part) => {
      const trimmed = part.trim();
      return DECIMAL.test(trimmed) ? Number(trimmed) : Number.NaN;
    });
    if (!values.every(Number.isFinite)) throw unusable(tag, 'holds something that is no number');
    if (count !== undefined && values.length !== count)
      throw unusable(tag, `has ${values.length} values where ${count} are needed`);
    return values;
  }

  decimal(tag: number): number | null {
    return this.decimals(tag, 1)?.[0] ?? null;
  }

  /** An unsigned 16-bit value. */
  ushort(tag: number): number | null {
    const element = this.elements.get(tag);
    if (element === undefined || element.end === element.offset) return null;
    if (element.end - element.offset !== 2) throw unusable(tag, 'is not one 16-bit number');
    const { bytes, littleEndian } = element.encoding;
    return new DataView(bytes.buffer, bytes.byteOffset + element.offset, 2).getUint16(0, littleEndian);
  }

  /** The items of a sequence; none where it is absent. */
  items(tag: number): readonly Dataset[] {
    const known = this.cache.get(tag);
    if (known !== undefined) return known;
    const element = this.elements.get(tag);
    if (element === undefined) return [];
    if (element.vr !== '' && element.vr !== 'SQ' && element.vr !== 'UN') throw unusable(tag, 'is not a sequence');
    const implicit =
      element.vr === 'UN' ? { ...element.encoding, explicit: false, littleEndian: true } : element.encoding;
    const items = this.readItems({ ...element, encoding: implicit }, this.depth);
    this.cache.set(tag, items);
    return items;
  }

  /** The same data set but for one attribute. */
  without(tag: number): Dataset {
    const rest = new Map(this.elements);
    rest.delete(tag);
    return new Dataset(this.encoding, rest, this.readItems, this.depth);
  }

  /** @throws ConcordatError IMAGE_TAG_MISSING */
  require<T>(tag: number, value: T | null): T {
    if (value === null) throw new ConcordatError('IMAGE_TAG_MISSING', `${tagName(tag)} is missing`);
    return value;
  }
}

export const unusable = (tag: number, what: string): ConcordatError =>
  new ConcordatError('IMAGE_UNREADABLE', `${tagName(tag)} ${what}`);
