import { createHash } from 'node:crypto';
import { OnnxGraph, type OnnxType } from '../../shared/bundle/onnx.js';

/** Models of a few nodes whose answer is known without a runtime. Three spatial axes unless the shape has two. */
type Shape = readonly (number | string)[];

/** [1, C, ...] → [1, C]: the mean of each channel. */
export function meanEncoder(shape: Shape, type: OnnxType = 'float'): Uint8Array {
  const graph = new OnnxGraph('mean');
  const image = graph.input('image', shape, type);
  const axes = shape.map((_, axis) => axis).slice(2);
  graph.output('features', graph.node('ReduceMean', [image], { axes, keepdims: 0 }), [1, shape[1]!], type);
  return graph.encode('1');
}

/** [1, 1, ...] → [1, K, ...]: one convolution, without padding or with as many zeros on every side; weights are [K, 1, ...kernel]. */
export function convolution(
  shape: Shape,
  kernel: readonly number[],
  weights: readonly number[],
  padding = 0,
): Uint8Array {
  const graph = new OnnxGraph('convolution');
  const image = graph.input('image', shape, 'float');
  const count = weights.length / kernel.reduce((product, one) => product * one, 1);
  const pads = [...kernel, ...kernel].map(() => padding);
  const out = graph.node('Conv', [image, graph.floats(weights, [count, 1, ...kernel])], { kernel_shape: kernel, pads });
  graph.output('features', out, ['N', count, ...kernel.map((_, axis) => `out${axis}`)], 'float');
  return graph.encode('1');
}

/** A copy of the image as scores: what is bright is inside. */
export function identityModel(shape: Shape, type: OnnxType = 'float'): Uint8Array {
  const graph = new OnnxGraph('identity');
  const image = graph.input('image', shape, type);
  graph.output('scores', graph.node('Identity', [image]), shape, type);
  return graph.encode('1');
}

/** Three classes from one channel v: scores 0.4 − v, 0, v − 0.6 by a 1 × 1 convolution with a bias. */
export function threeClasses(shape: Shape, spatial: number): Uint8Array {
  const graph = new OnnxGraph('classes');
  const image = graph.input('image', shape, 'float');
  const ones = Array.from({ length: spatial }, () => 1);
  const weights = graph.floats([-1, 0, 1], [3, 1, ...ones]);
  const bias = graph.floats([0.4, 0, -0.6], [3]);
  const out = graph.node('Conv', [image, weights, bias], { kernel_shape: ones });
  graph.output('scores', out, [shape[0]!, 3, ...shape.slice(2)], 'float');
  return graph.encode('1');
}

/** Two inputs and two outputs. */
export function twoAndTwo(): Uint8Array {
  const graph = new OnnxGraph('two');
  const a = graph.input('a', [1, 1, 2, 2], 'float');
  const b = graph.input('b', [1, 1, 2, 2], 'float');
  graph.output('sum', graph.node('Add', [a, b]), [1, 1, 2, 2], 'float');
  graph.output('product', graph.node('Mul', [a, b]), [1, 1, 2, 2], 'float');
  return graph.encode('1');
}

export const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
