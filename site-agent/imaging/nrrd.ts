import { ConcordatError } from '../../shared/errors.js';
import { type NrrdHeader, readNrrdHeader } from './nrrd-header.js';
import {
  BYTES_PER_SAMPLE,
  bytesOf,
  inflateExpecting,
  isGzip,
  type PixelType,
  pixelTypeOf,
  sampleCount,
  samplesFrom,
} from './samples.js';
import { type Grid, isOrthonormal, type Samples, type Vec3, type Volume, volumeOf } from './volume.js';

/** The bytes of the file that a detached header names. */
export type Resolve = (name: string) => Uint8Array;

/**
 * Reads one 3D image from a NRRD file (raw, gzip, text or hex; header attached, or detached with one file of samples or several). Spaces RAS and LAS become LPS; where the
 * header names no space, its coordinates are taken as LPS, as ITK does.
 * @throws ConcordatError IMAGE_FORMAT_UNKNOWN, IMAGE_UNREADABLE, IMAGE_PIXEL_TYPE, IMAGE_GEOMETRY_UNUSABLE, IMAGE_DIMENSIONS
 */
export function readNrrd(bytes: Uint8Array, resolve?: Resolve): Volume {
  const header = readNrrdHeader(bytes);
  const grid = gridFrom(header);
  return volumeOf(grid, samplesOf(header, bytes, resolve));
}

function samplesOf(header: NrrdHeader, bytes: Uint8Array, resolve: Resolve | undefined): Samples {
  const count = sampleCount(header.sizes, header.pixelType);
  const { dataFiles } = header;
  if (dataFiles === null) return bodySamples(header, bytes.subarray(header.headerBytes), count);
  if (resolve === undefined)
    throw new ConcordatError('IMAGE_UNREADABLE', 'the header stands alone: the file with the samples is missing');
  const each = count / dataFiles.length;
  if (!Number.isInteger(each))
    throw new ConcordatError(
      'IMAGE_UNREADABLE',
      `the header names ${dataFiles.length} data files, among which ${count} samples cannot be equally parted`,
    );
  const parts = dataFiles.map((name) => bodySamples(header, resolve(name), each));
  return parts.length === 1 ? parts[0]! : joined(parts);
}

/** Parts of one type, one after the other. */
function joined(parts: readonly Samples[]): Samples {
  const whole = Buffer.concat(parts.map(bytesOf));
  const type = pixelTypeOf(parts[0]!);
  return samplesFrom(whole, type, whole.length / BYTES_PER_SAMPLE[type]);
}

function bodySamples(
  { pixelType, encoding, littleEndian, ...header }: NrrdHeader,
  file: Uint8Array,
  count: number,
): Samples {
  let body = file;
  for (let line = 0; line < header.lineSkip; line++) {
    const end = body.indexOf(0x0a);
    if (end < 0) throw new ConcordatError('IMAGE_UNREADABLE', 'the file has fewer lines than its header skips');
    body = body.subarray(end + 1);
  }
  if (encoding === 'text') return textSamples(body, pixelType, count);
  const length = count * BYTES_PER_SAMPLE[pixelType];
  const skip = Math.max(0, header.byteSkip);
  if (encoding === 'gzip') body = inflateExpecting(body, skip + length, isGzip(body) ? 'gzip' : 'zlib');
  else if (encoding === 'hex') body = hexBytes(body, length);
  const offset = header.byteSkip === -1 ? body.length - length : skip;
  return samplesFrom(body, pixelType, count, { offset, littleEndian });
}

const RANGE: Partial<Record<PixelType, readonly [number, number]>> = {
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32768, 32767],
  uint16: [0, 65535],
  int32: [-2147483648, 2147483647],
  uint32: [0, 4294967295],
};

function textSamples(body: Uint8Array, type: PixelType, count: number): Samples {
  // A number takes a digit and a separator at least: no array is made for a count that cannot be there.
  const words =
    2 * count - 1 > body.length
      ? []
      : Buffer.from(body)
          .toString('latin1')
          .trim()
          .split(/[\s,]+/);
  if (words.length < count)
    throw new ConcordatError(
      'IMAGE_UNREADABLE',
      `the file has fewer than the ${count} numbers that its header announces`,
    );
  const narrow = type === 'int64' || type === 'uint64' ? 'float64' : type;
  const values = samplesFrom(new Uint8Array(count * BYTES_PER_SAMPLE[narrow]), narrow, count);
  const [lowest, highest] = RANGE[type] ?? [-Infinity, Infinity];
  for (let i = 0; i < count; i++) {
    const value = Number(words[i]);
    if (Number.isNaN(value) ? !/^nan$/i.test(words[i]!) : value < lowest || value > highest)
      throw new ConcordatError('IMAGE_UNREADABLE', `sample ${i + 1} is no number of the type that the header names`);
    values[i] = value;
  }
  return values;
}

function hexBytes(body: Uint8Array, length: number): Uint8Array {
  const digits = 2 * length > body.length ? '' : Buffer.from(body).toString('latin1').replace(/\s+/g, '');
  const decoded = Buffer.from(digits.slice(0, 2 * length), 'hex');
  if (decoded.length < length)
    throw new ConcordatError('IMAGE_UNREADABLE', `the file ends after ${decoded.length} of ${length} bytes`);
  return decoded;
}

function gridFrom(header: NrrdHeader): Grid {
  const { sizes, directions, spacings, toLps } = header;
  // An axis outside space (components, time) must be of size 1: then it says nothing.
  const outside = sizes.map((_, axis) => (directions === null ? axis >= 3 : directions[axis] === null));
  const several = sizes.filter((size, axis) => outside[axis] && size > 1);
  if (several.length > 0 || outside.filter((is) => !is).length > 3)
    throw new ConcordatError(
      'IMAGE_DIMENSIONS',
      `the image has size ${sizes.join(' × ')}: more than three dimensions, where one volume with one number a voxel is needed`,
    );
  const axes = sizes.map((_, axis) => axis).filter((axis) => !outside[axis]);
  if (axes.length < 3)
    throw new ConcordatError(
      'IMAGE_DIMENSIONS',
      `the image has ${axes.length} dimensions in space where three are needed`,
    );
  const columns = axes.map((axis) =>
    directions === null
      ? [0, 1, 2].map((row) => (row === axis ? (spacings?.[axis] ?? Number.NaN) : 0))
      : directions[axis]!,
  );
  const lengths = columns.map((column) => Math.sqrt(column.reduce((sum, part) => sum + part * part, 0)));
  lengths.forEach((length, axis) => {
    if (!(length > 0 && Number.isFinite(length)) || columns[axis]!.length !== 3)
      throw new ConcordatError(
        'IMAGE_GEOMETRY_UNUSABLE',
        `the NRRD header gives no usable spacing along axis ${'xyz'[axis]}`,
      );
  });
  const position = header.origin ?? (directions === null ? header.starts?.slice(0, 3) : null) ?? [0, 0, 0];
  if (position.length !== 3 || !position.every(Number.isFinite))
    throw new ConcordatError('IMAGE_GEOMETRY_UNUSABLE', 'the NRRD field "space origin" is not three numbers');
  const direction = Array.from({ length: 9 }, (_, i) => {
    const [row, axis] = [Math.floor(i / 3), i % 3];
    // The reciprocal first, as ITK does: the last bit follows from it.
    return zeroAsZero(toLps[row]! * columns[axis]![row]! * (1 / lengths[axis]!));
  });
  if (!isOrthonormal(direction))
    throw new ConcordatError(
      'IMAGE_GEOMETRY_UNUSABLE',
      'the axes of the image (space directions) are not at right angles',
    );
  return {
    size: axes.map((axis) => sizes[axis]!) as unknown as Vec3,
    spacingMm: lengths as unknown as Vec3,
    origin: position.map((value, row) => zeroAsZero(toLps[row]! * value)) as unknown as Vec3,
    direction,
  };
}

const zeroAsZero = (value: number): number => (value === 0 ? 0 : value);
