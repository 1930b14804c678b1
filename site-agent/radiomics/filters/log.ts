import { withAxis } from '../../imaging/lines.js';
import type { Box } from '../../imaging/roi.js';
import type { Samples, Vec3, Volume } from '../../imaging/volume.js';
import { type FilteredImage, type FilterInput, type FilterSettings, filteredVolume, regionOf } from './filter.js';
import { type RecursiveFilter, secondDerivative, smoothing } from './recursive-gaussian.js';

/**
 * Laplacian of Gaussian for each σ of `settings.sigma` (mm), as PyRadiomics has it of ITK's LaplacianRecursiveGaussianImageFilter with
 * NormalizeAcrossScale: σ² times the Laplacian of the smoothed image. ITK's order of passes and its float32 images between them are
 * kept, since a rounding moves a voxel into another grey-level bin.
 *
 * A σ too large for the image, and an image of fewer than four voxels along an axis, are left out with a reason, as in PyRadiomics.
 */
export function* laplacianOfGaussian(input: FilterInput, settings: FilterSettings): Generator<FilteredImage> {
  const { size, spacingMm } = input.image;
  if (Math.min(...size) < 4) {
    input.skipped?.(`LoG needs at least 4 voxels along each axis; the image has ${size.join(' × ')}`);
    return;
  }
  for (const [k, sigma] of (settings.sigma ?? []).entries()) {
    if (!(sigma > 0)) {
      input.skipped?.(`LoG needs a sigma above 0 mm, not ${sigma}`);
      continue;
    }
    if (size.some((count, axis) => count < Math.ceil(sigma / spacingMm[axis]!) + 1)) {
      input.skipped?.(`LoG with sigma ${sigma} mm needs a larger image than ${size.join(' × ')} voxels`);
      continue;
    }
    const name = `log-sigma-${(settings.sigmaNames?.[k] ?? pythonFloat(sigma)).replaceAll('.', '-')}-mm-3D`;
    yield { name, volume: filteredVolume(input, laplacian(input.image, sigma, regionOf(input))) };
  }
}

/** A number as Python writes a float: `3.0`, not `3`. */
const pythonFloat = (value: number): string => (Number.isInteger(value) ? value.toFixed(1) : String(value));

function laplacian(image: Volume, sigmaMm: number, region: Box): Float32Array {
  const axes = [0, 1, 2] as const;
  const smooth = axes.map((axis) => smoothing(sigmaMm / image.spacingMm[axis]));
  const data = floatsOf(image.data);
  let total: Float32Array | null = null;
  for (const axis of axes) {
    const bend = secondDerivative(sigmaMm / image.spacingMm[axis], sigmaMm * sigmaMm);
    const passes = [
      { axis, filter: bend },
      ...axes.filter((a) => a !== axis).map((a) => ({ axis: a, filter: smooth[a]! })),
    ];
    const part = run(data, image.size, passes, region);
    const spacing2 = image.spacingMm[axis] * image.spacingMm[axis];
    total ??= new Float32Array(part.length);
    for (let i = 0; i < part.length; i++) total[i] = total[i]! + part[i]! / spacing2;
  }
  return total!;
}

type Floats = Float32Array | Float64Array;

/** The same numbers in one of two types, so that the loops over lines are compiled for few. */
function floatsOf(data: Samples): Floats {
  if (data instanceof Float32Array || data instanceof Float64Array) return data;
  return data instanceof Int32Array || data instanceof Uint32Array ? Float64Array.from(data) : Float32Array.from(data);
}

interface Pass {
  readonly axis: 0 | 1 | 2;
  readonly filter: RecursiveFilter;
}

/** The passes one after another, each along whole lines but only those lines and samples that the region still needs. */
function run(data: Floats, size: Vec3, passes: readonly Pass[], region: Box): Float32Array {
  let part: Floats = data;
  let partSize = size;
  for (const { axis, filter } of passes) {
    const keep = [region.lower[axis], region.upper[axis] + 1] as const;
    const nextSize = withAxis(partSize, axis, keep[1] - keep[0]);
    const next = new Float32Array(nextSize[0] * nextSize[1] * nextSize[2]);
    filter({ data: part, size: partSize, axis, keep, out: next });
    part = next;
    partSize = nextSize;
  }
  return part as Float32Array;
}
