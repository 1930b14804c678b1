import { parentPort } from 'node:worker_threads';
import { ConcordatError } from '../../../shared/errors.js';
import { type ExtractionTask, runTask, type TaskAnswer } from './extraction-task.js';

/** The file that a thread of the extraction pool runs: one task at a time, one answer each. */
parentPort!.on('message', (task: ExtractionTask) => {
  parentPort!.postMessage(answerTo(task));
});

function answerTo(task: ExtractionTask): TaskAnswer {
  try {
    return { result: runTask(task) };
  } catch (error) {
    if (error instanceof ConcordatError) return { error: { code: error.code, message: error.message } };
    // The text of an error that nobody foresaw could hold anything: only its kind is told.
    return { error: { code: null, message: error instanceof Error ? error.name : 'unknown error' } };
  }
}
