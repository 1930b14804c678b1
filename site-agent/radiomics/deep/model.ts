import { ConcordatError } from '../../../shared/errors.js';

/** An input or output of a model as the runtime tells it. */
export interface ModelValue {
  readonly name: string;
  /** `float32`, `int64`, ...; null where it is no tensor. */
  readonly type: string | null;
  /** A number is a fixed length, a text a free one; empty where the model states none. */
  readonly shape: readonly (number | string)[];
}

export interface ModelFacts {
  readonly inputs: readonly ModelValue[];
  readonly outputs: readonly ModelValue[];
}

export type ModelSamples = Float32Array | Float64Array;

/** One tensor that a model gave. */
export interface ModelTensor {
  readonly values: Float32Array | Float64Array | Int32Array | Uint8Array;
  readonly shape: readonly number[];
}

/**
 * The model's one input, where it takes images of this shape.
 *
 * @throws ConcordatError IMAGE_MODEL_INPUT, with what the model takes and what it would be given
 */
export function requireImageInput({ inputs }: ModelFacts, shape: readonly number[]): ModelValue {
  const refuse = (message: string) => new ConcordatError('IMAGE_MODEL_INPUT', message);
  const [input, ...others] = inputs;
  if (input === undefined || others.length > 0)
    throw refuse(`the model has ${inputs.length} inputs, where one image is to be given`);
  if (input.type !== 'float32' && input.type !== 'float64')
    throw refuse(`the model's input is of type ${input.type ?? 'no tensor'}; float32 and float64 can be given`);
  const isStated = input.shape.length > 0;
  const fits =
    input.shape.length === shape.length &&
    input.shape.every((length, axis) => !isFixed(length) || length === shape[axis]);
  if (isStated && !fits)
    throw refuse(
      `the model's input has the shape [${shapeText(input.shape)}], the settings make [${shape.join(', ')}]`,
    );
  return input;
}

/**
 * The output to read: the named one, else the only one.
 *
 * @throws ConcordatError IMAGE_MODEL_OUTPUT, naming the outputs that there are
 */
export function requireOutput({ outputs }: ModelFacts, name: string | undefined, types: readonly string[]): ModelValue {
  const names = outputs.map((output) => output.name).join(', ');
  const refuse = (message: string) => new ConcordatError('IMAGE_MODEL_OUTPUT', message);
  if (name === undefined && outputs.length !== 1)
    throw refuse(`the model has ${outputs.length} outputs (${names}): the settings must say which, as \`output\``);
  const output = name === undefined ? outputs[0]! : outputs.find((one) => one.name === name);
  if (output === undefined) throw refuse(`the model has no output "${name}"; it has ${names}`);
  if (output.type === null || !types.includes(output.type))
    throw refuse(
      `the model's output "${output.name}" is of type ${output.type ?? 'no tensor'}; read are ${types.join(', ')}`,
    );
  return output;
}

// Runtimes write a free length as a text, as −1 or as 0.
const isFixed = (length: number | string): length is number => typeof length === 'number' && length > 0;
const shapeText = (shape: ModelValue['shape']): string =>
  shape.map((length) => (isFixed(length) ? length : '?')).join(', ');
