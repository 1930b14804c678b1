import { ConcordatError } from '../../../shared/errors.js';
import type { Vec3 } from '../volume.js';
import type { Dataset } from './dataset.js';
import { TAG, tagName } from './tags.js';

/** Where one frame lies, as its attributes say. */
export interface Plane {
  /** Centre of the first pixel, LPS, in mm. */
  readonly position: Vec3;
  /** Direction of a row (along increasing columns) and of a column (along increasing rows). */
  readonly alongRow: Vec3;
  readonly alongColumn: Vec3;
  /** Distance of columns, and of rows, in mm. */
  readonly columnSpacingMm: number;
  readonly rowSpacingMm: number;
}

/** A kilometre: what lies beyond is a damaged number, and would overflow where it is squared. */
const FARTHEST_MM = 1e6;

/**
 * The plane of one frame: its own functional groups, then the shared ones, then the data set itself (a file of one frame).
 * @throws ConcordatError IMAGE_TAG_MISSING, IMAGE_UNREADABLE, IMAGE_GEOMETRY_UNUSABLE
 */
export function planeOf(dataset: Dataset, frame: number): Plane {
  const position = fromGroups(dataset, frame, TAG.planePosition, TAG.position, 3);
  const orientation = fromGroups(dataset, frame, TAG.planeOrientation, TAG.orientation, 6);
  const spacing = fromGroups(dataset, frame, TAG.pixelMeasures, TAG.pixelSpacing, 2);
  const alongRow = unit(orientation.slice(0, 3));
  const alongColumn = unit(orientation.slice(3, 6));
  if (alongRow === null || alongColumn === null || !(Math.abs(dot(alongRow, alongColumn)) <= 1e-4))
    throw new ConcordatError(
      'IMAGE_GEOMETRY_UNUSABLE',
      `${tagName(TAG.orientation)} is not two directions at right angles`,
    );
  if (!spacing.every((value) => value > 0))
    throw new ConcordatError('IMAGE_GEOMETRY_UNUSABLE', `${tagName(TAG.pixelSpacing)} is not above 0`);
  if (!position.every((value) => Math.abs(value) <= FARTHEST_MM) || !spacing.every((value) => value <= FARTHEST_MM))
    throw new ConcordatError(
      'IMAGE_GEOMETRY_UNUSABLE',
      `${tagName(TAG.position)} or ${tagName(TAG.pixelSpacing)} is farther than any scanner reaches`,
    );
  return {
    position: position as unknown as Vec3,
    alongRow,
    alongColumn,
    rowSpacingMm: spacing[0]!,
    columnSpacingMm: spacing[1]!,
  };
}

function fromGroups(dataset: Dataset, frame: number, group: number, tag: number, count: number): number[] {
  const value = inGroups(dataset, frame, group, (item) => item.decimals(tag, count)) ?? dataset.decimals(tag, count);
  return dataset.require(tag, value);
}

/** A value of one frame's functional groups, or of the groups that all frames share. */
export function inGroups<T>(
  dataset: Dataset,
  frame: number,
  group: number,
  read: (item: Dataset) => T | null,
): T | null {
  for (const groups of [dataset.items(TAG.frameGroups)[frame], dataset.items(TAG.sharedGroups)[0]]) {
    const item = groups?.items(group)[0];
    const value = item === undefined ? null : read(item);
    if (value !== null) return value;
  }
  return null;
}

/** The distance of slices where it is stated, else their thickness, in mm; null where there is neither. */
export function sliceDistanceOf(dataset: Dataset): number | null {
  const read = (item: Dataset) => item.decimal(TAG.spacingBetweenSlices) ?? item.decimal(TAG.sliceThickness);
  const value = inGroups(dataset, 0, TAG.pixelMeasures, read) ?? read(dataset);
  return value !== null && value > 0 && value <= FARTHEST_MM ? value : null;
}

/** Slope and intercept of one frame; 1 and 0 where there are none. */
export function rescaleOf(dataset: Dataset, frame: number): { readonly slope: number; readonly intercept: number } {
  const read = (item: Dataset) => {
    const slope = item.decimal(TAG.slope);
    const intercept = item.decimal(TAG.intercept);
    if (slope === null && intercept === null) return null;
    if (slope === 0) throw new ConcordatError('IMAGE_UNREADABLE', `${tagName(TAG.slope)} is 0`);
    return { slope: slope ?? 1, intercept: intercept ?? 0 };
  };
  const found = inGroups(dataset, frame, TAG.valueTransformation, read) ?? read(dataset);
  if (found === null && dataset.items(TAG.modalityLut).length > 0)
    throw new ConcordatError(
      'IMAGE_PIXEL_TYPE',
      'the pixels go through a look-up table of the modality, which is not supported',
    );
  return found ?? { slope: 1, intercept: 0 };
}

export const dot = (a: Vec3, b: Vec3): number => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];

export const minus = (a: Vec3, b: Vec3): Vec3 => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];

export const cross = (a: Vec3, b: Vec3): Vec3 => [
  a[1] * b[2] - a[2] * b[1],
  a[2] * b[0] - a[0] * b[2],
  a[0] * b[1] - a[1] * b[0],
];

function unit(vector: readonly number[]): Vec3 | null {
  const length = Math.sqrt(vector.reduce((sum, part) => sum + part * part, 0));
  return length > 0.5 && Number.isFinite(length)
    ? [vector[0]! / length, vector[1]! / length, vector[2]! / length]
    : null;
}
