import { didYouMean } from '../shared/did-you-mean.js';
import type { Problem } from '../shared/errors.js';
import type { CohortMapping } from './cohort-config.js';
import type { Table } from './cohort-table.site.js';

/**
 * Reads columns of a table under their study names and collects every problem. No problem quotes a cell: row and
 * column say where to look.
 */
export class CellReader {
  readonly problems: Problem[] = [];
  private readonly index: ReadonlyMap<string, number>;
  private readonly missing: ReadonlySet<string>;

  constructor(
    private readonly table: Table,
    private readonly mapping: CohortMapping,
  ) {
    this.index = new Map(table.header.map((name, at) => [name, at]));
    this.missing = new Set(mapping.missing);
  }

  /** Position of the column that the site uses for `studyName`, or null after noting that it is missing. */
  find(studyName: string): number | null {
    const { columns } = this.mapping;
    // A column may be called `constructor`: only what the mapping itself says counts.
    const local = Object.hasOwn(columns, studyName) ? columns[studyName]! : studyName;
    const at = this.index.get(local);
    if (at !== undefined) return at;
    const mapped = local === studyName ? '' : ` (cohort.yaml maps it to "${local}")`;
    this.problems.push({
      file: this.table.file,
      row: 1,
      column: studyName,
      message: `the table has no column "${studyName}"${mapped}${didYouMean(local, this.table.header)}`,
    });
    return null;
  }

  problem(row: number, column: string, message: string): void {
    this.problems.push({ file: this.table.file, row: row + 2, column, message });
  }

  /** The cell in the study's coding, or null where it is missing, in the table or by what cohort.yaml makes of it. */
  text(row: number, studyName: string, at: number): string | null {
    const cell = this.table.rows[row]![at]!;
    if (this.missing.has(cell)) return null;
    const { values } = this.mapping;
    const known = Object.hasOwn(values, studyName) ? values[studyName] : undefined;
    if (known === undefined || !Object.hasOwn(known, cell)) return cell;
    return this.missing.has(known[cell]!) ? null : known[cell]!;
  }

  /** Finite number, NaN where missing; notes a problem (and gives NaN) for anything else. */
  number(row: number, studyName: string, at: number): number {
    const text = this.text(row, studyName, at);
    if (text === null) return Number.NaN;
    const plain = this.mapping.decimal === ',' ? text.replace(',', '.') : text;
    if (/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(plain)) {
      const value = Number(plain);
      if (Number.isFinite(value)) return value;
      this.problem(row, studyName, 'is too large for a number');
      return Number.NaN;
    }
    this.problem(row, studyName, `is not a number${numberHint(text)}`);
    return Number.NaN;
  }

  /** Position among `levels`, NaN where missing. */
  level(row: number, studyName: string, at: number, levels: readonly string[]): number {
    const text = this.text(row, studyName, at);
    if (text === null) return Number.NaN;
    const level = levels.indexOf(text);
    if (level >= 0) return level;
    const same = levels.some((name) => name.toLowerCase() === text.toLowerCase());
    const numeric = Number(text);
    // 1.0 stands for the level 1 in tables that passed through a program which made whole numbers decimal.
    const asNumber = text.trim() === '' ? -1 : levels.findIndex((name) => name !== '' && Number(name) === numeric);
    if (asNumber >= 0) return asNumber;
    this.problem(
      row,
      studyName,
      `is none of the levels ${levels.join(', ')}${same ? ' (upper and lower case differ)' : ''}; map local values under "values" in cohort.yaml`,
    );
    return Number.NaN;
  }
}

function numberHint(text: string): string {
  if (/^[+-]?\d{1,3}(\.\d{3})*,\d+$|^[+-]?\d+,\d+$/.test(text))
    return ' (a decimal comma? set "decimal" in cohort.yaml)';
  if (/^[+-]?(nan|inf|infinity)$/i.test(text) || /^(n\/?a|null|none|missing|unknown|-|\?|\.)$/i.test(text))
    return ' (a missing value? list its text under "missing" in cohort.yaml)';
  if (/^#(NAME\?|N\/A|VALUE!|REF!|DIV\/0!|NUM!|NULL!)$/i.test(text)) return ' (a spreadsheet error)';
  return '';
}
