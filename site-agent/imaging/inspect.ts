import { type Segmentation, segmentCount } from './dicom/segmentation.js';
import { contourArea, type Structure } from './dicom/structures.js';
import { pixelTypeOf } from './samples.js';
import type { Grid, Mask, Samples, Vec3, Volume } from './volume.js';

/** Intensities of an image or of a region; of the voxels that hold a number. */
export interface Intensities {
  readonly voxels: number;
  /** Voxels that hold NaN or an infinity. */
  readonly notFinite: number;
  /** Null where no voxel holds a number. */
  readonly min: number | null;
  readonly max: number | null;
  readonly mean: number | null;
  /** Of the population: divided by n. */
  readonly sd: number | null;
}

/** Intensities in a region, with percentiles as NumPy has them (linear between neighbours). */
export interface RegionIntensities extends Intensities {
  readonly p10: number | null;
  readonly median: number | null;
  readonly p90: number | null;
}

export interface GridFacts {
  readonly size: readonly number[];
  readonly spacingMm: readonly number[];
  /** LPS. */
  readonly origin: readonly number[];
  readonly direction: readonly number[];
  /** Where x, y and z point, to the nearest axis of the patient: 'LPS' for a usual CT. */
  readonly axes: string;
}

export interface RegionFacts {
  readonly label: number;
  readonly name: string | null;
  readonly voxels: number;
  readonly volumeMm3: number;
  /** First and last voxel along x, y, z. */
  readonly box: { readonly lower: readonly number[]; readonly upper: readonly number[] };
  readonly slices: number;
  readonly intensities: RegionIntensities;
}

export interface SegmentFacts {
  readonly label: number;
  readonly name: string | null;
  readonly frames: number;
  readonly voxels: number;
  /** Sum of the stored values: more than `voxels` in a fractional segmentation. */
  readonly sum: number;
}

export interface StructureFacts {
  readonly label: number;
  readonly name: string | null;
  readonly contours: number;
  readonly areaMm2: number;
}

export function intensities(values: ArrayLike<number>): Intensities {
  let [count, min, max, mean, squares] = [0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 0];
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (!Number.isFinite(value)) continue;
    count++;
    if (value < min) min = value;
    if (value > max) max = value;
    mean += value;
  }
  if (count === 0)
    return { voxels: values.length, notFinite: values.length, min: null, max: null, mean: null, sd: null };
  mean /= count;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (Number.isFinite(value)) squares += (value - mean) * (value - mean);
  }
  return { voxels: values.length, notFinite: values.length - count, min, max, mean, sd: Math.sqrt(squares / count) };
}

export function regionIntensities(values: Float64Array): RegionIntensities {
  const sorted = values.filter(Number.isFinite).sort();
  const percentile = (part: number): number | null => {
    if (sorted.length === 0) return null;
    const at = part * (sorted.length - 1);
    const below = Math.floor(at);
    const low = sorted[below]!;
    return low + (at - below) * ((sorted[below + 1] ?? low) - low);
  };
  return { ...intensities(values), p10: percentile(0.1), median: percentile(0.5), p90: percentile(0.9) };
}

export function gridFacts({ size, spacingMm, origin, direction }: Grid): GridFacts {
  const letters = ['LR', 'PA', 'SI'];
  const axes = [0, 1, 2].map((axis) => {
    const column = [0, 1, 2].map((row) => direction[3 * row + axis]!);
    const main = column.map(Math.abs).indexOf(Math.max(...column.map(Math.abs)));
    return letters[main]![column[main]! > 0 ? 0 : 1];
  });
  return { size, spacingMm, origin, direction, axes: axes.join('') };
}

/** What a volume is, whatever it is for. */
export const volumeFacts = (volume: Volume): { grid: GridFacts; pixelType: string; intensities: Intensities } => ({
  grid: gridFacts(volume),
  pixelType: pixelTypeOf(volume.data),
  intensities: intensities(volume.data),
});

/** A region that has at least one voxel, on the image's grid. */
export function regionFacts(image: Volume<Samples>, mask: Mask, label: number, name: string | null): RegionFacts {
  const [nx, ny, nz] = mask.size;
  const lower = [nx, ny, nz];
  const upper = [-1, -1, -1];
  const values: number[] = [];
  const slices = new Set<number>();
  for (let z = 0, i = 0; z < nz; z++)
    for (let y = 0; y < ny; y++)
      for (let x = 0; x < nx; x++, i++) {
        if (mask.data[i] !== 1) continue;
        values.push(image.data[i]!);
        slices.add(z);
        [x, y, z].forEach((at, axis) => {
          lower[axis] = Math.min(lower[axis]!, at);
          upper[axis] = Math.max(upper[axis]!, at);
        });
      }
  return {
    label,
    name,
    voxels: values.length,
    volumeMm3: values.length * voxelVolumeMm3(mask.spacingMm),
    box: { lower, upper },
    slices: slices.size,
    intensities: regionIntensities(Float64Array.from(values)),
  };
}

const voxelVolumeMm3 = ([x, y, z]: Vec3): number => x * y * z;

export const segmentFacts = (segmentation: Segmentation): SegmentFacts[] =>
  segmentation.segments.map(({ number, name, frames }) => ({
    label: number,
    name,
    frames,
    ...segmentCount(segmentation, number),
  }));

export const structureFacts = (structures: readonly Structure[]): StructureFacts[] =>
  structures.map(({ number, name, contours }) => ({
    label: number,
    name,
    contours: contours.length,
    areaMm2: contours.reduce((sum, contour) => sum + contourArea(contour), 0),
  }));
