import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type SimulationOutcome, simulateTable } from '../cli/simulate-table.js';
import { seededRandom } from '../shared/rng.js';
import type { Study } from '../shared/study.js';
import { parseStudy } from '../shared/study-parse.js';

/** A small multi-site cohort drawn from a seed, as rows of text by column name: tests edit rows and write the table. */
export type Row = Record<string, string>;

export const SITES = { alder: 46, birch: 52, cedar: 40, dogwood: 44, elm: 48 } as const;
export const FEATURES = ['f1', 'f2', 'f3', 'f4', 'f5'] as const;

/**
 * Features with a scanner effect per site, two covariates, a binary outcome and a survival one. `batch`, `stratum` and
 * `fold` are columns of their own, fixed per row; a few cells are empty.
 */
export function cohortRows(seed: number, sizes: Readonly<Record<string, number>> = SITES): Row[] {
  return Object.entries(sizes).flatMap(([site, n]) => {
    const random = seededRandom('study-properties', seed, site);
    const shift = FEATURES.map(() => random.normal());
    const spread = FEATURES.map(() => Math.exp(0.2 * random.normal()));
    return Array.from({ length: n }, (_, index): Row => {
      const male = random.uniform() < 0.6 ? 1 : 0;
      const age = Math.round(60 + 9 * random.normal());
      const biology = FEATURES.map(() => random.normal());
      const score = 1.1 * biology[0]! - 0.8 * biology[2]! + 0.04 * (age - 60);
      const time = Math.ceil((-900 * Math.log(random.uniform())) / Math.exp(0.6 * score));
      const row: Row = {
        id: `${site}-${String(index).padStart(3, '0')}`,
        hospital: site,
        scanner: `${site}-${index % 2 === 0 ? 'A' : 'B'}`,
        fold: String(index % 3),
        sex: male === 1 ? 'M' : 'F',
        age: String(age),
        mvi: random.uniform() < 1 / (1 + Math.exp(0.4 - score)) ? '1' : '0',
        days: String(Math.min(time, 1500)),
        died: time <= 1500 ? '1' : '0',
      };
      for (const [at, name] of FEATURES.entries()) {
        const value = 20 * (at + 1) + 5 * (shift[at]! + spread[at]! * biology[at]! + 0.3 * male);
        row[name] = random.uniform() < 0.02 ? '' : value.toPrecision(9);
      }
      return row;
    });
  });
}

export function csvOf(rows: readonly Row[]): string {
  const columns = Object.keys(rows[0]!);
  return `${[columns, ...rows.map((row) => columns.map((name) => row[name]!))].map((cells) => cells.join(',')).join('\n')}\n`;
}

/** A study over these sites; `more` replaces whole lines of it, by their first word. */
export function studyOf(more: Readonly<Record<string, string>> = {}): Study {
  const lines: Record<string, string> = {
    name: 'small',
    cohort: `{endpoint: {type: binary, column: mvi}, features: [${FEATURES.join(', ')}], covariates: [{column: sex, levels: [F, M]}, {column: age}]}`,
    sites: '{training: [alder, birch, cedar, dogwood], external: [elm]}',
    harmonization: '{method: combat, covariates: [sex, age], calibrationCases: 12}',
    model: '{type: logistic, alpha: 0.9, lambda: cv, rule: min, nlambda: 8}',
    validation: '{folds: 3, leaveOneSiteOut: true}',
    privacy: '{minimumCohort: 10, showAggregate: [alder, birch, cedar, dogwood]}',
    ...more,
  };
  const text = Object.entries(lines).map(([key, value]) => `${key}: ${value}`);
  return parseStudy(`concordat: 1\n${text.join('\n')}\n`, 'study.yaml');
}

const folder = mkdtempSync(path.join(tmpdir(), 'concordat-properties-'));
let tables = 0;

export function tableFile(rows: readonly Row[]): string {
  const file = path.join(folder, `table-${++tables}.csv`);
  writeFileSync(file, csvOf(rows));
  return file;
}

export function simulated(
  study: Study,
  rows: readonly Row[],
  options: { readonly siteColumn?: string; readonly oneHolder?: boolean; readonly guard?: boolean } = {},
): SimulationOutcome {
  return simulateTable(study, {
    table: tableFile(rows),
    siteColumn: options.siteColumn ?? 'hospital',
    oneHolder: options.oneHolder === true,
    guard: options.guard === true,
    idColumn: 'id',
  });
}

export function resultJson(outcome: SimulationOutcome): Record<string, unknown> {
  return JSON.parse(Buffer.from(outcome.files.get('result.json')!).toString('utf8')) as Record<string, unknown>;
}
