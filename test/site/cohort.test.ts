import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { Cohort } from '../../shared/cohort.site.js';
import { ConcordatError, type Problem } from '../../shared/errors.js';
import { seededRandom } from '../../shared/rng.js';
import type { Study } from '../../shared/study.js';
import { parseStudy } from '../../shared/study-parse.js';
import { cohortOf, cohortsFromTable, guessIdColumn } from '../../site-agent/cohort.site.js';
import { type CohortMapping, PLAIN_MAPPING, parseCohortConfig } from '../../site-agent/cohort-config.js';
import { loadCohort } from '../../site-agent/cohort-files.js';
import { drawCalibration, drawCells } from '../../site-agent/cohort-folds.site.js';
import { freezeCohort } from '../../site-agent/cohort-freeze.site.js';
import { parseTable } from '../../site-agent/cohort-table.site.js';

const STUDY = parseStudy(
  `
concordat: 1
name: small
cohort:
  endpoint: {type: binary, column: mvi}
  features: [f1, f2]
  covariates: [{column: sex, levels: [F, M]}, {column: age, unit: years}]
sites: {training: [alder, birch, cedar]}
harmonization: {method: combat, covariates: [sex, age]}
model: {type: logistic}
validation: {folds: 3}
privacy: {minimumCohort: 3, minimumCount: 3}
`,
  'study.yaml',
);
const MAPPING: CohortMapping = { ...PLAIN_MAPPING, id: 'id' };
const CANARY = 'CANARY-7431';

function load(csv: string, study: Study = STUDY, mapping: CohortMapping = MAPPING) {
  return cohortOf(study, mapping, parseTable(csv, 'cases.csv'), 'alder');
}

function problemsOf(run: () => unknown): readonly Problem[] {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(ConcordatError);
    return (error as ConcordatError).problems;
  }
  throw new Error('nothing was thrown');
}

const GOOD = `id,f1,f2,sex,age,mvi
p3,1.5,10,F,60,1
p1,2.5,20,M,61,0
p2,NA,30,F,62.5,1
p4,4.5,40,M,63,0
`;

describe('a site table becomes a cohort', () => {
  it('types every column, sorts by id, keeps gaps as NaN', () => {
    const { cohort, warnings } = load(GOOD);
    expect(cohort.ids).toEqual(['p1', 'p2', 'p3', 'p4']);
    expect([...cohort.features]).toEqual([2.5, 20, Number.NaN, 30, 1.5, 10, 4.5, 40]);
    expect([...cohort.covariates]).toEqual([1, 61, 0, 62.5, 0, 60, 1, 63]);
    expect(cohort.outcome).toEqual({ type: 'binary', y: new Uint8Array([0, 1, 1, 0]) });
    expect(cohort.sites).toEqual(['alder']);
    expect([...cohort.train]).toEqual([1, 1, 1, 1]);
    expect(cohort.exclusions).toEqual([]);
    expect(warnings).toEqual([]);
  });

  it('does not depend on the order of rows', () => {
    const [head, ...rows] = GOOD.trim().split('\n');
    expect(load([head, ...rows.reverse()].join('\n')).cohort).toEqual(load(GOOD).cohort);
  });

  it('maps local column names and codes, a decimal comma, a semicolon and a byte order mark', () => {
    const config = parseCohortConfig(
      `concordat: 1
table: faelle.csv
id: Fall
separator: ;
decimal: ','
missing: [k.A., -9]
columns: {sex: Geschlecht, age: Alter, f1: Merkmal}
values: {sex: {w: F, m: M}, mvi: {ja: 1, nein: 0}}`,
      'cohort.yaml',
    );
    const table = parseTable(
      '\uFEFFFall;Merkmal;f2;Geschlecht;Alter;mvi\np1;2,5;20;m;61;nein\np2;k.A.;30;w;62,5;ja\np3;1,5;10;w;60;1\np4;4,5;40;m;-9;0\n',
      'faelle.csv',
      config.separator,
    );
    const { cohort } = cohortOf(STUDY, config, table, 'alder');
    expect(cohort.ids).toEqual(['p1', 'p2', 'p3']);
    expect([...cohort.features]).toEqual([2.5, 20, Number.NaN, 30, 1.5, 10]);
    expect(cohort.exclusions).toEqual([{ site: 'alder', reason: 'covariate age missing', count: 1 }]);
  });

  it('leaves unusable cases out and counts them by reason', () => {
    const csv = `${GOOD}p5,1,2,F,60,\np6,1,2,,60,1\np7,1,2,F,,1\np8,1,2,F,NA,0\np9,,NA,F,60,1\n`;
    expect(load(csv).cohort.exclusions).toEqual([
      { site: 'alder', reason: 'all features missing', count: 1 },
      { site: 'alder', reason: 'covariate age missing', count: 2 },
      { site: 'alder', reason: 'covariate sex missing', count: 1 },
      { site: 'alder', reason: 'outcome missing', count: 1 },
    ]);
    // Without ComBat a missing covariate is a gap like any other.
    const plain: Study = { ...STUDY, harmonization: { ...STUDY.harmonization, method: 'none' } };
    expect(load(csv, plain).cohort.n).toBe(7);
  });

  it('reads survival endpoints and keeps time 0', () => {
    const survival = parseStudy(
      `concordat: 1
name: os
cohort: {endpoint: {type: survival, time: days, event: dead}, features: [f1]}
sites: {training: [alder, birch, cedar]}
privacy: {minimumCohort: 2, minimumCount: 2}
model: {type: cox}`,
      'study.yaml',
    );
    const { cohort } = load('id,f1,days,dead\na,1,0,1.0\nb,2,10,0\nc,3,,1\nd,4,3,\n', survival);
    expect(cohort.outcome).toEqual({
      type: 'survival',
      time: new Float64Array([0, 10]),
      event: new Uint8Array([1, 0]),
    });
    expect(cohort.exclusions.map(({ reason }) => reason)).toEqual(['follow-up time missing', 'outcome missing']);
    expect(problemsOf(() => load('id,f1,days,dead\na,1,-1,1\nb,1,2,0\n', survival))).toEqual([
      { file: 'cases.csv', row: 2, column: 'days', message: 'a follow-up time cannot be negative' },
    ]);
  });

  it('takes split, fold, batch and stratum columns', () => {
    const study: Study = {
      ...STUDY,
      cohort: {
        ...STUDY.cohort,
        split: { column: 'part', train: 'train', test: 'test' },
        fold: 'fold',
        batch: 'scanner',
      },
    };
    const csv = `id,f1,f2,sex,age,mvi,part,fold,scanner
a,1,2,F,60,1,train,1,S2
b,2,3,M,61,0,test,2,S1
c,3,4,M,62,0,train,3,S2
`;
    const { cohort } = load(csv, study);
    expect([...cohort.train]).toEqual([1, 0, 1]);
    expect([...cohort.cellOf]).toEqual([1, 2, 0]);
    expect(cohort.batchNames).toEqual(['alder/S1', 'alder/S2']);
    expect([...cohort.batchOf]).toEqual([1, 0, 1]);
    expect(problemsOf(() => load(csv.replace(',train,1', ',dev,9'), study)).map(({ column }) => column)).toEqual([
      'part',
      'fold',
    ]);
  });
});

describe('every problem at once, with row and column, and no cell content', () => {
  const csv = `id,f1,f2,sex,age,mvi
p1,${CANARY},1,F,60,1
p2,2,NaN,X${CANARY},61,0
p1,3,3,f,"62,5",2
,4,4,M,63,maybe
`;

  it('lists them in the order of the table', () => {
    const problems = problemsOf(() => load(csv));
    expect(problems.map(({ row, column }) => `${row} ${column}`)).toEqual([
      '2 f1',
      '3 f2',
      '3 sex',
      '4 id',
      '4 sex',
      '4 age',
      '4 mvi',
      '5 id',
      '5 mvi',
    ]);
    expect(problems[1]!.message).toContain('missing value?');
    expect(problems[3]!.message).toBe('the id of row 2 stands here again');
    expect(problems[4]!.message).toContain('upper and lower case differ');
    expect(problems[5]!.message).toContain('decimal comma');
  });

  it('never repeats what a cell holds', () => {
    try {
      load(csv);
      expect.unreachable();
    } catch (error) {
      const { message, problems, hint, stack } = error as ConcordatError;
      expect(JSON.stringify([message, problems, hint, stack])).not.toMatch(/CANARY|maybe|62,5|"p1"/);
    }
  });

  it('names a missing column, with the nearest one and the mapping', () => {
    const problems = problemsOf(() =>
      load('id,f1,f3,Sexx,age,mvi\na,1,2,F,3,1\n', STUDY, { ...MAPPING, columns: { sex: 'Geschlecht' } }),
    );
    expect(problems.map(({ message }) => message)).toEqual([
      'the table has no column "f2"; did you mean "f1"?',
      'the table has no column "sex" (cohort.yaml maps it to "Geschlecht")',
    ]);
  });

  it('sees a wrong separator, uneven rows, doubled names and an unclosed quote', () => {
    expect(problemsOf(() => parseTable('id;f1;f2\na;1;2\n', 't.csv'))[0]!.message).toContain('semicolons');
    expect(problemsOf(() => parseTable('id\tf1\na\t1\n', 't.csv'))[0]!.message).toContain('tabs');
    expect(problemsOf(() => parseTable('id,f1,f1\na,1,2\nb,1\n', 't.csv'))).toEqual([
      { file: 't.csv', row: 1, column: 'f1', message: 'two columns have this name' },
      { file: 't.csv', row: 3, message: '2 cells, but the header has 3 columns' },
    ]);
    const quote = problemsOf(() => parseTable(`id,f1\na,"${CANARY}\nb,2\n`, 't.csv'));
    expect(quote[0]!.message).toContain('quoted cell');
    expect(JSON.stringify(quote)).not.toContain(CANARY);
    expect(problemsOf(() => parseTable('id,f1\n', 't.csv'))[0]!.message).toBe('only a header is there');
    expect(problemsOf(() => parseTable('', 't.csv'))[0]!.message).toBe('the file is empty');
  });

  it('warns of constant and empty features, one outcome class and one patient without refusing', () => {
    const { cohort, warnings } = load('id,f1,f2,sex,age,mvi\na,1,,F,60,1\nb,1,,M,61,1\nc,1,,M,61,1\n');
    expect(cohort.n).toBe(3);
    expect(warnings.map(({ message }) => message)).toEqual([
      'every case has the same outcome at site "alder": it cannot be validated on its own',
      'the feature is constant at site "alder"',
      'the feature was never measured at site "alder"',
    ]);
    const single = load('id,f1,f2,sex,age,mvi\na,1,2,F,60,1\n');
    expect(single.cohort.n).toBe(0);
    expect(single.cohort.exclusions).toEqual([{ site: 'alder', reason: 'cohort below the minimum', count: 1 }]);
    expect(single.warnings[0]!.message).toContain('it sits out');
  });

  it('takes what cohort.yaml maps to a missing text as missing, and calibrates only where a harmonization asks for it', () => {
    const csv = 'id,f1,f2,sex,age,mvi\na,1,2,F,60,1\nb,1,2,M,61,0\nc,1,2,M,99,1\nd,2,3,F,50,0\n';
    const { cohort } = load(csv, STUDY, { ...MAPPING, values: { ...MAPPING.values, age: { '99': 'NA' } } });
    expect(cohort.exclusions).toEqual([{ site: 'alder', reason: 'covariate age missing', count: 1 }]);
    const calibrated = (harmonization: Partial<Study['harmonization']>) =>
      load(csv, { ...STUDY, harmonization: { ...STUDY.harmonization, ...harmonization } }).cohort.calibration.filter(
        (mark) => mark === 1,
      ).length;
    expect(calibrated({})).toBe(2);
    expect(calibrated({ heldOut: 'none' })).toBe(0);
    expect(calibrated({ heldOut: 'transductive' })).toBe(0);
    expect(calibrated({ method: 'none' })).toBe(0);
  });

  it('reads a malformed cohort.yaml with positions', () => {
    const problems = problemsOf(() => parseCohortConfig('concordat: 1\ntable: a.csv\nidd: x\n', 'cohort.yaml'));
    expect(problems).toEqual([
      { file: 'cohort.yaml', row: 1, column: '1', message: 'id is missing' },
      { file: 'cohort.yaml', row: 3, column: '1', message: 'unknown field "idd"; did you mean "id"?' },
    ]);
  });
});

describe('cells, calibration and the freeze', () => {
  const random = seededRandom('cohort-test');
  const rows = Array.from({ length: 120 }, (_, index) => {
    const site = ['alder', 'birch', 'cedar'][index % 3]!;
    const sex = random.uniform() < 0.5 ? 'F' : 'M';
    return `${site},p${1000 - index},${random.normal()},${random.normal()},${sex},${50 + random.integer(30)},${random.uniform() < 0.3 ? 1 : 0}`;
  });
  const csv = ['hospital,id,f1,f2,sex,age,mvi', ...rows].join('\n');
  const table = parseTable(csv, 'all.csv');
  const one = cohortsFromTable(STUDY, MAPPING, table, 'hospital', { oneHolder: true })[0]!.cohort;
  const many = cohortsFromTable(STUDY, MAPPING, table, 'hospital', { oneHolder: false }).map(({ cohort }) => cohort);

  it('are the same whoever holds the rows', () => {
    const flat = (cohorts: readonly Cohort[]) =>
      cohorts.flatMap((cohort) =>
        cohort.ids.map((id, row) => [
          cohort.sites[cohort.siteOf[row]!],
          id,
          cohort.cellOf[row],
          cohort.calibration[row],
          cohort.batchNames[cohort.batchOf[row]!],
          cohort.features[2 * row],
        ]),
      );
    expect(many.map(({ holder }) => holder)).toEqual(['alder', 'birch', 'cedar']);
    expect(flat(many)).toEqual(flat([one]));
  });

  it('spread rows and outcome classes evenly over cells', () => {
    for (const cohort of many) {
      for (const wanted of [null, 0, 1]) {
        const sizes = [0, 0, 0];
        for (let row = 0; row < cohort.n; row++) {
          const y = cohort.outcome.type === 'binary' ? cohort.outcome.y[row] : 0;
          if (wanted === null || y === wanted) sizes[cohort.cellOf[row]!]! += 1;
        }
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
      }
      expect(cohort.calibration.reduce((sum, mark) => sum + mark, 0)).toBe(20);
    }
  });

  it('do not change at one site when another site has other rows', () => {
    const other = parseTable(
      [csv.split('\n')[0], ...rows.filter((row) => !row.startsWith('birch')), 'birch,z,1,2,F,60,1'].join('\n'),
      'b.csv',
    );
    const changed = cohortsFromTable(STUDY, MAPPING, other, 'hospital', { oneHolder: false });
    expect(changed[0]!.cohort).toEqual(many[0]);
  });

  it('calibration takes at most half of a small site', () => {
    expect([...drawCalibration(1, 's', ['a', 'b', 'c', 'd', 'e'], 20)].filter((mark) => mark === 1)).toHaveLength(2);
    expect([...drawCalibration(1, 's', ['a'], 20)]).toEqual([0]);
    expect(drawCells(1, 's', [], 5)).toHaveLength(0);
  });

  it('rows of unnamed sites are left aside with a warning, a site without rows is a problem', () => {
    const more = parseTable(`${csv}\nzebra,${CANARY},1,2,F,60,1\n`, 'all.csv');
    const loaded = cohortsFromTable(STUDY, MAPPING, more, 'hospital', { oneHolder: true })[0]!;
    expect(loaded.cohort.n).toBe(120);
    expect(loaded.warnings[0]!.message).toBe('1 rows of 1 sites that the study does not name were left aside');
    const four: Study = { ...STUDY, sites: { training: ['alder', 'birch', 'cedar', 'dogwood'], external: [] } };
    expect(problemsOf(() => cohortsFromTable(four, MAPPING, table, 'hospital', { oneHolder: false }))[0]!.message).toBe(
      'the table has no row of site "dogwood"',
    );
  });

  it('finds the id column where nobody names it', () => {
    expect(guessIdColumn(STUDY, table, 'hospital')).toBe('id');
    const plain = cohortsFromTable(STUDY, PLAIN_MAPPING, table, 'hospital', { oneHolder: true })[0]!.cohort;
    expect(plain).toEqual(one);
  });

  it('freeze: keyed per case, changed by any changed value, silent without the key', () => {
    const secret = new Uint8Array(32).fill(7);
    const frozen = freezeCohort(one, secret);
    expect(new Set(frozen.cases).size).toBe(120);
    expect(freezeCohort(one, secret)).toEqual(frozen);
    const features = Float64Array.from(one.features);
    features[17]! += 1e-9;
    const touched = freezeCohort({ ...one, features }, secret);
    expect(touched.cases).toEqual(frozen.cases);
    expect(touched.digest).not.toBe(frozen.digest);
    const otherKey = freezeCohort(one, new Uint8Array(32).fill(8));
    expect(otherKey.cases.filter((hash) => frozen.cases.includes(hash))).toEqual([]);
  });
});

describe('files', () => {
  const folder = mkdtempSync(join(tmpdir(), 'concordat-cohort-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('loads cohort.yaml and the table beside it', () => {
    writeFileSync(join(folder, 'cohort.yaml'), 'concordat: 1\ntable: cases.csv\nid: id\n');
    writeFileSync(join(folder, 'cases.csv'), GOOD);
    expect(loadCohort(STUDY, join(folder, 'cohort.yaml'), 'alder')).toEqual(load(GOOD));
  });

  it('names what cannot be read without the folder', () => {
    writeFileSync(join(folder, 'gone.yaml'), 'concordat: 1\ntable: none.csv\nid: id\n');
    expect(() => loadCohort(STUDY, join(folder, 'gone.yaml'), 'alder')).toThrow(
      expect.objectContaining({ code: 'COHORT_UNREADABLE', message: 'none.csv cannot be read (ENOENT)' }),
    );
    writeFileSync(join(folder, 'latin.csv'), Buffer.from('id,f1\nM\xfcller,1\n', 'latin1'));
    writeFileSync(join(folder, 'latin.yaml'), 'concordat: 1\ntable: latin.csv\nid: id\n');
    expect(() => loadCohort(STUDY, join(folder, 'latin.yaml'), 'alder')).toThrow('latin.csv is not UTF-8 text');
  });
});
