import { type CovariateColumn, type FittedModel, type Predictor, predictorsOf } from '../computations/frame.js';
import { assert } from '../errors.js';
import { OnnxGraph } from './onnx.js';

/** Everything public that scoring a patient from raw values takes. */
export interface BundleModelInput {
  /** Inputs in order: the features, then the covariates. */
  readonly features: readonly string[];
  readonly covariates: readonly CovariateColumn[];
  readonly harmonization: BundleHarmonization | null;
  /** Whether the model's predictors include the covariates. */
  readonly withCovariates: boolean;
  /** Training mean and sd of every predictor (features, then covariate columns if they are used), after harmonization. */
  readonly mean: Float64Array;
  readonly sd: Float64Array;
  readonly model: FittedModel;
  readonly endpoint: 'binary' | 'survival';
  /** Cumulative baseline hazard at the declared horizon, for a score of 0; null where absolute risk is not defined. */
  readonly baselineHazard: number | null;
}

export type BundleHarmonization =
  /** gamma and delta are the site's mean and variance. */
  | { readonly method: 'zscore' }
  | {
      readonly method: 'combat';
      /** c: design columns of the preserved covariates, by their names in predictorsOf; values that stand for a gap. */
      readonly columns: readonly string[];
      readonly covariateMean: Float64Array;
      /** c x p row-major. */
      readonly coefficients: Float64Array;
      readonly grandMean: Float64Array;
      readonly pooledVariance: Float64Array;
      /** p: 1 where a feature is left as it is. */
      readonly untouched: Uint8Array;
    };

/**
 * The model as an ONNX graph in double precision, opset 17. Inputs: `x` [N, inputs] raw values (NaN = missing, a category
 * is its level's index), `gamma` and `delta` [inputs] of the patient's site (0 and 1 where not harmonized). Outputs:
 * `score` [N] (logit, or log relative hazard) and `probability` [N], or `risk` [N] where a baseline hazard is given.
 */
export function buildModelOnnx(input: BundleModelInput): Uint8Array {
  const inputs = input.features.length + input.covariates.length;
  const graph = new OnnxGraph('concordat');
  const x = graph.input('x', ['N', inputs]);
  const gamma = graph.input('gamma', [inputs]);
  const delta = graph.input('delta', [inputs]);
  const predictors = predictorsOf(input, input.withCovariates);
  assert(input.mean.length === predictors.length, 'one mean per predictor of the model');
  assert(input.sd.length === predictors.length, 'one standard deviation per predictor of the model');

  const features = harmonize(graph, input, x, gamma, delta);
  const p = input.features.length;
  let z = standardize(graph, features, features, input.mean.subarray(0, p), input.sd.subarray(0, p));
  if (predictors.length > p) {
    const columns = covariateColumns(graph, input, x, predictors.slice(p));
    const covariates = standardize(graph, columns.values, columns.raw, input.mean.subarray(p), input.sd.subarray(p));
    z = graph.node('Concat', [z, covariates], { axis: 1 });
  }
  const logit = graph.node('Squeeze', [applyModel(graph, input.model, z), graph.integers([1])]);
  graph.output('score', logit, ['N']);
  if (input.endpoint === 'binary') graph.output('probability', graph.node('Sigmoid', [logit]), ['N']);
  else if (input.baselineHazard !== null) {
    const cumulative = graph.node('Mul', [graph.node('Exp', [logit]), graph.doubles([-input.baselineHazard], [])]);
    const survival = graph.node('Exp', [cumulative]);
    graph.output('risk', graph.node('Sub', [graph.doubles([1], []), survival]), ['N']);
  }
  return graph.encode('1');
}

/** h = ((x - grand - cov)/sd - gamma)/sqrt(delta) * sd + grand + cov, and for the z-score arm (x - gamma)/sqrt(delta). */
function harmonize(graph: OnnxGraph, input: BundleModelInput, x: string, gamma: string, delta: string): string {
  const p = input.features.length;
  const own = graph.integers(input.features.map((_, feature) => feature));
  const raw = graph.node('Gather', [x, own], { axis: 1 });
  const { harmonization } = input;
  if (harmonization === null) {
    // gamma and delta are inputs of every bundle; unused inputs are fine for a runtime.
    return raw;
  }
  const shift = graph.node('Gather', [gamma, own], { axis: 0 });
  const spread = graph.node('Sqrt', [graph.node('Gather', [delta, own], { axis: 0 })]);
  if (harmonization.method === 'zscore') return graph.node('Div', [graph.node('Sub', [raw, shift]), spread]);

  let level = graph.doubles(harmonization.grandMean, [p]);
  const c = harmonization.columns.length;
  if (c > 0) {
    const known = predictorsOf({ features: [], covariates: input.covariates }, true);
    const columns = harmonization.columns.map((name) => {
      const found = known.find((predictor) => predictor.name === name);
      assert(found !== undefined, `no covariate column is called ${name}`);
      return found;
    });
    const design = covariateColumns(graph, input, x, columns);
    const missing = graph.node('IsNaN', [design.raw]);
    const filled = graph.node('Where', [missing, graph.doubles(harmonization.covariateMean, [c]), design.values]);
    const effect = graph.node('MatMul', [filled, graph.doubles(harmonization.coefficients, [c, p])]);
    level = graph.node('Add', [level, effect]);
  }
  const sd = graph.doubles(harmonization.pooledVariance.map(Math.sqrt), [p]);
  const standardized = graph.node('Div', [graph.node('Sub', [raw, level]), sd]);
  const adjusted = graph.node('Div', [graph.node('Sub', [standardized, shift]), spread]);
  const back = graph.node('Add', [graph.node('Mul', [adjusted, sd]), level]);
  const untouched = graph.booleans(Array.from(harmonization.untouched, (mark) => mark === 1));
  return graph.node('Where', [untouched, raw, back]);
}

/** Columns of covariates as the design has them: numbers as they are, levels as 0/1; `raw` is NaN where missing. */
function covariateColumns(graph: OnnxGraph, input: BundleModelInput, x: string, columns: readonly Predictor[]) {
  const p = input.features.length;
  const raw = graph.node('Gather', [x, graph.integers(columns.map((column) => p + column.covariate))], { axis: 1 });
  if (columns.every((column) => column.level < 0)) return { raw, values: raw };
  const levels = graph.doubles(
    columns.map((column) => column.level),
    [columns.length],
  );
  const dummies = graph.node('Cast', [graph.node('Equal', [raw, levels])], { to: 11 });
  const categorical = graph.booleans(columns.map((column) => column.level >= 0));
  return { raw, values: graph.node('Where', [categorical, dummies, raw]) };
}

/** (v - mean)/sd; a gap becomes 0, which is the training mean; a predictor that did not vary becomes 0. */
function standardize(graph: OnnxGraph, values: string, raw: string, mean: Float64Array, sd: Float64Array): string {
  const p = mean.length;
  const centred = graph.node('Sub', [values, graph.doubles(mean, [p])]);
  const scaled = graph.node('Div', [
    centred,
    graph.doubles(
      sd.map((value) => (value > 0 ? value : 1)),
      [p],
    ),
  ]);
  const zero = graph.doubles([0], []);
  const varying = graph.booleans(Array.from(sd, (value) => value > 0));
  const known = graph.node('Where', [graph.node('IsNaN', [raw]), zero, scaled]);
  return graph.node('Where', [varying, known, zero]);
}

/** [N, predictors] -> [N, 1]. */
function applyModel(graph: OnnxGraph, model: FittedModel, z: string): string {
  if (model.type === 'linear') {
    const product = graph.node('MatMul', [z, graph.doubles(model.beta, [model.beta.length, 1])]);
    return graph.node('Add', [product, graph.doubles([model.intercept], [])]);
  }
  let values = z;
  for (const [l, layer] of model.layers.entries()) {
    const product = graph.node('MatMul', [values, graph.doubles(transpose(layer), [layer.columns, layer.rows])]);
    values = graph.node('Add', [product, graph.doubles(layer.bias, [layer.rows])]);
    if (l < model.layers.length - 1) values = graph.node(model.activation === 'tanh' ? 'Tanh' : 'Relu', [values]);
  }
  return values;
}

function transpose(layer: {
  readonly rows: number;
  readonly columns: number;
  readonly weights: Float64Array;
}): Float64Array {
  const { rows, columns, weights } = layer;
  const turned = new Float64Array(rows * columns);
  for (let i = 0; i < rows; i++) for (let k = 0; k < columns; k++) turned[k * rows + i] = weights[i * columns + k]!;
  return turned;
}
