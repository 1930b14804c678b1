import { Worker } from 'node:worker_threads';
import { ConcordatError } from '../../../shared/errors.js';
import {
  type Extraction,
  extract,
  extractMaps,
  failureOf,
  type Mapping,
  type Named,
  onItsBox,
  type Source,
} from '../extract.js';
import type { FeatureSet } from '../feature.js';
import { filterUnits } from '../filter-units.js';
import { prepare, prepareImage } from '../preprocessing.js';
import type { ExtractionSettings } from '../settings.js';
import {
  type ExtractionTask,
  sharedRoi,
  sharedVolume,
  type TaskAnswer,
  type TaskResult,
  urgencyOf,
} from './extraction-task.js';

interface Waiting {
  readonly task: ExtractionTask;
  /** Cases one after another, and the tasks of each by their urgency: what lies filtered holds memory until its features are there. */
  readonly order: number;
  readonly resolve: (result: TaskResult) => void;
  readonly reject: (error: Error) => void;
}

/** Told after each image type whose features are there. */
export type Progress = (done: number, total: number) => void;

/**
 * Threads that extract features, one filtered image each, kept from case to case. The features are those of `extract`, bit
 * for bit, whatever the number of threads; with one, everything runs in the caller's thread.
 */
export class ExtractionPool {
  private readonly idle: Worker[] = [];
  private readonly working = new Map<Worker, Waiting>();
  private readonly queue: Waiting[] = [];
  private cases = 0;

  constructor(
    private readonly threads: number,
    private readonly file = new URL('./extraction-thread.js', import.meta.url),
  ) {}

  async extract(source: Source, settings: ExtractionSettings, progress: Progress = () => {}): Promise<Extraction> {
    if (this.threads <= 1) return extract(source, settings);
    try {
      return await this.spread(source, settings, progress);
    } catch (error) {
      return { status: 'failed', reason: failureOf(error) };
    }
  }

  /** Maps of features, as `extractMaps` gives them. */
  async maps(source: Source, settings: ExtractionSettings, progress: Progress = () => {}): Promise<Mapping> {
    if (this.threads <= 1) return extractMaps(source, settings);
    try {
      const prepared = prepare(source, settings.preprocessing, { diagnose: false });
      const image = sharedVolume(prepared.image);
      const roi = sharedRoi(prepared.roi);
      const { featureClasses: enabled, voxel } = settings;
      const units = filterUnits(settings);
      const place = this.cases++;
      let done = 0;
      const settled = await Promise.allSettled(
        units.map(async (unit) => {
          const result = await this.ask({ kind: 'maps', image, roi, unit, enabled, voxel }, place);
          progress(++done, units.length);
          return result;
        }),
      );
      const results = settled.map((one) => {
        if (one.status === 'rejected') throw one.reason;
        return one.value;
      });
      return { status: 'ok', maps: results.flatMap(({ maps }) => maps), notes: results.flatMap(({ notes }) => notes) };
    } catch (error) {
      return { status: 'failed', reason: failureOf(error) };
    }
  }

  /** Ends the threads; what is under way is lost. */
  async close(): Promise<void> {
    await Promise.all([...this.idle, ...this.working.keys()].map((worker) => worker.terminate()));
  }

  private async spread(source: Source, settings: ExtractionSettings, progress: Progress): Promise<Extraction> {
    this.startAll();
    const { diagnose, ...prepared } = prepareImage(source, settings.preprocessing);
    const place = this.cases++;
    const image = sharedVolume(prepared.image);
    const roi = sharedRoi(prepared.roi);
    const onBox = sharedRoi(onItsBox(prepared.roi));
    const shapeRoi = prepared.shapeRoi === prepared.roi ? roi : sharedRoi(prepared.shapeRoi);
    const units = filterUnits(settings);
    const enabled = settings.featureClasses;
    let done = 0;
    const total = units.length + 1;
    const finished = (): void => progress(++done, total);
    const notes: string[][] = [];
    const shape = this.ask({ kind: 'shape', image, roi, shapeRoi, settings }, place).then((result) => {
      notes[0] = [...result.notes];
      finished();
      return result.named;
    });
    const images = units.map(async (unit, at): Promise<Named> => {
      const first = await this.ask({ kind: 'filter', image, roi, onBox, unit, enabled }, place);
      notes[at + 1] = [...first.notes];
      const rest = await Promise.all(
        first.pending.map((filtered) => this.ask({ kind: 'features', onBox, filtered, unit, enabled }, place)),
      );
      finished();
      return [...first.named, ...rest.flatMap(({ named }) => named)];
    });
    // Found here while the threads are busy.
    const diagnostics = settings.additionalInfo ? diagnose() : {};
    // All are awaited before the first failure is told, so that no thread still works on a case that is given up.
    const settled = await Promise.allSettled([shape, ...images]);
    const features: FeatureSet = new Map();
    for (const one of settled) {
      if (one.status === 'rejected') throw one.reason;
      for (const [name, value] of one.value) features.set(name, value);
    }
    return { status: 'ok', features, diagnostics, notes: notes.flat() };
  }

  private ask(task: ExtractionTask, place: number): Promise<TaskResult> {
    return new Promise((resolve, reject) => {
      const order = place * 8 + urgencyOf(task);
      const at = this.queue.findIndex((other) => other.order > order);
      this.queue.splice(at < 0 ? this.queue.length : at, 0, { task, order, resolve, reject });
      // Tasks that are asked for together are all in the queue before the first is given out.
      queueMicrotask(() => this.assign());
    });
  }

  private assign(): void {
    while (this.queue.length > 0) {
      const worker = this.idle.pop() ?? (this.working.size < this.threads ? this.start() : undefined);
      if (worker === undefined) return;
      const next = this.queue.shift()!;
      this.working.set(worker, next);
      worker.ref();
      worker.postMessage(next.task);
    }
  }

  /** Threads load their code while the caller's thread prepares the image. */
  private startAll(): void {
    while (this.idle.length + this.working.size < this.threads) {
      const worker = this.start();
      worker.unref();
      this.idle.push(worker);
    }
  }

  private start(): Worker {
    const worker = new Worker(this.file);
    let reason = 'it ended';
    worker.on('message', (answer: TaskAnswer) => {
      const { resolve, reject } = this.working.get(worker)!;
      this.working.delete(worker);
      this.idle.push(worker);
      // An idle thread alone keeps no process alive.
      worker.unref();
      if ('result' in answer) resolve(answer.result);
      else reject(new ConcordatError(answer.error.code ?? 'INTERNAL_BUG', answer.error.message));
      this.assign();
    });
    worker.on('error', (error: NodeJS.ErrnoException) => {
      reason = error.code ?? error.name;
    });
    worker.on('exit', () => {
      const lost = this.working.get(worker);
      this.working.delete(worker);
      const at = this.idle.indexOf(worker);
      if (at >= 0) this.idle.splice(at, 1);
      lost?.reject(
        new ConcordatError('SITE_COMPUTATION_LOST', `the thread that extracts features was lost: ${reason}`),
      );
      this.assign();
    });
    return worker;
  }
}
