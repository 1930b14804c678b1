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
  /** Named persons of this site who signed for or against it; they stand nowhere but here. */
  readonly approvers: readonly {
    readonly name: string;
    readonly decision: string;
    readonly at: string;
    readonly publicKey: string;
    /** Whether the signature is this key's, under this study and roster. */
    readonly valid: boolean;
  }[];
}

export async function studyRows(store: SiteStore, site: string): Promise<StudyRow[]> {
  const { approverIsSigned } = await import('../../site-agent/approvers.js');
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
      approvers: known.approvers.map((signed) => {
        const { name, decision, at, publicKey } = signed;
        return { name, decision, at, publicKey, valid: approverIsSigned({ ...known, site }, signed) };
      }),
    };
  });
}

function stateOf(known: KnownStudy): string {
  if (known.closed !== null) return known.closed.phase;
  if (known.withdrawal !== null) return 'withdrawn here';
  if (known.ratification !== null) return known.ratification.verdict;
  if (known.approvals !== null) return 'running';
  if (known.approval !== null) return known.approval.decision;
  return known.approvers.length === 0 ? 'waiting for your decision' : 'waiting for another approver';
}

export function studiesText(studies: readonly StudyRow[]): string {
  if (studies.length === 0) return 'No study was proposed to this site.';
  const rows = table(
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
  const signed = studies.flatMap(({ study, approvers }) =>
    approvers.map(({ name, decision, at, valid }) => [
      study.slice(0, 12),
      name,
      decision,
      at,
      valid ? '' : 'NOT VALID',
    ]),
  );
  if (signed.length === 0) return rows;
  return `${rows}\n\n${table(['study', 'approver', 'signed', 'when', ''], signed)}`;
}
