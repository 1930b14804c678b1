import type { Roi } from '../imaging/roi.js';
import type { Volume } from '../imaging/volume.js';

/** What a feature class is given: an image and the region on its grid, cropped to the region's box and whatever margin the caller left. */
export interface ClassInput {
  readonly image: Volume;
  readonly roi: Roi;
  readonly settings: ClassSettings;
  /** Voxels of the region may hold NaN: they have a grey level of their own above all others, and no part in statistics of intensities. */
  readonly withGaps?: boolean;
}

/** The settings that feature classes read, under PyRadiomics' names, which its users know. */
export interface ClassSettings {
  /** Width of a grey-level bin in intensity units; used where `binCount` is null. PyRadiomics' default is 25. */
  readonly binWidth: number;
  readonly binCount: number | null;
  /** Added to intensities before Energy, TotalEnergy and RootMeanSquared. */
  readonly voxelArrayShift: number;
  readonly symmetricalGLCM: boolean;
  readonly weightingNorm: WeightingNorm | null;
  /** Chebyshev distances between neighbours, in voxels. */
  readonly distances: readonly number[];
  readonly gldmA: number;
  readonly force2D: boolean;
  /** The axis out of plane: 0 = z, 1 = y, 2 = x, as PyRadiomics counts axes of its (z, y, x) arrays. */
  readonly force2Ddimension: 0 | 1 | 2;
}

export type WeightingNorm = 'manhattan' | 'euclidean' | 'infinity' | 'no_weighting';

/** PyRadiomics' defaults. */
export const DEFAULT_CLASS_SETTINGS: ClassSettings = {
  binWidth: 25,
  binCount: null,
  voxelArrayShift: 0,
  symmetricalGLCM: true,
  weightingNorm: null,
  distances: [1],
  gldmA: 0,
  force2D: false,
  force2Ddimension: 0,
};
