import { Matrix, solve } from 'ml-matrix';

/** Logistic regression by iteratively reweighted least squares on the raw columns (McCullagh and Nelder 1989, 2.5). */
export function irls(x: readonly (readonly number[])[], y: readonly number[]): { beta: number[]; se: number[] } {
  const design = new Matrix(x.map((row) => [1, ...row]));
  let beta = Matrix.zeros(design.columns, 1);
  let information = Matrix.eye(design.columns);
  for (let iteration = 0; iteration < 50; iteration++) {
    const mu = design
      .mmul(beta)
      .to1DArray()
      .map((eta) => 1 / (1 + Math.exp(-eta)));
    const weighted = new Matrix(design.to2DArray().map((row, i) => row.map((value) => value * mu[i]! * (1 - mu[i]!))));
    information = design.transpose().mmul(weighted);
    const score = design.transpose().mmul(Matrix.columnVector(y.map((value, i) => value - mu[i]!)));
    const step = solve(information, score);
    beta = Matrix.add(beta, step);
    if (step.to1DArray().every((value) => Math.abs(value) < 1e-14)) break;
  }
  const covariance = solve(information, Matrix.eye(design.columns));
  return { beta: beta.to1DArray(), se: covariance.diagonal().map(Math.sqrt) };
}

/** Mean gradient of the log-likelihood (intercept first) of a logistic model, written as its definition. */
export function logisticGradient(
  x: readonly (readonly number[])[],
  y: readonly number[],
  intercept: number,
  beta: readonly number[],
): number[] {
  const residuals = x.map((row, i) => {
    const eta = row.reduce((sum, value, j) => sum + value * beta[j]!, intercept);
    return y[i]! - 1 / (1 + Math.exp(-eta));
  });
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  return [mean(residuals), ...beta.map((_, j) => mean(residuals.map((residual, i) => residual * x[i]![j]!)))];
}
