import { ConcordatError } from '../../../shared/errors.js';
import type { Vec3 } from '../../imaging/volume.js';

/** A step between two voxels: along x, y, z, in voxels. */
export type Direction = Vec3;

export interface Plane {
  readonly force2D: boolean;
  /** 0 = z, 1 = y, 2 = x, as PyRadiomics counts. */
  readonly force2Ddimension: 0 | 1 | 2;
}

/** A co-occurrence matrix each: of fifty grey levels they take PyRadiomics two gigabytes. All distances to 28 have as many, or 90 alone. */
const DIRECTIONS_MAX = 100_000;

/** No direction is left out. */
export const ALL_AXES: Plane = { force2D: false, force2Ddimension: 0 };

/**
 * One of each pair of opposite directions whose Chebyshev length is among `distances`, in PyRadiomics' order (z, then y, then x,
 * from the largest step down). A step that is as long as the region's box, or longer, meets no voxel and is left out: a region of
 * one slice has four directions, not thirteen.
 * @param extent the region's box, in voxels along x, y, z
 * @throws ConcordatError IMAGE_SETTINGS_INVALID where the distances have more than 100,000 directions
 */
export function directions(extent: Vec3, distances: readonly number[], plane: Plane): Direction[] {
  const wanted = new Set(distances);
  const longest = Math.max(0, ...distances);
  const flat = plane.force2D ? 2 - plane.force2Ddimension : -1;
  const reach = [0, 1, 2].map((axis) => (axis === flat ? 0 : Math.min(longest, extent[axis]! - 1)));
  const within = (distance: number): number => reach.reduce((all, far) => all * (2 * Math.min(far, distance) + 1), 1);
  let count = 0;
  for (const distance of wanted) count += (within(distance) - within(distance - 1)) / 2;
  if (count > DIRECTIONS_MAX)
    throw new ConcordatError(
      'IMAGE_SETTINGS_INVALID',
      `distances up to ${longest} have ${count} directions in a region of this size, at most ${DIRECTIONS_MAX} are computed`,
    );
  const found: Direction[] = [];
  for (let z = reach[2]!; z >= 0; z--)
    for (let y = reach[1]!; y >= (z === 0 ? 0 : -reach[1]!); y--)
      for (let x = reach[0]!; x >= (z === 0 && y === 0 ? 1 : -reach[0]!); x--)
        if (wanted.has(Math.max(z, Math.abs(y), Math.abs(x)))) found.push([x, y, z]);
  return found;
}
