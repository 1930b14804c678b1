import { boxSize } from '../../imaging/lines.js';
import { type FilteredImage, type FilterInput, type FilterSettings, filteredVolume, regionOf } from './filter.js';

/**
 * The gradient's magnitude from central differences, edge values repeated, float32, as ITK's GradientMagnitudeImageFilter gives it;
 * per mm, or per voxel where `gradientUseSpacing` is off.
 */
export function* gradient(input: FilterInput, settings: FilterSettings): Generator<FilteredImage> {
  const { data, size, spacingMm } = input.image;
  const [sx, sy, sz] = spacingMm.map((mm) => 0.5 * (settings.gradientUseSpacing === false ? 1 : 1 / mm)) as [
    number,
    number,
    number,
  ];
  const region = regionOf(input);
  const [nx, ny, nz] = boxSize(region);
  const out = new Float32Array(nx * ny * nz);
  const stepY = size[0];
  const stepZ = size[0] * size[1];
  for (let z = region.lower[2], at = 0; z <= region.upper[2]; z++) {
    const front = z > 0 ? stepZ : 0;
    const behind = z < size[2] - 1 ? stepZ : 0;
    for (let y = region.lower[1]; y <= region.upper[1]; y++) {
      const above = y > 0 ? stepY : 0;
      const below = y < size[1] - 1 ? stepY : 0;
      for (let x = region.lower[0]; x <= region.upper[0]; x++, at++) {
        const i = x + stepY * y + stepZ * z;
        const gx = data[i + (x < size[0] - 1 ? 1 : 0)]! * sx - data[i - (x > 0 ? 1 : 0)]! * sx;
        const gy = data[i + below]! * sy - data[i - above]! * sy;
        const gz = data[i + behind]! * sz - data[i - front]! * sz;
        out[at] = Math.sqrt(gx * gx + gy * gy + gz * gz);
      }
    }
  }
  yield { name: 'gradient', volume: filteredVolume(input, out) };
}
