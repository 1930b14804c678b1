import type { HabitatLearning } from '../../imaging-learned.js';
import { COUNT, type TensorSpec } from '../../tensors.js';
import type { Declaration } from '../computation.js';
import type { Frame } from '../frame.js';
import { trainingTensor } from '../landmarks/declaration.js';

/** `habitats`: k-means (Lloyd) over voxels of all training patients' lesions, each patient weighing the same. */
export interface HabitatsSpec extends HabitatLearning {
  readonly frame: Frame;
  /** Digest of the landmarks by which the images are standardized, or null. */
  readonly standardized: string | null;
}

/**
 * Voxels are put into cells: by intensity (`centroids` is empty; CELLS_AT_START equal bins) or to the nearest centroid, two numbers from 0 to 1 each.
 * First how many sites have something in each cell is asked, then sums of the cells `shown`.
 */
export type HabitatsBroadcast =
  | { readonly phase: 'sites'; readonly centroids: Float64Array }
  | { readonly phase: 'cells'; readonly centroids: Float64Array; readonly shown: Int32Array };

export interface HabitatsResult extends Omit<HabitatLearning, 'count'> {
  readonly standardized: string | null;
  readonly sites: number;
  readonly patients: number;
  readonly converged: boolean;
  /** In ascending intensity; null where too few sites have lesions to learn from. Entropy is in bits, the share of all voxels. */
  readonly habitats: readonly { readonly intensity: number; readonly entropy: number; readonly share: number }[] | null;
}

export const CELLS_AT_START = 16;
/** Sums of a cell in the tensor `cells`: cells × 3 row-major. */
export const CELL = { weight: 0, intensity: 1, entropy: 2, size: 3 } as const;
/** After the cells in the tensor `sites`: how many sites and patients there are in all. */
export const BESIDE = { sites: 0, patients: 1, size: 2 } as const;
/**
 * All voxels of a patient weigh 1 together; a site rounds its sums to quarters of that. What moves between two iterations is mostly few voxels of few
 * patients: their difference is not in the totals.
 */
export const ROUNDING_BITS = 2;
/** A patient counts in a cell with at least this share of what the patient with most voxels there has. */
export const COUNTS_FROM = 0.1;

export const cellsOf = (centroids: Float64Array): number =>
  centroids.length === 0 ? CELLS_AT_START : centroids.length / 2;

export const habitatsDeclaration: Declaration<HabitatsSpec, HabitatsBroadcast> = {
  name: 'habitats',
  leaves(spec, broadcast): TensorSpec[] {
    const common = trainingTensor(spec.frame);
    if (broadcast.phase === 'sites')
      return [
        {
          ...common,
          ...COUNT,
          name: 'sites',
          kind: 'habitats.sites',
          shape: [cellsOf(broadcast.centroids) + BESIDE.size],
          meaning:
            'number of sites with enough patients in each group of voxels; number of sites and of patients with lesions',
        },
      ];
    return [
      {
        ...common,
        ...COUNT,
        fractionBits: ROUNDING_BITS,
        name: 'cells',
        kind: 'habitats.cells',
        shape: [broadcast.shown.length, CELL.size],
        meaning:
          'weight of lesion voxels in each group, and sums of their intensity and local entropy, rounded to a quarter of one patient',
      },
    ];
  },
};
