import { requireAcceptedMask } from '../../imaging/shell/accepted-mask.js';
import { readImage } from '../../imaging/shell/read-file.js';
import { readMask } from '../../imaging/shell/read-mask.js';
import { gridOf, type Volume } from '../../imaging/volume.js';
import type { Source } from '../extract.js';
import { regionOrOwn } from '../region-on-image.js';

/**
 * An image and the mask of one label: labels as they lie, a DICOM SEG or RTSTRUCT drawn on the image's grid.
 * @param options.mayResample the extraction takes a mask on another grid to the image's: a SEG on another one is then given on its own
 *
 * @throws ConcordatError IMAGE_MASK_NOT_ACCEPTED, IMAGE_MASK_CHANGED, and IMAGE_* of reading, without paths, names or text of the files in its message.
 */
export async function readSource(
  image: string,
  mask: string,
  label: number,
  { mayResample = false }: { readonly mayResample?: boolean } = {},
): Promise<Source> {
  requireAcceptedMask(mask);
  const volume = await readImage(image);
  const file = await readMask(mask);
  if (file.volume !== null) return { image: volume, mask: file.volume };
  const region = regionOrOwn(file, label, gridOf(volume), mayResample);
  return { image: volume, mask: { ...gridOf(region), data: withValue(region.data, label) } satisfies Volume };
}

function withValue(inside: Uint8Array, label: number): Uint8Array | Uint32Array {
  if (label === 1) return inside;
  return Uint32Array.from(inside, (value) => value * label);
}
