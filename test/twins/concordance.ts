export interface Patient {
  readonly score: number;
  readonly time: number;
  readonly event: number;
  readonly stratum: number;
}

/** +1 / 0 / -1 for a usable pair that is concordant / tied in score / discordant; null where nobody can be ordered. */
function compare(a: Patient, b: Patient): number | null {
  if (a.stratum !== b.stratum) return null;
  const aFirst = a.event === 1 && (a.time < b.time || (a.time === b.time && b.event === 0));
  const bFirst = b.event === 1 && (b.time < a.time || (b.time === a.time && a.event === 0));
  if (!aFirst && !bFirst) return null;
  return Math.sign(aFirst ? a.score - b.score : b.score - a.score);
}

/** C with weights on patients, by all pairs: what the infinitesimal jackknife differentiates. */
function weightedC(patients: readonly Patient[], weights: readonly number[]): number {
  let concordant = 0;
  let pairs = 0;
  for (let i = 0; i < patients.length; i++)
    for (let j = 0; j < i; j++) {
      const order = compare(patients[i]!, patients[j]!);
      if (order === null) continue;
      concordant += (weights[i]! * weights[j]! * (order + 1)) / 2;
      pairs += weights[i]! * weights[j]!;
    }
  return concordant / pairs;
}

/** C by all pairs; its standard error by numerical derivatives of the weighted C, one patient at a time. */
export function concordanceBySquare(patients: readonly Patient[]): { value: number; se: number } {
  const ones = patients.map(() => 1);
  const step = 1e-5;
  let squares = 0;
  for (let i = 0; i < patients.length; i++) {
    const up = weightedC(patients, ones.with(i, 1 + step));
    const down = weightedC(patients, ones.with(i, 1 - step));
    const influence = (up - down) / (2 * step);
    squares += influence * influence;
  }
  return { value: weightedC(patients, ones), se: Math.sqrt(squares) };
}
