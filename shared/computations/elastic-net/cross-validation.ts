/** Held-out measure of one inner fold: lower is better, one value per lambda, and the fold's weight. */
export interface FoldMeasure {
  readonly weight: number;
  readonly values: Float64Array;
}

export interface CrossValidation {
  readonly mean: Float64Array;
  readonly se: Float64Array;
  readonly indexMin: number;
  readonly index1se: number;
}

/**
 * cv.glmnet's summary: weighted mean over folds, standard error sqrt(weighted variance / (K - 1)), the largest lambda at
 * the minimum, and the largest lambda whose mean lies within one standard error of it.
 */
export function crossValidation(folds: readonly FoldMeasure[], count: number): CrossValidation {
  const mean = new Float64Array(count);
  const se = new Float64Array(count);
  const totalWeight = folds.reduce((sum, { weight }) => sum + weight, 0);
  for (let k = 0; k < count; k++) {
    let sum = 0;
    for (const { weight, values } of folds) sum += weight * values[k]!;
    mean[k] = sum / totalWeight;
    let squares = 0;
    for (const { weight, values } of folds) {
      const deviation = values[k]! - mean[k]!;
      squares += weight * deviation * deviation;
    }
    se[k] = Math.sqrt(squares / totalWeight / (folds.length - 1));
  }
  let indexMin = 0;
  for (let k = 1; k < count; k++) if (mean[k]! < mean[indexMin]!) indexMin = k;
  let index1se = 0;
  while (mean[index1se]! > mean[indexMin]! + se[indexMin]!) index1se++;
  return { mean, se, indexMin, index1se };
}
