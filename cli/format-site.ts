import type { LedgerEntry } from '../shared/egress-ledger.js';
import type { StudyCheck } from '../shared/study-check.js';
import type { LeavesRow } from '../site-agent/egress.js';
import { bytes, count, table, wrap } from './format.js';

/**
 * "What will leave", before a site approves. `width` is the terminal's; the plain words are wrapped to it. Below stands
 * which sites can be told apart in what is visible per site. In a narrow terminal the narrow columns have shorter words.
 */
export function leavesTable(rows: readonly LeavesRow[], width = 120): string {
  const narrow = width < 120;
  const words = narrow
    ? ({ total: 'total', site: 'SITE', both: 'partly' } as const)
    : ({ total: 'total', site: 'PER SITE', both: 'PER SITE in part' } as const);
  const rounds = (row: LeavesRow) =>
    narrow ? row.rounds.replace('until converged', 'open').replace('up to ', '≤ ') : row.rounds;
  const cells = rows.map((row) => [row.kind, row.numbers.toLocaleString('en'), rounds(row), words[row.visible]]);
  const header = ['what', 'numbers', 'rounds', narrow ? 'seen' : 'visible', 'in plain words'];
  const taken = [0, 1, 2, 3].reduce(
    (sum, at) => sum + 2 + Math.max(header[at]!.length, ...cells.map((row) => row[at]!.length)),
    0,
  );
  const lines = rows.flatMap((row, index) =>
    wrap(row.meaning, Math.max(30, width - taken)).map((text, part) => [
      ...(part === 0 ? cells[index]! : ['', '', '', '']),
      text,
    ]),
  );
  const perSite = new Map<string, string[]>();
  for (const row of rows.filter(({ visible }) => visible !== 'total')) {
    const sites = row.sites.join(', ');
    perSite.set(sites, [...(perSite.get(sites) ?? []), row.kind]);
  }
  return [
    table(header, lines, {
      align: ['left', 'right', 'left', 'left', 'left'],
    }),
    ...(narrow && perSite.size > 0 ? [''] : []),
    ...[...perSite].flatMap(([sites, kinds]) =>
      wrap(`${narrow ? 'Not as totals only' : 'PER SITE'}: ${sites} can be told apart in ${kinds.join(', ')}.`, width),
    ),
  ].join('\n');
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

/** The egress ledger as CSV (RFC 4180): one line an entry, nothing per patient. */
export function ledgerCsv(entries: readonly LedgerEntry[]): string {
  const header = 'sequence,time,study,computation,round,attempt,tensors,patients,bytes,masked,sha256,previousHash,hash';
  const lines = entries.map((entry) =>
    [
      entry.sequence,
      entry.time,
      entry.study,
      entry.computation,
      entry.round,
      entry.attempt,
      entry.tensors.length,
      entry.patients,
      entry.bytes,
      entry.masked,
      entry.sha256,
      entry.previousHash,
      entry.hash,
    ].join(','),
  );
  return [header, ...lines].join('\n');
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
