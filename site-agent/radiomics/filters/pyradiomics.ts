import { cropVolume } from '../../imaging/crop.js';
import type { Filter, FilteredImage, FilterInput } from './filter.js';
import { regionOf } from './filter.js';
import { gradient } from './gradient.js';
import { exponential, logarithm, square, squareRoot } from './intensity.js';
import { localBinaryPattern2D } from './lbp-2d.js';
import { localBinaryPattern3D } from './lbp-3d.js';
import { laplacianOfGaussian } from './log.js';
import { stationaryWavelet } from './wavelet.js';

/** PyRadiomics' image types by the name a parameter file gives them. */
export const IMAGE_TYPE_FILTERS = {
  Original: original,
  Wavelet: stationaryWavelet,
  LoG: laplacianOfGaussian,
  Square: square,
  SquareRoot: squareRoot,
  Logarithm: logarithm,
  Exponential: exponential,
  Gradient: gradient,
  LBP2D: localBinaryPattern2D,
  LBP3D: localBinaryPattern3D,
} as const satisfies Record<string, Filter>;

/** The image itself. */
function* original(input: FilterInput): Generator<FilteredImage> {
  yield { name: 'original', volume: cropVolume(input.image, regionOf(input)) };
}
