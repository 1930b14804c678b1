import { readImageFile } from '../../site-agent/imaging/shell/read-file.js';
import {
  type Grid,
  type Samples,
  type Vec3,
  type Volume,
  volumeOf,
  voxelCount,
} from '../../site-agent/imaging/volume.js';
import { referenceFolder } from './reference.js';

/** The folder of radiomics reference values, or null where the environment names none. */
export const radiomicsFolder = (): string | null => referenceFolder('CONCORDAT_REFERENCE', 'radiomics');

/** The folder of real and broken images, or null where the environment names none. */
export const imagesFolder = (): string | null => referenceFolder('CONCORDAT_DATA', 'images');

/** Reads one image file of any supported format. */
export const readImage = (...path: string[]): Volume => readImageFile(path.join('/'));

/** A small grid along LPS; what is not named is 1 mm at the origin. */
export function testGrid(
  size: Vec3,
  { spacingMm = [1, 1, 1], origin = [0, 0, 0], direction = IDENTITY }: Partial<Grid> = {},
): Grid {
  return { size, spacingMm, origin, direction };
}

const IDENTITY = [1, 0, 0, 0, 1, 0, 0, 0, 1];

/** A volume whose sample at (x, y, z) is `value(x, y, z)`. */
export function testVolume<T extends Samples>(
  grid: Grid,
  make: new (length: number) => T,
  value: (x: number, y: number, z: number) => number,
): Volume<T> {
  const data = new make(voxelCount(grid));
  const [nx, ny, nz] = grid.size;
  for (let z = 0, i = 0; z < nz; z++)
    for (let y = 0; y < ny; y++) for (let x = 0; x < nx; x++, i++) data[i] = value(x, y, z);
  return volumeOf(grid, data);
}
