/**
 * Brier score at one time of right-censored patients, weighted by the inverse probability of not being censored (Graf,
 * Schmoor, Sauerbrei and Schumacher, Statistics in Medicine 1999, section 4): the mean of
 * S^2 / G(T-) over events up to the horizon and (1 - S)^2 / G(horizon) over those followed beyond it.
 * `survival`: predicted probability of no event by the horizon. G is the Kaplan-Meier estimate of staying uncensored over
 * these same patients, events before censorings at equal times. Null where nobody is followed to the horizon.
 */
export function survivalBrier(
  time: Float64Array,
  event: Uint8Array,
  survival: Float64Array,
  horizon: number,
): number | null {
  const n = time.length;
  const order = Int32Array.from({ length: n }, (_, row) => row).sort((a, b) => time[a]! - time[b]! || a - b);
  let uncensored = 1;
  let sum = 0;
  for (let from = 0; from < n && time[order[from]!]! <= horizon; ) {
    let to = from;
    let events = 0;
    for (; to < n && time[order[to]!] === time[order[from]!]; to++) {
      const row = order[to]!;
      if (event[row] !== 1) continue;
      events++;
      sum += (survival[row]! * survival[row]!) / uncensored;
    }
    const censored = to - from - events;
    if (censored > 0) uncensored *= 1 - censored / (n - from - events);
    from = to;
  }
  let beyond = 0;
  for (let row = 0; row < n; row++) {
    if (time[row]! <= horizon) continue;
    beyond++;
    const miss = 1 - survival[row]!;
    sum += (miss * miss) / uncensored;
  }
  return beyond === 0 ? null : sum / n;
}
