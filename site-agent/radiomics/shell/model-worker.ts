import { parentPort, workerData } from 'node:worker_threads';
import * as ort from 'onnxruntime-node';
import type { ModelFacts, ModelSamples, ModelTensor, ModelValue } from '../deep/model.js';
import type { SESSION_OPTIONS } from '../deep/runtime.js';

/** What the thread starts with. The options are given, so that they stand in one place: deep/runtime.ts. */
export interface ModelStart {
  readonly bytes: Uint8Array;
  readonly options: typeof SESSION_OPTIONS;
}

/**
 * One model for images, in a thread of its own: `session.run` blocks its thread. It answers first with the model's inputs and outputs, then one
 * answer a question.
 */
export interface ModelQuestion {
  readonly input: string;
  readonly values: ModelSamples;
  readonly shape: readonly number[];
  readonly output: string;
}

export type ModelAnswer =
  | { readonly facts: ModelFacts }
  | { readonly tensor: ModelTensor }
  | { readonly error: string };

const port = parentPort!;
const say = (answer: ModelAnswer): void => port.postMessage(answer);

try {
  const { bytes, options } = workerData as ModelStart;
  // The runtime wants a list that it may write to.
  const executionProviders = [...options.executionProviders];
  const session = await ort.InferenceSession.create(bytes, { ...options, executionProviders, logSeverityLevel: 4 });
  port.on('message', (question: ModelQuestion) => {
    run(session, question).then(say, (error: unknown) => say({ error: String(error) }));
  });
  say({
    facts: { inputs: session.inputMetadata.map(modelValueOf), outputs: session.outputMetadata.map(modelValueOf) },
  });
} catch (error) {
  say({ error: String(error) });
}

async function run(session: ort.InferenceSession, question: ModelQuestion): Promise<ModelAnswer> {
  const { input, values, shape, output } = question;
  const tensor =
    values instanceof Float32Array
      ? new ort.Tensor('float32', values, shape)
      : new ort.Tensor('float64', values, shape);
  const found = (await session.run({ [input]: tensor }, [output]))[output]!;
  return { tensor: { values: samplesOf(found), shape: found.dims } };
}

function modelValueOf(value: ort.InferenceSession.ValueMetadata): ModelValue {
  return value.isTensor
    ? { name: value.name, type: value.type, shape: value.shape }
    : { name: value.name, type: null, shape: [] };
}

/** A copy, because the tensor's memory is the session's. */
function samplesOf({ data, type }: ort.Tensor): ModelTensor['values'] {
  if (data instanceof Float32Array) return Float32Array.from(data);
  if (data instanceof Float64Array) return Float64Array.from(data);
  throw new Error(`the output is of type ${type}`);
}
