export interface Confusion {
  readonly tp: number;
  readonly fp: number;
  readonly tn: number;
  readonly fn: number;
}

/** Counts with `probability >= threshold` called positive. */
export function confusionAt(probability: Float64Array, y: Uint8Array, threshold: number): Confusion {
  let tp = 0;
  let fp = 0;
  let tn = 0;
  let fn = 0;
  for (let i = 0; i < y.length; i++) {
    if (probability[i]! >= threshold) y[i] === 1 ? tp++ : fp++;
    else y[i] === 1 ? fn++ : tn++;
  }
  return { tp, fp, tn, fn };
}

/** Bin of a probability among `bins` equal bins of [0, 1], closed on the left; 1 falls into the last. */
export function probabilityBin(probability: number, bins: number): number {
  const bin = Math.min(bins - 1, Math.floor(probability * bins));
  // The product may round across an edge; a bin is defined by its edges, the values a threshold can take.
  if (probability < bin / bins) return bin - 1;
  return bin + 1 < bins && probability >= (bin + 1) / bins ? bin + 1 : bin;
}

export interface YoudenThreshold {
  readonly threshold: number;
  /** Sensitivity + specificity - 1 at the threshold, exact because the threshold is an edge of a bin. */
  readonly youden: number;
  /** No threshold between the edges can have an index larger by more than this. */
  readonly bound: number;
}

/**
 * Youden's threshold from a histogram of predicted probabilities (equal bins of [0, 1]; counts of events and
 * non-events): the lowest bin edge with the largest sensitivity + specificity - 1 (Youden 1950), without ever seeing
 * single scores. Null where a class is empty. Inside bin b the index is at most J(left edge) + non-events_b / non-events
 * and at most J(right edge) + events_b / events, which gives `bound`.
 */
export function youdenFromHistogram(events: Float64Array, nonEvents: Float64Array): YoudenThreshold | null {
  const bins = events.length;
  const eventTotal = events.reduce((sum, count) => sum + count, 0);
  const nonEventTotal = nonEvents.reduce((sum, count) => sum + count, 0);
  if (eventTotal === 0 || nonEventTotal === 0) return null;
  // index[e] = Youden's index when everything from edge e upwards is positive.
  const index = new Float64Array(bins + 1);
  let eventsBelow = 0;
  let nonEventsBelow = 0;
  let best = 0;
  for (let edge = 0; edge <= bins; edge++) {
    index[edge] = nonEventsBelow / nonEventTotal - eventsBelow / eventTotal;
    if (index[edge]! > index[best]!) best = edge;
    if (edge < bins) {
      eventsBelow += events[edge]!;
      nonEventsBelow += nonEvents[edge]!;
    }
  }
  let reachable = index[best]!;
  for (let bin = 0; bin < bins; bin++) {
    const fromLeft = index[bin]! + nonEvents[bin]! / nonEventTotal;
    const fromRight = index[bin + 1]! + events[bin]! / eventTotal;
    reachable = Math.max(reachable, Math.min(fromLeft, fromRight));
  }
  return { threshold: best / bins, youden: index[best]!, bound: reachable - index[best]! };
}

/**
 * Youden's threshold on single scores, as pROC::coords(best) gives it: midpoints between consecutive distinct scores.
 * Local use only (conformance, one holder); all best thresholds when tied, ascending.
 */
export function youdenThresholds(score: Float64Array, y: Uint8Array): { thresholds: number[]; youden: number } {
  const distinct = [...new Set(score)].sort((a, b) => a - b);
  const candidates = [-Infinity, ...distinct.slice(1).map((value, i) => (value + distinct[i]!) / 2), Infinity];
  const counts = distinct.map(() => [0, 0]);
  const position = new Map(distinct.map((value, i) => [value, i]));
  for (let i = 0; i < y.length; i++) counts[position.get(score[i]!)!]![y[i]!]!++;
  const eventTotal = y.reduce((sum, value) => sum + value, 0);
  const nonEventTotal = y.length - eventTotal;
  let below = [0, 0];
  let best = -Infinity;
  let thresholds: number[] = [];
  for (const [edge, threshold] of candidates.entries()) {
    // Compared as integers, so that tied thresholds tie exactly.
    const scaled = below[0]! * eventTotal - below[1]! * nonEventTotal;
    if (scaled > best) thresholds = [];
    if (scaled >= best) thresholds.push(threshold);
    best = Math.max(best, scaled);
    const bin = counts[edge];
    if (bin !== undefined) below = [below[0]! + bin[0]!, below[1]! + bin[1]!];
  }
  return { thresholds, youden: best / (eventTotal * nonEventTotal) };
}
