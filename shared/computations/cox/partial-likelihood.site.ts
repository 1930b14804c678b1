import { packedIndex, packedSize } from '../../linalg.js';

/**
 * The log partial likelihood of Cox's model and its derivatives, one stratum at a time.
 *
 * Patients enter the risk set from the longest time down, so every sum only grows and nothing is subtracted. The sums
 * carry the factor exp(-m), m the largest linear predictor met so far, so that no exponential overflows and the risk
 * set's sum never vanishes. Ties: Breslow (1974) and Efron (1977) as in Therneau and Grambsch 2000, section 3.3.
 */
export interface RiskOrder {
  /** Rows by stratum, then time from long to short; at equal times censored ones and deaths together. */
  readonly rows: Int32Array;
  /** Starts of blocks of equal time in `rows`, with the end appended. */
  readonly blocks: Int32Array;
  /** 1 where a block opens a new stratum. */
  readonly opens: Uint8Array;
}

/** Rows with `member` = 1, ordered for risk sets. Row numbers break ties, so the order is always the same. */
export function riskOrder(member: Uint8Array, stratumOf: Int32Array, time: Float64Array): RiskOrder {
  const rows: number[] = [];
  for (let row = 0; row < member.length; row++) if (member[row] === 1) rows.push(row);
  rows.sort((a, b) => stratumOf[a]! - stratumOf[b]! || time[b]! - time[a]! || a - b);
  const blocks: number[] = [];
  const opens: number[] = [];
  for (const [at, row] of rows.entries()) {
    const before = rows[at - 1];
    const newStratum = before === undefined || stratumOf[before] !== stratumOf[row];
    if (!newStratum && time[before!] === time[row]) continue;
    blocks.push(at);
    opens.push(newStratum ? 1 : 0);
  }
  blocks.push(rows.length);
  return { rows: Int32Array.from(rows), blocks: Int32Array.from(blocks), opens: Uint8Array.from(opens) };
}

export interface PartialLikelihood {
  readonly logLikelihood: number;
  /** Over all predictors; empty where not wanted. */
  readonly gradient: Float64Array;
  /** Information over `columns`, packed. */
  readonly information: Float64Array;
}

/**
 * `z` n x p row-major, `eta` the linear predictor of every row. With `columns` null only the log-likelihood is computed.
 */
export function partialLikelihood(
  order: RiskOrder,
  event: Uint8Array,
  z: Float64Array,
  p: number,
  eta: Float64Array,
  columns: Int32Array | null,
  efron: boolean,
): PartialLikelihood {
  const width = columns === null ? 0 : p;
  const active = columns ?? new Int32Array(0);
  const m = active.length;
  const gradient = new Float64Array(width);
  const information = new Float64Array(packedSize(m));
  const risk = new Sums(width, m);
  const dead = new Sums(width, m);
  const mean = new Float64Array(width);
  let logLikelihood = 0;
  let offset = 0;
  for (let block = 0; block < order.opens.length; block++) {
    if (order.opens[block] === 1) {
      risk.clear();
      offset = -Infinity;
    }
    const from = order.blocks[block]!;
    const to = order.blocks[block + 1]!;
    let largest = offset;
    for (let at = from; at < to; at++) largest = Math.max(largest, eta[order.rows[at]!]!);
    if (largest > offset) {
      if (offset !== -Infinity) risk.scale(Math.exp(offset - largest));
      offset = largest;
    }
    dead.clear();
    let deaths = 0;
    for (let at = from; at < to; at++) {
      const row = order.rows[at]!;
      const weight = Math.exp(eta[row]! - offset);
      risk.add(weight, z, row * p, active);
      if (event[row] === 0) continue;
      deaths++;
      logLikelihood += eta[row]!;
      for (let j = 0; j < width; j++) gradient[j]! += z[row * p + j]!;
      if (efron) dead.add(weight, z, row * p, active);
    }
    // Breslow: all deaths of a time see the whole risk set. Efron: the k-th sees it less k/d of the dying.
    const terms = efron ? deaths : Math.min(deaths, 1);
    for (let k = 0; k < terms; k++) {
      const share = k / deaths;
      const times = efron ? 1 : deaths;
      const s0 = risk.s0 - share * dead.s0;
      logLikelihood -= times * (Math.log(s0) + offset);
      for (let j = 0; j < width; j++) {
        mean[j] = (risk.s1[j]! - share * dead.s1[j]!) / s0;
        gradient[j]! -= times * mean[j]!;
      }
      for (let a = 0; a < m; a++) {
        const start = packedIndex(a, 0);
        const meanA = mean[active[a]!]!;
        for (let b = 0; b <= a; b++) {
          const second = (risk.s2[start + b]! - share * dead.s2[start + b]!) / s0;
          information[start + b]! += times * (second - meanA * mean[active[b]!]!);
        }
      }
    }
  }
  return { logLikelihood, gradient, information };
}

/** -sum d log d over tied event times within strata: the log-likelihood of the saturated model (glmnet's coxnet.deviance). */
export function saturatedLogLikelihood(order: RiskOrder, event: Uint8Array): number {
  let sum = 0;
  for (let block = 0; block < order.opens.length; block++) {
    let deaths = 0;
    for (let at = order.blocks[block]!; at < order.blocks[block + 1]!; at++) deaths += event[order.rows[at]!]!;
    if (deaths > 1) sum -= deaths * Math.log(deaths);
  }
  return sum;
}

/** S0, S1 over all predictors, S2 over the active ones (packed). */
class Sums {
  s0 = 0;
  readonly s1: Float64Array;
  readonly s2: Float64Array;

  constructor(p: number, m: number) {
    this.s1 = new Float64Array(p);
    this.s2 = new Float64Array(packedSize(m));
  }

  clear(): void {
    this.s0 = 0;
    this.s1.fill(0);
    this.s2.fill(0);
  }

  scale(factor: number): void {
    this.s0 *= factor;
    for (let j = 0; j < this.s1.length; j++) this.s1[j]! *= factor;
    for (let at = 0; at < this.s2.length; at++) this.s2[at]! *= factor;
  }

  add(weight: number, z: Float64Array, at: number, active: Int32Array): void {
    this.s0 += weight;
    for (let j = 0; j < this.s1.length; j++) this.s1[j]! += weight * z[at + j]!;
    for (let a = 0; a < active.length; a++) {
      const scaled = weight * z[at + active[a]!]!;
      if (scaled === 0) continue;
      const start = packedIndex(a, 0);
      for (let b = 0; b <= a; b++) this.s2[start + b]! += scaled * z[at + active[b]!]!;
    }
  }
}
