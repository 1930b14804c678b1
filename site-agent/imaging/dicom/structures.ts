import { ConcordatError } from '../../../shared/errors.js';
import { indexOf } from '../compare-grids.js';
import { fillEvenOdd } from '../polygon.js';
import { type Grid, type Mask, voxelCount } from '../volume.js';
import type { DicomFile } from './parse.js';
import { TAG, tagName } from './tags.js';

/** One region of an RTSTRUCT. */
export interface Structure {
  readonly number: number;
  /** What the writer called it; shown at the site only. */
  readonly name: string | null;
  readonly contours: readonly Contour[];
}

export interface Contour {
  readonly type: string;
  /** x, y, z of each point, LPS, in mm. */
  readonly points: Float64Array;
}

/** How far a contour may lie from the middle of a slice, in parts of the slice distance. */
const PLANE_TOLERANCE = 0.1;

/** @throws ConcordatError IMAGE_TAG_MISSING, IMAGE_UNREADABLE */
export function readStructures({ dataset }: DicomFile): readonly Structure[] {
  const contoursOf = new Map<number, readonly Contour[]>();
  for (const item of dataset.items(TAG.roiContours)) {
    const number = item.require(TAG.referencedRoi, item.decimal(TAG.referencedRoi));
    const contours = item.items(TAG.contours).map((contour): Contour => {
      const values = contour.require(TAG.contourData, contour.decimals(TAG.contourData));
      const stated = contour.decimal(TAG.contourPoints);
      if (values.length % 3 !== 0 || (stated !== null && values.length !== 3 * stated))
        throw new ConcordatError(
          'IMAGE_UNREADABLE',
          `${tagName(TAG.contourData)} has ${values.length} numbers, which are not the points it announces`,
        );
      return { type: contour.text(TAG.contourType) ?? 'CLOSED_PLANAR', points: Float64Array.from(values) };
    });
    contoursOf.set(number, [...(contoursOf.get(number) ?? []), ...contours]);
  }
  return dataset.items(TAG.structureSetRois).map((item) => {
    const number = item.require(TAG.roiNumber, item.decimal(TAG.roiNumber));
    return { number, name: item.text(TAG.roiName, dataset.isUtf8()), contours: contoursOf.get(number) ?? [] };
  });
}

/** Closed contours that enclose an area, by either of the two terms that the standard has for them (PS3.3 C.8.8.6.3). */
const isArea = ({ type, points }: Contour): boolean =>
  (type === 'CLOSED_PLANAR' || type === 'CLOSEDPLANAR_XOR') && points.length >= 9;

/** Area that a contour encloses, in mm². */
export function contourArea({ points }: Contour): number {
  let [x, y, z] = [0, 0, 0];
  for (let i = 0; i < points.length; i += 3) {
    const j = (i + 3) % points.length;
    x += points[i + 1]! * points[j + 2]! - points[i + 2]! * points[j + 1]!;
    y += points[i + 2]! * points[j]! - points[i]! * points[j + 2]!;
    z += points[i]! * points[j + 1]! - points[i + 1]! * points[j]!;
  }
  return Math.sqrt(x * x + y * y + z * z) / 2;
}

/**
 * A structure as a mask on the image's grid: a voxel is inside where its centre is, by the even-odd rule over all contours of its slice, so
 * that a contour within another is a hole.
 * @throws ConcordatError IMAGE_LABEL_UNKNOWN; IMAGE_MASK_EMPTY without closed contours; IMAGE_GRID_MISMATCH where contours lie between or beyond
 *   the image's slices
 */
export function structureMask(structures: readonly Structure[], number: number, grid: Grid): Mask {
  const structure = structures.find((candidate) => candidate.number === number);
  if (structure === undefined)
    throw new ConcordatError(
      'IMAGE_LABEL_UNKNOWN',
      `the structure set has no ROI ${number}; it has ${structures.map((candidate) => candidate.number).join(', ')}`,
    );
  const areas = structure.contours.filter(isArea);
  if (areas.length === 0) throw new ConcordatError('IMAGE_MASK_EMPTY', `ROI ${number} has no closed contour`);
  const [nx, ny, nz] = grid.size;
  const data = new Uint8Array(voxelCount(grid));
  for (const contour of areas) {
    const { slice, outline } = inSlice(contour, grid, number);
    if (slice < 0 || slice >= nz)
      throw new ConcordatError(
        'IMAGE_GRID_MISMATCH',
        `ROI ${number} has contours beyond the image along axis z (slice ${slice} of 0 to ${nz - 1})`,
      );
    fillEvenOdd(data.subarray(nx * ny * slice, nx * ny * (slice + 1)), nx, ny, outline);
  }
  return { size: grid.size, spacingMm: grid.spacingMm, origin: grid.origin, direction: grid.direction, data };
}

/** The slice in which a contour lies, and its points as columns and rows. */
function inSlice({ points }: Contour, grid: Grid, number: number): { slice: number; outline: Float64Array } {
  const count = points.length / 3;
  const outline = new Float64Array(2 * count);
  let [lowest, highest] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < count; i++) {
    const [x, y, z] = indexOf(grid, [points[3 * i]!, points[3 * i + 1]!, points[3 * i + 2]!]);
    outline[2 * i] = x;
    outline[2 * i + 1] = y;
    lowest = Math.min(lowest, z);
    highest = Math.max(highest, z);
  }
  const slice = Math.round((lowest + highest) / 2) + 0;
  const off = Math.max(highest - slice, slice - lowest);
  if (!(off <= PLANE_TOLERANCE))
    throw new ConcordatError(
      'IMAGE_GRID_MISMATCH',
      `ROI ${number} has a contour that does not lie in a slice of the image: it is ${Number((off * grid.spacingMm[2]).toPrecision(3))} mm off along axis z`,
    );
  return { slice, outline };
}
