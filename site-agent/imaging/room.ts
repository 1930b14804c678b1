import { ConcordatError } from '../../shared/errors.js';

/** Bytes of one image's samples, below what one array holds on every Node: a 512 × 512 × 6,000 CT. */
export const IMAGE_BYTES_MAX = 3 * 1024 * 1024 * 1024;

/**
 * Asked before samples are allocated whose number follows from settings and header rather than from a file's bytes.
 *
 * @param what the subject of the message, in the plural: "voxels of the new grid"
 * @throws ConcordatError IMAGE_TOO_LARGE
 */
export function requireRoom(size: readonly number[], bytesPerSample: number, what: string): void {
  const bytes = size.reduce((product, length) => product * length, bytesPerSample);
  if (bytes <= IMAGE_BYTES_MAX) return;
  throw new ConcordatError('IMAGE_TOO_LARGE', `${size.join(' × ')} ${what} do not fit into memory`);
}
