import { continuousIndex, type Mask, physicalPoint, type Vec3, type Volume } from '../../site-agent/imaging/volume.js';

/** Trilinear interpolation at a point, written without sharing anything with the product's. */
export function slowSample(volume: Volume, point: Vec3, outside: number): number {
  const at = continuousIndex(volume, point);
  if (at.some((value, axis) => value < -0.5 || value >= volume.size[axis]! - 0.5)) return outside;
  let sum = 0;
  for (let corner = 0; corner < 8; corner++) {
    let weight = 1;
    let index = 0;
    let stride = 1;
    for (let axis = 0; axis < 3; axis++) {
      const clipped = Math.min(volume.size[axis]! - 1, Math.max(0, at[axis]!));
      const low = Math.floor(clipped);
      const up = (corner >> axis) & 1;
      weight *= up === 1 ? clipped - low : 1 - (clipped - low);
      index += stride * Math.min(volume.size[axis]! - 1, low + up);
      stride *= volume.size[axis]!;
    }
    sum += weight * volume.data[index]!;
  }
  return sum;
}

/** Centre of mass of the voxels of a label, in mm: slow, and nothing of the product's but the grid's own meaning. */
export function slowCentre(mask: Mask, label = 1): Vec3 {
  const sum = [0, 0, 0];
  let count = 0;
  const [nx, ny, nz] = mask.size;
  for (let z = 0, at = 0; z < nz; z++)
    for (let y = 0; y < ny; y++)
      for (let x = 0; x < nx; x++, at++)
        if (mask.data[at] === label) {
          [x, y, z].forEach((value, axis) => {
            sum[axis]! += value;
          });
          count++;
        }
  return physicalPoint(mask, [sum[0]! / count, sum[1]! / count, sum[2]! / count]);
}

/**
 * What an encoder of one convolution as large as its patch gives for a box around a point of an image that lies along the patient's axes: for each kernel the sum of
 * weight times windowed intensity.
 */
export function slowEncoding(
  image: Volume,
  centre: Vec3,
  settings: {
    readonly size: readonly number[];
    readonly spacingMm: readonly number[];
    readonly outside: number;
    readonly window: { readonly centre: number; readonly width: number };
  },
  weights: readonly number[],
): number[] {
  const { size, spacingMm, outside, window } = settings;
  const values: number[] = [];
  for (let z = 0; z < size[2]!; z++)
    for (let y = 0; y < size[1]!; y++)
      for (let x = 0; x < size[0]!; x++) {
        const point = [x, y, z].map((at, axis) => centre[axis]! + (at - (size[axis]! - 1) / 2) * spacingMm[axis]!);
        const shown =
          (slowSample(image, [point[0]!, point[1]!, point[2]!], outside) - window.centre) / window.width + 0.5;
        values.push(Math.min(1, Math.max(0, shown)));
      }
  const sums: number[] = [];
  for (let k = 0; k * values.length < weights.length; k++)
    sums.push(values.reduce((sum, value, at) => sum + value * weights[k * values.length + at]!, 0));
  return sums;
}
