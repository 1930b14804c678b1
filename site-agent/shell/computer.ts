import { Worker } from 'node:worker_threads';
import type { LocalHarmonization } from '../../harmonization/harmonized.site.js';
import { ConcordatError, type ErrorCode, type Problem } from '../../shared/errors.js';
import { LIMITS } from '../../shared/limits.js';
import type { Secret } from '../../shared/secret.js';
import type { TensorSpec } from '../../shared/tensors.js';
import type { MaskJob } from '../participant-types.js';
import type { RoundTask } from '../site-run.site.js';
import { type Contributed, SiteWork, type SiteWorkSetup } from '../site-work.site.js';

/** A public result with the hash it is named by, so that a thread that has it is not given it again. */
export interface HashedResult {
  readonly hash: string;
  readonly value: unknown;
}

export type HashedResults = ReadonlyMap<string, HashedResult>;

/** Where the computations of one study at a site run. Rejects with what the computation throws. */
export interface SiteComputer {
  contribute(task: RoundTask, results: HashedResults): Promise<Contributed>;
  /** `words` and `secret` stay as they are. */
  mask(job: MaskJob, leaves: readonly TensorSpec[], words: Uint8Array, secret: Secret | null): Promise<Uint8Array>;
  localHarmonization(results: HashedResults): Promise<LocalHarmonization>;
  /** Ends what is under way: the study has ended. */
  close(): void;
}

export type Request = { readonly results: HashedResults } & (
  | { readonly type: 'contribute'; readonly task: RoundTask }
  | { readonly type: 'localHarmonization' }
  | {
      readonly type: 'mask';
      readonly job: MaskJob;
      readonly leaves: readonly TensorSpec[];
      readonly words: Uint8Array;
      readonly secret: Uint8Array | null;
    }
);

export type Answer =
  | { readonly value: Contributed | LocalHarmonization | Uint8Array }
  | {
      readonly error: {
        readonly code: ErrorCode;
        readonly message: string;
        readonly hint: string;
        readonly problems: readonly Problem[];
      };
    };

/** Starts of the thread for one job before it counts as impossible here. */
const TRIES_MAX = 3;
const NO_RESULTS: HashedResults = new Map();

/** In the caller's own thread: simulations and tests, where nothing else waits. */
export function computeHere(setup: SiteWorkSetup): SiteComputer {
  const work = new SiteWork(setup);
  const values = (results: HashedResults) => new Map([...results].map(([name, { value }]) => [name, value]));
  return {
    contribute: async (task, results) => work.contribute(task, values(results)),
    mask: async (job, leaves, words, secret) => work.mask(job, leaves, words, secret),
    localHarmonization: async (results) => work.localHarmonization(values(results)),
    close: () => undefined,
  };
}

/** In a thread of its own, so that heartbeats, transfers and messages go on while a long computation runs. */
export function computeInThread(
  setup: SiteWorkSetup,
  worked: (workMs: number) => void = () => undefined,
  file = new URL('./computing-thread.js', import.meta.url),
): SiteComputer {
  return new ThreadComputer(setup, worked, file);
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: ConcordatError) => void;
}

/** One thread at most, from the first job on; a lost one is replaced for the job that needs it. */
class ThreadComputer implements SiteComputer {
  private thread: { readonly worker: Worker; readonly has: Map<string, string>; readonly waiting: Waiting[] } | null =
    null;
  private closed = false;
  /** Of threads that were lost; what was told last. */
  private workedBeforeMs = 0;
  private toldMs = 0;

  constructor(
    private readonly setup: SiteWorkSetup,
    private readonly worked: (workMs: number) => void,
    private readonly file: URL,
  ) {}

  contribute(task: RoundTask, results: HashedResults): Promise<Contributed> {
    const { instance, iteration, broadcast } = task;
    return this.ask({ type: 'contribute', task: { instance, iteration, broadcast }, results }) as Promise<Contributed>;
  }

  mask(job: MaskJob, leaves: readonly TensorSpec[], words: Uint8Array, secret: Secret | null): Promise<Uint8Array> {
    const revealed = secret === null ? null : secret.reveal();
    return this.ask({ type: 'mask', job, leaves, words, secret: revealed, results: NO_RESULTS }) as Promise<Uint8Array>;
  }

  localHarmonization(results: HashedResults): Promise<LocalHarmonization> {
    return this.ask({ type: 'localHarmonization', results }) as Promise<LocalHarmonization>;
  }

  close(): void {
    this.closed = true;
    void this.thread?.worker.terminate();
  }

  private async ask(request: Request): Promise<unknown> {
    for (let tryNumber = 1; ; tryNumber++) {
      try {
        return await this.once(request);
      } catch (error) {
        const lost = error instanceof ConcordatError && error.code === 'SITE_COMPUTATION_LOST';
        if (!lost || this.closed || tryNumber >= TRIES_MAX) throw error;
      }
    }
  }

  private once(request: Request): Promise<unknown> {
    if (this.closed) return Promise.reject(lostComputation('the study has ended here'));
    this.thread ??= this.start();
    const { worker, has, waiting } = this.thread;
    const results = new Map([...request.results].filter(([name, { hash }]) => has.get(name) !== hash));
    return new Promise((resolve, reject) => {
      // What cannot be handed over throws here, and must not take the place of the next answer.
      worker.postMessage({ ...request, results } satisfies Request);
      for (const [name, { hash }] of results) has.set(name, hash);
      waiting.push({ resolve, reject });
    });
  }

  private start(): NonNullable<ThreadComputer['thread']> {
    const worker = new Worker(this.file, { workerData: this.setup });
    const thread = { worker, has: new Map<string, string>(), waiting: [] as Waiting[] };
    // The agent's connection keeps the process alive; a thread alone has nobody to compute for.
    worker.unref();
    let reason = 'it ended';
    // The thread cannot say so itself while it computes. An idle or stopped one adds nothing to its active time.
    const activeMs = () => Math.floor(worker.performance.eventLoopUtilization().active);
    const watch = setInterval(() => {
      const workMs = this.workedBeforeMs + activeMs();
      if (thread.waiting.length === 0 || workMs <= this.toldMs) return;
      this.toldMs = workMs;
      this.worked(workMs);
    }, LIMITS.workReportIntervalMs);
    watch.unref();
    worker.on('message', (answer: Answer) => {
      const next = thread.waiting.shift();
      if (next === undefined) return;
      if ('value' in answer) next.resolve(answer.value);
      else {
        const { code, message, hint, problems } = answer.error;
        next.reject(new ConcordatError(code, message, { hint, problems }));
      }
    });
    // The text of an error that nobody foresaw could hold anything: only its kind is told.
    worker.on('error', (error: NodeJS.ErrnoException) => {
      reason = error.code ?? error.name;
    });
    worker.on('exit', () => {
      clearInterval(watch);
      this.workedBeforeMs = this.toldMs;
      if (this.thread === thread) this.thread = null;
      for (const { reject } of thread.waiting.splice(0)) reject(lostComputation(reason));
    });
    return thread;
  }
}

function lostComputation(reason: string): ConcordatError {
  return new ConcordatError('SITE_COMPUTATION_LOST', `the thread that computes for the study was lost: ${reason}`);
}
