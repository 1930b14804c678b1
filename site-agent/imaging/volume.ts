import { ConcordatError } from '../../shared/errors.js';

/**
 * Images on a regular grid. Coordinates are LPS in mm as in DICOM and ITK (a NIfTI's RAS affine is converted when it is read). Voxels
 * lie with x fastest: the voxel (x, y, z) is `data[x + size[0] * (y + size[1] * z)]`.
 */
export type Vec3 = readonly [number, number, number];

/** The array's class is the pixel type; a filter that ITK runs in float32 gives a Float32Array here. 64-bit integers are read as float64. */
export type Samples =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array;

export interface Grid {
  /** Voxels along x, y, z. */
  readonly size: Vec3;
  /** Distance between voxel centres along x, y, z, in mm. */
  readonly spacingMm: Vec3;
  /** Position of the centre of voxel (0, 0, 0), LPS, in mm. */
  readonly origin: Vec3;
  /** 3 × 3, row-major; column k is the unit vector of axis k, as ITK's GetDirection(). */
  readonly direction: readonly number[];
}

export interface Volume<T extends Samples = Samples> extends Grid {
  readonly data: T;
}

/** Zero outside the region, one inside. */
export type Mask = Volume<Uint8Array>;

export const voxelCount = (grid: Grid): number => grid.size[0] * grid.size[1] * grid.size[2];

/** @throws ConcordatError IMAGE_UNREADABLE where the samples are not as many as the grid has voxels. */
export function volumeOf<T extends Samples>(grid: Grid, data: T): Volume<T> {
  if (data.length !== voxelCount(grid))
    throw new ConcordatError(
      'IMAGE_UNREADABLE',
      `the image has ${data.length} samples where its size ${grid.size.join(' × ')} needs ${voxelCount(grid)}`,
    );
  return { ...gridOf(grid), data };
}

/** The grid alone, without the samples. */
export const gridOf = ({ size, spacingMm, origin, direction }: Grid): Grid => ({ size, spacingMm, origin, direction });

/** Position in mm (LPS) of a voxel index, which may be fractional. */
export function physicalPoint(grid: Grid, index: Vec3): Vec3 {
  const step = [0, 1, 2].map((axis) => index[axis]! * grid.spacingMm[axis]!);
  const along = (row: number): number =>
    grid.origin[row]! +
    grid.direction[3 * row]! * step[0]! +
    grid.direction[3 * row + 1]! * step[1]! +
    grid.direction[3 * row + 2]! * step[2]!;
  return [along(0), along(1), along(2)];
}

/** Whether the three axes are at right angles and of length 1, to the 1e-4 that ITK asks of a NIfTI. */
export function isOrthonormal(direction: readonly number[]): boolean {
  for (let row = 0; row < 3; row++)
    for (let other = row; other < 3; other++) {
      let product = 0;
      for (let axis = 0; axis < 3; axis++) product += direction[3 * row + axis]! * direction[3 * other + axis]!;
      if (!(Math.abs(product - (row === other ? 1 : 0)) <= 1e-4)) return false;
    }
  return true;
}

/** The voxel index, fractional, of a position in mm (LPS): the inverse of `physicalPoint`. */
export function continuousIndex(grid: Grid, point: Vec3): Vec3 {
  const m = grid.direction.map((entry, k) => entry * grid.spacingMm[k % 3]!);
  const at = (row: number, column: number): number => m[3 * (row % 3) + (column % 3)]!;
  const cofactor = (row: number, column: number): number =>
    at(row + 1, column + 1) * at(row + 2, column + 2) - at(row + 1, column + 2) * at(row + 2, column + 1);
  const determinant = at(0, 0) * cofactor(0, 0) + at(0, 1) * cofactor(0, 1) + at(0, 2) * cofactor(0, 2);
  const from = [0, 1, 2].map((axis) => point[axis]! - grid.origin[axis]!);
  const along = (axis: number): number =>
    (cofactor(0, axis) * from[0]! + cofactor(1, axis) * from[1]! + cofactor(2, axis) * from[2]!) / determinant;
  return [along(0), along(1), along(2)];
}
