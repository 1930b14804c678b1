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
      if (fitting.length === 0) missing.push(timepoint === '' ? `phase ${phase}` : `phase ${phase} at ${timepoint}`);
      return fitting.flatMap((row) =>
        regionsOf(imaging, phase).map((region): RegionTask => ({ case: name, timepoint, phase, region, row })),
      );
    });
    return { case: name, tasks, missing };
  });
}

/** Time points and phases of the study, time first; one nameless time point where it names none. */
export function pairs(imaging: Imaging): { timepoint: string; phase: string }[] {
  const timepoints = imaging.timepoints.length === 0 ? [''] : imaging.timepoints;
  return timepoints.flatMap((timepoint) => imaging.phases.map((phase) => ({ timepoint, phase })));
}

function matches(row: ImageRow, timepoint: string, phase: string, imaging: Imaging): boolean {
  const samePhase = row.phase === phase || (row.phase === '' && imaging.phases.length === 1);
  return samePhase && row.timepoint === timepoint;
}
