import { ConcordatError } from '../../shared/errors.js';
import type { PixelType } from './samples.js';

/** The fields of a NRRD header that say how to read it. */
export interface NrrdHeader {
  readonly sizes: readonly number[];
  readonly pixelType: PixelType;
  readonly encoding: 'raw' | 'gzip' | 'text' | 'hex';
  readonly littleEndian: boolean;
  /** Names of the files with the samples, relative to the header, each with an equal part of them; null where they follow the header. */
  readonly dataFiles: readonly string[] | null;
  readonly lineSkip: number;
  /** −1: the samples are the last bytes of the file. */
  readonly byteSkip: number;
  /** Signs that turn the file's first, second and third coordinate into LPS. */
  readonly toLps: readonly [number, number, number];
  /** One vector for each axis; null for an axis that is none of space. */
  readonly directions: readonly (readonly number[] | null)[] | null;
  readonly origin: readonly number[] | null;
  readonly spacings: readonly number[] | null;
  /** Where the first sample of each axis lies along it, for an image in no space; null where the header does not say. */
  readonly starts: readonly number[] | null;
  /** Bytes of the header with the empty line that ends it. */
  readonly headerBytes: number;
}

export const NRRD_HEADER_BYTES_MAX = 256 * 1024;

const TYPE_NAMES: Record<PixelType, string> = {
  int8: 'signed char|int8|int8_t',
  uint8: 'uchar|unsigned char|uint8|uint8_t',
  int16: 'short|short int|signed short|signed short int|int16|int16_t',
  uint16: 'ushort|unsigned short|unsigned short int|uint16|uint16_t',
  int32: 'int|signed int|int32|int32_t',
  uint32: 'uint|unsigned int|uint32|uint32_t',
  int64: 'longlong|long long|long long int|signed long long|signed long long int|int64|int64_t',
  uint64: 'ulonglong|unsigned long long|unsigned long long int|uint64|uint64_t',
  float32: 'float',
  float64: 'double',
};
const TYPES = new Map(
  Object.entries(TYPE_NAMES).flatMap(([type, names]) => names.split('|').map((name) => [name, type as PixelType])),
);

const SPACES: Record<string, readonly [number, number, number]> = {
  'left-posterior-superior': [1, 1, 1],
  lps: [1, 1, 1],
  'right-anterior-superior': [-1, -1, 1],
  ras: [-1, -1, 1],
  'left-anterior-superior': [1, -1, 1],
  las: [1, -1, 1],
};

const ENCODINGS: Record<string, NrrdHeader['encoding']> = {
  raw: 'raw',
  gzip: 'gzip',
  gz: 'gzip',
  txt: 'text',
  text: 'text',
  ascii: 'text',
  hex: 'hex',
};

/**
 * Reads the header at the start of a .nrrd or .nhdr file.
 * @throws ConcordatError IMAGE_FORMAT_UNKNOWN, IMAGE_UNREADABLE, IMAGE_PIXEL_TYPE, IMAGE_GEOMETRY_UNUSABLE
 */
export function readNrrdHeader(bytes: Uint8Array): NrrdHeader {
  const { lines, headerBytes } = headerLines(bytes);
  if (!/^NRRD000[1-9]$/.test(lines[0] ?? ''))
    throw new ConcordatError('IMAGE_FORMAT_UNKNOWN', 'the file does not start with a NRRD header');
  const fields = new Map<string, string>();
  for (const line of lines.slice(1)) {
    // What follows a list's field are its files.
    if (fields.get('datafile')?.startsWith('LIST')) break;
    const match = /^([^:#][^:]*): (.*)$/.exec(line);
    if (match !== null) fields.set(match[1]!.trim().toLowerCase().replace(/\s+/g, ''), match[2]!.trim());
  }
  const required = (name: string): string => {
    const value = fields.get(name.replaceAll(' ', ''));
    if (value === undefined) throw new ConcordatError('IMAGE_UNREADABLE', `the NRRD header has no field "${name}"`);
    return value;
  };
  const sizes = integers(required('sizes'), 'sizes');
  const dimension = integers(required('dimension'), 'dimension')[0]!;
  if (dimension !== sizes.length)
    throw new ConcordatError(
      'IMAGE_UNREADABLE',
      `the NRRD header announces ${dimension} dimensions and ${sizes.length} sizes`,
    );
  if (sizes.some((size) => size < 1))
    throw new ConcordatError('IMAGE_UNREADABLE', `the image has size ${sizes.join(' × ')}`);
  const directions = fields.get('spacedirections');
  const origin = fields.get('spaceorigin');
  const spacings = fields.get('spacings') ?? fields.get('spacing');
  const dataFile = fields.get('datafile');
  return {
    sizes,
    ...samplesField(required('type'), required('encoding'), fields.get('endian')),
    dataFiles: dataFile === undefined ? null : namedFiles(dataFile, lines),
    lineSkip: integers(fields.get('lineskip') ?? '0', 'line skip')[0]!,
    byteSkip: integers(fields.get('byteskip') ?? '0', 'byte skip')[0]!,
    toLps: spaceField(fields.get('space')),
    directions: directions === undefined ? null : vectors(directions, dimension),
    origin: origin === undefined ? null : vectors(origin, 1)[0]!,
    spacings: spacings === undefined ? null : spacings.split(/\s+/).map(Number),
    starts: startsOf(fields, dimension),
    headerBytes,
  };
}

const FILES_MAX = 100_000;

/**
 * The files that the field "data file" names: one, those that follow LIST line by line, or those of a pattern ("slice_%03d.raw 1 20 1").
 * @throws ConcordatError IMAGE_UNREADABLE
 */
function namedFiles(value: string, lines: readonly string[]): readonly string[] {
  if (/^LIST(\s+\d+)?$/.test(value)) {
    const field = lines.findIndex((line) => /^data ?file: *LIST/i.test(line));
    return someFiles(lines.slice(field + 1).map((line) => line.trim()));
  }
  const pattern = /^(.*%0?\d*d\S*)\s+(-?\d+)\s+(-?\d+)\s+(-?\d+)(\s+\d+)?$/.exec(value);
  if (pattern === null) return [value];
  const [first, last, step] = [2, 3, 4].map((i) => Number(pattern[i]));
  const count = Math.floor((last! - first!) / step!) + 1;
  return someFiles(
    count >= 1 && count <= FILES_MAX
      ? Array.from({ length: count }, (_, i) => filledIn(pattern[1]!, first! + i * step!))
      : [],
  );
}

/** C's printf for one whole number, with a width and leading zeros or blanks. */
const filledIn = (pattern: string, value: number): string =>
  pattern.replace(/%(0?)(\d*)d/, (_, zero: string, width: string) =>
    String(value).padStart(Math.min(Number(width), 64), zero === '' ? ' ' : '0'),
  );

function someFiles(names: readonly string[]): readonly string[] {
  if (names.length > 0 && names.length <= FILES_MAX) return names;
  throw new ConcordatError('IMAGE_UNREADABLE', 'the NRRD header names no data files, or more than any image has');
}

/**
 * "axis mins", which an image in no space may have in place of an origin. They are where the axis begins: half a sample before the first one
 * unless the samples stand on the nodes of the grid, as ITK reads them.
 */
function startsOf(fields: ReadonlyMap<string, string>, dimension: number): readonly number[] | null {
  const words = (name: string): string[] => fields.get(name)?.split(/\s+/) ?? [];
  const mins = words('axismins').map(Number);
  if (mins.length !== dimension || !mins.every(Number.isFinite)) return null;
  const centres = fields.has('centers') ? words('centers') : words('centerings');
  const spacings = fields.has('spacings') ? words('spacings') : words('spacing');
  return mins.map((min, axis) => min + (centres[axis] === 'node' ? 0 : Number(spacings[axis]) / 2));
}

function headerLines(bytes: Uint8Array): { lines: string[]; headerBytes: number } {
  const lines: string[] = [];
  const limit = Math.min(bytes.length, NRRD_HEADER_BYTES_MAX);
  let start = 0;
  for (let i = 0; i < limit; i++) {
    if (bytes[i] !== 0x0a) continue;
    const line = Buffer.from(bytes.subarray(start, i)).toString('latin1').replace(/\r$/, '');
    start = i + 1;
    if (line === '') return { lines, headerBytes: start };
    lines.push(line);
  }
  // A header in a file of its own may end with the file.
  if (limit === bytes.length) {
    if (start < limit) lines.push(Buffer.from(bytes.subarray(start, limit)).toString('latin1').replace(/\r$/, ''));
    return { lines, headerBytes: limit };
  }
  throw new ConcordatError('IMAGE_FORMAT_UNKNOWN', 'the file has no end of a NRRD header');
}

// No message quotes the header: where it is damaged, a field may have run into the next, and that into a patient's name.
function samplesField(
  type: string,
  encoding: string,
  endian: string | undefined,
): Pick<NrrdHeader, 'pixelType' | 'encoding' | 'littleEndian'> {
  const pixelType = TYPES.get(type.toLowerCase().replace(/\s+/g, ' '));
  if (pixelType === undefined)
    throw new ConcordatError(
      'IMAGE_PIXEL_TYPE',
      `the voxels have ${/^block$/i.test(type) ? 'the NRRD type "block"' : 'a type that NRRD does not define'}, not one number each`,
    );
  const known = ENCODINGS[encoding.toLowerCase()];
  if (known === undefined)
    throw new ConcordatError(
      'IMAGE_UNREADABLE',
      `the NRRD encoding${/^bz(ip)?2$/i.test(encoding) ? ' bzip2' : ''} is not supported; raw, gzip, text and hex are`,
    );
  if (endian !== undefined && !/^(little|big)$/i.test(endian))
    throw new ConcordatError('IMAGE_UNREADABLE', `the NRRD field "endian" is neither little nor big`);
  const wide = !pixelType.endsWith('8');
  if (wide && endian === undefined && known !== 'text')
    throw new ConcordatError('IMAGE_UNREADABLE', 'the NRRD header has no field "endian"');
  return { pixelType, encoding: known, littleEndian: !/^big$/i.test(endian ?? '') };
}

function spaceField(space: string | undefined): NrrdHeader['toLps'] {
  if (space === undefined) return [1, 1, 1];
  const signs =
    SPACES[
      space
        .toLowerCase()
        .replace(/-time$/, '')
        .replace(/^(\w{3})t$/, '$1')
    ];
  if (signs === undefined)
    throw new ConcordatError(
      'IMAGE_GEOMETRY_UNUSABLE',
      'the NRRD space is none of left-posterior-superior, right-anterior-superior and left-anterior-superior: it does not say how the image lies in the patient',
    );
  return signs;
}

/** "(1,0,0) none (0,0,2.5)", one for each axis. */
function vectors(value: string, count: number): (readonly number[] | null)[] {
  const found = [...value.matchAll(/none|\(([^)]*)\)/g)].map((match) =>
    match[1] === undefined ? null : match[1].split(',').map((part) => Number(part)),
  );
  if (found.length !== count)
    throw new ConcordatError('IMAGE_UNREADABLE', `the NRRD header gives ${found.length} vectors for ${count} axes`);
  return found;
}

function integers(value: string, field: string): number[] {
  const numbers = value.split(/\s+/).map(Number);
  if (!numbers.every(Number.isSafeInteger))
    throw new ConcordatError('IMAGE_UNREADABLE', `the NRRD field "${field}" has something that is no whole number`);
  return numbers;
}
