import type { Cohort } from '../shared/cohort.site.js';
import { LANDMARKS } from '../shared/computations/landmarks/declaration.js';
import type { Imaging } from '../shared/imaging.js';
import { onScale } from './imaging/nyul.js';
import type { LearnedFile } from './radiomics/learned-task.js';

/** The cohort with what its images give the study to learn from; cases that give nothing have gaps. */
export function withLearned(imaging: Imaging, cohort: Cohort, { cases }: LearnedFile): Cohort {
  const section = imaging.learn?.landmarks;
  if (section === undefined) return cohort;
  const byCase = new Map(cases.map((entry) => [entry.case, entry]));
  const { phases } = imaging;
  const landmarks = new Float64Array(cohort.n * phases.length * LANDMARKS).fill(Number.NaN);
  for (const [row, id] of cohort.ids.entries())
    for (const [at, phase] of phases.entries()) {
      const own = byCase.get(id)?.landmarks?.[phase];
      if (own?.length === LANDMARKS) landmarks.set(onScale(own, section.scale), (row * phases.length + at) * LANDMARKS);
    }
  return { ...cohort, learned: { landmarks } };
}
