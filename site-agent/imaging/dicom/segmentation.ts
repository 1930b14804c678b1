import { ConcordatError } from '../../../shared/errors.js';
import { indexOf } from '../compare-grids.js';
import { type Grid, type Mask, type Vec3, voxelCount } from '../volume.js';
import type { Dataset } from './dataset.js';
import type { DicomFile } from './parse.js';
import { type FrameDecoder, Frames, pixelLayout } from './pixels.js';
import { inGroups, type Plane, planeOf, sliceDistanceOf } from './slices.js';
import { TAG, tagName } from './tags.js';

export interface Segment {
  readonly number: number;
  /** What the writer called it; shown at the site only. */
  readonly name: string | null;
  /** Frames that belong to it. */
  readonly frames: number;
}

/** A DICOM SEG: frames on planes, each of one segment (or, in a label map, of several). */
export interface Segmentation {
  readonly type: 'BINARY' | 'FRACTIONAL' | 'LABELMAP';
  readonly segments: readonly Segment[];
  /** The value that means 1 in a fractional segmentation. */
  readonly maximum: number;
  /** Distance of slices, or their thickness, as the file states it; null where it does not. */
  readonly sliceMm: number | null;
  readonly frames: readonly SegmentFrame[];
}

export interface SegmentFrame {
  /** Null in a label map. */
  readonly segment: number | null;
  readonly plane: Plane;
  readonly rows: number;
  readonly columns: number;
  /** Row by row: zeros and ones, fractions of `maximum`, or labels. */
  values(): ArrayLike<number>;
}

/** A voxel is inside where its fraction reaches this, unless told otherwise. */
export const FRACTION_INSIDE = 0.5;

/** A frame's pixels must meet voxel centres to this part of a voxel. */
const PLACEMENT_TOLERANCE = 0.05;

/** @throws ConcordatError IMAGE_TAG_MISSING, IMAGE_UNREADABLE, IMAGE_PIXEL_TYPE, IMAGE_GEOMETRY_UNUSABLE */
export function readSegmentation(file: DicomFile, decode: FrameDecoder): Segmentation {
  const { dataset } = file;
  const type = dataset.require(TAG.segmentationType, dataset.text(TAG.segmentationType));
  if (type !== 'BINARY' && type !== 'FRACTIONAL' && type !== 'LABELMAP')
    throw new ConcordatError(
      'IMAGE_UNREADABLE',
      `${tagName(TAG.segmentationType)} is neither BINARY, FRACTIONAL nor LABELMAP`,
    );
  const layout = pixelLayout(withoutColour(dataset));
  if ((type === 'BINARY') !== (layout.bitsAllocated === 1) && type === 'BINARY' && layout.bitsAllocated !== 8)
    throw new ConcordatError('IMAGE_PIXEL_TYPE', `a binary segmentation has ${layout.bitsAllocated} bits a pixel`);
  const described = dataset.items(TAG.frameGroups).length;
  if (described !== layout.frames)
    throw new ConcordatError(
      'IMAGE_UNREADABLE',
      `${tagName(TAG.frames)} says ${layout.frames} and ${tagName(TAG.frameGroups)} describes ${described}`,
    );
  const pixels = new Frames(file, layout, decode);
  const frames = Array.from(
    { length: layout.frames },
    (_, frame): SegmentFrame => ({
      segment: type === 'LABELMAP' ? null : segmentOf(dataset, frame),
      plane: planeOf(dataset, frame),
      rows: layout.rows,
      columns: layout.columns,
      values: () => pixels.stored(frame),
    }),
  );
  const segments = dataset.items(TAG.segments).map((item): Segment => {
    const number = item.require(TAG.segmentNumber, item.ushort(TAG.segmentNumber));
    return {
      number,
      name: item.text(TAG.segmentLabel, dataset.isUtf8()),
      frames: type === 'LABELMAP' ? frames.length : frames.filter(({ segment }) => segment === number).length,
    };
  });
  if (segments.length === 0) throw new ConcordatError('IMAGE_TAG_MISSING', `${tagName(TAG.segments)} is missing`);
  const unknown = frames.find(({ segment }) => segment !== null && !segments.some(({ number }) => number === segment));
  if (unknown !== undefined)
    throw new ConcordatError(
      'IMAGE_UNREADABLE',
      `a frame belongs to segment ${unknown.segment}, which is not described`,
    );
  const maximum = type === 'FRACTIONAL' ? (dataset.ushort(TAG.maximumFraction) ?? 255) : 1;
  if (maximum === 0) throw new ConcordatError('IMAGE_UNREADABLE', `${tagName(TAG.maximumFraction)} is 0`);
  return { type, segments, maximum, sliceMm: sliceDistanceOf(dataset), frames };
}

/** Label maps may carry a palette to show them in; their pixels are numbers all the same. */
function withoutColour(dataset: Dataset): Dataset {
  if (dataset.text(TAG.photometric) !== 'PALETTE COLOR') return dataset;
  return dataset.without(TAG.photometric);
}

function segmentOf(dataset: Dataset, frame: number): number {
  const number = inGroups(dataset, frame, TAG.segmentIdentification, (item) => item.ushort(TAG.referencedSegment));
  return dataset.require(TAG.referencedSegment, number);
}

/** Voxels of a segment, over all its frames: the number above 0, and the sum of stored values. */
export function segmentCount(
  segmentation: Segmentation,
  number: number,
): { readonly voxels: number; readonly sum: number } {
  let voxels = 0;
  let sum = 0;
  for (const frame of framesOf(segmentation, number)) {
    const values = frame.values();
    for (let i = 0; i < values.length; i++) {
      const value = segmentation.type === 'LABELMAP' ? Number(values[i] === number) : values[i]!;
      if (value > 0) voxels++;
      sum += value;
    }
  }
  return { voxels, sum };
}

/**
 * A segment as a mask on the image's grid: each frame is put where its position says, whatever their order. Frames that were left out are
 * empty; a fraction counts as inside from `threshold`.
 * @throws ConcordatError IMAGE_LABEL_UNKNOWN; IMAGE_GRID_MISMATCH where frames do not meet the image's voxels or reach beyond it
 */
export function segmentMask(
  segmentation: Segmentation,
  number: number,
  grid: Grid,
  threshold: number = FRACTION_INSIDE,
): Mask {
  if (!segmentation.segments.some((segment) => segment.number === number))
    throw new ConcordatError(
      'IMAGE_LABEL_UNKNOWN',
      `the segmentation has no segment ${number}; it has ${segmentation.segments.map((segment) => segment.number).join(', ')}`,
    );
  const data = new Uint8Array(voxelCount(grid));
  const lowest = segmentation.type === 'FRACTIONAL' ? threshold * segmentation.maximum : 1;
  for (const frame of framesOf(segmentation, number)) {
    const values = frame.values();
    const { start, alongRow, alongColumn } = placement(frame.plane, grid);
    for (let row = 0, i = 0; row < frame.rows; row++)
      for (let column = 0; column < frame.columns; column++, i++) {
        if (segmentation.type === 'LABELMAP' ? values[i] !== number : values[i]! < lowest) continue;
        const voxel = [0, 1, 2].map(
          (axis) => start[axis]! + column * alongRow[axis]! + row * alongColumn[axis]!,
        ) as unknown as Vec3;
        if (voxel.some((at, axis) => at < 0 || at >= grid.size[axis]!))
          throw new ConcordatError('IMAGE_GRID_MISMATCH', `segment ${number} reaches beyond the image`);
        data[voxel[0] + grid.size[0] * (voxel[1] + grid.size[1] * voxel[2])] = 1;
      }
  }
  return { size: grid.size, spacingMm: grid.spacingMm, origin: grid.origin, direction: grid.direction, data };
}

const framesOf = ({ frames }: Segmentation, number: number): readonly SegmentFrame[] =>
  frames.filter(({ segment }) => segment === null || segment === number);

/** The voxel under a frame's first pixel, and the steps of voxels along its rows and columns. */
function placement(plane: Plane, grid: Grid): { start: Vec3; alongRow: Vec3; alongColumn: Vec3 } {
  const step = (direction: Vec3, spacingMm: number): Vec3 => {
    const end = indexOf(
      grid,
      [0, 1, 2].map((row) => grid.origin[row]! + direction[row]! * spacingMm) as unknown as Vec3,
    );
    return whole(end, 'its pixels are not of the image’s size or direction');
  };
  return {
    start: whole(indexOf(grid, plane.position), 'its frames lie between the image’s voxels'),
    alongRow: step(plane.alongRow, plane.columnSpacingMm),
    alongColumn: step(plane.alongColumn, plane.rowSpacingMm),
  };
}

function whole(index: readonly number[], otherwise: string): Vec3 {
  const rounded = index.map((value) => Math.round(value) + 0);
  const worst = Math.max(...index.map((value, axis) => Math.abs(value - rounded[axis]!)));
  if (!(worst <= PLACEMENT_TOLERANCE))
    throw new ConcordatError(
      'IMAGE_GRID_MISMATCH',
      `the segmentation lies in another grid than the image: ${otherwise} (by ${Number(worst.toPrecision(3))} voxels along ${
        'xyz'[index.findIndex((value, axis) => Math.abs(value - rounded[axis]!) === worst)]
      })`,
    );
  return rounded as unknown as Vec3;
}
