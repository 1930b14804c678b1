import { resampleVolume } from '../../imaging/interpolate.js';
import { inPatientOrder, patientAxes } from '../../imaging/patient-axes.js';
import type { Roi } from '../../imaging/roi.js';
import { type Grid, type Mask, physicalPoint, type Vec3, type Volume } from '../../imaging/volume.js';
import { largestSlice, windowOf } from '../deep/patch.js';
import { pngOf } from './png.js';

/** The slice where a lesion is largest, with the mask's outline on it, as one looks at it: the patient's left at the right, the front at the top. */
export interface Thumbnail {
  readonly png: Uint8Array;
  readonly width: number;
  readonly height: number;
  /** Slice in the file's order, from 1. */
  readonly slice: number;
  /** Intensities shown as black and white. */
  readonly window: readonly [number, number];
  readonly windowFrom: 'CT' | 'image';
}

/** Longer side of a thumbnail, in pixels. */
const SIDE = 240;
/** Abdominal soft tissue, in HU. */
const CT_WINDOW = { centre: 60, width: 360 } as const;
/** Below this an image without a stated modality holds air in HU. */
const AIR_HU = -500;
/** Greys of a thumbnail, few enough that hundreds of pictures fit into one page; the outline comes after them. */
const GREYS = 96;
const PALETTE = [
  ...Array.from({ length: GREYS }, (_, level) => {
    const grey = Math.round((255 * level) / (GREYS - 1));
    return [grey, grey, grey] as const;
  }),
  [255, 196, 0] as const,
];
/** Shares of a slice's values that are black and white where no window is known. */
const SHARES = [0.01, 0.99] as const;

/** @param modality as DICOM names it; null where nothing states it, and then air below −500 tells a CT */
export function thumbnailOf(image: Volume, mask: Mask, roi: Roi, modality: string | null): Thumbnail {
  const axes = patientAxes(image);
  const { slice } = largestSlice(roi, axes);
  const plane = planeOf(image, axes, slice);
  const grey = resampleVolume(image, plane, 'linear', { pixelType: new Float64Array(0) }).data;
  const inside = resampleVolume(mask, plane, 'nearest').data;
  const isCt = modality === 'CT' || (modality === null && lowest(image.data) <= AIR_HU);
  const window: readonly [number, number] = isCt
    ? [CT_WINDOW.centre - CT_WINDOW.width / 2, CT_WINDOW.centre + CT_WINDOW.width / 2]
    : spread(Float64Array.from(grey));
  const [width, height] = plane.size;
  const shade = windowOf((window[0] + window[1]) / 2, Math.max(window[1] - window[0], Number.MIN_VALUE));
  const pixels = new Uint8Array(width * height);
  for (let y = 0, i = 0; y < height; y++)
    for (let x = 0; x < width; x++, i++) {
      const isOutline =
        inside[i] === 1 &&
        !(
          x > 0 &&
          inside[i - 1] === 1 &&
          x < width - 1 &&
          inside[i + 1] === 1 &&
          y > 0 &&
          inside[i - width] === 1 &&
          y < height - 1 &&
          inside[i + width] === 1
        );
      const value = Number.isNaN(grey[i]!) ? window[0] : grey[i]!;
      pixels[i] = isOutline ? GREYS : Math.round((GREYS - 1) * shade(value));
    }
  return {
    png: pngOf(pixels, width, height, PALETTE),
    width,
    height,
    slice: slice + 1,
    window,
    windowFrom: isCt ? 'CT' : 'image',
  };
}

/** The slice as a grid of square pixels, columns toward the patient's left, rows toward the back. */
function planeOf(image: Volume, axes: ReturnType<typeof patientAxes>, slice: number): Grid {
  const spacing = inPatientOrder(image.spacingMm, axes);
  const size = inPatientOrder(image.size, axes);
  const extent = [size[0] * spacing[0], size[1] * spacing[1]] as const;
  const pixelMm = Math.max(extent[0], extent[1]) / SIDE;
  const [width, height] = extent.map((mm) => Math.max(1, Math.floor(mm / pixelMm + 1e-9))) as [number, number];
  const corner: [number, number, number] = [0, 0, 0];
  for (const patient of [0, 1] as const)
    corner[axes.axis[patient]] = axes.sense[patient] === 1 ? 0 : image.size[axes.axis[patient]] - 1;
  corner[axes.axis[2]] = slice;
  // The first pixel's middle lies half a pixel inside the edge of the first voxel.
  const first = physicalPoint(image, corner);
  const shift = [0, 1].map((patient) => pixelMm / 2 - spacing[patient]! / 2);
  const along = (row: number): number =>
    first[row]! + axes.direction[3 * row]! * shift[0]! + axes.direction[3 * row + 1]! * shift[1]!;
  return {
    size: [width, height, 1],
    spacingMm: [pixelMm, pixelMm, spacing[2]] as Vec3,
    direction: axes.direction,
    origin: [along(0), along(1), along(2)],
  };
}

function lowest(data: ArrayLike<number>): number {
  let low = Number.POSITIVE_INFINITY;
  for (let i = 0; i < data.length; i++) if (data[i]! < low) low = data[i]!;
  return low;
}

function spread(values: Float64Array): readonly [number, number] {
  const sorted = values.filter(Number.isFinite).sort();
  if (sorted.length === 0) return [0, 1];
  const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))]!;
  return [at(SHARES[0]), at(SHARES[1])];
}
