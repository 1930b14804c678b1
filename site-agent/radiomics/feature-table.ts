import { csvText, numberCell } from '../../shared/csv.js';
import type { Extraction, FailureReason } from './extract.js';
import type { FeatureSet } from './feature.js';

/** One row of a feature table: one region of one image, or of a patient. */
export interface FeatureRow {
  readonly case: string;
  readonly phase: string;
  readonly timepoint: string;
  readonly label: number;
  readonly status: 'ok' | 'failed';
  readonly reason: FailureReason | null;
  readonly features: FeatureSet;
  readonly diagnostics: Readonly<Record<string, unknown>>;
  readonly settingsDigest: string;
}

type RowName = Pick<FeatureRow, 'case' | 'phase' | 'timepoint' | 'label' | 'settingsDigest'>;

export function featureRow(name: RowName, extraction: Extraction): FeatureRow {
  if (extraction.status === 'failed')
    return { ...name, status: 'failed', reason: extraction.reason, features: new Map(), diagnostics: {} };
  const { features, diagnostics } = extraction;
  return { ...name, status: 'ok', reason: null, features, diagnostics };
}

const COLUMNS = ['case', 'phase', 'timepoint', 'label', 'status', 'reason'];

/**
 * CSV (RFC 4180, UTF-8): the columns that name a row, then one a feature in the order in which rows first have them. A
 * feature without a value is an empty cell.
 */
export function featureCsv(rows: readonly FeatureRow[]): string {
  const names = [...new Set(rows.flatMap((row) => [...row.features.keys()]))];
  const lines = rows.map((row) => [
    row.case,
    row.phase,
    row.timepoint,
    String(row.label),
    row.status,
    row.reason === null ? '' : `${row.reason.code}: ${row.reason.message}`,
    ...names.map((name) => numberCell(row.features.get(name)?.value ?? null)),
  ]);
  return csvText([[...COLUMNS, ...names], ...lines]);
}

/** The same as a list for JSON: of each feature its value or null, its IBSI code, and why it has none. */
export function featureJson(rows: readonly FeatureRow[]): unknown[] {
  return rows.map((row) => ({
    case: row.case,
    phase: row.phase,
    timepoint: row.timepoint,
    label: row.label,
    status: row.status,
    ...(row.reason === null ? {} : { reason: row.reason }),
    features: Object.fromEntries(
      [...row.features].map(([name, { value, code, reason }]) => [
        name,
        {
          value: value !== null && Number.isFinite(value) ? value : null,
          ...(code === undefined ? {} : { code }),
          ...(reason === undefined ? {} : { reason }),
        },
      ]),
    ),
    ...(Object.keys(row.diagnostics).length === 0 ? {} : { diagnostics: row.diagnostics }),
    settingsDigest: row.settingsDigest,
  }));
}
