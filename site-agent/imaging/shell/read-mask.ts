import { ConcordatError } from '../../../shared/errors.js';
import { requireSameGrid } from '../compare-grids.js';
import { type DicomFile, parseDicom } from '../dicom/parse.js';
import { readSegmentation, segmentMask } from '../dicom/segmentation.js';
import { segmentOnOwnGrid } from '../dicom/segmentation-grid.js';
import { kindOf } from '../dicom/series.js';
import { readStructures, structureMask } from '../dicom/structures.js';
import { emptyMask, labelsOf } from '../labels.js';
import { type Grid, gridOf, type Mask, type Volume } from '../volume.js';
import { frameDecoderFor } from './codecs.js';
import { asDicom, bytesAt, dicomFiles, isFolder, readImage, readImageFile } from './read-file.js';

export interface MaskLabel {
  readonly label: number;
  /** What a segment or ROI is called in its file; for the site's eyes only. */
  readonly name: string | null;
}

/** A file with regions: a label map, a DICOM SEG or an RTSTRUCT. */
export interface MaskFile {
  readonly kind: 'labels' | 'segmentation' | 'structures';
  /** Labels with at least one voxel, segments, or ROIs, in their order. */
  readonly labels: readonly MaskLabel[];
  /** The grid of a label map; null where regions are drawn on the image's grid. */
  readonly grid: Grid | null;
  /** The label map as it lies, which may be on another grid than the image; null for a SEG or RTSTRUCT. */
  readonly volume: Volume | null;
  /**
   * One region as zeros and ones on the image's grid.
   * @throws ConcordatError IMAGE_GRID_MISMATCH, IMAGE_LABEL_UNKNOWN, IMAGE_MASK_EMPTY
   */
  region(label: number, image: Grid): Mask;
  /**
   * One region on the file's own grid, wherever the image lies; null for an RTSTRUCT, whose outlines have none.
   * @throws ConcordatError IMAGE_LABEL_UNKNOWN, IMAGE_MASK_EMPTY, IMAGE_SLICES_*
   */
  own(label: number): Mask | null;
}

/**
 * Opens a mask: NIfTI or NRRD labels, a DICOM SEG, an RTSTRUCT, or a folder that holds one of the two.
 * @throws ConcordatError IMAGE_*, without paths, names or text of the file in its message
 */
export async function readMask(path: string): Promise<MaskFile> {
  const dicom = isFolder(path) ? onlyRegions(path) : fileRegions(path);
  if (dicom === null) return labelFile(isFolder(path) ? await readImage(path) : readImageFile(path));
  const kind = kindOf(dicom);
  if (kind === 'structures') {
    const structures = readStructures(dicom);
    return {
      kind,
      labels: structures.map(({ number, name }) => ({ label: number, name })),
      grid: null,
      volume: null,
      region: (label, image) => nonEmpty(structureMask(structures, label, image), label),
      own: () => null,
    };
  }
  if (kind !== 'segmentation') return labelFile(await readImage(path));
  const segmentation = readSegmentation(dicom, await frameDecoderFor(new Set([dicom.transferSyntax])));
  return {
    kind,
    labels: segmentation.segments.map(({ number, name }) => ({ label: number, name })),
    grid: null,
    volume: null,
    region: (label, image) => nonEmpty(segmentMask(segmentation, label, image), label),
    own: (label) => nonEmpty(segmentOnOwnGrid(segmentation, label), label),
  };
}

/** A label map as a mask file. */
export function labelFile(volume: Volume): MaskFile {
  const labels = [...labelsOf(volume).keys()];
  const own = (label: number): Mask => {
    if (!labels.includes(label)) throw emptyMask(label, labels);
    const { data } = volume;
    const inside = new Uint8Array(data.length);
    for (let i = 0; i < data.length; i++) inside[i] = data[i] === label ? 1 : 0;
    return { ...gridOf(volume), data: inside };
  };
  return {
    kind: 'labels',
    labels: labels.map((label) => ({ label, name: null })),
    grid: gridOf(volume),
    volume,
    own,
    region(label, image) {
      requireSameGrid(image, volume);
      return { ...gridOf(image), data: own(label).data };
    },
  };
}

function nonEmpty(mask: Mask, label: number): Mask {
  if (!mask.data.includes(1)) throw new ConcordatError('IMAGE_MASK_EMPTY', `label ${label} has no voxel on the image`);
  return mask;
}

function fileRegions(path: string): DicomFile | null {
  const bytes = asDicom(bytesAt(path));
  return bytes === null ? null : parseDicom(bytes);
}

/** The one SEG or RTSTRUCT of a folder; null where it holds neither. */
function onlyRegions(folder: string): DicomFile | null {
  const regions = dicomFiles(folder).filter(({ file }) => ['segmentation', 'structures'].includes(kindOf(file)));
  if (regions.length > 1)
    throw new ConcordatError('IMAGE_SERIES_AMBIGUOUS', `the folder holds ${regions.length} files with regions`, {
      hint: 'Name the file with the mask.',
      problems: regions.map(({ name }) => ({ file: name, message: 'holds regions' })),
    });
  return regions[0]?.file ?? null;
}
