import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { ConcordatError } from '../../../shared/errors.js';
import { type Acquisition, acquisitionOf } from '../acquisition.js';
import { looksLikeDicom, parseDicom } from '../dicom/parse.js';
import type { FrameDecoder } from '../dicom/pixels.js';
import { chosenSeries, kindOf, type NamedFile, readSeries, type Series, seriesAmong } from '../dicom/series.js';
import { readNifti } from '../nifti.js';
import { readNrrd } from '../nrrd.js';
import { NRRD_HEADER_BYTES_MAX, readNrrdHeader } from '../nrrd-header.js';
import { IMAGE_BYTES_MAX } from '../room.js';
import { gunzipWhole, isGzip } from '../samples.js';
import type { Volume } from '../volume.js';
import { frameDecoderFor } from './codecs.js';

/** An image, and how it was made where its file says so. */
export type ReadVolume = Volume & { readonly acquisition?: Acquisition };

export interface ReadOptions {
  /** Which series of a folder, from 1, in the order in which the error lists them. */
  readonly series?: number;
}

/**
 * Reads one image: a NIfTI or NRRD file, a DICOM file, or a folder with a DICOM series. The format is told by the content, not by the name.
 * @throws ConcordatError IMAGE_*; no message has a path or any text of the file, which may hold a patient's name (`problems` have file
 *   names and stay at the site)
 */
export async function readImage(path: string, options: ReadOptions = {}): Promise<ReadVolume> {
  const files = isFolder(path) ? dicomFiles(path) : null;
  if (files !== null) {
    const series = chosenSeries(seriesAmong(files), options.series);
    return seriesVolume(series);
  }
  const bytes = bytesAt(path);
  const dicom = asDicom(bytes);
  if (dicom === null) return readVolumeFile(path, bytes);
  const file: NamedFile = { name: basename(path), file: parseDicom(dicom) };
  const kind = kindOf(file.file);
  if (kind !== 'image')
    throw new ConcordatError(
      'IMAGE_FORMAT_UNKNOWN',
      kind === 'other' ? 'the DICOM file holds no image' : 'the file holds regions, not an image: name it as the mask',
    );
  return seriesVolume(chosenSeries(seriesAmong([file])));
}

async function seriesVolume(series: Series): Promise<ReadVolume> {
  const volume = readSeries(series, await decoderFor(series.files));
  return { ...volume, acquisition: acquisitionOf(series.files[0]!.file.dataset) };
}

/**
 * Reads a NIfTI or NRRD file.
 * @throws ConcordatError IMAGE_UNREADABLE where there is no such file, and what the readers throw
 */
export const readImageFile = (path: string): Volume => readVolumeFile(path, bytesAt(path));

function readVolumeFile(path: string, bytes: Uint8Array): Volume {
  if (Buffer.from(bytes.subarray(0, 4)).toString('latin1') === 'NRRD')
    return readNrrd(bytes, (name) => bytesBeside(path, name));
  const { header, samples } = niftiParts(path, bytes);
  return readNifti(header, samples);
}

/** The bytes of a DICOM file, which some archives keep compressed; null where it is none. */
export function asDicom(bytes: Uint8Array): Uint8Array | null {
  if (looksLikeDicom(bytes)) return bytes;
  return isGzip(bytes) ? gunzipWhole(bytes, looksLikeDicom) : null;
}

/**
 * The DICOM files directly in a folder. Others are left out; one that should be DICOM and is damaged is an error, because a slice would be
 * missing without it. What archives compressed is counted unpacked: small files cannot fill the memory together.
 *
 * @throws ConcordatError IMAGE_TOO_LARGE where the compressed ones hold more than `bytesMax` together
 */
export function dicomFiles(folder: string, bytesMax = IMAGE_BYTES_MAX): NamedFile[] {
  const files: NamedFile[] = [];
  let left = bytesMax;
  for (const name of namesIn(folder)) {
    const path = join(folder, name);
    if (sizeAndTime(path) === null) continue;
    const bytes = bytesAt(path);
    const dicom = asDicom(bytes);
    if (dicom === null) {
      if (/\.(dcm|dicom|ima)$/i.test(name))
        throw new ConcordatError('IMAGE_UNREADABLE', 'a file of the series is named as DICOM and is none', {
          problems: [{ file: name, message: 'is not DICOM' }],
        });
      continue;
    }
    if (dicom !== bytes) left -= dicom.length;
    if (left < 0)
      throw new ConcordatError(
        'IMAGE_TOO_LARGE',
        'the compressed DICOM files of the folder, unpacked, do not fit into memory',
      );
    try {
      files.push({ name, file: parseDicom(dicom) });
    } catch (error) {
      if (!(error instanceof ConcordatError)) throw error;
      throw new ConcordatError(error.code, error.message, { problems: [{ file: name, message: error.message }] });
    }
  }
  return files;
}

export const decoderFor = (files: readonly NamedFile[]): Promise<FrameDecoder> =>
  frameDecoderFor(new Set(files.map(({ file }) => file.transferSyntax)));

export function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (error) {
    throw cannotOpen(path, error);
  }
}

export function bytesAt(path: string): Uint8Array {
  try {
    if (statSync(path).isFile()) return readFileSync(path);
  } catch (error) {
    throw cannotOpen(path, error);
  }
  // A pipe or a device may give bytes for ever, or never.
  throw notAFile(path);
}

/** Names of what lies in a folder, in order, below it too where asked. */
export function namesIn(folder: string, { recursive = false } = {}): string[] {
  try {
    return readdirSync(folder, { recursive, encoding: 'utf8' }).sort();
  } catch (error) {
    throw cannotOpen(folder, error);
  }
}

/** Null where it is neither a file nor a folder, or a link to nothing. */
export function sizeAndTime(path: string): { readonly size: number; readonly modifiedMs: number } | null {
  const found = statSync(path, { throwIfNoEntry: false });
  return found?.isFile() ? { size: found.size, modifiedMs: found.mtimeMs } : null;
}

export const notAFile = (path: string): ConcordatError =>
  new ConcordatError('IMAGE_UNREADABLE', 'there is neither a file nor a folder', {
    hint: 'Name a file, or a folder of DICOM files; pipes and devices are not read.',
    problems: [{ file: path, message: 'is neither a file nor a folder' }],
  });

export function cannotOpen(path: string, error: unknown): ConcordatError {
  const { code } = error as NodeJS.ErrnoException;
  const isMissing = code === 'ENOENT' || code === 'ENOTDIR';
  const message = isMissing ? 'the file does not exist' : `the file cannot be opened (${code ?? 'unknown reason'})`;
  return new ConcordatError('IMAGE_UNREADABLE', message, {
    hint: isMissing
      ? 'See whether the path is right; in a table of images it is relative to the table.'
      : 'See whether whoever runs Concordat may read the file, and whether its disk or share is there.',
    problems: [{ file: path, message: 'cannot be opened' }],
  });
}

/** Header and samples of a NIfTI in two files, either of which may be named, compressed or not; without `samples` the file holds both. */
export function niftiParts(
  path: string,
  bytes: Uint8Array,
): { readonly header: Uint8Array; readonly samples?: Uint8Array | undefined } {
  const other = otherHalf(path);
  if (other === null) return { header: bytes };
  return other.isHeader
    ? { header: bytesAt(other.file), samples: bytes }
    : { header: bytes, samples: bytesAt(other.file) };
}

/** The .img file of a .hdr file, or the other way round; null where there is none. */
function otherHalf(path: string): { readonly file: string; readonly isHeader: boolean } | null {
  const match = /^(.*)\.(hdr|img)(\.gz)?$/i.exec(path);
  if (match === null) return null;
  const isHeader = match[2]!.toLowerCase() === 'img';
  const file = (isHeader ? ['hdr', 'hdr.gz', 'HDR'] : ['img', 'img.gz', 'IMG'])
    .map((ending) => `${match[1]}.${ending}`)
    .find((candidate) => existsSync(candidate));
  return file === undefined ? null : { file, isHeader };
}

/** Further files that an image is read from when this one is named: samples apart from their header, or the header of samples. */
export function filesBeside(path: string): readonly string[] {
  const half = otherHalf(path);
  if (half !== null) return [half.file];
  if (startOf(path, 4).toString('latin1') !== 'NRRD') return [];
  try {
    const { dataFiles } = readNrrdHeader(startOf(path, NRRD_HEADER_BYTES_MAX));
    return (dataFiles ?? []).map((name) => pathBeside(path, name));
  } catch (error) {
    // A damaged header is told by whoever reads the image.
    if (error instanceof ConcordatError) return [];
    throw error;
  }
}

function startOf(path: string, length: number): Buffer {
  try {
    const handle = openSync(path, 'r');
    try {
      const bytes = Buffer.alloc(length);
      return bytes.subarray(0, readSync(handle, bytes));
    } finally {
      closeSync(handle);
    }
  } catch (error) {
    throw cannotOpen(path, error);
  }
}

/** A header names a file in its own folder, and cannot make the program open any other. */
const bytesBeside = (header: string, name: string): Uint8Array => bytesAt(pathBeside(header, name));

function pathBeside(header: string, name: string): string {
  const folder = dirname(resolve(header));
  const path = resolve(folder, name);
  if (!path.startsWith(folder.endsWith(sep) ? folder : folder + sep))
    throw new ConcordatError('IMAGE_UNREADABLE', 'the header names a data file outside its own folder');
  return path;
}
