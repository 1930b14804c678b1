import type { SiteStore } from '../../shared/stores.js';
import { studySites } from '../../shared/study.js';
import { readStudyDocument } from '../../shared/study-signatures.js';
import type { KnownStudy } from '../../site-agent/site-records.js';
import { table } from '../format.js';
import { studiesOf } from './site-store.js';

/** A study as `site studies` and `site status` show it. */
export interface StudyRow {
  readonly study: string;
  readonly name: string;
  readonly state: string;
  readonly sites: number;
  readonly computation: string;
  readonly round: number;
}

export async function studyRows(store: SiteStore): Promise<StudyRow[]> {
  return (await studiesOf(store)).map((known) => {
    const study = readStudyDocument(known.document, known.studyHash);
    const last = known.participant.findLast((record) => record.type === 'joined');
    return {
      study: known.studyHash,
      name: study.name,
      state: stateOf(known),
      sites: studySites(study).length,
      computation: last?.type === 'joined' ? last.computation : '',
      round: last?.type === 'joined' ? last.round : 0,
    };
  });
}

function stateOf(known: KnownStudy): string {
  if (known.closed !== null) return known.closed.phase;
  if (known.withdrawal !== null) return 'withdrawn here';
  if (known.ratification !== null) return known.ratification.verdict;
  if (known.approvals !== null) return 'running';
  return known.approval?.decision ?? 'waiting for your decision';
}

export function studiesText(studies: readonly StudyRow[]): string {
  if (studies.length === 0) return 'No study was proposed to this site.';
  return table(
    ['study', 'name', 'state', 'sites', 'computation', 'round'],
    studies.map((row) => [
      row.study.slice(0, 12),
      row.name,
      row.state,
      row.sites,
      row.computation,
      row.round === 0 ? '' : row.round,
    ]),
  );
}
