import { Worker } from 'node:worker_threads';
import type { ErrorCode } from '../../../shared/errors.js';
import type { KeptRegion, RegionRequest } from '../region-task.js';

interface Waiting<Request, Kept> {
  readonly request: Request;
  readonly resolve: (kept: Kept | Failed) => void;
}

type Failed = Extract<KeptRegion, { status: 'failed' }>;
type Answer<Kept> = { readonly kept: Kept } | { readonly bug: string };

/** Threads that read images and extract regions, each one region at a time. Whatever their number, the features are the same. */
export class RegionPool<Request = RegionRequest, Kept = KeptRegion> {
  private readonly idle: Worker[] = [];
  private readonly working = new Map<Worker, Waiting<Request, Kept>>();
  private readonly queue: Waiting<Request, Kept>[] = [];

  constructor(
    private readonly threads: number,
    private readonly file = new URL('./region-thread.js', import.meta.url),
  ) {}

  /** Never rejects: a region that a bug or a lost thread took is failed, and the cohort goes on. */
  extract(request: Request): Promise<Kept | Failed> {
    return new Promise((resolve) => {
      this.queue.push({ request, resolve });
      this.next();
    });
  }

  async close(): Promise<void> {
    await Promise.all([...this.idle, ...this.working.keys()].map((worker) => worker.terminate()));
  }

  private next(): void {
    while (this.queue.length > 0) {
      const worker = this.idle.pop() ?? (this.working.size < this.threads ? this.start() : undefined);
      if (worker === undefined) return;
      const waiting = this.queue.shift()!;
      this.working.set(worker, waiting);
      worker.postMessage(waiting.request);
    }
  }

  private start(): Worker {
    const worker = new Worker(this.file);
    worker.on('message', (answer: Answer<Kept>) => {
      const waiting = this.working.get(worker)!;
      this.working.delete(worker);
      this.idle.push(worker);
      waiting.resolve('kept' in answer ? answer.kept : failed('INTERNAL_BUG', `the program failed (${answer.bug})`));
      this.next();
    });
    // A thread that ends (memory, above all) takes its own region with it and nothing else.
    let reason = 'it ended';
    worker.on('error', (error: NodeJS.ErrnoException) => {
      reason = error.code ?? error.name;
    });
    worker.on('exit', () => this.lost(worker, reason));
    return worker;
  }

  private lost(worker: Worker, reason: string): void {
    const waiting = this.working.get(worker);
    this.working.delete(worker);
    const at = this.idle.indexOf(worker);
    if (at >= 0) this.idle.splice(at, 1);
    waiting?.resolve(
      reason === 'ERR_WORKER_OUT_OF_MEMORY'
        ? failed('IMAGE_TOO_LARGE', 'the extraction ran out of memory')
        : failed('SITE_COMPUTATION_LOST', `the thread that extracts features was lost: ${reason}`),
    );
    this.next();
  }
}

const failed = (code: ErrorCode, message: string): Failed => ({
  format: 1,
  status: 'failed',
  reason: { code, message },
});
