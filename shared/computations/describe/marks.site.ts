import type { Cohort } from '../../cohort.site.js';
import type { SuppressionSpec } from '../frame.js';
import type { EventMark, EventMarks } from './suppression.js';

/**
 * Whether a site's events are few, in any set of its rows that the study counts: all of them, those scored when the site
 * is held out or external (its calibration cases are not), and with a split those for training and for testing.
 */
export function eventMarks(
  cohort: Cohort,
  spec: Pick<SuppressionSpec, 'frame' | 'outers' | 'hasSplit'>,
  site: string,
): EventMarks {
  const { frame, outers, hasSplit } = spec;
  const index = cohort.sites.indexOf(site);
  const rows = [...cohort.siteOf.keys()].filter((row) => cohort.siteOf[row] === index);
  const whole = [rows];
  if (frame.external.includes(site) || outers.some((sites) => !sites.includes(site)))
    whole.push(rows.filter((row) => cohort.calibration[row] === 0));
  const parts = hasSplit ? [0, 1].map((part) => rows.filter((row) => cohort.train[row] === part)) : [];
  const markOf = (sets: readonly (readonly number[])[]) => mark(cohort, frame.minimumCount, sets);
  return { whole: markOf(whole), parts: markOf([...whole, ...parts]) };
}

function mark(cohort: Cohort, minimumCount: number, sets: readonly (readonly number[])[]): EventMark {
  const counts = sets.flatMap((rows) => {
    const events = eventsAmong(cohort, rows);
    // Few patients without the event are as telling as few with it.
    return [events, rows.length - events];
  });
  return {
    small: counts.some((count) => count > 0 && count < minimumCount),
    cover: counts.every((count) => count >= minimumCount),
  };
}

export function eventsAmong(cohort: Cohort, rows: readonly number[]): number {
  const events = cohort.outcome.type === 'binary' ? cohort.outcome.y : cohort.outcome.event;
  return rows.reduce((sum, row) => sum + events[row]!, 0);
}
