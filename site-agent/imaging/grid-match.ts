import { ConcordatError } from '../../shared/errors.js';
import type { Grid } from './volume.js';

/** ITK's own: of the spacing along x for positions and spacings, absolute for the entries of the direction. */
export const GEOMETRY_TOLERANCE = 1e-6;

/**
 * Nothing where both grids are one within the tolerance.
 *
 * @throws ConcordatError IMAGE_GRID_MISMATCH that says what differs, along which axis and by how much.
 */
export function assertSameGrid(image: Grid, mask: Grid, tolerance = GEOMETRY_TOLERANCE): void {
  const differences = gridDifferences(image, mask, tolerance);
  if (differences.length > 0)
    throw new ConcordatError('IMAGE_GRID_MISMATCH', `image and mask are on different grids: ${differences.join('; ')}`);
}

/** What differs between two grids, in words; empty where they are one within the tolerance. */
export function gridDifferences(image: Grid, mask: Grid, tolerance = GEOMETRY_TOLERANCE): string[] {
  const found: string[] = [];
  const allowedMm = tolerance * image.spacingMm[0];
  for (const axis of [0, 1, 2] as const) {
    const name = 'xyz'[axis];
    if (image.size[axis] !== mask.size[axis])
      found.push(`size along ${name}: image ${image.size[axis]}, mask ${mask.size[axis]} voxels`);
    if (differs(image.spacingMm[axis], mask.spacingMm[axis], allowedMm))
      found.push(`spacing along ${name}: image ${image.spacingMm[axis]}, mask ${mask.spacingMm[axis]} mm`);
    if (differs(image.origin[axis], mask.origin[axis], allowedMm))
      found.push(`origin along ${name}: ${shown(mask.origin[axis] - image.origin[axis])} mm apart`);
    const angle = angleDegrees(axis, image, mask);
    if ([0, 3, 6].some((row) => differs(image.direction[row + axis]!, mask.direction[row + axis]!, tolerance)))
      found.push(`direction of ${name}: ${shown(angle)} degrees apart`);
  }
  return found;
}

function differs(a: number, b: number, allowed: number): boolean {
  return !(Math.abs(a - b) <= allowed);
}

function angleDegrees(axis: number, a: Grid, b: Grid): number {
  let cosine = 0;
  for (const row of [0, 3, 6]) cosine += a.direction[row + axis]! * b.direction[row + axis]!;
  return (Math.acos(Math.min(1, Math.max(-1, cosine))) * 180) / Math.PI;
}

function shown(value: number): string {
  return Number(value.toPrecision(4)).toString();
}
