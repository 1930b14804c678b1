import { totalOf } from '../../tensors.js';
import type { CoordinatorHalf } from '../computation.js';
import {
  LANDMARK_COUNTS,
  LANDMARKS,
  type LandmarksBroadcast,
  type LandmarksResult,
  type LandmarksSpec,
} from './declaration.js';

export interface LandmarksState {
  /** phases × 2; empty before the first total. */
  readonly counts: Float64Array;
}

/** Two rounds, then the mean landmarks of every phase. */
export const landmarksCoordinator: CoordinatorHalf<LandmarksSpec, LandmarksBroadcast, LandmarksState, LandmarksResult> =
  {
    name: 'landmarks',
    start: () => ({ kind: 'step', state: { counts: new Float64Array(0) }, broadcast: { phase: 'counts' } }),
    advance(spec, state, total) {
      if (state.counts.length === 0) {
        const counts = totalOf(total, 'counts');
        const measured = measuredPhases(spec, counts);
        if (measured.length === 0)
          return { kind: 'done', result: resultOf(spec, counts, measured, new Float64Array(0)) };
        return { kind: 'step', state: { counts }, broadcast: { phase: 'sums', measured } };
      }
      const measured = measuredPhases(spec, state.counts);
      return { kind: 'done', result: resultOf(spec, state.counts, measured, totalOf(total, 'sums')) };
    },
  };

/** A sum over fewer sites than minSites would show them. */
function measuredPhases({ phases, frame }: LandmarksSpec, counts: Float64Array): Int32Array {
  const sitesOf = (phase: number) => counts[phase * LANDMARK_COUNTS.size + LANDMARK_COUNTS.sites]!;
  return Int32Array.from([...phases.keys()].filter((phase) => sitesOf(phase) >= frame.minSites));
}

function resultOf(
  { phases, within, scale }: LandmarksSpec,
  counts: Float64Array,
  measured: Int32Array,
  sums: Float64Array,
): LandmarksResult {
  const of = (phase: number) => {
    const place = measured.indexOf(phase);
    if (place < 0) return null;
    const patients = counts[phase * LANDMARK_COUNTS.size + LANDMARK_COUNTS.patients]!;
    const sites = counts[phase * LANDMARK_COUNTS.size + LANDMARK_COUNTS.sites]!;
    const own = sums.slice(place * LANDMARKS, (place + 1) * LANDMARKS);
    return { sites, patients, landmarks: own.map((sum) => sum / patients) };
  };
  return { within, scale, phases: Object.fromEntries(phases.map((name, phase) => [name, of(phase)])) };
}
