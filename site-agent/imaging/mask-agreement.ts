import { cropSamples } from './crop.js';
import { squaredDistances } from './distance.js';
import { boxSize } from './lines.js';
import { type Box, roiOf } from './roi.js';
import { type Grid, gridOf, type Mask, type Vec3 } from './volume.js';

/** A number, or why there is none. */
export type Measure = { readonly value: number } | { readonly value: null; readonly reason: string };

/** How far two masks on one grid agree. */
export interface MaskAgreement {
  /** Voxels in both, in one only, in neither. */
  readonly voxels: { readonly both: number; readonly onlyA: number; readonly onlyB: number; readonly neither: number };
  /** In mm³: voxels times the volume of a voxel. */
  readonly volumeMm3: { readonly a: number; readonly b: number };
  /** Volume of B minus that of A, in mm³. */
  readonly volumeDifferenceMm3: number;
  /** The same as a share of A's volume. */
  readonly volumeDifferenceShare: Measure;
  /** 2·|A ∩ B| / (|A| + |B|): L. R. Dice, Ecology 1945;26:297-302. */
  readonly dice: Measure;
  /** |A ∩ B| / |A ∪ B|: P. Jaccard, New Phytol 1912;11:37-50. */
  readonly jaccard: Measure;
  /** Agreement of voxels beyond chance, over all voxels of the grid: J. Cohen, Educ Psychol Meas 1960;20:37-46. It grows with empty background. */
  readonly kappa: Measure;
  readonly surface: SurfaceDistances;
}

/** Distances between the two surfaces, in mm. */
export interface SurfaceDistances {
  /** Mean over the surface voxels of A of the distance to the surface of B. */
  readonly meanAToBMm: Measure;
  readonly meanBToAMm: Measure;
  /** Mean over the surface voxels of both: T. Heimann et al., IEEE Trans Med Imaging 2009;28:1251-65. */
  readonly meanMm: Measure;
  /** The larger of the two directed 95th percentiles, with linear interpolation: L. Maier-Hein et al., Nat Methods 2024;21:195-212. */
  readonly hausdorff95Mm: Measure;
  /** The largest of all: D. P. Huttenlocher et al., IEEE Trans Pattern Anal 1993;15:850-63. */
  readonly hausdorffMm: Measure;
}

/**
 * Overlap, agreement and surface distances of two masks on one grid.
 *
 * A surface voxel belongs to the mask and has one of its six face neighbours outside it, or outside the image. Distances run from
 * voxel centre to voxel centre, are exact, and go from surface to surface: a surface voxel of A that lies inside B has a distance
 * too. ITK's HausdorffDistanceImageFilter, which measures to the whole of the other mask, gives 0 there.
 *
 * What an empty mask leaves undefined has a reason instead of a value.
 */
export function maskAgreement(a: Mask, b: Mask): MaskAgreement {
  let [both, onlyA, onlyB] = [0, 0, 0];
  for (let i = 0; i < a.data.length; i++) {
    if (a.data[i] === 1) {
      if (b.data[i] === 1) both++;
      else onlyA++;
    } else if (b.data[i] === 1) onlyB++;
  }
  const neither = a.data.length - both - onlyA - onlyB;
  const voxelMm3 = a.spacingMm[0] * a.spacingMm[1] * a.spacingMm[2];
  const [sizeA, sizeB] = [both + onlyA, both + onlyB];
  const emptyBoth = sizeA + sizeB === 0 ? 'both masks are empty' : null;
  return {
    voxels: { both, onlyA, onlyB, neither },
    volumeMm3: { a: sizeA * voxelMm3, b: sizeB * voxelMm3 },
    volumeDifferenceMm3: (sizeB - sizeA) * voxelMm3,
    volumeDifferenceShare: sizeA === 0 ? missing('the first mask is empty') : { value: (sizeB - sizeA) / sizeA },
    dice: emptyBoth === null ? { value: (2 * both) / (sizeA + sizeB) } : missing(emptyBoth),
    jaccard: emptyBoth === null ? { value: both / (both + onlyA + onlyB) } : missing(emptyBoth),
    kappa: kappaOf(both, onlyA, onlyB, neither),
    surface: surfaceDistances(a, b),
  };
}

const missing = (reason: string): Measure => ({ value: null, reason });

function kappaOf(both: number, onlyA: number, onlyB: number, neither: number): Measure {
  const all = both + onlyA + onlyB + neither;
  const observed = (both + neither) / all;
  const [inA, inB] = [(both + onlyA) / all, (both + onlyB) / all];
  const expected = inA * inB + (1 - inA) * (1 - inB);
  if (expected === 1) return missing('both masks are empty, or both fill the image: chance alone gives full agreement');
  return { value: (observed - expected) / (1 - expected) };
}

function surfaceDistances(a: Mask, b: Mask): SurfaceDistances {
  const [boxA, boxB] = [roiOf(a).box, roiOf(b).box];
  if (boxA === null || boxB === null) {
    const which =
      boxA === null && boxB === null ? 'both masks are' : `the ${boxA === null ? 'first' : 'second'} mask is`;
    const none = missing(`${which} empty: there is no surface to measure from`);
    return { meanAToBMm: none, meanBToAMm: none, meanMm: none, hausdorff95Mm: none, hausdorffMm: none };
  }
  // Every voxel outside this box is outside both masks, so that nothing is lost by looking at it alone.
  const box = unionOf(boxA, boxB);
  const size = boxSize(box);
  const grid: Grid = { ...gridOf(a), size };
  const surfaceA = surfaceOf(cropSamples(a.data, a.size, box), size);
  const surfaceB = surfaceOf(cropSamples(b.data, b.size, box), size);
  const fromA = distancesBetween(grid, surfaceA, surfaceB);
  const fromB = distancesBetween(grid, surfaceB, surfaceA);
  const [sumA, sumB] = [sum(fromA), sum(fromB)];
  return {
    meanAToBMm: { value: sumA / fromA.length },
    meanBToAMm: { value: sumB / fromB.length },
    meanMm: { value: (sumA + sumB) / (fromA.length + fromB.length) },
    hausdorff95Mm: { value: Math.max(percentile(fromA, 0.95), percentile(fromB, 0.95)) },
    hausdorffMm: { value: Math.max(fromA.at(-1)!, fromB.at(-1)!) },
  };
}

/** One at the voxels of a mask that have a face neighbour outside it. */
function surfaceOf(data: Uint8Array, [nx, ny, nz]: Vec3): Uint8Array {
  const surface = new Uint8Array(data.length);
  for (let z = 0, i = 0; z < nz; z++)
    for (let y = 0; y < ny; y++)
      for (let x = 0; x < nx; x++, i++) {
        if (data[i] !== 1) continue;
        const isInside =
          x > 0 &&
          x < nx - 1 &&
          y > 0 &&
          y < ny - 1 &&
          z > 0 &&
          z < nz - 1 &&
          data[i - 1] === 1 &&
          data[i + 1] === 1 &&
          data[i - nx] === 1 &&
          data[i + nx] === 1 &&
          data[i - nx * ny] === 1 &&
          data[i + nx * ny] === 1;
        if (!isInside) surface[i] = 1;
      }
  return surface;
}

/** Distance in mm of every voxel of `from` to the nearest of `to`, ascending. */
function distancesBetween(grid: Grid, from: Uint8Array, to: Uint8Array): Float64Array {
  const squared = squaredDistances(grid, to);
  const found: number[] = [];
  for (let i = 0; i < from.length; i++) if (from[i] === 1) found.push(Math.sqrt(squared[i]!));
  return Float64Array.from(found).sort();
}

function unionOf(a: Box, b: Box): Box {
  const lower = (axis: number): number => Math.min(a.lower[axis]!, b.lower[axis]!);
  const upper = (axis: number): number => Math.max(a.upper[axis]!, b.upper[axis]!);
  return { lower: [lower(0), lower(1), lower(2)], upper: [upper(0), upper(1), upper(2)] };
}

const sum = (values: Float64Array): number => values.reduce((total, value) => total + value, 0);

/** Of ascending values, interpolated linearly between order statistics (type 7 of Hyndman and Fan, Am Stat 1996;50:361-5; numpy's default). */
function percentile(ascending: Float64Array, share: number): number {
  const position = share * (ascending.length - 1);
  const below = Math.floor(position);
  const [low, high] = [ascending[below]!, ascending[Math.min(below + 1, ascending.length - 1)]!];
  return low + (position - below) * (high - low);
}
