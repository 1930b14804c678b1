/** Which rounds of a computation this site has joined so far. */
export interface JoinedRounds {
  readonly first: number;
  readonly last: number;
}

/**
 * Whether a round can stand at this place of the study: computations follow one another in the order of the plan, and the
 * iterations of one are consecutive rounds. Without it a coordinator could go back to an earlier computation, or ask the
 * one round that evaluates again and again. Rounds that this site missed are no objection.
 */
export function isInOrder(
  plan: readonly string[],
  joined: ReadonlyMap<string, JoinedRounds>,
  next: { readonly instance: string; readonly iteration: number; readonly round: number },
): boolean {
  const place = plan.indexOf(next.instance);
  const start = next.round - next.iteration + 1;
  if (place < 0 || !Number.isSafeInteger(next.iteration) || next.iteration < 1 || start < 1 + place) return false;
  for (const [instance, { first, last }] of joined) {
    const other = plan.indexOf(instance);
    if (other < place && last >= start) return false;
    if (other === place && first < start) return false;
    if (other > place && first <= next.round) return false;
  }
  return true;
}
