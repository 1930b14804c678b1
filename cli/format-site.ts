import type { StudyCheck } from '../shared/study-check.js';
import type { LeavesRow, LedgerEntry } from '../site-agent/egress.js';
import { bytes, count, table } from './format.js';

/** "What will leave", before a site approves. */
export function leavesTable(rows: readonly LeavesRow[]): string {
  const visible = (row: LeavesRow): string =>
    row.visible === 'total'
      ? 'only in total'
      : `${row.visible === 'site' ? 'PER SITE' : 'PER SITE in part'}: ${row.sites.join(', ')}`;
  return table(
    ['computation', 'what', 'numbers', 'rounds', 'visible', 'meaning'],
    rows.map((row) => [row.computation, row.kind, row.numbers, row.rounds, visible(row), row.meaning]),
    { align: ['left', 'left', 'right', 'right', 'left', 'left'] },
  );
}

/** The egress ledger, newest last; the chain's head below it. */
export function ledgerTable(entries: readonly LedgerEntry[]): string {
  if (entries.length === 0) return 'Nothing has left this site.';
  const rows = entries.map((entry) => [
    entry.sequence,
    entry.time,
    entry.study,
    entry.computation,
    entry.attempt === 1 ? entry.round : `${entry.round} (attempt ${entry.attempt})`,
    entry.tensors.length,
    entry.patients,
    bytes(entry.bytes),
    entry.masked ? 'masked' : 'PLAIN',
    entry.sha256.slice(0, 12),
  ]);
  const sum = entries.reduce((total, entry) => total + entry.bytes, 0);
  return [
    table(['#', 'time', 'study', 'computation', 'round', 'tensors', 'patients', 'bytes', 'sent', 'sha256'], rows),
    `${count(entries.length, 'release')}, ${bytes(sum)}; chain head ${entries[entries.length - 1]!.hash.slice(0, 16)}`,
  ].join('\n');
}

/** What `study check` found out about isolation. */
export function studyCheckText(check: StudyCheck): string {
  if (check.isolated.length === 0) return 'No combination of totals shows fewer sites than privacy.minSites alone.';
  const rows = check.isolated.map((entry) => [
    entry.sites.join(' + '),
    entry.byDesign
      ? 'by design: metrics, descriptions'
      : entry.declared
        ? 'declared in privacy.showAggregate'
        : `NOT DECLARED by ${entry.undeclared.join(', ')}`,
    [...new Set(entry.kinds.map((kind) => kind.split('.')[0]))].join(', '),
    entry.casesNeeded,
    entry.cases === null ? '–' : `${entry.cases}${entry.tooFew.length > 0 ? ' TOO FEW' : ''}`,
  ]);
  return table(['shown alone', 'agreed', 'by totals of', 'cases needed', 'cases'], rows, {
    align: ['left', 'left', 'left', 'right', 'right'],
  });
}
