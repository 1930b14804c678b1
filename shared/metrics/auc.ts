import { type PairSums, pairSumsOf } from './pairs.js';
import { midranks } from './ranks.js';

export interface DeLong {
  readonly auc: number;
  /** DeLong variance; NaN where a class has fewer than two patients. */
  readonly variance: number;
  readonly events: number;
  readonly nonEvents: number;
}

/**
 * Area under the ROC curve (events score higher) with DeLong's variance, from midranks in O(n log n).
 * DeLong, DeLong and Clarke-Pearson 1988, eq. 2 to 5, in the form of Sun and Xu 2014, Algorithm 2.
 * score, y: one entry per patient, y is 0 or 1. auc is NaN where a class is absent.
 */
export function delong(score: Float64Array, y: Uint8Array): DeLong {
  const { placements, events, nonEvents, concordant } = placementsOf(score, y);
  if (events === 0 || nonEvents === 0) return { auc: Number.NaN, variance: Number.NaN, events, nonEvents };
  const auc = concordant / (events * nonEvents);
  let squaresEvents = 0;
  let squaresNonEvents = 0;
  for (let i = 0; i < placements.length; i++) {
    const deviation = placements[i]! - auc;
    if (y[i] === 1) squaresEvents += deviation * deviation;
    else squaresNonEvents += deviation * deviation;
  }
  const variance =
    events < 2 || nonEvents < 2
      ? Number.NaN
      : squaresEvents / (events - 1) / events + squaresNonEvents / (nonEvents - 1) / nonEvents;
  return { auc, variance, events, nonEvents };
}

/**
 * Placement value of every patient: the share of the other class that the patient is ordered correctly against, ties
 * half (DeLong's V10 and V01), and the number of concordant pairs.
 */
function placementsOf(score: Float64Array, y: Uint8Array) {
  const overall = midranks(score);
  const within = new Float64Array(score.length);
  let events = 0;
  for (const label of [0, 1]) {
    const rows = Array.from(y, (_, row) => row).filter((row) => y[row] === label);
    const ranks = midranks(Float64Array.from(rows, (row) => score[row]!));
    for (const [position, row] of rows.entries()) within[row] = ranks[position]!;
    if (label === 1) events = rows.length;
  }
  const nonEvents = y.length - events;
  const placements = new Float64Array(score.length);
  let concordant = 0;
  for (let i = 0; i < score.length; i++) {
    // Patients of the other class with a lower score, ties half.
    const below = overall[i]! - within[i]!;
    if (y[i] === 1) concordant += below;
    placements[i] = y[i] === 1 ? below / nonEvents : 1 - below / events;
  }
  return { placements, events, nonEvents, concordant };
}

/** Concordant and usable pairs of every patient, for sums over sites. */
export function aucPairSums(score: Float64Array, y: Uint8Array): PairSums {
  const overall = midranks(score);
  const concordantOf = new Float64Array(score.length);
  const pairsOf = new Float64Array(score.length);
  const rowsOf = [0, 1].map((label) => Array.from(y, (_, row) => row).filter((row) => y[row] === label));
  for (const [label, rows] of rowsOf.entries()) {
    const others = rowsOf[1 - label]!.length;
    const ranks = midranks(Float64Array.from(rows, (row) => score[row]!));
    for (const [position, row] of rows.entries()) {
      const below = overall[row]! - ranks[position]!;
      concordantOf[row] = label === 1 ? below : others - below;
      pairsOf[row] = others;
    }
  }
  return pairSumsOf(concordantOf, pairsOf);
}

/** AUC from counts of events and non-events in ascending score bins; a shared bin counts half. */
export function histogramAuc(events: Float64Array, nonEvents: Float64Array): number {
  let below = 0;
  let concordant = 0;
  let total = 0;
  for (let bin = 0; bin < events.length; bin++) {
    concordant += events[bin]! * (below + nonEvents[bin]! / 2);
    below += nonEvents[bin]!;
    total += events[bin]!;
  }
  return concordant / (total * below);
}
