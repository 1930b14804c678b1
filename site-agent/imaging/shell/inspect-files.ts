import { basename } from 'node:path';
import { ConcordatError, type Problem } from '../../../shared/errors.js';
import type { Dataset } from '../dicom/dataset.js';
import { parseDicom } from '../dicom/parse.js';
import { Frames, pixelLayout } from '../dicom/pixels.js';
import { readSegmentation, type Segmentation } from '../dicom/segmentation.js';
import { chosenSeries, kindOf, type NamedFile, readSeries, seriesAmong } from '../dicom/series.js';
import { rescaleOf } from '../dicom/slices.js';
import { readStructures, type Structure } from '../dicom/structures.js';
import { TAG } from '../dicom/tags.js';
import {
  type GridFacts,
  type Intensities,
  intensities,
  type RegionFacts,
  regionFacts,
  type SegmentFacts,
  type StructureFacts,
  segmentFacts,
  structureFacts,
  volumeFacts,
} from '../inspect.js';
import { onlyVolume, readNiftiImage } from '../nifti.js';
import type { Volume } from '../volume.js';
import type { frameDecoderFor } from './codecs.js';
import { asDicom, bytesAt, decoderFor, dicomFiles, isFolder, niftiParts, readImageFile } from './read-file.js';
import { readMask } from './read-mask.js';

/** Something that is wrong, or worth knowing before a study. An error keeps the image from being used. */
export interface Finding {
  readonly severity: 'error' | 'warning';
  /** The error's code; null for a warning. */
  readonly code: string | null;
  readonly what: 'image' | 'mask';
  readonly message: string;
  /** What to do about an error; null for a warning. */
  readonly hint: string | null;
  /** Files and places, for the site's eyes only. */
  readonly problems: readonly Problem[];
}

/** What DICOM files say of themselves, without anything of a patient. */
export interface DicomFacts {
  readonly files: number;
  readonly modality: string | null;
  readonly transferSyntax: string;
  readonly rows: number | null;
  readonly columns: number | null;
  readonly frames: string;
  readonly bitsStored: number | null;
  readonly bitsAllocated: number | null;
  readonly signed: boolean | null;
  readonly slope: number | null;
  readonly intercept: number | null;
}

export interface ImageFacts {
  readonly format: 'NIfTI-1' | 'NIfTI-2' | 'NRRD' | 'DICOM' | 'DICOM SEG' | 'RTSTRUCT';
  /** Sizes of all dimensions; null where the image has no pixels of its own. */
  readonly size: readonly number[] | null;
  /** Null where the image could not be placed. */
  readonly grid: GridFacts | null;
  /** As it lies in the file, before scaling. */
  readonly storedType: string | null;
  readonly pixelType: string | null;
  readonly intensities: Intensities | null;
  readonly dicom: DicomFacts | null;
  readonly segments: readonly SegmentFacts[] | null;
  readonly structures: readonly StructureFacts[] | null;
}

export interface Inspection {
  readonly image: ImageFacts | null;
  readonly mask: {
    readonly kind: 'labels' | 'segmentation' | 'structures';
    readonly labels: readonly number[];
    readonly regions: readonly RegionFacts[];
  } | null;
  readonly findings: readonly Finding[];
}

export interface InspectOptions {
  readonly series?: number;
  /** Only this label of the mask; by default all. */
  readonly label?: number;
}

const BARE = { dicom: null, segments: null, structures: null, storedType: null } as const;

/** Regions that are described one by one. */
const REGIONS_MAX = 200;

/** Reads an image, and a mask if there is one, and tells what they are and everything that is wrong with them. */
export async function inspectFiles(image: string, mask?: string, options: InspectOptions = {}): Promise<Inspection> {
  const findings: Finding[] = [];
  const seen = await inspectImage(image, options, findings);
  const regions = mask === undefined ? null : await inspectMask(mask, seen.volume, options, findings);
  return { image: seen.facts, mask: regions, findings };
}

class Findings {
  constructor(
    private readonly list: Finding[],
    private readonly what: Finding['what'],
  ) {}

  /** The result of an action, or null and a finding. */
  try<T>(action: () => T): T | null {
    try {
      return action();
    } catch (error) {
      this.error(error);
      return null;
    }
  }

  error(error: unknown): void {
    if (!(error instanceof ConcordatError)) throw error;
    const { code, message, hint, problems } = error;
    const same = (finding: Finding): boolean =>
      finding.code === code && finding.message === message && finding.what === this.what;
    if (!this.list.some(same)) this.list.push({ severity: 'error', code, what: this.what, message, hint, problems });
  }

  warn(message: string): void {
    this.list.push({ severity: 'warning', code: null, what: this.what, message, hint: null, problems: [] });
  }
}

interface Seen {
  readonly facts: ImageFacts | null;
  readonly volume: Volume | null;
}

async function inspectImage(path: string, options: InspectOptions, list: Finding[]): Promise<Seen> {
  const findings = new Findings(list, 'image');
  try {
    const seen = await look(path, options, findings);
    if (seen.volume !== null) warnOfImage(seen.volume, seen.facts!, findings);
    return seen;
  } catch (error) {
    findings.error(error);
    return { facts: null, volume: null };
  }
}

async function look(path: string, options: InspectOptions, findings: Findings): Promise<Seen> {
  if (isFolder(path)) return lookAtDicom(dicomFiles(path), options, findings);
  const bytes = bytesAt(path);
  const dicom = asDicom(bytes);
  if (dicom !== null) return lookAtDicom([{ name: basename(path), file: parseDicom(dicom) }], options, findings);
  if (Buffer.from(bytes.subarray(0, 4)).toString('latin1') === 'NRRD') {
    const volume = readImageFile(path);
    return { facts: { format: 'NRRD', size: volume.size, ...BARE, ...volumeFacts(volume) }, volume };
  }
  const { header, samples } = niftiParts(path, bytes);
  const image = readNiftiImage(header, samples);
  for (const note of image.notes) findings.warn(note);
  const volume = findings.try(() => onlyVolume(image));
  const facts = { ...volumeFacts({ ...image.grid, data: image.data }) };
  return {
    facts: {
      format: `NIfTI-${image.header.version}`,
      size: image.dim,
      ...BARE,
      ...facts,
      storedType: image.header.pixelType,
    },
    volume,
  };
}

async function lookAtDicom(files: readonly NamedFile[], options: InspectOptions, findings: Findings): Promise<Seen> {
  const only = files.length === 1 ? files[0]! : null;
  if (only !== null && kindOf(only.file) === 'segmentation') {
    const decode = await decoderFor(files);
    const segmentation = findings.try((): Segmentation => readSegmentation(only.file, decode));
    const segments = segmentation === null ? null : segmentFacts(segmentation);
    return { facts: withoutVolume('DICOM SEG', files, { segments }), volume: null };
  }
  if (only !== null && kindOf(only.file) === 'structures') {
    const structures = findings.try((): readonly Structure[] => readStructures(only.file));
    return {
      facts: withoutVolume('RTSTRUCT', files, { structures: structures === null ? null : structureFacts(structures) }),
      volume: null,
    };
  }
  if (only !== null && kindOf(only.file) === 'other')
    findings.error(new ConcordatError('IMAGE_FORMAT_UNKNOWN', 'the DICOM file holds no image'));
  const series = findings.try(() => chosenSeries(seriesAmong(files), options.series));
  const used = series?.files ?? files;
  const decode = await decoderFor(used);
  const volume = series === null ? null : findings.try(() => readSeries(series, decode));
  if (volume !== null) {
    const layout = pixelLayout(used[0]!.file.dataset);
    const storedType = `${layout.kind === 'float' ? 'float' : layout.signed ? 'int' : 'uint'}${layout.bitsAllocated}`;
    return {
      facts: { ...withoutVolume('DICOM', used, {}), size: volume.size, ...volumeFacts(volume), storedType },
      volume,
    };
  }
  // An image that cannot be placed still has pixels, which may help to tell what it is.
  const pixels = used.length === 1 ? findings.try(() => pixelsAlone(used[0]!, decode)) : null;
  return {
    facts: withoutVolume('DICOM', used, pixels === null ? {} : { intensities: intensities(pixels) }),
    volume: null,
  };
}

function pixelsAlone({ file }: NamedFile, decode: Awaited<ReturnType<typeof frameDecoderFor>>): Float64Array {
  const frames = new Frames(file, pixelLayout(file.dataset), decode);
  const area = frames.layout.rows * frames.layout.columns;
  const values = new Float64Array(area * frames.layout.frames);
  for (let frame = 0; frame < frames.layout.frames; frame++) {
    const { slope, intercept } = rescaleOf(file.dataset, frame);
    const stored = frames.stored(frame);
    for (let i = 0; i < area; i++) values[frame * area + i] = stored[i]! * slope + intercept;
  }
  return values;
}

function withoutVolume(
  format: ImageFacts['format'],
  files: readonly NamedFile[],
  more: Partial<ImageFacts>,
): ImageFacts {
  const { file } = files[0]!;
  return {
    format,
    size: null,
    grid: null,
    pixelType: null,
    intensities: null,
    ...BARE,
    dicom: dicomFacts(file.dataset, file.transferSyntax, files.length),
    ...more,
  };
}

/** Attributes as far as they can be read: a damaged one is null here and a finding elsewhere. */
function dicomFacts(dataset: Dataset, transferSyntax: string, files: number): DicomFacts {
  const lenient = <T>(read: () => T): T | null => {
    try {
      return read();
    } catch {
      return null;
    }
  };
  const whole = (tag: number): number | null => lenient(() => dataset.ushort(tag));
  const signed = whole(TAG.signed);
  return {
    files,
    modality: lenient(
      () =>
        dataset
          .text(TAG.modality)
          ?.replace(/[^A-Z]/g, '')
          .slice(0, 16) ?? null,
    ),
    transferSyntax: transferSyntax.replace(/[^0-9.]/g, ''),
    rows: whole(TAG.rows),
    columns: whole(TAG.columns),
    frames: lenient(() => dataset.text(TAG.frames)?.slice(0, 12) ?? null) ?? '1',
    bitsStored: whole(TAG.bitsStored),
    bitsAllocated: whole(TAG.bitsAllocated),
    signed: signed === null ? null : signed === 1,
    slope: lenient(() => dataset.decimal(TAG.slope)),
    intercept: lenient(() => dataset.decimal(TAG.intercept)),
  };
}

function warnOfImage(volume: Volume, facts: ImageFacts, findings: Findings): void {
  const { notFinite, min, max, voxels } = facts.intensities!;
  if (notFinite > 0) findings.warn(`${notFinite} of ${voxels} voxels hold no number (NaN or infinite).`);
  if (min !== null && min === max) findings.warn(`All voxels have the value ${min}: texture is not defined.`);
  if (volume.size[2] === 1) findings.warn('The image is a single slice: only 2D features are defined.');
}

async function inspectMask(
  path: string,
  image: Volume | null,
  options: InspectOptions,
  list: Finding[],
): Promise<Inspection['mask']> {
  const findings = new Findings(list, 'mask');
  try {
    const file = await readMask(path);
    const labels = file.labels.map(({ label }) => label);
    if (labels.length === 0)
      findings.error(new ConcordatError('IMAGE_MASK_EMPTY', 'the mask is empty: no voxel has a label'));
    const wanted =
      options.label === undefined
        ? file.labels
        : [file.labels.find(({ label }) => label === options.label) ?? { label: options.label, name: null }];
    if (wanted.length > REGIONS_MAX)
      findings.warn(`The mask has ${wanted.length} labels; the first ${REGIONS_MAX} are described.`);
    if (image === null) return { kind: file.kind, labels, regions: [] };
    const regions = wanted.slice(0, REGIONS_MAX).flatMap(({ label, name }) => {
      const region = findings.try(() => file.region(label, image));
      return region === null ? [] : [regionFacts(image, region, label, name)];
    });
    for (const region of regions) warnOfRegion(region, findings);
    return { kind: file.kind, labels, regions };
  } catch (error) {
    findings.error(error);
    return null;
  }
}

function warnOfRegion(
  { label, voxels, slices, intensities: { notFinite, min, max } }: RegionFacts,
  findings: Findings,
): void {
  const name = `Label ${label}`;
  if (notFinite > 0) findings.warn(`${name}: ${notFinite} of ${voxels} voxels hold no number in the image.`);
  if (voxels === 1) findings.warn(`${name} is one voxel: shape and texture are not defined.`);
  else if (slices === 1) findings.warn(`${name} lies in one slice: only 2D features are defined.`);
  else if (min !== null && min === max) findings.warn(`${name} has one intensity, ${min}: texture is not defined.`);
}
