import type { Cohort } from '../shared/cohort.site.js';
import { LANDMARKS } from '../shared/computations/landmarks/declaration.js';
import type { Imaging } from '../shared/imaging.js';
import type { LandmarkLearning } from '../shared/imaging-learned.js';
import { onScale } from './imaging/nyul.js';
import type { LearnedCase, LearnedFile } from './radiomics/learned-task.js';

/** The cohort with what its images give the study to learn from; cases that give nothing have gaps. */
export function withLearned(imaging: Imaging, cohort: Cohort, { cases }: LearnedFile): Cohort {
  if (imaging.learn === undefined) return cohort;
  const byCase = new Map(cases.map((entry) => [entry.case, entry]));
  const own = cohort.ids.map((id) => byCase.get(id));
  const learned = {
    ...(imaging.learn.landmarks === undefined ? {} : { landmarks: landmarksOf(imaging, imaging.learn.landmarks, own) }),
    ...(imaging.learn.habitats === undefined
      ? {}
      : { points: own.map((entry) => Float64Array.from(entry?.points ?? [])) }),
  };
  return { ...cohort, learned };
}

function landmarksOf(
  { phases }: Imaging,
  { scale }: LandmarkLearning,
  own: readonly (LearnedCase | undefined)[],
): Float64Array {
  const landmarks = new Float64Array(own.length * phases.length * LANDMARKS).fill(Number.NaN);
  for (const [row, entry] of own.entries())
    for (const [at, phase] of phases.entries()) {
      const measured = entry?.landmarks?.[phase];
      if (measured?.length === LANDMARKS)
        landmarks.set(onScale(measured, scale), (row * phases.length + at) * LANDMARKS);
    }
  return landmarks;
}
