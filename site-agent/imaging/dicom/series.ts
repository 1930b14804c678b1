import { ConcordatError } from '../../../shared/errors.js';
import { type PixelType, sampleCount } from '../samples.js';
import { type Samples, type Volume, volumeOf } from '../volume.js';
import type { DicomFile } from './parse.js';
import { type FrameDecoder, Frames, type PixelLayout, pixelLayout } from './pixels.js';
import { planeOf, rescaleOf, sliceDistanceOf } from './slices.js';
import { stackOrThrow } from './stack.js';
import { TAG, tagName } from './tags.js';

/** One DICOM file with the name under which problems speak of it at the site. */
export interface NamedFile {
  readonly name: string;
  readonly file: DicomFile;
}

/** Files of one series, in no order. */
export interface Series {
  readonly modality: string;
  readonly files: readonly NamedFile[];
}

const SEGMENTATION_CLASSES = ['1.2.840.10008.5.1.4.1.1.66.4', '1.2.840.10008.5.1.4.1.1.66.7'];
const STRUCTURE_SET_CLASS = '1.2.840.10008.5.1.4.1.1.481.3';

export type DicomKind = 'image' | 'segmentation' | 'structures' | 'other';

/** What an object is, by its class and, where that is missing, its modality. */
export function kindOf({ dataset }: DicomFile): DicomKind {
  const sopClass = dataset.text(TAG.sopClass);
  const modality = dataset.text(TAG.modality);
  if ((sopClass !== null && SEGMENTATION_CLASSES.includes(sopClass)) || modality === 'SEG') return 'segmentation';
  if (sopClass === STRUCTURE_SET_CLASS || modality === 'RTSTRUCT') return 'structures';
  return dataset.has(TAG.rows) || dataset.has(TAG.pixels) ? 'image' : 'other';
}

/** The image series among files, sorted by SeriesNumber and then SeriesInstanceUID, so that a series keeps its place in the list. */
export function seriesAmong(files: readonly NamedFile[]): Series[] {
  const byUid = new Map<string, NamedFile[]>();
  for (const named of files) {
    if (kindOf(named.file) !== 'image') continue;
    const { dataset } = named.file;
    const uid = dataset.require(TAG.seriesInstance, dataset.text(TAG.seriesInstance));
    byUid.set(uid, [...(byUid.get(uid) ?? []), named]);
  }
  const number = (group: readonly NamedFile[]): number => {
    const value = Number(group[0]!.file.dataset.text(TAG.seriesNumber));
    return Number.isFinite(value) ? value : 0;
  };
  return [...byUid.entries()]
    .sort(([uidA, a], [uidB, b]) => number(a) - number(b) || (uidA < uidB ? -1 : 1))
    .map(([, group]) => ({ modality: group[0]!.file.dataset.text(TAG.modality) ?? 'unknown', files: group }));
}

/** What tells a series from another without saying whose it is. */
export function seriesFacts({ modality, files }: Series): string {
  const { dataset } = files[0]!.file;
  const [rows, columns] = [dataset.ushort(TAG.rows) ?? 0, dataset.ushort(TAG.columns) ?? 0];
  const thickness = dataset.text(TAG.sliceThickness);
  const frames = dataset.text(TAG.frames);
  return [
    modality.replace(/[^A-Z]/g, '').slice(0, 8),
    frames !== null && frames !== '1' ? `${files.length} files of several frames` : `${files.length} slices`,
    `${columns} × ${rows}`,
    ...(thickness !== null && /^[\d.]+$/.test(thickness) ? [`slice thickness ${thickness} mm`] : []),
  ].join(', ');
}

/**
 * The one series that is meant.
 * @param wanted its number in the list, from 1; needed only where there are several
 * @throws ConcordatError IMAGE_SERIES_AMBIGUOUS, IMAGE_UNREADABLE where there is no image
 */
export function chosenSeries(all: readonly Series[], wanted?: number): Series {
  if (all.length === 0) throw new ConcordatError('IMAGE_UNREADABLE', 'there is no DICOM image among the files');
  if (wanted === undefined && all.length === 1) return all[0]!;
  const chosen = wanted === undefined ? undefined : all[wanted - 1];
  if (chosen !== undefined) return chosen;
  const list = all.map((series, i) => `${i + 1}: ${seriesFacts(series)}`);
  throw new ConcordatError(
    'IMAGE_SERIES_AMBIGUOUS',
    `${wanted === undefined ? '' : `there is no series ${wanted}; `}the folder holds ${all.length} series (${list.join('; ')})`,
    { problems: list.map((message) => ({ message: `series ${message}` })) },
  );
}

interface Slice {
  readonly name: string;
  readonly frames: Frames;
  readonly frame: number;
  readonly slope: number;
  readonly intercept: number;
}

/**
 * One series as a volume: slices placed by their positions and rescaled by each one's slope and intercept. The pixel type is that of the
 * stored values where no slice is rescaled, the smallest integer type that holds the range where slopes and intercepts are whole numbers, and
 * float64 otherwise, as GDCM and so SimpleITK choose it.
 * @throws ConcordatError IMAGE_TAG_MISSING, IMAGE_SLICES_*, IMAGE_PIXEL_TYPE, IMAGE_GEOMETRY_UNUSABLE, IMAGE_UNREADABLE
 */
export function readSeries(series: Series, decode: FrameDecoder): Volume {
  const slices: Slice[] = [];
  const planes = collect(series, (named) => {
    const { dataset } = named.file;
    if (dataset.text(TAG.imageType)?.includes('MOSAIC'))
      throw new ConcordatError(
        'IMAGE_DIMENSIONS',
        'the slices are tiles of one picture (a Siemens mosaic), which is not supported',
      );
    const layout = pixelLayout(dataset);
    if (layout.frames > 1 && dataset.items(TAG.frameGroups).length === 0)
      throw new ConcordatError(
        'IMAGE_TAG_MISSING',
        `${tagName(TAG.frameGroups)} is missing: the frames have no positions`,
      );
    const frames = new Frames(named.file, layout, decode);
    return Array.from({ length: layout.frames }, (_, frame) => {
      slices.push({ name: named.name, frames, frame, ...rescaleOf(dataset, frame) });
      return planeOf(dataset, frame);
    });
  }).flat();
  const { layout } = slices[0]!.frames;
  requireAlike(slices, layout);
  const { grid, order } = stackOrThrow(
    planes,
    { columns: layout.columns, rows: layout.rows, singleSliceMm: sliceDistanceOf(series.files[0]!.file.dataset) },
    (plane) => slices[plane]!.name,
  );
  const type = rescaledType(slices, layout);
  const area = layout.rows * layout.columns;
  const data = emptySamples(type, sampleCount(grid.size, type));
  order.forEach((index, z) => {
    const slice = slices[index]!;
    const stored = named(slice.name, () => slice.frames.stored(slice.frame));
    for (let i = 0; i < area; i++) data[z * area + i] = stored[i]! * slice.slope + slice.intercept;
  });
  return volumeOf(grid, data);
}

/** Reads every file, and reports all that cannot be read in one error. */
function collect<T>({ files }: Series, read: (file: NamedFile) => T): T[] {
  const results: T[] = [];
  const failures: { readonly error: ConcordatError; readonly name: string }[] = [];
  for (const file of files) {
    try {
      results.push(read(file));
    } catch (error) {
      if (!(error instanceof ConcordatError)) throw error;
      failures.push({ error, name: file.name });
    }
  }
  const first = failures[0];
  if (first === undefined) return results;
  throw new ConcordatError(
    first.error.code,
    files.length === 1 ? first.error.message : `${first.error.message} in ${failures.length} of ${files.length} files`,
    { problems: failures.map(({ error, name }) => ({ file: name, message: error.message })) },
  );
}

function named<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ConcordatError)) throw error;
    throw new ConcordatError(error.code, error.message, { problems: [{ file, message: error.message }] });
  }
}

function requireAlike(slices: readonly Slice[], layout: PixelLayout): void {
  const differing = slices.filter(
    ({ frames: { layout: other } }) =>
      other.rows !== layout.rows ||
      other.columns !== layout.columns ||
      other.signed !== layout.signed ||
      other.kind !== layout.kind,
  );
  if (differing.length > 0)
    throw new ConcordatError(
      'IMAGE_SLICES_DIFFER',
      `${differing.length} of ${slices.length} slices have another size or pixel type than the first (${layout.columns} × ${layout.rows})`,
      { problems: differing.map(({ name }) => ({ file: name, message: 'another size or pixel type' })) },
    );
}

const INTEGER_TYPES: readonly (readonly [PixelType, number, number])[] = [
  ['uint8', 0, 255],
  ['int8', -128, 127],
  ['uint16', 0, 65535],
  ['int16', -32768, 32767],
  ['uint32', 0, 4294967295],
  ['int32', -2147483648, 2147483647],
];

function rescaledType(slices: readonly Slice[], { bitsAllocated, bitsStored, signed, kind }: PixelLayout): PixelType {
  const isPlain = slices.every(({ slope, intercept }) => slope === 1 && intercept === 0);
  if (kind === 'float') return bitsAllocated === 32 && isPlain ? 'float32' : 'float64';
  if (isPlain) return `${signed ? 'int' : 'uint'}${bitsAllocated === 1 ? 8 : bitsAllocated}` as PixelType;
  if (!slices.every(({ slope, intercept }) => Number.isInteger(slope) && Number.isInteger(intercept))) return 'float64';
  const half = 2 ** (bitsStored - 1);
  const stored = signed ? [-half, half - 1] : [0, 2 * half - 1];
  const ends = slices.flatMap(({ slope, intercept }) => stored.map((value) => slope * value + intercept));
  const [lowest, highest] = [Math.min(...ends), Math.max(...ends)];
  return INTEGER_TYPES.find(([, low, high]) => low <= lowest && highest <= high)?.[0] ?? 'float64';
}

function emptySamples(type: PixelType, count: number): Samples {
  switch (type) {
    case 'int8':
      return new Int8Array(count);
    case 'uint8':
      return new Uint8Array(count);
    case 'int16':
      return new Int16Array(count);
    case 'uint16':
      return new Uint16Array(count);
    case 'int32':
      return new Int32Array(count);
    case 'uint32':
      return new Uint32Array(count);
    case 'float32':
      return new Float32Array(count);
    default:
      return new Float64Array(count);
  }
}
