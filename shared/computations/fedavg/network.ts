import { assert } from '../../errors.js';
import { logistic } from '../../metrics/calibration.js';
import type { SeededRandom } from '../../rng.js';
import type { FittedModel } from '../frame.js';

/**
 * A multilayer perceptron with one logit as output, trained in double precision by plain loops, so that its bits depend
 * on nothing but the rows and the seed. Parameters are one flat array: for every layer its weights (units x inputs,
 * row-major), then its biases.
 */
export interface NetworkShape {
  readonly inputs: number;
  readonly hidden: readonly number[];
  readonly activation: 'tanh' | 'relu';
}

interface Layer {
  readonly units: number;
  readonly inputs: number;
  /** Offsets into the flat parameters. */
  readonly weights: number;
  readonly bias: number;
}

export function layersOf(shape: NetworkShape): Layer[] {
  const widths = [...shape.hidden, 1];
  let inputs = shape.inputs;
  let offset = 0;
  return widths.map((units) => {
    const layer = { units, inputs, weights: offset, bias: offset + units * inputs };
    offset = layer.bias + units;
    inputs = units;
    return layer;
  });
}

export function parameterCount(shape: NetworkShape): number {
  const last = layersOf(shape).at(-1)!;
  return last.bias + last.units;
}

/** Uniform weights within sqrt(6 / (inputs + units)) (Glorot and Bengio 2010, eq. 16), biases 0. */
export function initialParameters(shape: NetworkShape, random: SeededRandom): Float64Array {
  const parameters = new Float64Array(parameterCount(shape));
  for (const layer of layersOf(shape)) {
    const limit = Math.sqrt(6 / (layer.inputs + layer.units));
    for (let k = layer.weights; k < layer.bias; k++) parameters[k] = limit * (2 * random.uniform() - 1);
  }
  return parameters;
}

export function toFittedModel(shape: NetworkShape, parameters: Float64Array): FittedModel {
  return {
    type: 'mlp',
    activation: shape.activation,
    layers: layersOf(shape).map((layer) => ({
      rows: layer.units,
      columns: layer.inputs,
      weights: parameters.slice(layer.weights, layer.bias),
      bias: parameters.slice(layer.bias, layer.bias + layer.units),
    })),
  };
}

/** Forward and backward passes with their scratch memory; one per trainer. */
export class Network {
  readonly layers: readonly Layer[];
  /** Values of every layer's units, the inputs first. */
  private readonly values: Float64Array[];
  private readonly errors: Float64Array[];
  private readonly relu: boolean;

  constructor(readonly shape: NetworkShape) {
    this.layers = layersOf(shape);
    this.values = [new Float64Array(shape.inputs), ...this.layers.map((layer) => new Float64Array(layer.units))];
    this.errors = this.layers.map((layer) => new Float64Array(layer.units));
    this.relu = shape.activation === 'relu';
  }

  /** Logit of row `row` of z (n x inputs, row-major). */
  logit(parameters: Float64Array, z: Float64Array, row: number): number {
    const { inputs } = this.shape;
    this.values[0]!.set(z.subarray(row * inputs, (row + 1) * inputs));
    const last = this.layers.length - 1;
    for (let l = 0; l <= last; l++) {
      const layer = this.layers[l]!;
      const from = this.values[l]!;
      const to = this.values[l + 1]!;
      for (let unit = 0; unit < layer.units; unit++) {
        let sum = parameters[layer.bias + unit]!;
        const start = layer.weights + unit * layer.inputs;
        for (let k = 0; k < layer.inputs; k++) sum += parameters[start + k]! * from[k]!;
        to[unit] = l === last ? sum : this.relu ? Math.max(0, sum) : Math.tanh(sum);
      }
    }
    return this.values[last + 1]![0]!;
  }

  /** Adds scale * d(cross-entropy of this row) / d(parameters) into gradient. */
  accumulate(
    parameters: Float64Array,
    z: Float64Array,
    row: number,
    y: number,
    scale: number,
    gradient: Float64Array,
  ): void {
    const logit = this.logit(parameters, z, row);
    const last = this.layers.length - 1;
    this.errors[last]![0] = scale * (logistic(logit) - y);
    for (let l = last; l >= 0; l--) {
      const layer = this.layers[l]!;
      const error = this.errors[l]!;
      const from = this.values[l]!;
      for (let unit = 0; unit < layer.units; unit++) {
        const e = error[unit]!;
        const start = layer.weights + unit * layer.inputs;
        for (let k = 0; k < layer.inputs; k++) gradient[start + k]! += e * from[k]!;
        gradient[layer.bias + unit]! += e;
      }
      if (l === 0) continue;
      const below = this.errors[l - 1]!;
      for (let k = 0; k < layer.inputs; k++) {
        let sum = 0;
        for (let unit = 0; unit < layer.units; unit++)
          sum += error[unit]! * parameters[layer.weights + unit * layer.inputs + k]!;
        const value = from[k]!;
        below[k] = sum * (this.relu ? (value > 0 ? 1 : 0) : 1 - value * value);
      }
    }
  }

  /** Sum over rows of the cross-entropy, without penalty. */
  lossSum(parameters: Float64Array, z: Float64Array, y: Uint8Array, rows: Int32Array): number {
    let sum = 0;
    for (const row of rows) sum += crossEntropy(this.logit(parameters, z, row), y[row]!);
    return sum;
  }

  /** Mean cross-entropy + l2/2 * sum of squared weights (biases free) over `rows`, and its gradient (overwritten). */
  objective(
    parameters: Float64Array,
    z: Float64Array,
    y: Uint8Array,
    rows: Int32Array,
    l2: number,
    gradient: Float64Array,
  ): number {
    gradient.fill(0);
    for (const row of rows) this.accumulate(parameters, z, row, y[row]!, 1 / rows.length, gradient);
    let penalty = 0;
    for (const layer of this.layers)
      for (let k = layer.weights; k < layer.bias; k++) {
        penalty += parameters[k]! * parameters[k]!;
        gradient[k]! += l2 * parameters[k]!;
      }
    return this.lossSum(parameters, z, y, rows) / rows.length + (l2 / 2) * penalty;
  }
}

/** -log likelihood of y given the logit, without overflow. */
export function crossEntropy(logit: number, y: number): number {
  return Math.max(logit, 0) - logit * y + Math.log1p(Math.exp(-Math.abs(logit)));
}

export interface TrainOptions {
  readonly epochs: number;
  readonly batchSize: number;
  readonly learningRate: number;
  readonly momentum: number;
  readonly l2: number;
}

/**
 * Mini-batch SGD with momentum from `start` (McMahan et al. 2017, ClientUpdate; momentum as in Sutskever et al. 2013
 * without the Nesterov term: v = m v + g, w = w - rate v, v = 0 at the start of every call). Every epoch visits all of
 * `rows` in a fresh shuffle; the last batch may be smaller. Returns new parameters; `start` is left alone.
 */
export function trainEpochs(
  network: Network,
  start: Float64Array,
  z: Float64Array,
  y: Uint8Array,
  rows: Int32Array,
  options: TrainOptions,
  random: SeededRandom,
): Float64Array {
  assert(rows.length > 0, 'training needs at least one row');
  const parameters = start.slice();
  const gradient = new Float64Array(parameters.length);
  const velocity = new Float64Array(parameters.length);
  const order = rows.slice();
  for (let epoch = 0; epoch < options.epochs; epoch++) {
    random.shuffle(order);
    for (let from = 0; from < order.length; from += options.batchSize) {
      const batch = order.subarray(from, Math.min(order.length, from + options.batchSize));
      gradient.fill(0);
      for (const row of batch) network.accumulate(parameters, z, row, y[row]!, 1 / batch.length, gradient);
      for (const layer of network.layers)
        for (let k = layer.weights; k < layer.bias; k++) gradient[k]! += options.l2 * parameters[k]!;
      for (let k = 0; k < parameters.length; k++) {
        velocity[k] = options.momentum * velocity[k]! + gradient[k]!;
        parameters[k]! -= options.learningRate * velocity[k]!;
      }
    }
  }
  return parameters;
}
