import { Matrix, solve } from 'ml-matrix';

/**
 * Slow twin of ComBat (Johnson, Li and Rabinovic 2007), written for reading: one dense least-squares problem per feature
 * with a column for every batch, then the empirical-Bayes loop over the residuals themselves. It sees the whole table, so
 * it is for tests only.
 */
export interface TwinTable {
  /** Batch of each row. */
  readonly batch: readonly string[];
  /** rows x features, NaN = missing. */
  readonly y: readonly (readonly number[])[];
  /** rows x covariate columns. */
  readonly x: readonly (readonly number[])[];
}

export interface TwinCombat {
  readonly beta: number[][];
  readonly grandMean: number[];
  readonly pooledVariance: number[];
  readonly gammaStar: Map<string, number[]>;
  readonly deltaStar: Map<string, number[]>;
  readonly harmonized: number[][];
}

export function twinCombat({ batch, y, x }: TwinTable): TwinCombat {
  const batches = [...new Set(batch)].sort();
  const n = batch.length;
  const p = y[0]!.length;
  const c = x[0]?.length ?? 0;
  const constantSomewhere = Array.from({ length: p }, (_, j) =>
    batches.some((name) => {
      const values = y.filter((row, i) => batch[i] === name && !Number.isNaN(row[j]!)).map((row) => row[j]!);
      return new Set(values).size < 2;
    }),
  );
  const beta: number[][] = [];
  const grandMean: number[] = [];
  const pooledVariance: number[] = [];
  const standardized: number[][] = y.map((row) => row.map(() => Number.NaN));
  for (let j = 0; j < p; j++) {
    const observed = [...y.keys()].filter((i) => !Number.isNaN(y[i]![j]!));
    // Columns are divided by their largest magnitude: plain conditioning, undone below.
    const scale = Array.from({ length: c }, (_, k) => Math.max(...x.map((row) => Math.abs(row[k]!))));
    const design = new Matrix(
      observed.map((i) => [
        ...batches.map((name) => (batch[i] === name ? 1 : 0)),
        ...x[i]!.map((value, k) => value / scale[k]!),
      ]),
    );
    const coefficients = solve(design, Matrix.columnVector(observed.map((i) => y[i]![j]!)), true).to1DArray();
    const effects = coefficients.slice(batches.length).map((value, k) => value / scale[k]!);
    const grand = batches.reduce(
      (sum, name, b) => sum + (batch.filter((own) => own === name).length / n) * coefficients[b]!,
      0,
    );
    let squares = 0;
    for (const i of observed) {
      const covariate = x[i]!.reduce((sum, value, k) => sum + value * effects[k]!, 0);
      squares += (y[i]![j]! - coefficients[batches.indexOf(batch[i]!)]! - covariate) ** 2;
    }
    const variance = squares / observed.length;
    for (const i of observed) {
      const covariate = x[i]!.reduce((sum, value, k) => sum + value * effects[k]!, 0);
      standardized[i]![j] = (y[i]![j]! - grand - covariate) / Math.sqrt(variance);
    }
    beta.push(effects);
    grandMean.push(grand);
    pooledVariance.push(variance);
  }
  const gammaStar = new Map<string, number[]>();
  const deltaStar = new Map<string, number[]>();
  const taking = [...Array(p).keys()].filter((j) => !constantSomewhere[j]);
  for (const name of batches) {
    const residuals = taking.map((j) =>
      standardized.filter((row, i) => batch[i] === name && !Number.isNaN(row[j]!)).map((row) => row[j]!),
    );
    const gammaHat = residuals.map(average);
    const deltaHat = residuals.map(sampleVariance);
    const gammaBar = average(gammaHat);
    const tau2 = sampleVariance(gammaHat);
    const m = average(deltaHat);
    const s2 = sampleVariance(deltaHat);
    const shape = 2 + (m * m) / s2;
    const rate = m * (shape - 1);
    let gamma = gammaHat;
    let delta = deltaHat;
    // A fixed number of steps, far more than the fixed point needs.
    for (let step = 0; step < 400; step++) {
      gamma = gammaHat.map((hat, j) => {
        const size = residuals[j]!.length;
        return (size * tau2 * hat + delta[j]! * gammaBar) / (size * tau2 + delta[j]!);
      });
      delta = residuals.map(
        (values, j) =>
          (rate + values.reduce((sum, value) => sum + (value - gamma[j]!) ** 2, 0) / 2) /
          (values.length / 2 + shape - 1),
      );
    }
    gammaStar.set(name, gamma);
    deltaStar.set(name, delta);
  }
  const harmonized = y.map((row, i) =>
    row.map((value, j) => {
      const at = taking.indexOf(j);
      if (at < 0) return value;
      const gamma = gammaStar.get(batch[i]!)![at]!;
      const delta = deltaStar.get(batch[i]!)![at]!;
      const covariate = x[i]!.reduce((sum, entry, k) => sum + entry * beta[j]![k]!, 0);
      const sd = Math.sqrt(pooledVariance[j]!);
      return (sd * (standardized[i]![j]! - gamma)) / Math.sqrt(delta) + grandMean[j]! + covariate;
    }),
  );
  return { beta, grandMean, pooledVariance, gammaStar, deltaStar, harmonized };
}

function average(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

function sampleVariance(values: readonly number[]): number {
  const mean = average(values);
  return values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
}
