import { totalOf } from '../../tensors.js';
import type { CoordinatorHalf, Done, Step } from '../computation.js';
import {
  BESIDE,
  CELL,
  cellsOf,
  type HabitatsBroadcast,
  type HabitatsResult,
  type HabitatsSpec,
} from './declaration.js';

export interface HabitatsState {
  /** Empty before the first sums: cells are bins of intensity. */
  readonly centroids: Float64Array;
  /** Cells whose sums are asked for, or null while it is asked which may be. */
  readonly shown: Int32Array | null;
  /** Iterations of k-means that are done. */
  readonly iteration: number;
  readonly sites: number;
  readonly patients: number;
}

/**
 * Lloyd's k-means on totals. It starts at quantiles (i + 1/2) / count of intensity, as the first totals have them by bin, with the entropy of that bin; it ends
 * when no centroid moves or after `iterations`. A cell that too few sites or patients fill, an empty one too, leaves its centroid where it is.
 */
export const habitatsCoordinator: CoordinatorHalf<HabitatsSpec, HabitatsBroadcast, HabitatsState, HabitatsResult> = {
  name: 'habitats',
  start: () => asking({ centroids: new Float64Array(0), shown: null, iteration: 0, sites: 0, patients: 0 }),
  advance(spec, state, total) {
    const { centroids } = state;
    if (state.shown === null) {
      const counts = totalOf(total, 'sites');
      const cells = cellsOf(centroids);
      const shown = Int32Array.from(Array.from({ length: cells }, (_, cell) => cell)).filter(
        (cell) => counts[cell]! >= spec.frame.minSites,
      );
      const [sites, patients] = [counts[cells + BESIDE.sites]!, counts[cells + BESIDE.patients]!];
      const next: HabitatsState = { ...state, shown, sites, patients };
      if (shown.length === 0) return finished(spec, next, new Float64Array(0));
      return { kind: 'step', state: next, broadcast: { phase: 'cells', centroids, shown } };
    }
    const sums = totalOf(total, 'cells');
    if (centroids.length === 0) return asking({ ...state, centroids: startingAt(spec.count, sums), shown: null });
    const moved = updated(centroids, state.shown, sums);
    const iteration = state.iteration + 1;
    const still = moved.every((value, at) => value === centroids[at]);
    const next: HabitatsState = { ...state, centroids: moved, iteration };
    return still || iteration >= spec.iterations ? finished(spec, next, sums, still) : asking({ ...next, shown: null });
  },
};

function asking(state: HabitatsState): Step<HabitatsState, HabitatsBroadcast> {
  return { kind: 'step', state, broadcast: { phase: 'sites', centroids: state.centroids } };
}

const meanOf = (sums: Float64Array, place: number, what: number): number => {
  // Sums are rounded apart, so their ratio may leave the scale by a little.
  const mean = sums[place * CELL.size + what]! / sums[place * CELL.size + CELL.weight]!;
  return Math.min(1, Math.max(0, mean));
};

/** Of bins of intensity, in ascending order, their means where the quantiles lie. */
function startingAt(count: number, sums: Float64Array): Float64Array {
  const weightOf = (place: number) => sums[place * CELL.size + CELL.weight]!;
  const places = Array.from({ length: sums.length / CELL.size }, (_, place) => place).filter(
    (place) => weightOf(place) > 0,
  );
  const whole = places.reduce((sum, place) => sum + weightOf(place), 0);
  const centroids = new Float64Array(2 * count);
  for (let i = 0; i < count; i++) {
    let reached = 0;
    const place = places.find((at) => {
      reached += weightOf(at);
      return reached >= ((i + 0.5) / count) * whole;
    });
    if (place === undefined) continue;
    centroids[2 * i] = meanOf(sums, place, CELL.intensity);
    centroids[2 * i + 1] = meanOf(sums, place, CELL.entropy);
  }
  return centroids;
}

function updated(centroids: Float64Array, shown: Int32Array, sums: Float64Array): Float64Array {
  const moved = centroids.slice();
  for (const [place, cell] of shown.entries())
    if (sums[place * CELL.size + CELL.weight]! > 0) {
      moved[2 * cell] = meanOf(sums, place, CELL.intensity);
      moved[2 * cell + 1] = meanOf(sums, place, CELL.entropy);
    }
  return moved;
}

function finished(
  spec: HabitatsSpec,
  state: HabitatsState,
  sums: Float64Array,
  converged = false,
): Done<HabitatsResult> {
  const { phase, range, radiusMm, bins, voxels, standardized, iterations } = spec;
  const { centroids, shown, sites, patients } = state;
  const [low, high] = range;
  const weights = Array.from(shown!, (_, place) => sums[place * CELL.size + CELL.weight] ?? 0);
  const whole = weights.reduce((sum, weight) => sum + weight, 0);
  const found = Array.from({ length: centroids.length / 2 }, (_, cell) => ({
    intensity: low + centroids[2 * cell]! * (high - low),
    entropy: centroids[2 * cell + 1]! * Math.log2(bins),
    share: whole > 0 ? (weights[shown!.indexOf(cell)] ?? 0) / whole : 0,
  }));
  found.sort((a, b) => a.intensity - b.intensity || a.entropy - b.entropy);
  const habitats = found.length === 0 ? null : found;
  const settings = { phase, range, radiusMm, bins, voxels, iterations, standardized };
  return { kind: 'done', result: { ...settings, sites, patients, converged, habitats } };
}
