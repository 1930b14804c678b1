import { cropGrid } from '../../imaging/crop.js';
import { wholeBox } from '../../imaging/lines.js';
import type { Box, Roi } from '../../imaging/roi.js';
import type { Samples, Volume } from '../../imaging/volume.js';

/** One derived image, under the name that PyRadiomics gives it (`log-sigma-3-0-mm-3D`, `wavelet-LLH`, `square`). */
export interface FilteredImage {
  readonly name: string;
  readonly volume: Volume;
}

/** What a filter is given. */
export interface FilterInput {
  readonly image: Volume;
  /**
   * The voxels whose filtered values are wanted; all where missing. A filter looks at as much of the image around them as it needs, so
   * that the values are those of the whole image, and gives volumes of this box's size and place.
   */
  readonly region?: Box;
  /** The region of interest on the image's grid; only `lbp-3D` reads it, which is computed there alone. */
  readonly roi?: Roi;
  /** Told why an image was left out, where PyRadiomics logs a warning and goes on. */
  readonly skipped?: (reason: string) => void;
}

/** The settings that filters read, PyRadiomics' meanings and defaults. */
export interface FilterSettings {
  /** σ of the Laplacian of Gaussian, in mm. */
  readonly sigma?: readonly number[];
  /** Each σ as Python writes it, which is part of the image's name; `3.0` for 3 where missing. */
  readonly sigmaNames?: readonly string[];
  readonly wavelet?: string;
  readonly level?: number;
  readonly startLevel?: number;
  readonly gradientUseSpacing?: boolean;
  /** In voxels. */
  readonly lbp2DRadius?: number;
  readonly lbp2DSamples?: number;
  readonly lbp2DMethod?: LbpMethod;
  readonly lbp3DLevels?: number;
  /** In voxels. */
  readonly lbp3DIcosphereRadius?: number;
  readonly lbp3DIcosphereSubdivision?: number;
  readonly force2D?: boolean;
  /** The axis out of plane: 0 = z, 1 = y, 2 = x. */
  readonly force2Ddimension?: 0 | 1 | 2;
}

/** scikit-image's ways to make one number of the signs around a pixel. */
export type LbpMethod = 'default' | 'ror' | 'uniform' | 'nri_uniform' | 'var';

export type Filter = (input: FilterInput, settings: FilterSettings) => Iterable<FilteredImage>;

export const regionOf = (input: FilterInput): Box => input.region ?? wholeBox(input.image.size);

/** A volume over the wanted region. */
export const filteredVolume = <T extends Samples>(input: FilterInput, data: T): Volume<T> => ({
  ...cropGrid(input.image, regionOf(input)),
  data,
});
