import { parentPort, workerData } from 'node:worker_threads';
import { AllocationMeter } from './meter.js';
import { ASKED_AT_ONCE_MAX, emptyReport, inputOf, kindOf, note, runInput } from './runner.js';

/** Runs its share in a thread of its own; `place` tells the watching thread which case is under way, also while it hangs. */
export interface FuzzJob {
  readonly seed: number;
  readonly kind: string;
  readonly from: number;
  readonly to: number;
  /** [number of the case under way]. */
  readonly place: SharedArrayBuffer;
}

function work(job: FuzzJob): void {
  const place = new Int32Array(job.place);
  const kind = kindOf(job.kind);
  // Specimens are made before the meter counts.
  inputOf(kind, job.seed, job.from);
  const meter = new AllocationMeter();
  meter.install(ASKED_AT_ONCE_MAX);
  const report = emptyReport(job.kind);
  for (let index = job.from; index < job.to; index++) {
    Atomics.store(place, 0, index);
    const input = inputOf(kind, job.seed, index);
    note(report, index, input, runInput(kind, input, meter));
  }
  parentPort!.postMessage(report);
}

work(workerData as FuzzJob);
