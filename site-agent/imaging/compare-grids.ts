import { ConcordatError } from '../../shared/errors.js';
import { type Grid, physicalPoint, type Vec3 } from './volume.js';

/**
 * Two grids are the same where no voxel centre lies further apart than a hundredth of a voxel. That is far above the rounding of positions
 * in DICOM and NIfTI (a spacing of 2.9999999999998486 mm for 3, float32 offsets) and far below anything that moves a contour.
 */
export const GRID_TOLERANCE_VOXELS = 0.01;

export interface GridDifference {
  readonly what: 'size' | 'axes' | 'position';
  /** 0, 1, 2 for x, y, z of the image; null where all axes are concerned. */
  readonly axis: 0 | 1 | 2 | null;
  /** Voxels of the image by which it differs, at the worst corner. */
  readonly voxels: number;
  readonly message: string;
}

/** How a mask's grid differs from its image's, axis by axis; empty where the two are the same. */
export function compareGrids(image: Grid, mask: Grid): GridDifference[] {
  const sizes = AXES.flatMap((axis): GridDifference[] =>
    image.size[axis] === mask.size[axis]
      ? []
      : [
          {
            what: 'size',
            axis,
            voxels: Math.abs(image.size[axis] - mask.size[axis]),
            message: `along axis ${NAMES[axis]} the mask has ${mask.size[axis]} voxels and the image ${image.size[axis]}`,
          },
        ],
  );
  const origin = indexOf(image, mask.origin);
  const steps = AXES.map((axis) => {
    const end = indexOf(image, physicalPoint(mask, unitVector(axis)));
    return end.map((value, i) => value - origin[i]!);
  });
  const turned = turnedAxes(steps);
  if (turned !== null) return [...sizes, turned];
  const shifts = AXES.map((axis) => {
    // Displacement along this axis of the image is linear in the index, so that it is largest at a corner.
    let low = origin[axis];
    let high = origin[axis];
    for (const other of AXES) {
      const stretch = (steps[other]![axis]! - (other === axis ? 1 : 0)) * (mask.size[other] - 1);
      if (stretch < 0) low += stretch;
      else high += stretch;
    }
    return Math.abs(low) > Math.abs(high) ? low : high;
  });
  return [
    ...sizes,
    ...AXES.flatMap((axis): GridDifference[] => {
      const voxels = Math.abs(shifts[axis]!);
      if (!(voxels > GRID_TOLERANCE_VOXELS)) return [];
      return [
        { what: 'position', axis, voxels, message: shiftMessage(image, mask, axis, shifts[axis]!, origin[axis]) },
      ];
    }),
  ];
}

/** @throws ConcordatError IMAGE_GRID_MISMATCH that names each axis and by how much */
export function requireSameGrid(image: Grid, mask: Grid): void {
  const differences = compareGrids(image, mask);
  if (differences.length > 0)
    throw new ConcordatError(
      'IMAGE_GRID_MISMATCH',
      `the mask lies in another grid than the image: ${differences.map(({ message }) => message).join('; ')}`,
      { problems: differences.map(({ message }) => ({ message })) },
    );
}

const AXES = [0, 1, 2] as const;
const NAMES = ['x', 'y', 'z'] as const;

/** A position in mm as a (fractional) voxel index. */
export function indexOf(grid: Grid, point: Vec3): [number, number, number] {
  const offset = AXES.map((row) => point[row] - grid.origin[row]);
  // The direction matrix is orthonormal, so that its transpose is its inverse.
  const along = (axis: 0 | 1 | 2): number =>
    (grid.direction[axis]! * offset[0]! +
      grid.direction[3 + axis]! * offset[1]! +
      grid.direction[6 + axis]! * offset[2]!) /
    grid.spacingMm[axis];
  return [along(0), along(1), along(2)];
}

const unitVector = (axis: number): Vec3 => [axis === 0 ? 1 : 0, axis === 1 ? 1 : 0, axis === 2 ? 1 : 0];

/** Axes that run the other way or are exchanged: the same space in another order of voxels. */
function turnedAxes(steps: readonly (readonly number[])[]): GridDifference | null {
  const main = steps.map((step) => {
    const sizes = step.map(Math.abs);
    return sizes.indexOf(Math.max(...sizes));
  });
  if (AXES.every((axis) => main[axis] === axis && steps[axis]![axis]! > 0)) return null;
  const parts = AXES.flatMap((axis) => {
    const along = main[axis]!;
    const sign = steps[axis]![along]! < 0 ? 'against ' : '';
    return along === axis && sign === ''
      ? []
      : [`the mask’s axis ${NAMES[axis]} runs ${sign}${sign === '' ? 'along ' : ''}the image’s ${NAMES[along]}`];
  });
  return { what: 'axes', axis: null, voxels: Number.POSITIVE_INFINITY, message: parts.join(', ') };
}

function shiftMessage(image: Grid, mask: Grid, axis: 0 | 1 | 2, worst: number, atOrigin: number): string {
  const name = NAMES[axis];
  const spacing = image.spacingMm[axis];
  const own = mask.spacingMm[axis];
  if (Math.abs(own / spacing - 1) * Math.max(1, mask.size[axis] - 1) > GRID_TOLERANCE_VOXELS)
    return `along axis ${name} the mask’s spacing is ${shown(own)} mm and the image’s ${shown(spacing)} mm`;
  const moved = Math.abs(worst - atOrigin) > GRID_TOLERANCE_VOXELS ? 'turned by up to' : 'shifted by';
  return `along axis ${name} the mask is ${moved} ${shown(worst * spacing)} mm (${shown(worst)} voxels)`;
}

const shown = (value: number): string => String(Number(value.toPrecision(4)));
