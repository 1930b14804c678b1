import type { BundleModelInput } from '../../shared/bundle/model-graph.js';

/** One patient's inputs by name: a number, the index of a level, or null where missing. */
export type RawPatient = Readonly<Record<string, number | null>>;

/**
 * Scores one patient from raw values as the bundle's page describes it, one named value after the other. Shares no code
 * with the graph writer or the site halves.
 */
export function twinScore(
  input: BundleModelInput,
  patient: RawPatient,
  gamma: readonly number[],
  delta: readonly number[],
): { score: number; probability: number } {
  const covariate = (column: string): number | null => {
    for (const { name, levels } of input.covariates) {
      const value = patient[name] ?? null;
      if (levels === null && column === name) return value;
      for (const [level, label] of (levels ?? []).entries())
        if (column === name + label) return value === null ? null : value === level ? 1 : 0;
    }
    throw new Error(`no column ${column}`);
  };

  const harmonized: (number | null)[] = input.features.map((feature, j) => {
    const value = patient[feature] ?? null;
    const h = input.harmonization;
    if (value === null || h === null) return value;
    if (h.method === 'zscore') return (value - gamma[j]!) / Math.sqrt(delta[j]!);
    if (h.untouched[j] === 1) return value;
    let level = h.grandMean[j]!;
    for (const [k, column] of h.columns.entries())
      level += (covariate(column) ?? h.covariateMean[k]!) * h.coefficients[k * input.features.length + j]!;
    const sd = Math.sqrt(h.pooledVariance[j]!);
    return (((value - level) / sd - gamma[j]!) / Math.sqrt(delta[j]!)) * sd + level;
  });

  const columns: (number | null)[] = [...harmonized];
  if (input.withCovariates)
    for (const { name, levels } of input.covariates)
      for (const label of levels === null ? [''] : levels.slice(1)) columns.push(covariate(name + label));
  let values = columns.map((value, j) => {
    if (value === null || !(input.sd[j]! > 0)) return 0;
    return (value - input.mean[j]!) / input.sd[j]!;
  });

  let score: number;
  if (input.model.type === 'linear') {
    score = input.model.intercept;
    for (const [j, value] of values.entries()) score += input.model.beta[j]! * value;
  } else {
    for (const [l, layer] of input.model.layers.entries()) {
      const next: number[] = [];
      for (let unit = 0; unit < layer.rows; unit++) {
        let sum = layer.bias[unit]!;
        for (const [k, value] of values.entries()) sum += layer.weights[unit * layer.columns + k]! * value;
        if (l === input.model.layers.length - 1) next.push(sum);
        else next.push(input.model.activation === 'relu' ? (sum > 0 ? sum : 0) : Math.tanh(sum));
      }
      values = next;
    }
    score = values[0]!;
  }
  return { score, probability: 1 / (1 + Math.exp(-score)) };
}
