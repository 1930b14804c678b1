import type { Grid, Vec3 } from './volume.js';

/**
 * The image's own axes in the order and sense nearest to the patient's: the first runs most nearly from right to left, the second from front to
 * back, the third from feet to head. Nothing is turned: an oblique image keeps its planes. So an image stored in another order of voxels looks
 * the same through these axes.
 */
export interface PatientAxes {
  /** Image axis (0, 1, 2) that lies nearest to the patient's L, P and S. */
  readonly axis: readonly [Axis, Axis, Axis];
  /** 1 where that axis runs toward L, P, S; −1 where it runs the other way. */
  readonly sense: readonly [1 | -1, 1 | -1, 1 | -1];
  /** 3 × 3, row-major, as `Grid.direction`: unit vectors of the three axes. */
  readonly direction: readonly number[];
}

export type Axis = 0 | 1 | 2;

const ORDERS = [
  [0, 1, 2],
  [0, 2, 1],
  [1, 0, 2],
  [1, 2, 0],
  [2, 0, 1],
  [2, 1, 0],
] as const;

/** Of the six orders of axes the one whose direction cosines add up to most; of equal ones the first in lexical order. */
export function patientAxes({ direction }: Pick<Grid, 'direction'>): PatientAxes {
  const cosine = (patient: number, axis: Axis): number => direction[3 * patient + axis]!;
  let best: readonly [Axis, Axis, Axis] = ORDERS[0];
  let most = Number.NEGATIVE_INFINITY;
  for (const order of ORDERS) {
    const sum = order.reduce<number>((total, axis, patient) => total + Math.abs(cosine(patient, axis)), 0);
    if (sum > most + 1e-9) {
      most = sum;
      best = order;
    }
  }
  const senseOf = (patient: 0 | 1 | 2): 1 | -1 => (cosine(patient, best[patient]) < 0 ? -1 : 1);
  const sense = [senseOf(0), senseOf(1), senseOf(2)] as const;
  const turned = [0, 1, 2].flatMap((row) =>
    // Adding zero keeps a mirrored axis free of negative zeros.
    ([0, 1, 2] as const).map((column) => sense[column] * direction[3 * row + best[column]]! + 0),
  );
  return { axis: best, sense, direction: turned };
}

/** The three numbers of the image's axes in the order of the patient's. */
export const inPatientOrder = (values: Vec3, { axis }: PatientAxes): Vec3 => [
  values[axis[0]],
  values[axis[1]],
  values[axis[2]],
];

/** A grid of `size` voxels along these axes whose middle lies at `centre` (LPS, in mm). */
export function gridAround(centre: Vec3, direction: readonly number[], spacingMm: Vec3, size: Vec3): Grid {
  const half = [0, 1, 2].map((axis) => ((size[axis]! - 1) / 2) * spacingMm[axis]!);
  const along = (row: number): number =>
    centre[row]! -
    direction[3 * row]! * half[0]! -
    direction[3 * row + 1]! * half[1]! -
    direction[3 * row + 2]! * half[2]!;
  return { size, spacingMm, direction, origin: [along(0), along(1), along(2)] };
}
