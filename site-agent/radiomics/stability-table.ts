import { csvText } from '../../shared/csv.js';
import { type AnovaSums, anovaSums, ICC_KINDS, type Icc, type IccKind, icc } from '../../shared/metrics/icc.js';

/** One subject's features in one reading; null where a feature has no value. */
export interface Measurement {
  readonly subject: string;
  readonly reading: string;
  readonly features: ReadonlyMap<string, number | null>;
}

export interface StabilityJudgement {
  readonly kind: IccKind;
  /** What must reach the minimum: the coefficient, or the lower end of its 95 % interval. */
  readonly judge: 'value' | 'low';
  readonly minimum: number;
}

export interface FeatureStability {
  readonly feature: string;
  /** Subjects with a value in every reading. */
  readonly n: number;
  /** Readings. */
  readonly k: number;
  readonly icc: Readonly<Record<IccKind, Icc>>;
  readonly kept: boolean;
}

/**
 * How far repeated measurements of each feature agree, over the subjects of one site that have it in every reading; features in the order in
 * which they first come.
 */
export function stabilityTable(
  measurements: readonly Measurement[],
  { kind, judge, minimum }: StabilityJudgement,
): FeatureStability[] {
  const readings = [...new Set(measurements.map(({ reading }) => reading))].sort();
  const k = readings.length;
  const subjects = new Map<string, Measurement[]>();
  for (const one of measurements) {
    const known = subjects.get(one.subject);
    if (known === undefined) subjects.set(one.subject, [one]);
    else known.push(one);
  }
  const whole = [...subjects.values()]
    .map((own) => readings.map((name) => own.find(({ reading }) => reading === name)))
    .filter((own): own is Measurement[] => own.every((one) => one !== undefined));
  const names = new Set(measurements.flatMap(({ features }) => [...features.keys()]));
  return [...names].map((feature) => {
    const rows = whole
      .map((own) => own.map(({ features }) => features.get(feature) ?? null))
      .filter((values): values is number[] => values.every((value) => value !== null && Number.isFinite(value)));
    const sums = centredSums(rows, k);
    const found = Object.fromEntries(ICC_KINDS.map((one) => [one, icc(one, sums, k)])) as Record<IccKind, Icc>;
    const counted = found[kind][judge];
    return { feature, n: rows.length, k, icc: found, kept: counted !== null && counted >= minimum };
  });
}

/** Centred by the mean first, so that a large mean costs no digits. */
function centredSums(rows: readonly (readonly number[])[], k: number): AnovaSums {
  const values = Float64Array.from(rows.flat());
  const mean = values.reduce((sum, value) => sum + value / values.length, 0);
  return anovaSums(
    values.map((value) => value - mean),
    k,
  );
}

/** CSV: feature, n, k, then each coefficient with the ends of its interval, and whether the feature is kept; undefined is empty. */
export function stabilityCsv(rows: readonly FeatureStability[]): string {
  const header = ['feature', 'n', 'k', ...ICC_KINDS.flatMap((kind) => [kind, `${kind} low`, `${kind} high`]), 'kept'];
  const lines = rows.map((row) => [
    row.feature,
    row.n,
    row.k,
    ...ICC_KINDS.flatMap((kind) => [row.icc[kind].value, row.icc[kind].low, row.icc[kind].high]),
    row.kept ? 1 : 0,
  ]);
  return csvText([header, ...lines]);
}
