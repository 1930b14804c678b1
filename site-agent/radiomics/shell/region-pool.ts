import { Worker } from 'node:worker_threads';
import { ConcordatError } from '../../../shared/errors.js';
import type { KeptRegion, RegionRequest } from '../region-task.js';

interface Waiting<Request, Kept> {
  readonly request: Request;
  readonly resolve: (kept: Kept | Failed) => void;
  readonly reject: (error: Error) => void;
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

  extract(request: Request): Promise<Kept | Failed> {
    return new Promise((resolve, reject) => {
      this.queue.push({ request, resolve, reject });
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
      if ('kept' in answer) waiting.resolve(answer.kept);
      else waiting.reject(new ConcordatError('INTERNAL_BUG', `extraction failed: ${answer.bug}`));
      this.next();
    });
    // A thread that ends (memory, above all) takes its own region with it and nothing else.
    worker.on('error', (error) => this.lost(worker, error));
    return worker;
  }

  private lost(worker: Worker, error: Error): void {
    const waiting = this.working.get(worker);
    this.working.delete(worker);
    const at = this.idle.indexOf(worker);
    if (at >= 0) this.idle.splice(at, 1);
    const memory = (error as NodeJS.ErrnoException).code === 'ERR_WORKER_OUT_OF_MEMORY';
    const message = memory ? 'the extraction ran out of memory' : `the extraction ended: ${error.message}`;
    waiting?.resolve({
      format: 1,
      status: 'failed',
      reason: { code: memory ? 'IMAGE_TOO_LARGE' : 'INTERNAL_BUG', message },
    });
    this.next();
  }
}
