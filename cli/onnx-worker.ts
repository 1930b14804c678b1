import { parentPort, workerData } from 'node:worker_threads';
import * as ort from 'onnxruntime-node';

/**
 * The only place of a prediction that loads onnxruntime, and only inside a worker thread: `session.run` blocks its thread, which would
 * stall everything else of the process. One thread inside the session, so that equal input gives equal bits.
 */
export interface OnnxJob {
  readonly model: Uint8Array;
  readonly feeds: Readonly<Record<string, { readonly values: Float64Array; readonly shape: readonly number[] }>>;
}

export type OnnxAnswer = { readonly outputs: Readonly<Record<string, Float64Array>> } | { readonly error: string };

async function run(job: OnnxJob): Promise<OnnxAnswer> {
  const session = await ort.InferenceSession.create(job.model, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    executionProviders: ['cpu'],
    logSeverityLevel: 3,
  });
  // The runtime would leave out silently what the model does not ask for, a site's calibration for one.
  const missing = Object.keys(job.feeds).filter((name) => !session.inputNames.includes(name));
  if (missing.length > 0) throw new Error(`the model has no input ${missing.join(', ')}`);
  const feeds = Object.fromEntries(
    Object.entries(job.feeds).map(([name, { values, shape }]) => [name, new ort.Tensor('float64', values, shape)]),
  );
  const outputs = await session.run(feeds);
  return {
    outputs: Object.fromEntries(
      Object.entries(outputs).map(([name, tensor]) => {
        if (!(tensor.data instanceof Float64Array)) throw new Error(`the output ${name} is of type ${tensor.type}`);
        return [name, Float64Array.from(tensor.data)];
      }),
    ),
  };
}

const port = parentPort;
if (port !== null)
  run(workerData as OnnxJob).then(
    (answer) => port.postMessage(answer),
    (error: unknown) => port.postMessage({ error: String(error) } satisfies OnnxAnswer),
  );
