/** Which rounds of a computation this site has joined so far. */
export interface JoinedRounds {
  readonly first: number;
  readonly last: number;
  /** The last one before that. */
  readonly before?: number;
  /** Survivors of the rounds whose set this site signed, as one text a round. */
  readonly sets?: ReadonlyMap<number, string>;
  /** First round of the pass that this site signed last. */
  readonly start?: number;
}

/**
 * Whether a round can stand at this place of the study: computations follow one another in the order of the plan, and the
 * iterations of one are consecutive rounds. Without it a coordinator could go back to an earlier computation, or ask the
 * one round that evaluates again and again. Rounds that this site missed are no objection.
 *
 * `mayBeginAnew`: where sites may go missing, a computation of which one did so between two rounds starts again over those
 * that are left; so the round before the new start must have another set than the one before it.
 */
export function isInOrder(
  plan: readonly string[],
  joined: ReadonlyMap<string, JoinedRounds>,
  next: { readonly instance: string; readonly iteration: number; readonly round: number },
  mayBeginAnew = false,
): boolean {
  const place = plan.indexOf(next.instance);
  const start = next.round - next.iteration + 1;
  if (place < 0 || !Number.isSafeInteger(next.iteration) || next.iteration < 1 || start < 1 + place) return false;
  for (const [instance, known] of joined) {
    const { first, last } = known;
    const other = plan.indexOf(instance);
    if (other < place && last >= start) return false;
    if (other === place && first < start && !(mayBeginAnew && beganAnew(known, start, next.round))) return false;
    if (other > place && first <= next.round) return false;
  }
  return true;
}

function beganAnew({ last, before, sets, start }: JoinedRounds, claimed: number, round: number): boolean {
  const lastBefore = last === round ? before : last;
  // A pass goes on where it was taken to begin, and a new one begins after all that was joined.
  if (start !== claimed && lastBefore !== undefined && lastBefore >= claimed) return false;
  const [earlier, later] = [sets?.get(claimed - 2), sets?.get(claimed - 1)];
  return earlier === undefined || later === undefined || earlier !== later;
}
