import { nearestCentroid } from '../../shared/computations/habitats/nearest.js';
import type { HabitatScale } from '../../shared/imaging-learned.js';
import type { Mask, Volume } from '../imaging/volume.js';

/**
 * Habitats: parts of a lesion whose voxels are alike in intensity and in the entropy around them (Gillies, Kinahan and Hricak, Radiology 2016;278:563-77).
 * Both are put on a scale from 0 to 1 that the study declares, so no hospital's images decide it.
 */
export interface LesionPoints {
  /** Positions of the lesion's voxels in the image, ascending; those without a finite intensity are left out. */
  readonly indices: Int32Array;
  /** Intensity and local entropy of each, from 0 to 1: two numbers a voxel. */
  readonly points: Float64Array;
}

/**
 * Local entropy of a voxel is that of the intensities, in `bins` equal bins of `range`, of the lesion's voxels whose centres lie within `radiusMm` of its
 * own, in bits over log2(bins). Voxels outside the lesion do not count, so that its border is not taken for heterogeneity. Intensities beyond the range
 * count as its ends.
 */
export function lesionPoints(image: Volume, lesion: Mask, scale: HabitatScale): LesionPoints {
  const { range, bins, radiusMm } = scale;
  const [nx, ny, nz] = image.size;
  const [low, high] = range;
  const unit = (value: number) => Math.min(1, Math.max(0, (value - low) / (high - low)));
  const binOf = new Int16Array(lesion.data.length).fill(-1);
  const found: number[] = [];
  for (let at = 0; at < binOf.length; at++)
    if (lesion.data[at] === 1 && Number.isFinite(image.data[at]!)) {
      binOf[at] = Math.min(bins - 1, Math.floor(unit(image.data[at]!) * bins));
      found.push(at);
    }
  const rows = ballRows(image.spacingMm, radiusMm);
  const points = new Float64Array(2 * found.length);
  const counts = new Float64Array(bins);
  let n = 0;
  const count = (x: number, y: number, z: number, by: 1 | -1) => {
    if (x < 0 || x >= nx) return;
    const bin = binOf[x + nx * (y + ny * z)]!;
    if (bin < 0) return;
    counts[bin]! += by;
    n += by;
  };
  let before = -2;
  for (const [place, at] of found.entries()) {
    const x = at % nx;
    const y = Math.floor(at / nx) % ny;
    const z = Math.floor(at / (nx * ny));
    // The window slides along a row of voxels that follow each other, and is filled anew elsewhere.
    const slides = at === before + 1 && x > 0;
    if (!slides) {
      counts.fill(0);
      n = 0;
    }
    for (const { dy, dz, half } of rows) {
      if (y + dy < 0 || y + dy >= ny || z + dz < 0 || z + dz >= nz) continue;
      if (slides) {
        count(x - 1 - half, y + dy, z + dz, -1);
        count(x + half, y + dy, z + dz, 1);
      } else for (let dx = -half; dx <= half; dx++) count(x + dx, y + dy, z + dz, 1);
    }
    points[2 * place] = unit(image.data[at]!);
    points[2 * place + 1] = entropyOf(counts, n) / Math.log2(bins);
    before = at;
  }
  return { indices: Int32Array.from(found), points };
}

/** Centres that lie on the sphere but for rounding are inside. */
const ROUNDING = 1e-9;

/** Lines along x of a ball of that radius: their place beside the centre and half their length, in voxels. */
function ballRows(spacingMm: readonly number[], radiusMm: number): { dy: number; dz: number; half: number }[] {
  const [sx, sy, sz] = spacingMm as [number, number, number];
  const rows = [];
  for (let dz = -Math.floor(radiusMm / sz + ROUNDING); dz <= radiusMm / sz + ROUNDING; dz++)
    for (let dy = -Math.floor(radiusMm / sy + ROUNDING); dy <= radiusMm / sy + ROUNDING; dy++) {
      const rest = radiusMm * radiusMm - dy * sy * (dy * sy) - dz * sz * (dz * sz);
      if (rest >= -ROUNDING) rows.push({ dy, dz, half: Math.floor(Math.sqrt(Math.max(0, rest)) / sx + ROUNDING) });
    }
  return rows;
}

function entropyOf(counts: Float64Array, n: number): number {
  let bits = 0;
  for (const count of counts) if (count > 0) bits -= (count / n) * Math.log2(count / n);
  return bits;
}

/** At most `most` of the voxels, evenly over the lesion in the order of their positions: no chance is involved. */
export function sampled({ points }: LesionPoints, most: number): number[] {
  const n = points.length / 2;
  const taken = Math.min(n, most);
  return Array.from({ length: 2 * taken }, (_, k) => {
    const voxel = Math.floor(((Math.floor(k / 2) + 0.5) * n) / taken);
    return points[2 * voxel + (k % 2)]!;
  });
}

/** The part of the lesion whose voxels are nearest to centroid `habitat` (from 1) of all; a tie goes to the lower number. */
export function habitatMask(
  image: Volume,
  lesion: Mask,
  map: HabitatScale & { readonly centroids: readonly (readonly number[])[] },
  habitat: number,
): Mask {
  const { indices, points } = lesionPoints(image, lesion, map);
  const [low, high] = map.range;
  const centroids = map.centroids.flatMap(([intensity, entropy]) => [
    (intensity! - low) / (high - low),
    entropy! / Math.log2(map.bins),
  ]);
  const data = new Uint8Array(lesion.data.length);
  for (const [place, at] of indices.entries())
    if (nearestCentroid(centroids, points[2 * place]!, points[2 * place + 1]!) === habitat - 1) data[at] = 1;
  return { ...lesion, data };
}
