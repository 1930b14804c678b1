import { ConcordatError } from '../../shared/errors.js';
import type { PixelType } from './samples.js';

/** The fields of a NIfTI-1 or NIfTI-2 header that say how to read it; names as in the standard. */
export interface NiftiHeader {
  readonly version: 1 | 2;
  readonly littleEndian: boolean;
  /** Header and samples lie in two files (.hdr and .img). */
  readonly detached: boolean;
  /** Sizes along the dimensions in use: 1 to 7 of them. */
  readonly dim: readonly number[];
  /** pixdim[0] (qfac) to pixdim[7]. */
  readonly pixdim: readonly number[];
  readonly datatype: number;
  readonly pixelType: PixelType;
  readonly voxOffset: number;
  readonly slope: number;
  readonly intercept: number;
  readonly qformCode: number;
  readonly sformCode: number;
  /** quatern_b, c, d. */
  readonly quaternion: readonly [number, number, number];
  readonly qoffset: readonly [number, number, number];
  /** srow_x, srow_y, srow_z, four numbers each. */
  readonly srow: readonly number[];
  /** Millimetres in the file's unit of length. */
  readonly mmPerUnit: number;
}

const PIXEL_TYPES: Record<number, PixelType> = {
  2: 'uint8',
  4: 'int16',
  8: 'int32',
  16: 'float32',
  64: 'float64',
  256: 'int8',
  512: 'uint16',
  768: 'uint32',
  1024: 'int64',
  1280: 'uint64',
};
const OTHER_TYPES: Record<number, string> = {
  1: 'one bit a voxel',
  32: 'complex',
  128: 'RGB colour',
  1536: 'float128',
  1792: 'complex',
  2048: 'complex',
  2304: 'RGBA colour',
};

/** Bytes that hold either header. */
export const NIFTI_HEADER_BYTES = 540;

/**
 * Reads the header at the start of an uncompressed file.
 * @throws ConcordatError IMAGE_FORMAT_UNKNOWN, IMAGE_PIXEL_TYPE, IMAGE_UNREADABLE
 */
export function readNiftiHeader(bytes: Uint8Array): NiftiHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const littleEndian of [true, false]) {
    const size = bytes.length >= 4 ? view.getInt32(0, littleEndian) : 0;
    if (size === 348 && bytes.length >= 348) return headerOne(view, littleEndian);
    if (size === 540 && bytes.length >= 540) return headerTwo(view, littleEndian);
  }
  throw new ConcordatError('IMAGE_FORMAT_UNKNOWN', 'the file does not start with a NIfTI header');
}

function headerOne(view: DataView, littleEndian: boolean): NiftiHeader {
  const magic = text(view, 344, 4);
  if (magic !== 'n+1\0' && magic !== 'ni1\0')
    throw new ConcordatError(
      'IMAGE_FORMAT_UNKNOWN',
      /^\0+$/.test(magic)
        ? 'the file is Analyze 7.5, which does not say how the image lies in the patient'
        : 'the header has the size of a NIfTI-1 header but not its magic',
    );
  const int = (at: number) => view.getInt16(at, littleEndian);
  const float = (at: number) => view.getFloat32(at, littleEndian);
  return checked({
    version: 1,
    littleEndian,
    detached: magic === 'ni1\0',
    dim: times(8, (i) => int(40 + 2 * i)),
    pixdim: times(8, (i) => float(76 + 4 * i)),
    datatype: int(70),
    voxOffset: float(108),
    slope: float(112),
    intercept: float(116),
    qformCode: int(252),
    sformCode: int(254),
    quaternion: [float(256), float(260), float(264)],
    qoffset: [float(268), float(272), float(276)],
    srow: times(12, (i) => float(280 + 4 * i)),
    units: view.getUint8(123),
  });
}

function headerTwo(view: DataView, littleEndian: boolean): NiftiHeader {
  const magic = text(view, 4, 4);
  if (magic !== 'n+2\0' && magic !== 'ni2\0')
    throw new ConcordatError('IMAGE_FORMAT_UNKNOWN', 'the header has the size of a NIfTI-2 header but not its magic');
  const int = (at: number) => view.getInt32(at, littleEndian);
  const long = (at: number) => Number(view.getBigInt64(at, littleEndian));
  const float = (at: number) => view.getFloat64(at, littleEndian);
  return checked({
    version: 2,
    littleEndian,
    detached: magic === 'ni2\0',
    dim: times(8, (i) => long(16 + 8 * i)),
    pixdim: times(8, (i) => float(104 + 8 * i)),
    datatype: view.getInt16(12, littleEndian),
    voxOffset: long(168),
    slope: float(176),
    intercept: float(184),
    qformCode: int(344),
    sformCode: int(348),
    quaternion: [float(352), float(360), float(368)],
    qoffset: [float(376), float(384), float(392)],
    srow: times(12, (i) => float(400 + 8 * i)),
    units: int(500),
  });
}

/** `dim` with its count in front, as it lies in the file; the result has only the sizes in use. */
function checked({
  units,
  dim,
  ...header
}: Omit<NiftiHeader, 'pixelType' | 'mmPerUnit'> & { readonly units: number }): NiftiHeader {
  const pixelType = PIXEL_TYPES[header.datatype];
  if (pixelType === undefined) {
    const name = OTHER_TYPES[header.datatype];
    throw new ConcordatError(
      'IMAGE_PIXEL_TYPE',
      name === undefined
        ? `the header names data type ${header.datatype}, which NIfTI does not define`
        : `the voxels are ${name}, not one number each`,
    );
  }
  const dimensions = dim[0]!;
  if (dimensions < 1 || dimensions > 7)
    throw new ConcordatError(
      'IMAGE_UNREADABLE',
      `the header announces ${dimensions} dimensions where 1 to 7 are possible`,
    );
  const used = dim.slice(1, 1 + dimensions);
  const bad = used.findIndex((size) => size < 1);
  if (bad >= 0)
    throw new ConcordatError('IMAGE_UNREADABLE', `the image has size ${used[bad]} along dimension ${bad + 1}`);
  const smallest = header.detached ? 0 : header.version === 1 ? 352 : 544;
  if (!Number.isInteger(header.voxOffset) || header.voxOffset < 0)
    throw new ConcordatError('IMAGE_UNREADABLE', 'vox_offset, where the samples begin, is no byte position');
  return {
    ...header,
    dim: used,
    pixelType,
    // Some writers leave 0; the samples never begin inside the header.
    voxOffset: Math.max(header.voxOffset, smallest),
    mmPerUnit: [1, 1000, 1, 0.001][units & 7] ?? 1,
  };
}

const times = (count: number, at: (i: number) => number): number[] => Array.from({ length: count }, (_, i) => at(i));

const text = (view: DataView, at: number, length: number): string =>
  String.fromCharCode(...times(length, (i) => view.getUint8(at + i)));
