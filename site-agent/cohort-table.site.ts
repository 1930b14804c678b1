import { CsvError, parse } from 'csv-parse/sync';
import { ConcordatError, type Problem } from '../shared/errors.js';

/** A table as text cells. Row `i` of `rows` is row `i + 2` of the file, whose header is row 1. */
export interface Table {
  readonly file: string;
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** Feature extraction gives a few thousand columns; more is a table of another kind, or one turned on its side. */
const COLUMNS_MAX = 100_000;

/**
 * Splits CSV text (RFC 4180, with or without byte order mark) into cells, trimmed. Empty lines are skipped and counted
 * as no row.
 *
 * @throws ConcordatError COHORT_UNREADABLE where the text is no table, COHORT_INVALID with every row of another length
 * and every duplicate header.
 */
export function parseTable(text: string, file: string, separator: ',' | ';' | '\t' = ','): Table {
  let records: string[][];
  try {
    records = parse(text, {
      bom: true,
      delimiter: separator,
      relax_column_count: true,
      skip_empty_lines: true,
      trim: true,
    });
  } catch (error) {
    // csv-parse quotes the offending record in its message, so only the line is passed on.
    const row = error instanceof CsvError && typeof error['lines'] === 'number' ? { row: error['lines'] } : {};
    throw new ConcordatError('COHORT_UNREADABLE', `${file} is not a CSV table`, {
      problems: [{ file, ...row, message: 'a quoted cell is not closed, or a quote stands inside a cell' }],
    });
  }
  const header = records[0];
  if (header === undefined || records.length < 2)
    throw new ConcordatError('COHORT_UNREADABLE', `${file} has no rows below its header`, {
      problems: [{ file, row: 1, message: header === undefined ? 'the file is empty' : 'only a header is there' }],
    });
  const problems: Problem[] = [];
  const other = otherSeparator(header, separator);
  if (other !== null)
    problems.push({
      file,
      row: 1,
      message: `the header is one long column: the cells seem to be separated by ${other}; set "separator" in cohort.yaml`,
    });
  if (header.length > COLUMNS_MAX)
    throw new ConcordatError('COHORT_INVALID', `${file} has ${header.length} columns, at most ${COLUMNS_MAX} are read`);
  const seen = new Set<string>();
  for (const [index, name] of header.entries()) {
    if (name === '' && header.length > 1) problems.push({ file, row: 1, message: `column ${index + 1} has no name` });
    else if (seen.has(name)) problems.push({ file, row: 1, column: name, message: 'two columns have this name' });
    seen.add(name);
  }
  const rows = records.slice(1);
  for (const [index, cells] of rows.entries())
    if (cells.length !== header.length)
      problems.push({
        file,
        row: index + 2,
        message: `${cells.length} cells, but the header has ${header.length} columns`,
      });
  if (problems.length > 0)
    throw new ConcordatError('COHORT_INVALID', `${file} has ${problems.length} problems in its form`, { problems });
  return { file, header, rows };
}

function otherSeparator(header: readonly string[], separator: string): string | null {
  if (header.length > 1) return null;
  const names = { ';': 'semicolons', '\t': 'tabs', ',': 'commas' } as const;
  for (const [mark, name] of Object.entries(names))
    if (mark !== separator && (header[0] ?? '').includes(mark)) return name;
  return null;
}
