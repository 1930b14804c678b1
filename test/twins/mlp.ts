import type { NetworkShape, TrainOptions } from '../../shared/computations/fedavg/network.js';
import type { SeededRandom } from '../../shared/rng.js';

/**
 * A perceptron on scalar reverse-mode differentiation: every number remembers how it was made, and the chain rule walks
 * back through that graph. Slow and obvious; shares no formula of a backward pass with the trainer.
 */
class Scalar {
  gradient = 0;
  constructor(
    readonly value: number,
    readonly inputs: readonly { readonly of: Scalar; readonly derivative: number }[] = [],
  ) {}

  plus(other: Scalar): Scalar {
    return new Scalar(this.value + other.value, [
      { of: this, derivative: 1 },
      { of: other, derivative: 1 },
    ]);
  }

  times(other: Scalar): Scalar {
    return new Scalar(this.value * other.value, [
      { of: this, derivative: other.value },
      { of: other, derivative: this.value },
    ]);
  }

  map(value: number, derivative: number): Scalar {
    return new Scalar(value, [{ of: this, derivative }]);
  }

  backward(): void {
    const order: Scalar[] = [];
    const seen = new Set<Scalar>();
    const visit = (node: Scalar) => {
      if (seen.has(node)) return;
      seen.add(node);
      for (const input of node.inputs) visit(input.of);
      order.push(node);
    };
    visit(this);
    this.gradient = 1;
    for (const node of order.reverse())
      for (const { of, derivative } of node.inputs) of.gradient += derivative * node.gradient;
  }
}

interface ScalarNetwork {
  readonly weights: Scalar[][][];
  readonly biases: Scalar[][];
  readonly flat: Scalar[];
}

function unflatten(shape: NetworkShape, parameters: readonly number[]): ScalarNetwork {
  const queue = parameters.map((value) => new Scalar(value));
  const flat = [...queue];
  const weights: Scalar[][][] = [];
  const biases: Scalar[][] = [];
  let inputs = shape.inputs;
  for (const units of [...shape.hidden, 1]) {
    weights.push(Array.from({ length: units }, () => queue.splice(0, inputs)));
    biases.push(queue.splice(0, units));
    inputs = units;
  }
  return { weights, biases, flat };
}

function logitOf(shape: NetworkShape, network: ScalarNetwork, x: readonly number[]): Scalar {
  let values = x.map((value) => new Scalar(value));
  for (const [l, layer] of network.weights.entries())
    values = layer.map((row, unit) => {
      const sum = row.reduce((s, weight, k) => s.plus(weight.times(values[k]!)), network.biases[l]![unit]!);
      if (l === network.weights.length - 1) return sum;
      if (shape.activation === 'relu') return sum.map(sum.value > 0 ? sum.value : 0, sum.value > 0 ? 1 : 0);
      const t = (Math.exp(2 * sum.value) - 1) / (Math.exp(2 * sum.value) + 1);
      return sum.map(t, 1 - t * t);
    });
  return values[0]!;
}

/** Mean cross-entropy + l2/2 sum of squared weights, and its gradient. */
export function twinObjective(
  shape: NetworkShape,
  parameters: readonly number[],
  rows: readonly { readonly x: readonly number[]; readonly y: number }[],
  l2: number,
): { loss: number; gradient: number[] } {
  const network = unflatten(shape, parameters);
  let loss = new Scalar(0);
  for (const { x, y } of rows) {
    const logit = logitOf(shape, network, x);
    const p = 1 / (1 + Math.exp(-logit.value));
    const value = y === 1 ? -Math.log(p) : -Math.log(1 - p);
    loss = loss.plus(logit.map(value / rows.length, (p - y) / rows.length));
  }
  for (const weight of network.weights.flat(2)) loss = loss.plus(weight.times(weight).times(new Scalar(l2 / 2)));
  loss.backward();
  return { loss: loss.value, gradient: network.flat.map((parameter) => parameter.gradient) };
}

/** SGD with momentum over shuffled mini-batches, in the order that the trainer documents. */
export function twinTrain(
  shape: NetworkShape,
  start: readonly number[],
  rows: readonly { readonly x: readonly number[]; readonly y: number }[],
  options: TrainOptions,
  random: SeededRandom,
): number[] {
  let w = [...start];
  let v = w.map(() => 0);
  const order = rows.map((_, i) => i);
  for (let epoch = 0; epoch < options.epochs; epoch++) {
    random.shuffle(order);
    for (let batch = 0; batch * options.batchSize < order.length; batch++) {
      const members = order.slice(batch * options.batchSize, (batch + 1) * options.batchSize);
      const { gradient } = twinObjective(
        shape,
        w,
        members.map((i) => rows[i]!),
        options.l2,
      );
      v = v.map((value, k) => options.momentum * value + gradient[k]!);
      w = w.map((value, k) => value - options.learningRate * v[k]!);
    }
  }
  return w;
}

export function twinLogit(shape: NetworkShape, parameters: readonly number[], x: readonly number[]): number {
  return logitOf(shape, unflatten(shape, parameters), x).value;
}
