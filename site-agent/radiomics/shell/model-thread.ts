import { createHash } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { ConcordatError } from '../../../shared/errors.js';
import { bytesAt } from '../../imaging/shell/read-file.js';
import type { ModelFacts, ModelTensor, ModelValue } from '../deep/model.js';
import { SESSION_OPTIONS } from '../deep/runtime.js';
import type { ModelAnswer, ModelQuestion, ModelStart } from './model-worker.js';

/** A model file's bytes and their digest. */
export interface ModelFile {
  readonly bytes: Uint8Array;
  readonly sha256: string;
}

/**
 * @param sha256 what the settings state, if they do
 * @throws ConcordatError IMAGE_MODEL_UNREADABLE where there is no such file, IMAGE_MODEL_CHANGED where it is another one
 */
export function readModel(path: string, sha256?: string): ModelFile {
  let bytes: Uint8Array;
  try {
    bytes = bytesAt(path);
  } catch (cause) {
    throw new ConcordatError('IMAGE_MODEL_UNREADABLE', 'the model file cannot be opened', {
      cause,
      problems: [{ file: path, message: 'cannot be opened' }],
    });
  }
  const found = createHash('sha256').update(bytes).digest('hex');
  if (sha256 !== undefined && found !== sha256)
    throw new ConcordatError(
      'IMAGE_MODEL_CHANGED',
      `the model file's SHA-256 is ${found}, the settings state ${sha256}`,
    );
  return { bytes, sha256: found };
}

/** A model in its thread. Questions are answered one after the other. */
export class ModelThread {
  private waiting: { resolve: (answer: ModelAnswer) => void; reject: (error: Error) => void } | null = null;
  private queue: Promise<unknown> = Promise.resolve();
  /** Why the thread is gone, once it is. */
  private gone: ConcordatError | null = null;

  private constructor(private readonly worker: Worker) {
    worker.on('message', (answer: ModelAnswer) => {
      const { waiting } = this;
      this.waiting = null;
      // An idle model keeps no process alive.
      worker.unref();
      waiting?.resolve(answer);
    });
    worker.on('error', (error) => this.lost(error));
    worker.on('exit', () => this.lost(null));
  }

  /** @throws ConcordatError IMAGE_MODEL_UNREADABLE where the runtime cannot load it */
  static async open(
    bytes: Uint8Array,
    workerUrl: URL = defaultWorkerUrl(),
  ): Promise<{ thread: ModelThread; facts: ModelFacts }> {
    const thread = new ModelThread(
      new Worker(workerUrl, { workerData: { bytes, options: SESSION_OPTIONS } satisfies ModelStart }),
    );
    const answer = await thread.answer();
    if ('facts' in answer) return { thread, facts: answer.facts };
    await thread.close();
    throw new ConcordatError(
      'IMAGE_MODEL_UNREADABLE',
      `onnxruntime cannot load the model${'error' in answer ? `: ${oneLine(answer.error)}` : ''}`,
    );
  }

  /** @throws ConcordatError IMAGE_MODEL_FAILED where the runtime cannot run it on this input */
  async run(
    input: ModelValue,
    values: Float64Array,
    shape: readonly number[],
    output: ModelValue,
  ): Promise<ModelTensor> {
    const question: ModelQuestion = {
      input: input.name,
      values: input.type === 'float32' ? Float32Array.from(values) : values,
      shape,
      output: output.name,
    };
    const before = this.queue;
    const answered = before.then(() => this.answer(question));
    this.queue = answered.catch(() => undefined);
    const answer = await answered;
    if ('tensor' in answer) return answer.tensor;
    throw new ConcordatError(
      'IMAGE_MODEL_FAILED',
      `onnxruntime cannot run the model${'error' in answer ? `: ${oneLine(answer.error)}` : ''}`,
    );
  }

  async close(): Promise<void> {
    await this.worker.terminate();
  }

  /** Whether it can be asked no more. */
  get isLost(): boolean {
    return this.gone !== null;
  }

  private answer(question?: ModelQuestion): Promise<ModelAnswer> {
    return new Promise((resolve, reject) => {
      if (this.gone !== null) {
        reject(this.gone);
        return;
      }
      this.waiting = { resolve, reject };
      this.worker.ref();
      if (question !== undefined) this.worker.postMessage(question);
    });
  }

  /** The first reason counts: a thread that fails ends afterwards. */
  private lost(error: Error | null): void {
    this.gone ??= lostModel(error);
    this.waiting?.reject(this.gone);
    this.waiting = null;
  }
}

/**
 * What a lost thread may say of itself. The text of an error that nobody foresaw could hold a path or what the model was given, so that only its kind is told.
 */
export function lostModel(error: Error | null): ConcordatError {
  const reason = error === null ? 'it ended' : ((error as NodeJS.ErrnoException).code ?? error.name);
  if (reason === 'ERR_WORKER_OUT_OF_MEMORY')
    return new ConcordatError('IMAGE_TOO_LARGE', 'the model ran out of memory', {
      hint: 'Give the machine more memory, or run fewer threads beside the model with --threads.',
    });
  return new ConcordatError('SITE_COMPUTATION_LOST', `the thread that runs the model was lost: ${reason}`, {
    hint: 'Run the command again: what is extracted is kept. If it is lost again, see whether onnxruntime runs on this machine and whether memory is enough.',
  });
}

const oneLine = (text: string): string => text.replace(/\s+/g, ' ').slice(0, 300);

/** Node cannot start a worker from TypeScript, so a run from source uses the compiled one. */
function defaultWorkerUrl(): URL {
  const fromSource = import.meta.url.endsWith('.ts');
  return fromSource
    ? new URL('../../../dist/site-agent/radiomics/shell/model-worker.js', import.meta.url)
    : new URL('./model-worker.js', import.meta.url);
}
