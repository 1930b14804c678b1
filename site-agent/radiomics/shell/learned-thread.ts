import { parentPort } from 'node:worker_threads';
import { requireAcceptedMask } from '../../imaging/shell/accepted-mask.js';
import { readImage } from '../../imaging/shell/read-file.js';
import { readMask } from '../../imaging/shell/read-mask.js';
import { failureOf } from '../extract.js';
import { type KeptLearned, type LearnRequest, learnedFrom } from '../learned-task.js';

async function kept({ image: imagePath, lesion, organ, want }: LearnRequest): Promise<KeptLearned> {
  try {
    const image = await readImage(imagePath);
    if (organ !== null) requireAcceptedMask(organ.mask);
    const around = organ === null ? null : (await readMask(organ.mask)).region(organ.label, image);
    const region = want.kind === 'points' ? (await readMask(lesion.mask)).region(lesion.label, image) : null;
    return { format: 1, status: 'ok', values: learnedFrom(want, image, region, around) };
  } catch (error) {
    return { format: 1, status: 'failed', reason: { ...failureOf(error) } };
  }
}

parentPort!.on('message', (request: LearnRequest) => {
  kept(request)
    .then((found) => parentPort!.postMessage({ kept: found }))
    .catch((error: unknown) =>
      // The text of an error that nobody foresaw could hold anything: only its kind is told.
      parentPort!.postMessage({ bug: error instanceof Error ? error.name : 'unknown error' }),
    );
});
