import type { Box, Roi } from '../../imaging/roi.js';
import type { Vec3 } from '../../imaging/volume.js';
import { CUBE_TRIANGLES } from './mesh-table.js';

/** A region on its box with one layer of zeros around it. */
export interface PaddedRegion {
  /** Voxels along x, y, z with the layer. */
  readonly size: Vec3;
  /** 1 inside; x fastest. */
  readonly cells: Uint8Array;
}

/** @param box what the layer is put around; by default the region's own box */
export function paddedRegion(roi: Roi, box: Box | null = roi.box): PaddedRegion {
  if (box === null) return { size: [2, 2, 2], cells: new Uint8Array(8) };
  const { lower, upper } = box;
  const size: Vec3 = [upper[0] - lower[0] + 3, upper[1] - lower[1] + 3, upper[2] - lower[2] + 3];
  const cells = new Uint8Array(size[0] * size[1] * size[2]);
  const [nx, ny] = roi.grid.size;
  for (let k = 0; k < roi.indices.length; k++) {
    const index = roi.indices[k]!;
    const row = Math.floor(index / nx);
    const slice = Math.floor(row / ny);
    const x = index - row * nx - lower[0] + 1;
    const y = row - slice * ny - lower[1] + 1;
    cells[x + size[0] * (y + size[1] * (slice - lower[2] + 1))] = 1;
  }
  return { size, cells };
}

export interface MeshMeasures {
  readonly areaMm2: number;
  readonly volumeMm3: number;
}

/**
 * Area of the surface and the volume inside it, with the surface of the marching-cubes table. Where the surface is not closed (faces
 * whose two diagonals are in and out can leave slits) the volume depends on where the origin lies: it is the corner of the padded box,
 * as in PyRadiomics.
 */
export function meshMeasures(region: PaddedRegion, spacingMm: Vec3): MeshMeasures {
  const cubes = new Float64Array(256);
  // Sum of x, y, z over the cubes of each case: the volume is linear in a cube's place, so no cube needs floating point of its own.
  const places = new Float64Array(3 * 256);
  countCubes(region, cubes, places);
  let area = 0;
  let sixVolumes = 0;
  for (let k = 1; k < 255; k++) {
    if (cubes[k] === 0) continue;
    const inverted = k >= 128;
    const one = caseMeasures(inverted ? 255 - k : k, spacingMm);
    area += cubes[k]! * one.area;
    const [gx, gy, gz] = one.gradient;
    const signed =
      cubes[k]! * one.sixVolumes +
      places[3 * k]! * spacingMm[0] * gx +
      places[3 * k + 1]! * spacingMm[1] * gy +
      places[3 * k + 2]! * spacingMm[2] * gz;
    sixVolumes += inverted ? -signed : signed;
  }
  return { areaMm2: area, volumeMm3: sixVolumes / 6 };
}

function countCubes({ size, cells }: PaddedRegion, cubes: Float64Array, places: Float64Array): void {
  const [nx, ny, nz] = size;
  for (let z = 0; z < nz - 1; z++)
    for (let y = 0; y < ny - 1; y++) {
      const row = nx * (y + ny * z);
      const up = row + nx * ny;
      // The four voxels of the cube's left side, as bits 0, 2, 4, 6; a step to the right shifts the last right side into their place.
      let left = 0;
      for (let x = 0; x < nx - 1; x++) {
        const at = row + x + 1;
        const right = cells[at]! | (cells[at + nx]! << 2) | (cells[up + x + 1]! << 4) | (cells[up + x + 1 + nx]! << 6);
        const cube = left | (right << 1);
        left = right;
        if (cube === 0 || cube === 255) continue;
        cubes[cube]!++;
        places[3 * cube]! += x;
        places[3 * cube + 1]! += y;
        places[3 * cube + 2]! += z;
      }
    }
}

/** Area of a case's triangles, six times their signed volume at the origin, and its change per mm that the cube is moved. */
function caseMeasures(k: number, spacingMm: Vec3): { area: number; sixVolumes: number; gradient: Vec3 } {
  let area = 0;
  let sixVolumes = 0;
  let gx = 0;
  let gy = 0;
  let gz = 0;
  for (const triangle of CUBE_TRIANGLES[k]!) {
    const [a, b, c] = triangle.map(
      (point): Vec3 => [point[0] * spacingMm[0], point[1] * spacingMm[1], point[2] * spacingMm[2]],
    ) as [Vec3, Vec3, Vec3];
    sixVolumes += dot(cross(a, b), c);
    const normal = cross(minus(b, a), minus(c, a));
    gx += normal[0];
    gy += normal[1];
    gz += normal[2];
    area += 0.5 * Math.sqrt(dot(normal, normal));
  }
  return { area, sixVolumes, gradient: [gx, gy, gz] };
}

const minus = (a: Vec3, b: Vec3): Vec3 => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
const dot = (a: Vec3, b: Vec3): number => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const cross = (a: Vec3, b: Vec3): Vec3 => [
  a[1] * b[2] - a[2] * b[1],
  a[2] * b[0] - a[0] * b[2],
  a[0] * b[1] - a[1] * b[0],
];
