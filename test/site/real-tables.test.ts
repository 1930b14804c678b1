import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseStudy, resolveFeatures } from '../../shared/study-parse.js';
import { cohortsFromTable, guessIdColumn } from '../../site-agent/cohort.site.js';
import { PLAIN_MAPPING } from '../../site-agent/cohort-config.js';
import { parseTable } from '../../site-agent/cohort-table.site.js';
import { dominatedColumns } from '../../site-agent/dominance.site.js';
import { DEFAULT_POLICY } from '../../site-agent/policy.js';

/** Real tables from the folder in CONCORDAT_DATA. The counts expected here are those of the files. */
const DATA = process.env['CONCORDAT_DATA'];
const at = (file: string): string | null =>
  DATA !== undefined && existsSync(path.join(DATA, file)) ? path.join(DATA, file) : null;
const brca = at('fed_tcga_brca/fed_tcga_brca.csv');
const lihc = at('tcga_lihc_cdr/tcga_lihc_cdr.csv');
if (brca === null || lihc === null) console.warn('SKIPPED: set CONCORDAT_DATA to run the tests on real tables');

describe.skipIf(brca === null)('Fed-TCGA-BRCA', () => {
  it('gives 1088 cases of six regions, 39 features, FLamby train/test split, times of 0 kept', () => {
    const table = parseTable(readFileSync(brca!, 'utf8'), 'brca.csv');
    const patterned = parseStudy(
      `concordat: 1
name: brca
cohort:
  endpoint: {type: survival, time: time_days, event: event}
  features: [age_at_index, "ethnicity_*", "race_*", "ajcc_*", "tumor_*", "*"]
  split: {column: split, train: train, test: test}
sites: {training: [${[...new Set(table.rows.map((row) => row[table.header.indexOf('region')]))].join(', ')}]}
model: {type: cox}
validation: {folds: 0}`,
      'study.yaml',
    );
    const id = guessIdColumn(patterned, table, 'region');
    expect(id).toBe('pid');
    const study = resolveFeatures(patterned, table.header, ['pid', 'region', 'center', 'tss']);
    expect(study.cohort.features).toHaveLength(39);
    const loads = cohortsFromTable(study, PLAIN_MAPPING, table, 'region', { oneHolder: false });
    expect(loads).toHaveLength(6);
    // Real cohorts pass the rule of dominance, rare indicator columns included.
    expect(loads.map(({ cohort }) => dominatedColumns(cohort, DEFAULT_POLICY.dominance))).toEqual(loads.map(() => []));
    expect(loads.reduce((sum, { cohort }) => sum + cohort.n, 0)).toBe(1088);
    expect(loads.flatMap(({ cohort }) => cohort.exclusions)).toEqual([]);
    const times = loads.flatMap(({ cohort }) => (cohort.outcome.type === 'survival' ? [...cohort.outcome.time] : []));
    expect(times.filter((time) => time === 0)).toHaveLength(12);
    const train = loads.reduce((sum, { cohort }) => sum + cohort.train.reduce((n, mark) => n + mark, 0), 0);
    expect(train).toBe(table.rows.filter((row) => row[table.header.indexOf('split')] === 'train').length);
  });
});

describe.skipIf(lihc === null)('TCGA-LIHC', () => {
  it('gives 376 cases of six sites less the one without OS time', () => {
    const table = parseTable(readFileSync(lihc!, 'utf8'), 'lihc.csv');
    const study = parseStudy(
      `concordat: 1
name: lihc
cohort:
  endpoint: {type: survival, time: OS_days, event: OS}
  features: [age]
  covariates: [{column: gender, levels: [FEMALE, MALE]}]
sites: {training: [DD, G3, CC, BC, 2Y, OTHER]}
model: {type: cox}
validation: {folds: 0}`,
      'study.yaml',
    );
    const mapping = { ...PLAIN_MAPPING, id: 'bcr_patient_barcode' };
    const { cohort } = cohortsFromTable(study, mapping, table, 'fed_site', { oneHolder: true })[0]!;
    const reasons = new Map<string, number>();
    for (const { reason, count } of cohort.exclusions) reasons.set(reason, (reasons.get(reason) ?? 0) + count);
    expect(reasons.get('follow-up time missing')).toBe(1);
    expect(cohort.n + [...reasons.values()].reduce((sum, count) => sum + count, 0)).toBe(376);
  });
});
