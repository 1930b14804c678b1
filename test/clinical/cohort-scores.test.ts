import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Command } from 'commander';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { registerScores } from '../../cli/commands/scores.js';
import type { ConcordatError } from '../../shared/errors.js';
import { parseStudy } from '../../shared/study-parse.js';
import { clinicalColumns, missingScores } from '../../site-agent/clinical/columns.site.js';
import { loadCohort, readCohortTable } from '../../site-agent/cohort-files.js';

const folder = mkdtempSync(path.join(tmpdir(), 'concordat-scores-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const TABLE = `id,f1,mvi,bili,alb,ast,plt,ln
p1,1,0,1.0,40,40,100,no
p2,2,1,,40,80,100,yes
p3,3,1,2.0,0,80,,no
`;

function write(clinical: string, table = TABLE): string {
  writeFileSync(path.join(folder, 'cases.csv'), table);
  const file = path.join(folder, 'cohort.yaml');
  writeFileSync(file, `concordat: 1\ntable: cases.csv\nid: id\nclinical:\n${clinical}\n`);
  return file;
}

const INPUTS = `  inputs:
    bilirubin: {column: bili, unit: mg/dL}
    albumin: {column: alb, unit: g/L}`;

describe('scores of a cohort', () => {
  it('become columns that a study may name, empty where an input is missing or impossible', () => {
    const file = write(INPUTS);
    const { config, table } = readCohortTable(file);
    expect(table.header.slice(-2)).toEqual(['albi', 'albi_grade']);
    const albi = table.rows.map((cells) => cells.at(-2));
    expect(Number(albi[0])).toBeCloseTo(0.66 * Math.log10(17.104) - 3.4, 12);
    expect(albi.slice(1)).toEqual(['', '']);
    const study = parseStudy(
      'concordat: 1\nname: s\ncohort: {endpoint: {type: binary, column: mvi}, features: [f1, albi]}\nsites: {training: [alder, birch, cedar]}\nmodel: {type: logistic}\nvalidation: {folds: 3}\nprivacy: {minimumCohort: 3, minimumCount: 3}\n',
      'study.yaml',
    );
    expect(loadCohort(study, file, 'alder').cohort.features[1]).toBe(Number(albi[0]));
    const plain = { ...table, header: table.header.slice(0, -2), rows: table.rows.map((cells) => cells.slice(0, -2)) };
    expect(missingScores(clinicalColumns(config.clinical!, config, plain))).toContainEqual({
      score: 'albi',
      reason: 'missing: bilirubin',
      rows: 1,
    });
  });

  it('are written where only their owner can read them, whatever was there before', async () => {
    const out = path.join(folder, 'scores.csv');
    writeFileSync(out, 'old');
    chmodSync(out, 0o666);
    const print = vi.spyOn(process.stdout, 'write').mockImplementation(() => true);
    try {
      const program = new Command().option('--json').exitOverride();
      registerScores(program);
      await program.parseAsync(['scores', '--cohort', write(INPUTS), '--out', out], { from: 'user' });
    } finally {
      print.mockRestore();
    }
    expect(statSync(out).mode & 0o777).toBe(0o600);
    expect(readFileSync(out, 'utf8')).toMatch(/^case,albi,albi_reason,albi_grade,albi_grade_reason\np1,-2\./);
  });

  it('are refused with every problem at once, no cell quoted', () => {
    const problems = (clinical: string, table?: string) => {
      try {
        readCohortTable(write(clinical, table));
      } catch (error) {
        expect((error as ConcordatError).code).toBe('COHORT_INVALID');
        return (error as ConcordatError).problems.map(({ message }) => message).join('\n');
      }
      throw new Error('nothing was thrown');
    };
    const many = problems(
      `${INPUTS}\n    vascular_invasion: {column: ln}\n    ascites: {column: asc}\n  scores: [albi, meld]`,
      TABLE.replace('40,40,100,no', 'CANARY,40,100,perhaps'),
    );
    expect(many).toMatch(/meld needs inr, creatinine/);
    expect(many).toMatch(/no column "asc"/);
    expect(many).toMatch(/is not a number/);
    expect(many).toMatch(/is none of no, yes/);
    expect(many).not.toMatch(/CANARY|perhaps/);
    expect(problems('  inputs: {bilirubin: {column: bili}}')).toMatch(/bilirubin needs a unit: µmol\/L, mg\/dL/);
    expect(problems('  inputs: {bilirubin: {column: bili, unit: g/L}}')).toMatch(/one of µmol\/L, mg\/dL/);
    expect(problems('  inputs: {bilirubinn: {column: bili}}')).toMatch(/bilirubin/);
    expect(problems(INPUTS, TABLE.replace('ln\n', 'albi\n'))).toMatch(/a column of this name already/);
  });
});
