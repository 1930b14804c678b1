import { growBox } from '../imaging/crop.js';
import type { Roi } from '../imaging/roi.js';
import type { Volume } from '../imaging/volume.js';
import type { ClassSettings } from './class-input.js';
import type { FilteredImage } from './filters/filter.js';
import { IMAGE_TYPE_FILTERS } from './filters/pyradiomics.js';
import type { ExtractionSettings, FilterSettings } from './settings.js';
import type { ImageType } from './settings-schema.js';

/** What one thread filters at once: an image type, of the Laplacian of Gaussian a single scale. Gives one image or several. */
export interface FilterUnit {
  readonly type: ImageType;
  readonly filter: FilterSettings;
  readonly classes: ClassSettings;
}

/** The units of an extraction, in the order of their features. */
export function filterUnits(settings: Pick<ExtractionSettings, 'imageTypes'>): FilterUnit[] {
  return settings.imageTypes.flatMap(({ type, filter, classes }): FilterUnit[] => {
    if (type !== 'LoG') return [{ type, filter, classes }];
    return filter.sigma.map((sigma, k) => {
      const text = filter.sigmaNames[k];
      return { type, filter: { ...filter, sigma: [sigma], sigmaNames: text === undefined ? [] : [text] }, classes };
    });
  });
}

/**
 * The filtered images of a unit over the region's box and `margin` voxels around it, with the values that filtering the
 * whole image gives there.
 */
export function filteredImages(
  { image, roi }: { readonly image: Volume; readonly roi: Roi },
  { type, filter, classes }: FilterUnit,
  skipped: (reason: string) => void,
  margin = 0,
): Iterable<FilteredImage> {
  const input = {
    image,
    region: growBox(roi.box!, margin, image.size),
    skipped,
    // Only this filter is confined to the region.
    ...(type === 'LBP3D' ? { roi } : {}),
  };
  const { force2D, force2Ddimension } = classes;
  return IMAGE_TYPE_FILTERS[type](input, { ...filter, force2D, force2Ddimension });
}
