import { type ConformanceCase, groupOf } from './case-model.js';
import { kindRunners, NOTHING_TO_RUN } from './kinds.js';
import { UnreadableCase } from './readers.js';
import { countsOf } from './report.js';
import { type KindRunner, messageOf, type Row, Sheet } from './sheet.js';
import { findCases } from './walker.js';

export interface ConformanceOptions {
  readonly directory: string;
  /** Groups to run; all where absent. */
  readonly only?: readonly string[];
  readonly progress?: (line: string) => void;
}

export interface ConformanceRun {
  readonly rows: readonly Row[];
  /** 0 nothing failed and something passed, 1 a failure (or nothing compared), 2 no case or one that cannot be read. */
  readonly exitStatus: 0 | 1 | 2;
  readonly problems: readonly string[];
}

/** Walks a folder and compares every case in it. Knows kinds of cases, no data sets. */
export function runConformance(options: ConformanceOptions): ConformanceRun {
  const progress = options.progress ?? (() => {});
  const found = findCases(options.directory);
  const problems = found.unreadable.map((one) => one.message);
  const rows: Row[] = found.unreadable.map((one) => unreadableRow(one.name, 'unknown', one.message));
  const wanted = (one: ConformanceCase): boolean => options.only === undefined || options.only.includes(groupOf(one));
  const cases = found.cases.filter(wanted);
  for (const one of cases) {
    if (NOTHING_TO_RUN.includes(one.document.kind)) {
      progress(`${one.name}: ${one.document.kind}, nothing to run`);
      continue;
    }
    progress(`${one.name}: ${one.document.kind}`);
    const sheet = runCase(one, problems);
    rows.push(...sheet);
  }
  if (cases.length === 0) problems.push(`no case under ${found.root}`);
  const counts = countsOf(rows);
  const exitStatus = problems.length > 0 ? 2 : counts.fail === 0 && counts.pass > 0 ? 0 : 1;
  return { rows, exitStatus, problems };
}

function runCase(one: ConformanceCase, problems: string[]): readonly Row[] {
  const runner: KindRunner | undefined = kindRunners.get(one.document.kind);
  if (runner === undefined) {
    const sheet = new Sheet(one, { quantityOf: () => 'kind', run: () => {} });
    sheet.remark('case.json', 'kind', 'unsupported', `unknown kind "${one.document.kind}"`);
    return sheet.rows;
  }
  const sheet = new Sheet(one, runner);
  try {
    runner.run(one, sheet);
    sheet.close();
  } catch (error) {
    if (error instanceof UnreadableCase) {
      problems.push(`${one.name} cannot be read: ${error.message}`);
      return [...sheet.rows, unreadableRow(one.name, groupOf(one), error.message)];
    }
    sheet.remark('case.json', 'case', 'fail', `the runner stopped: ${messageOf(error)}`);
  }
  return sheet.rows;
}

function unreadableRow(name: string, group: string, message: string): Row {
  return {
    group,
    case: name,
    quantity: 'case',
    class: '',
    reference: 'case.json',
    version: '',
    values: 0,
    worst: null,
    unit: '',
    tolerance: '',
    status: 'fail',
    reason: `cannot be read: ${message}`,
  };
}
