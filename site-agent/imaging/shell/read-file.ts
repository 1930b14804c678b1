import { existsSync, readFileSync } from 'node:fs';
import { dirname, resolve, sep } from 'node:path';
import { ConcordatError } from '../../../shared/errors.js';
import { readNifti } from '../nifti.js';
import { readNrrd } from '../nrrd.js';
import type { Volume } from '../volume.js';

/**
 * Reads one image file: NIfTI or NRRD, by its content and not by its name.
 * @throws ConcordatError IMAGE_UNREADABLE where there is no such file, and what the readers throw. No message has the path: it may
 *   hold a patient's name.
 */
export function readImageFile(path: string): Volume {
  const bytes = bytesAt(path);
  if (Buffer.from(bytes.subarray(0, 4)).toString('latin1') === 'NRRD')
    return readNrrd(bytes, (name) => bytesBeside(path, name));
  return readNifti(bytes, besideHeader(path));
}

function bytesAt(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new ConcordatError('IMAGE_UNREADABLE', `the file cannot be opened (${code ?? 'unknown reason'})`, {
      problems: [{ file: path, message: 'cannot be opened' }],
    });
  }
}

/** The .img file of a .hdr file, compressed or not. */
function besideHeader(path: string): Uint8Array | undefined {
  const match = /^(.*)\.hdr(\.gz)?$/i.exec(path);
  if (match === null) return undefined;
  const image = [`${match[1]}.img`, `${match[1]}.img.gz`, `${match[1]}.IMG`].find((candidate) => existsSync(candidate));
  return image === undefined ? undefined : bytesAt(image);
}

/** A header names a file in its own folder, and cannot make the program open any other. */
function bytesBeside(header: string, name: string): Uint8Array {
  const folder = dirname(resolve(header));
  const path = resolve(folder, name);
  if (!path.startsWith(folder.endsWith(sep) ? folder : folder + sep))
    throw new ConcordatError('IMAGE_UNREADABLE', 'the header names a data file outside its own folder');
  return bytesAt(path);
}
