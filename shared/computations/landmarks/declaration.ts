import { LANDMARK_PERCENTILES, type LandmarkLearning } from '../../imaging-learned.js';
import { COUNT, STATISTIC, type TensorSpec } from '../../tensors.js';
import type { Declaration } from '../computation.js';
import type { Frame } from '../frame.js';

/** `landmarks`: where the percentiles of MRI intensities lie on the average of all training patients (Nyúl), phase by phase. */
export interface LandmarksSpec extends LandmarkLearning {
  readonly frame: Frame;
  readonly phases: readonly string[];
}

export type LandmarksBroadcast =
  | { readonly phase: 'counts' }
  /** Ascending positions in `spec.phases`: those that enough sites have images of. */
  | { readonly phase: 'sums'; readonly measured: Int32Array };

export interface LandmarksResult {
  readonly within: LandmarkLearning['within'];
  readonly scale: readonly [number, number];
  /** Null where too few sites have images of the phase. */
  readonly phases: Readonly<
    Record<string, { readonly sites: number; readonly patients: number; readonly landmarks: Float64Array } | null>
  >;
}

/** Counts of a phase in the tensor `counts`: phases × 2 row-major. */
export const LANDMARK_COUNTS = { sites: 0, patients: 1, size: 2 } as const;
export const LANDMARKS = LANDMARK_PERCENTILES.length;

/** What all tensors that are learned from training images have in common: every training patient may be in the sum. */
export function trainingTensor({ training, cells, minSites }: Frame) {
  const all = Array.from({ length: Math.max(1, cells) }, (_, cell) => cell);
  return {
    contributors: training.map((site) => ({ site, cells: all })),
    visibility: training.length < minSites ? ('site' as const) : ('total' as const),
    momentColumns: 0,
    fold: 'study',
  };
}

/**
 * Two rounds: how many sites and patients have landmarks of each phase, then sums of landmarks on the standard scale, of phases only that at least minSites
 * sites have. A site with landmarks of fewer patients than the minimum count adds nothing to that phase.
 */
export const landmarksDeclaration: Declaration<LandmarksSpec, LandmarksBroadcast> = {
  name: 'landmarks',
  leaves(spec, broadcast): TensorSpec[] {
    const common = trainingTensor(spec.frame);
    if (broadcast.phase === 'counts')
      return [
        {
          ...common,
          ...COUNT,
          name: 'counts',
          kind: 'landmarks.counts',
          shape: [spec.phases.length, LANDMARK_COUNTS.size],
          meaning: 'number of sites and of patients with images of each phase whose intensities can be standardized',
        },
      ];
    return [
      {
        ...common,
        ...STATISTIC,
        name: 'sums',
        kind: 'landmarks.sums',
        shape: [broadcast.measured.length, LANDMARKS],
        meaning: 'sum over patients of where percentiles of image intensities lie on the standard scale, by phase',
      },
    ];
  },
};
