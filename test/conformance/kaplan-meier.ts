import {
  type CurveInterval,
  curveInterval,
  kaplanMeier,
  medianTime,
  type RiskTable,
  restrictedMean,
  riskTable,
} from '../../shared/metrics/kaplan-meier.js';
import type { ConformanceCase } from './case-model.js';
import { lazily } from './glm.js';
import { isRecord, numberOf, numeric, type Table } from './readers.js';
import type { Sheet } from './sheet.js';

/** Survival curves at exact event times, which one holder of all rows computes (class L). */
export function kaplanMeierBlocks(one: ConformanceCase, sheet: Sheet, file: string, table: Table): void {
  const golden = sheet.json(file);
  const all = lazily(() => tableOf(one, table, () => true));
  const scales: readonly [string, CurveInterval][] = [
    ['km_overall', 'log'],
    ['km_overall_loglog', 'log-log'],
    ['km_overall_plain_ci', 'plain'],
  ];
  for (const [key, scale] of scales) if (isRecord(golden[key])) curve(sheet, file, [key], golden[key], all, scale);
  const groups = golden['km_by_group'];
  if (isRecord(groups))
    for (const [name, block] of Object.entries(groups)) {
      if (!isRecord(block)) continue;
      const level = name.slice(name.indexOf('=') + 1);
      curve(
        sheet,
        file,
        ['km_by_group', name],
        block,
        lazily(() => groupOf(one, table, level)),
        'log',
      );
    }
  const last = () => all().time.at(-1)!;
  if (isRecord(golden['median'])) summary(sheet, file, 'median', golden['median'], all, last);
  const grid = numeric(one.document['timeGrid']) ?? [];
  if (isRecord(golden['rmean_at_max_tgrid']))
    summary(sheet, file, 'rmean_at_max_tgrid', golden['rmean_at_max_tgrid'], all, () => Math.max(...grid));
}

function tableOf(one: ConformanceCase, table: Table, wanted: (row: number) => boolean): RiskTable {
  const time = table.numbers(one.document.time!);
  const event = table.numbers(one.document.event!);
  const rows = [...time.keys()].filter(wanted);
  return riskTable(
    Float64Array.from(rows, (row) => time[row]!),
    Uint8Array.from(rows, (row) => event[row]!),
  );
}

function groupOf(one: ConformanceCase, table: Table, level: string): RiskTable {
  const values = table.text(one.document.group!);
  // A level may be printed in another form than in the table: 1 for 1.0.
  const same = (value: string): boolean => value === level || numberOf(value) === numberOf(level);
  return tableOf(one, table, (row) => same(values[row]!));
}

function curve(
  sheet: Sheet,
  file: string,
  path: readonly string[],
  golden: Readonly<Record<string, unknown>>,
  table: () => RiskTable,
  scale: CurveInterval,
): void {
  const own = lazily(() => kaplanMeier(table()));
  const limits = lazily(() => curveInterval(own(), scale));
  const compare = (key: string, tolerance: string, got: () => ArrayLike<number>): void => {
    if (key in golden) sheet.compare({ file, path: [...path, key] }, got, { tolerance: [tolerance] });
  };
  compare('time', 'counts', () => table().time);
  compare('n.risk', 'counts', () => table().atRisk);
  compare('n.event', 'counts', () => table().events);
  compare('n.censor', 'counts', () => table().censored);
  compare('surv', 'curve', () => own().survival);
  compare('std.err_of_cumhaz', 'curve', () => own().logSe);
  compare('cumhaz_NA', 'curve', () => own().cumulativeHazard);
  compare('lower', 'curve', () => limits().low);
  compare('upper', 'curve', () => limits().high);
}

function summary(
  sheet: Sheet,
  file: string,
  block: string,
  golden: Readonly<Record<string, unknown>>,
  table: () => RiskTable,
  end: () => number,
): void {
  const own = lazily(() => kaplanMeier(table()));
  const limits = lazily(() => curveInterval(own(), 'log'));
  const mean = lazily(() => restrictedMean(table(), own(), end()));
  const compare = (key: string, tolerance: string, got: () => number): void => {
    if (key in golden) sheet.compare({ file, path: [block, key] }, () => [got()], { tolerance: [tolerance] });
  };
  for (const key of ['records', 'n.max', 'n.start']) compare(key, 'counts', () => table().atRisk[0]!);
  compare('events', 'counts', () => table().events.reduce((sum, count) => sum + count, 0));
  compare('rmean', 'curve', () => mean().value);
  compare('se(rmean)', 'curve', () => mean().se);
  compare('median', 'curve', () => medianTime(table().time, own().survival));
  compare('0.95LCL', 'curve', () => medianTime(table().time, limits().low));
  compare('0.95UCL', 'curve', () => medianTime(table().time, limits().high));
}
