import { ConcordatError } from '../../shared/errors.js';
import { niftiGeometry } from './nifti-geometry.js';
import { NIFTI_HEADER_BYTES, type NiftiHeader, readNiftiHeader } from './nifti-header.js';
import { BYTES_PER_SAMPLE, gunzipStart, inflateExpecting, isGzip, sampleCount, samplesFrom } from './samples.js';
import { type Grid, type Samples, type Volume, volumeOf } from './volume.js';

/** A NIfTI file as it lies: it may hold several volumes (time points, components), one after the other in `data`. */
export interface NiftiImage {
  /** The grid of each volume. */
  readonly grid: Grid;
  /** Sizes along all dimensions of the file. */
  readonly dim: readonly number[];
  readonly data: Samples;
  readonly header: NiftiHeader;
  readonly notes: readonly string[];
}

/**
 * Reads one 3D image from a NIfTI-1 or NIfTI-2 file, compressed or not.
 * @param samples the bytes of the .img file where the header stands in a file of its own
 * @throws ConcordatError IMAGE_FORMAT_UNKNOWN, IMAGE_UNREADABLE, IMAGE_PIXEL_TYPE, IMAGE_GEOMETRY_UNUSABLE; IMAGE_DIMENSIONS where
 *   the file holds several volumes
 */
export function readNifti(bytes: Uint8Array, samples?: Uint8Array): Volume {
  return onlyVolume(readNiftiImage(bytes, samples));
}

/** @throws ConcordatError IMAGE_DIMENSIONS */
export function onlyVolume({ grid, dim, data }: NiftiImage): Volume {
  const more = dim.slice(3).filter((size) => size > 1);
  if (more.length > 0)
    throw new ConcordatError(
      'IMAGE_DIMENSIONS',
      `the file holds ${more.join(' × ')} volumes (size ${dim.join(' × ')}) where one is needed`,
    );
  return volumeOf(grid, data);
}

export function readNiftiImage(bytes: Uint8Array, samples?: Uint8Array): NiftiImage {
  if (bytes.length === 0) throw new ConcordatError('IMAGE_UNREADABLE', 'the file is empty');
  const gzip = isGzip(bytes);
  const header = readNiftiHeader(gzip ? gunzipStart(bytes) : bytes.subarray(0, NIFTI_HEADER_BYTES));
  const count = sampleCount(header.dim, header.pixelType);
  if (header.detached && samples === undefined)
    throw new ConcordatError(
      'IMAGE_UNREADABLE',
      'the header stands alone: the file with the samples (.img) is missing',
    );
  const needed = header.voxOffset + count * BYTES_PER_SAMPLE[header.pixelType];
  const source = header.detached ? samples! : bytes;
  const { grid, notes } = niftiGeometry(header);
  const raw = samplesFrom(isGzip(source) ? inflateExpecting(source, needed) : source, header.pixelType, count, {
    offset: header.voxOffset,
    littleEndian: header.littleEndian,
  });
  return { grid, dim: header.dim, data: rescaled(raw, header), header, notes };
}

/**
 * scl_slope and scl_inter as ITK applies them: integers become float32, in double arithmetic. A slope that is 0 or no number means
 * that the samples are not scaled, as the standard and nibabel have it.
 */
function rescaled(raw: Samples, { slope, intercept }: NiftiHeader): Samples {
  if (!Number.isFinite(slope) || slope === 0) return raw;
  if (!Number.isFinite(intercept))
    throw new ConcordatError('IMAGE_UNREADABLE', 'scl_slope is given but scl_inter is no number');
  if (slope === 1 && intercept === 0) return raw;
  const scaled = raw instanceof Float64Array ? raw : new Float32Array(raw.length);
  for (let i = 0; i < raw.length; i++) scaled[i] = raw[i]! * slope + intercept;
  return scaled;
}
