import type { MatrixFeatures } from './glcm.js';
import type { ToneDifferences } from './matrices.js';

/** IBSI's value of coarseness where every voxel equals the mean of its neighbours. */
const LARGEST_COARSENESS = 1e6;

/**
 * IBSI's features of a neighbourhood grey tone difference matrix (family IPET); null where no voxel has a neighbour. With one grey
 * level contrast, busyness and strength are 0 and coarseness is 1e6, as IBSI sets them.
 */
export function ngtdmFeatures(matrix: ToneDifferences): MatrixFeatures | null {
  let voxels = 0;
  for (const { n } of matrix.values()) voxels += n;
  if (voxels === 0) return null;
  const present = Array.from(matrix, ([level, { n, s }]) => ({ level, p: n / voxels, s }));
  let [weighted, total] = [0, 0];
  for (const one of present) {
    weighted += one.p * one.s;
    total += one.s;
  }
  let [contrast, spread, complexity, strength] = [0, 0, 0, 0];
  for (const one of present)
    for (const other of present) {
      const d = one.level - other.level;
      contrast += one.p * other.p * d * d;
      spread += Math.abs(one.level * one.p - other.level * other.p);
      complexity += (Math.abs(d) * (one.p * one.s + other.p * other.s)) / (one.p + other.p);
      strength += (one.p + other.p) * d * d;
    }
  const groups = present.length;
  return new Map([
    ['coarseness', Math.min(LARGEST_COARSENESS, 1 / weighted)],
    ['contrast', groups > 1 ? (contrast / (groups * (groups - 1))) * (total / voxels) : 0],
    ['busyness', groups > 1 && spread > 0 ? weighted / spread : 0],
    ['complexity', complexity / voxels],
    ['strength', total > 0 ? strength / total : 0],
  ]);
}
