import type { Counts } from './counts.js';
import type { MatrixFeatures } from './glcm.js';

/**
 * The four matrices that count a quantity j (run length, zone size, zone distance, dependence) by grey level share sixteen features;
 * their tags differ, in this order.
 */
export const EMPHASIS_TAGS = {
  rlm: [
    'sre',
    'lre',
    'lgre',
    'hgre',
    'srlge',
    'srhge',
    'lrlge',
    'lrhge',
    'glnu',
    'glnu_norm',
    'rlnu',
    'rlnu_norm',
    'r_perc',
    'gl_var',
    'rl_var',
    'rl_entr',
  ],
  szm: [
    'sze',
    'lze',
    'lgze',
    'hgze',
    'szlge',
    'szhge',
    'lzlge',
    'lzhge',
    'glnu',
    'glnu_norm',
    'zsnu',
    'zsnu_norm',
    'z_perc',
    'gl_var',
    'zs_var',
    'zs_entr',
  ],
  dzm: [
    'sde',
    'lde',
    'lgze',
    'hgze',
    'sdlge',
    'sdhge',
    'ldlge',
    'ldhge',
    'glnu',
    'glnu_norm',
    'zdnu',
    'zdnu_norm',
    'z_perc',
    'gl_var',
    'zd_var',
    'zd_entr',
  ],
  ngl: [
    'lde',
    'hde',
    'lgce',
    'hgce',
    'ldlge',
    'ldhge',
    'hdlge',
    'hdhge',
    'glnu',
    'glnu_norm',
    'dcnu',
    'dcnu_norm',
    'dc_perc',
    'gl_var',
    'dc_var',
    'dc_entr',
    'dc_energy',
  ],
} as const;

/** IBSI's features of a run length, size zone, distance zone or dependence matrix (families TP0I, 9SAK, VMDZ, REK0); null where it is empty. */
export function emphasisFeatures(prefix: keyof typeof EMPHASIS_TAGS, counts: Counts): MatrixFeatures | null {
  const { i, j, n, voxels } = counts;
  let total = 0;
  for (const count of n) total += count;
  if (total === 0) return null;
  const [byLevel, byQuantity] = [new Map<number, number>(), new Map<number, number>()];
  const sums = new Float64Array(8);
  let [meanI, meanJ, entropy, energy] = [0, 0, 0, 0];
  for (let k = 0; k < n.length; k++) {
    const [level, quantity, count] = [i[k]!, j[k]!, n[k]!];
    const p = count / total;
    const ii = level * level;
    const jj = quantity * quantity;
    byLevel.set(level, (byLevel.get(level) ?? 0) + count);
    byQuantity.set(quantity, (byQuantity.get(quantity) ?? 0) + count);
    const terms = [1 / jj, jj, 1 / ii, ii, 1 / (ii * jj), ii / jj, jj / ii, ii * jj];
    for (let t = 0; t < 8; t++) sums[t]! += p * terms[t]!;
    meanI += level * p;
    meanJ += quantity * p;
    entropy -= p * Math.log2(p);
    energy += p * p;
  }
  let [varianceI, varianceJ] = [0, 0];
  for (let k = 0; k < n.length; k++) {
    const [di, dj] = [i[k]! - meanI, j[k]! - meanJ];
    varianceI += (di * di * n[k]!) / total;
    varianceJ += (dj * dj * n[k]!) / total;
  }
  const squares = (groups: Map<number, number>): number => {
    let sum = 0;
    for (const count of groups.values()) sum += count * count;
    return sum;
  };
  const [levelSquares, quantitySquares] = [squares(byLevel), squares(byQuantity)];
  const values = [
    ...sums,
    levelSquares / total,
    levelSquares / (total * total),
    quantitySquares / total,
    quantitySquares / (total * total),
    total / voxels,
    varianceI,
    varianceJ,
    entropy,
    energy,
  ];
  return new Map(EMPHASIS_TAGS[prefix].map((tag, k) => [tag, values[k]!]));
}
