import { ConcordatError } from '../../shared/errors.js';
import { type Imaging, type ImagingRegion, regionsOf } from '../../shared/imaging.js';
import type { ImageRow } from '../imaging/images-table.js';

/** One region of one lesion on one image: what is extracted at once and cached by its content. */
export interface RegionTask {
  readonly case: string;
  readonly timepoint: string;
  readonly phase: string;
  readonly region: ImagingRegion;
  readonly row: ImageRow;
}

export interface CasePlan {
  readonly case: string;
  readonly tasks: readonly RegionTask[];
  /** Phases and time points that the case lacks: its features of them are missing. In words without the case. */
  readonly missing: readonly string[];
}

/**
 * What has to be extracted for every case of the table, in the table's order of cases. Readings of a named reader are left aside; they serve
 * to judge stability. A table without phases fits a study of one phase.
 */
export function casePlans(imaging: Imaging, rows: readonly ImageRow[]): CasePlan[] {
  const cases = new Map<string, ImageRow[]>();
  for (const row of rows) {
    if (row.reader !== '') continue;
    const known = cases.get(row.case);
    if (known === undefined) cases.set(row.case, [row]);
    else known.push(row);
  }
  return [...cases].map(([name, own]) => {
    const missing: string[] = [];
    const tasks = pairs(imaging).flatMap(({ timepoint, phase }) => {
      const fitting = own.filter((row) => matches(row, timepoint, phase, imaging));
      if (fitting.length === 0) missing.push(placeName({ timepoint, phase }));
      return fitting.flatMap((row) =>
        regionsOf(imaging, phase).map((region): RegionTask => ({ case: name, timepoint, phase, region, row })),
      );
    });
    return { case: name, tasks, missing };
  });
}

/**
 * The same for each lesion of a case alone: what it has of the study's phases and time points.
 *
 * @throws ConcordatError COHORT_INVALID where two lesions of a case cannot be told apart.
 */
export function lesionPlans(imaging: Imaging, plans: readonly CasePlan[]): (CasePlan & { readonly lesion: string })[] {
  const ambiguous = plans.filter(({ tasks }) => {
    const seen = tasks.map(({ timepoint, phase, region, row }) =>
      JSON.stringify([timepoint, phase, region.name, row.lesion]),
    );
    return new Set(seen).size < seen.length;
  });
  if (ambiguous.length > 0)
    throw new ConcordatError(
      'COHORT_INVALID',
      `${ambiguous.length} cases have several lesions of one label in one phase, so nothing says which is which`,
      {
        hint: 'Name the lesions in a column `lesion` of the table of images, alike in every phase and at every time point.',
      },
    );
  return plans.flatMap((plan) =>
    [...new Set(plan.tasks.map(({ row }) => row.lesion))].map((lesion) => {
      const tasks = plan.tasks.filter(({ row }) => row.lesion === lesion);
      const missing = pairs(imaging)
        .filter((pair) => !tasks.some(({ timepoint, phase }) => timepoint === pair.timepoint && phase === pair.phase))
        .map(placeName);
      return { case: plan.case, lesion, tasks, missing };
    }),
  );
}

const placeName = ({ timepoint, phase }: { timepoint: string; phase: string }): string =>
  timepoint === '' ? `phase ${phase}` : `phase ${phase} at ${timepoint}`;

/** Time points and phases of the study, time first; one nameless time point where it names none. */
export function pairs(imaging: Imaging): { timepoint: string; phase: string }[] {
  const timepoints = imaging.timepoints.length === 0 ? [''] : imaging.timepoints;
  return timepoints.flatMap((timepoint) => imaging.phases.map((phase) => ({ timepoint, phase })));
}

function matches(row: ImageRow, timepoint: string, phase: string, imaging: Imaging): boolean {
  const samePhase = row.phase === phase || (row.phase === '' && imaging.phases.length === 1);
  return samePhase && row.timepoint === timepoint;
}
