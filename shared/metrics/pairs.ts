/**
 * Sums over usable pairs of patients, of which a concordance and its standard error are made: for an AUC a pair is an
 * event and a non-event, for a C-index an event and someone still at risk after it. With a_i the pairs of patient i that
 * are concordant (a tie counts half) and u_i all of the patient's pairs, each field is a plain sum over patients or
 * pairs, so sites can add them. All are multiples of 1/4 and therefore exact in fixed point.
 */
export interface PairSums {
  /** Concordant pairs plus half the pairs tied in the score. */
  readonly concordant: number;
  readonly pairs: number;
  /** Sum of a_i^2. */
  readonly sumAA: number;
  /** Sum of a_i u_i. */
  readonly sumAU: number;
  /** Sum of u_i^2. */
  readonly sumUU: number;
}

export const NO_PAIRS: PairSums = { concordant: 0, pairs: 0, sumAA: 0, sumAU: 0, sumUU: 0 };

export function addPairSums(a: PairSums, b: PairSums): PairSums {
  return {
    concordant: a.concordant + b.concordant,
    pairs: a.pairs + b.pairs,
    sumAA: a.sumAA + b.sumAA,
    sumAU: a.sumAU + b.sumAU,
    sumUU: a.sumUU + b.sumUU,
  };
}

/**
 * Concordance C = concordant / pairs and its infinitesimal-jackknife standard error: the influence of patient i is
 * dC/dw_i = (a_i - C u_i) / pairs, the variance is the sum of its squares (Therneau and Watson 2015, "The concordance
 * statistic and the Cox model"; survival::concordance). Null where there is no pair.
 */
export function concordanceOf(sums: PairSums): { value: number; se: number } | null {
  if (sums.pairs === 0) return null;
  const value = sums.concordant / sums.pairs;
  const squares = sums.sumAA - 2 * value * sums.sumAU + value * value * sums.sumUU;
  return { value, se: Math.sqrt(Math.max(0, squares)) / sums.pairs };
}

export function pairSumsOf(concordantOf: Float64Array, pairsOf: Float64Array): PairSums {
  let concordant = 0;
  let pairs = 0;
  let sumAA = 0;
  let sumAU = 0;
  let sumUU = 0;
  for (let i = 0; i < concordantOf.length; i++) {
    const a = concordantOf[i]!;
    const u = pairsOf[i]!;
    concordant += a;
    pairs += u;
    sumAA += a * a;
    sumAU += a * u;
    sumUU += u * u;
  }
  // Every pair was counted at both of its patients.
  return { concordant: concordant / 2, pairs: pairs / 2, sumAA, sumAU, sumUU };
}
