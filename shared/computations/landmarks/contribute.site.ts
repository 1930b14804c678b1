import type { Cohort } from '../../cohort.site.js';
import { CompensatedSum } from '../../scaling.js';
import type { SiteHalf } from '../computation.js';
import type { Frame } from '../frame.js';
import { LANDMARK_COUNTS, LANDMARKS, type LandmarksBroadcast, type LandmarksSpec } from './declaration.js';

/** Counts and sums of landmarks of the training patients, site by site. */
export const landmarksSite: SiteHalf<LandmarksSpec, LandmarksBroadcast> = {
  name: 'landmarks',
  contribute(spec, broadcast, { cohort }) {
    const measured = cohort.learned?.landmarks;
    if (measured === undefined) return new Map();
    if (broadcast.phase === 'counts') {
      const counts = new Float64Array(spec.phases.length * LANDMARK_COUNTS.size);
      for (const phase of spec.phases.keys())
        for (const rows of sitesWith(spec, cohort, measured, phase)) {
          counts[phase * LANDMARK_COUNTS.size + LANDMARK_COUNTS.sites]! += 1;
          counts[phase * LANDMARK_COUNTS.size + LANDMARK_COUNTS.patients]! += rows.length;
        }
      return new Map([['counts', counts]]);
    }
    const sums = new Float64Array(broadcast.measured.length * LANDMARKS);
    for (const [place, phase] of broadcast.measured.entries())
      for (let k = 0; k < LANDMARKS; k++) {
        const sum = new CompensatedSum();
        for (const rows of sitesWith(spec, cohort, measured, phase))
          for (const row of rows) sum.add(measured[at(spec, row, phase) + k]!);
        sums[place * LANDMARKS + k] = sum.value;
      }
    return new Map([['sums', sums]]);
  },
};

const at = (spec: LandmarksSpec, row: number, phase: number): number => (row * spec.phases.length + phase) * LANDMARKS;

/** Rows with landmarks of a phase, site by site; sites with fewer than the minimum count are left out. */
function sitesWith(spec: LandmarksSpec, cohort: Cohort, measured: Float64Array, phase: number): number[][] {
  return trainingRows(spec.frame, cohort)
    .map((rows) => rows.filter((row) => !Number.isNaN(measured[at(spec, row, phase)]!)))
    .filter((rows) => rows.length >= Math.max(1, spec.frame.minimumCount));
}

/** Training rows of every training site of the holder. */
export function trainingRows(frame: Frame, cohort: Cohort): number[][] {
  const rows = cohort.sites.map((): number[] => []);
  for (let row = 0; row < cohort.n; row++)
    if (cohort.train[row] === 1 && frame.training.includes(cohort.sites[cohort.siteOf[row]!]!))
      rows[cohort.siteOf[row]!]!.push(row);
  return rows;
}
