import type { SiteView } from '../../cohort.site.js';
import { powerOfTwo, roundHalfEven } from '../../fixed-point.js';
import type { SiteHalf } from '../computation.js';
import { trainingRows } from '../landmarks/contribute.site.js';
import {
  BESIDE,
  CELL,
  CELLS_AT_START,
  COUNTS_FROM,
  cellsOf,
  type HabitatsBroadcast,
  type HabitatsSpec,
  ROUNDING_BITS,
} from './declaration.js';
import { nearestCentroid } from './nearest.js';

/** Sums over the lesion voxels of the training patients, site by site, in cells to which enough patients of the site contribute. */
export const habitatsSite: SiteHalf<HabitatsSpec, HabitatsBroadcast> = {
  name: 'habitats',
  contribute(spec, broadcast, view) {
    const points = view.cohort.learned?.points;
    if (points === undefined) return new Map();
    const { centroids } = broadcast;
    const cells = cellsOf(centroids);
    const sites = sitesWith(spec, view);
    if (broadcast.phase === 'sites') {
      const counts = new Float64Array(cells + BESIDE.size);
      for (const rows of sites) {
        const { patients } = sumsOf(rows, points, centroids);
        for (let cell = 0; cell < cells; cell++) if (enough(spec, patients[cell]!)) counts[cell]! += 1;
        counts[cells + BESIDE.sites]! += 1;
        counts[cells + BESIDE.patients]! += rows.length;
      }
      return new Map([['sites', counts]]);
    }
    const total = new Float64Array(broadcast.shown.length * CELL.size);
    for (const rows of sites) {
      const { patients, sums } = sumsOf(rows, points, centroids);
      for (const [place, cell] of broadcast.shown.entries())
        if (enough(spec, patients[cell]!))
          for (let k = 0; k < CELL.size; k++) total[place * CELL.size + k]! += rounded(sums[cell * CELL.size + k]!);
    }
    return new Map([['cells', total]]);
  },
};

const enough = ({ frame }: HabitatsSpec, patients: number): boolean => patients >= Math.max(1, frame.minimumCount);
const rounded = (sum: number): number => roundHalfEven(sum * powerOfTwo(ROUNDING_BITS)) * powerOfTwo(-ROUNDING_BITS);

/** Rows with voxels to learn from, site by site; sites with fewer than the minimum count are left out. */
function sitesWith(spec: HabitatsSpec, { cohort }: SiteView): number[][] {
  return trainingRows(spec.frame, cohort)
    .map((rows) => rows.filter((row) => cohort.learned!.points![row]!.length > 0))
    .filter((rows) => enough(spec, rows.length));
}

/**
 * Of one site's patients: the sums of each cell, where a patient's voxels weigh 1 together, and how many patients count in it: those with at least
 * COUNTS_FROM of what the patient with most voxels there has. A few who fill a cell nearly alone are not hidden by others with a voxel each.
 */
function sumsOf(rows: readonly number[], points: readonly Float64Array[], centroids: Float64Array) {
  const cells = cellsOf(centroids);
  const sums = new Float64Array(cells * CELL.size);
  const weights = new Float64Array(cells * rows.length);
  for (const [at, row] of rows.entries()) {
    const own = points[row]!;
    const weight = 2 / own.length;
    for (let k = 0; k < own.length; k += 2) {
      const cell = cellOf(own[k]!, own[k + 1]!, centroids);
      weights[cell * rows.length + at]! += weight;
      sums[cell * CELL.size + CELL.weight]! += weight;
      sums[cell * CELL.size + CELL.intensity]! += weight * own[k]!;
      sums[cell * CELL.size + CELL.entropy]! += weight * own[k + 1]!;
    }
  }
  const patients = Float64Array.from({ length: cells }, (_, cell) => {
    const own = weights.subarray(cell * rows.length, (cell + 1) * rows.length);
    const heaviest = own.reduce((most, weight) => Math.max(most, weight), 0);
    return own.filter((weight) => weight > 0 && weight >= COUNTS_FROM * heaviest).length;
  });
  return { patients, sums };
}

/** The bin of intensity, or the nearest centroid; the first of several. */
function cellOf(intensity: number, entropy: number, centroids: Float64Array): number {
  if (centroids.length === 0) return Math.min(CELLS_AT_START - 1, Math.floor(intensity * CELLS_AT_START));
  return nearestCentroid(centroids, intensity, entropy);
}
