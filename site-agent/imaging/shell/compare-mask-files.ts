import { ConcordatError } from '../../../shared/errors.js';
import { requireSameGrid } from '../compare-grids.js';
import { type MaskAgreement, maskAgreement } from '../mask-agreement.js';
import { type Grid, gridOf, type Mask } from '../volume.js';
import { readImage } from './read-file.js';
import { type MaskFile, readMask } from './read-mask.js';

/**
 * Agreement of the region with one label in two files. A label that a label map lacks is an empty mask here, not an error.
 *
 * @throws ConcordatError IMAGE_GRID_MISMATCH; IMAGE_LABEL_UNKNOWN; IMAGE_* of reading; CLI_USAGE where neither file has a grid and no image is named
 */
export async function compareMaskFiles(
  a: string,
  b: string,
  { label, image }: { readonly label: number; readonly image?: string },
): Promise<MaskAgreement> {
  const files = [await readMask(a), await readMask(b)] as const;
  const grid = image === undefined ? (files[0].grid ?? files[1].grid) : gridOf(await readImage(image));
  if (grid === null)
    throw new ConcordatError('CLI_USAGE', 'neither mask has a grid of its own: name the image with --image');
  return maskAgreement(regionOf(files[0], label, grid), regionOf(files[1], label, grid));
}

function regionOf(file: MaskFile, label: number, grid: Grid): Mask {
  const { volume } = file;
  if (volume === null) return file.region(label, grid);
  requireSameGrid(grid, volume);
  const data = new Uint8Array(volume.data.length);
  for (let i = 0; i < data.length; i++) data[i] = volume.data[i] === label ? 1 : 0;
  return { ...gridOf(grid), data };
}
