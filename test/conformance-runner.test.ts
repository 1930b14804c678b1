import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { classOf, referenceErrorOf } from './conformance/classes.js';
import { compare } from './conformance/compare.js';
import { twoSidedP } from './conformance/normal.js';
import { numeric } from './conformance/readers.js';
import { csvOf, lastLineOf, tableOf } from './conformance/report.js';
import { runConformance } from './conformance/runner.js';

/** The runner on made-up cases: what it must notice, and what it must never let pass in silence. */

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'concordat-conformance-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function write(path: string, content: unknown): void {
  const file = join(root, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
}

/**
 * Logistic regression on a two-by-two table has a closed form: with a, b events and non-events at x = 0 and c, d at
 * x = 1 the intercept is log(a/b), the slope log(bc/(ad)), their variances 1/a + 1/b and 1/a + 1/b + 1/c + 1/d.
 */
const [a, b, c, d] = [3, 5, 6, 2];
const TRUTH = {
  coef: { '(Intercept)': Math.log(a / b), dose: Math.log((b * c) / (a * d)) },
  se: { '(Intercept)': Math.sqrt(1 / a + 1 / b), dose: Math.sqrt(1 / a + 1 / b + 1 / c + 1 / d) },
  n: a + b + c + d,
};
const TOLERANCE = {
  coefficient: { abs: 1e-9, rel: 0, unit: 'coefficient', basis: 'closed form' },
  standardError: { abs: 0, rel: 1e-8, unit: 'SE', basis: 'closed form' },
  siteSums: { abs: 0, rel: 0, unit: 'count', basis: 'closed form' },
};

function twoByTwo(folder: string, golden: Record<string, unknown> = TRUTH, change: Record<string, unknown> = {}): void {
  const cells: [number, number, number][] = [
    [0, 1, a],
    [0, 0, b],
    [1, 1, c],
    [1, 0, d],
  ];
  const rows = cells.flatMap(([dose, cured, count]) => Array.from({ length: count }, () => `${dose},${cured}`));
  const hospitals = ['north', 'south', 'west', 'east'];
  const lines = rows.map((row, index) => `${hospitals[index % hospitals.length]},${row}`);
  write(`${folder}/patients.csv`, `hospital,dose,cured\n${lines.join('\n')}\n`);
  write(`${folder}/truth.json`, { design_columns: ['(Intercept)', 'dose'], ...golden });
  write(`${folder}/case.json`, {
    kind: 'glm',
    input: 'patients.csv',
    id: null,
    site: 'hospital',
    family: 'binomial',
    response: 'cured',
    features: ['dose'],
    files: { 'truth.json': { what: 'closed form', version: 'algebra' } },
    tolerance: TOLERANCE,
    expect: {},
    ...change,
  });
}

describe('the conformance runner', () => {
  it('passes a case of any name, columns and sites, and counts its values', () => {
    twoByTwo('stats/some where/else');
    const run = runConformance({ directory: root });
    expect(run.exitStatus).toBe(0);
    expect(run.rows.map((row) => [row.case, row.quantity, row.class, row.status, row.values])).toEqual([
      ['some where/else', 'coef', 'E', 'pass', 2],
      ['some where/else', 'se', 'E', 'pass', 2],
      ['some where/else', 'n', 'E', 'pass', 1],
    ]);
    expect(lastLineOf({ pass: 3, fail: 0, unsupported: 0 })).toBe('PASS 3 FAIL 0 UNSUPPORTED 0');
  });

  it('fails when a golden is off by ten times its tolerance, whichever quantity it is', () => {
    const wrong: [string, Record<string, unknown>][] = [
      ['coef', { ...TRUTH, coef: { ...TRUTH.coef, dose: TRUTH.coef.dose + 1e-8 } }],
      ['se', { ...TRUTH, se: { ...TRUTH.se, dose: TRUTH.se.dose * (1 + 1e-7) } }],
      ['n', { ...TRUTH, n: TRUTH.n + 1 }],
    ];
    for (const [quantity, golden] of wrong) {
      twoByTwo('case', golden);
      const run = runConformance({ directory: root });
      expect(run.exitStatus, quantity).toBe(1);
      const failed = run.rows.filter((row) => row.status === 'fail');
      expect(failed.map((row) => row.quantity)).toEqual([quantity]);
      expect(failed[0]!.reason).toContain('worst at');
    }
  });

  it('fails a quantity that classes.ts does not know', () => {
    twoByTwo('case', { ...TRUTH, sorcery: { low: 1, high: 2 } });
    const run = runConformance({ directory: root });
    expect(run.exitStatus).toBe(1);
    const failed = run.rows.filter((row) => row.status === 'fail');
    expect(failed.map((row) => row.quantity)).toEqual(['sorcery.low', 'sorcery.high']);
    expect(failed[0]!.reason).toContain('unclassified');
  });

  it('fails a classified quantity for which the case states no tolerance', () => {
    twoByTwo('case', TRUTH, { tolerance: { coefficient: TOLERANCE.coefficient, siteSums: TOLERANCE.siteSums } });
    const failed = runConformance({ directory: root }).rows.filter((row) => row.status === 'fail');
    expect(failed.map((row) => row.quantity)).toEqual(['se']);
    expect(failed[0]!.reason).toContain('no tolerance standardError');
  });

  it('lists what is not offered yet as unsupported, with the reason', () => {
    twoByTwo('case', { ...TRUTH, firth: { coef: [1, 2] } });
    const run = runConformance({ directory: root });
    expect(run.exitStatus).toBe(0);
    const row = run.rows.find((one) => one.quantity === 'firth');
    expect(row?.status).toBe('unsupported');
    expect(row?.reason).toContain('Firth');
  });

  it('honours an expected refusal, and fails where an estimate comes back instead', () => {
    const expected = {
      expect: { 'truth.json#coef': { outcome: 'error', message: 'separated', alsoNotComparable: ['se'] } },
    };
    twoByTwo('case', TRUTH, expected);
    const given = runConformance({ directory: root });
    expect(given.rows.find((row) => row.quantity === 'refusal')?.status).toBe('fail');

    write('case/patients.csv', 'hospital,dose,cured\nn,1,0\ns,2,0\nw,3,0\nn,4,1\ns,5,1\nw,6,1\n');
    const refused = runConformance({ directory: root });
    expect(refused.rows.find((row) => row.quantity === 'refusal')?.status).toBe('pass');
  });

  it('ends with 2 where there is no case, or none of the wanted groups', () => {
    expect(runConformance({ directory: root }).exitStatus).toBe(2);
    expect(runConformance({ directory: join(root, 'nowhere') }).exitStatus).toBe(2);
    twoByTwo('case');
    expect(runConformance({ directory: root, only: ['combat'] }).exitStatus).toBe(2);
    expect(runConformance({ directory: root, only: ['glm'] }).exitStatus).toBe(0);
  });

  it('ends with 2 where a case, its input or a golden cannot be read, and still runs the others', () => {
    twoByTwo('good');
    const broken: [string, () => void][] = [
      ['case.json is no JSON', () => write('bad/case.json', '{')],
      ['case.json says no kind', () => write('bad/case.json', { input: null })],
      ['the input is missing', () => rmSync(join(root, 'bad/patients.csv'))],
      ['a golden is missing', () => rmSync(join(root, 'bad/truth.json'))],
      ['a column is missing', () => write('bad/patients.csv', 'hospital,cured\nn,1\ns,0\n')],
      ['a cell is text', () => write('bad/patients.csv', 'hospital,dose,cured\nn,much,1\ns,1,0\n')],
    ];
    for (const [name, harm] of broken) {
      twoByTwo('bad');
      harm();
      const run = runConformance({ directory: root });
      expect(run.exitStatus, name).toBe(2);
      expect(run.problems, name).toHaveLength(1);
      expect(
        run.rows.filter((row) => row.case === 'good' && row.status === 'pass'),
        name,
      ).toHaveLength(3);
    }
  });

  it('reports an unknown kind and goes on; with nothing compared the status is 1, not 0', () => {
    write('odd/case.json', { kind: 'astrology', files: {} });
    const run = runConformance({ directory: root });
    expect(run.exitStatus).toBe(1);
    expect(run.rows).toHaveLength(1);
    expect(run.rows[0]).toMatchObject({ status: 'unsupported', quantity: 'kind', reason: 'unknown kind "astrology"' });
    twoByTwo('good');
    expect(runConformance({ directory: root }).exitStatus).toBe(0);
  });

  it('writes the columns of the contract, quoted where needed, and an aligned table', () => {
    twoByTwo('case');
    const { rows } = runConformance({ directory: root });
    const lines = csvOf([{ ...rows[0]!, reason: 'said "so", twice' }]).split('\n');
    expect(lines[0]).toBe('group,case,quantity,class,reference,version,values,worst,unit,tolerance,status,reason');
    expect(lines[1]).toContain('"said ""so"", twice"');
    const table = tableOf(rows).split('\n');
    expect(table).toHaveLength(4);
    expect(table[1]!.indexOf('pass')).toBe(table[0]!.indexOf('status'));
  });

  it('compares ComBat in feature SD: an error far below the unit of a large feature passes, one in SD fails', () => {
    // Two sites whose covariate-free ComBat with equal sites is near the identity: the golden is Concordat's own
    // answer here, because this test is about units; the formulas are held against sva and neuroCombat elsewhere.
    const rows = Array.from({ length: 24 }, (_, i) => [
      `s${i % 3}`,
      1e8 * (1 + Math.sin(7 * i)),
      1e-5 * Math.cos(3 * i),
    ]);
    write('combat/input.csv', `site,big,small\n${rows.map((row) => row.join(',')).join('\n')}\n`);
    const harmonized = (shift: number) =>
      `big,small\n${rows.map((row) => `${Number(row[1]) + shift},${row[2]}`).join('\n')}\n`;
    const document = {
      kind: 'combat',
      input: 'input.csv',
      site: 'site',
      features: ['big', 'small'],
      files: {
        'sva/par_nomod.csv': {
          version: 'none',
          output: 'harmonized',
          prior: 'parametric',
          eb: true,
          mod: false,
          stopping: 'reference',
        },
      },
      tolerance: { harmonized: { abs: 10, rel: 0, unit: 'feature SD', basis: 'wide' } },
    };
    write('combat/case.json', document);
    write('combat/sva/par_nomod.csv', harmonized(1e8));
    expect(runConformance({ directory: root }).exitStatus).toBe(0);
    write('combat/sva/par_nomod.csv', harmonized(2e9));
    expect(runConformance({ directory: root }).exitStatus).toBe(1);
  });
});

describe('comparing numbers', () => {
  const tolerance = { abs: 1e-6, rel: 1e-3, unit: 'm', basis: '' };

  it('accepts up to abs + rel |want| and nothing beyond', () => {
    expect(compare([2], [2 + 1e-6 + 1.999e-3], tolerance).passed).toBe(true);
    expect(compare([2], [2 + 1e-6 + 2.001e-3], tolerance).passed).toBe(false);
  });

  it('asks missing to meet missing and infinity the same infinity', () => {
    expect(compare([Number.NaN, Infinity], [Number.NaN, Infinity], tolerance).passed).toBe(true);
    expect(compare([Number.NaN], [0], tolerance).passed).toBe(false);
    expect(compare([0], [Number.NaN], tolerance).passed).toBe(false);
    expect(compare([Infinity], [-Infinity], tolerance).passed).toBe(false);
    expect(compare([Infinity], [1e300], tolerance).passed).toBe(false);
  });

  it('fails on a different number of values and on any difference under a tolerance of zero', () => {
    expect(compare([1, 2], [1], tolerance).passed).toBe(false);
    expect(compare([3], [3 + 1e-15], { abs: 0, rel: 0, unit: '', basis: '' }).passed).toBe(false);
    expect(compare([3], [3], { abs: 0, rel: 0, unit: '', basis: '' }).passed).toBe(true);
  });

  it('reads numbers, words for infinity, null, objects and matrices; text is no number', () => {
    expect(numeric({ x: 1, y: 'Inf' })).toEqual([1, Infinity]);
    expect(numeric({ rows: ['A'], cols: ['f'], data: [[1, null]] })).toEqual([1, Number.NaN]);
    expect(numeric(['-Inf', 'NaN'])).toEqual([-Infinity, Number.NaN]);
    expect(numeric({ note: 'see below' })).toBeUndefined();
  });

  it('gives two-sided p-values as printed in tables of the normal distribution', () => {
    // pnorm(-1.959963984540054) = 0.025, pnorm(-1) = 0.158655253931457, pnorm(-6) = 9.86587645037698e-10 (R 4.2.2)
    expect(Math.abs(twoSidedP(1.959963984540054) - 0.05)).toBeLessThan(1e-14);
    expect(Math.abs(twoSidedP(-1) - 2 * 0.158655253931457)).toBeLessThan(1e-14);
    expect(Math.abs(twoSidedP(6) / (2 * 9.86587645037698e-10) - 1)).toBeLessThan(1e-12);
  });

  it('gives a reason for every class L, B and unsupported', () => {
    for (const line of readFileSync(new URL('./conformance/classes.ts', import.meta.url), 'utf8').split('\n')) {
      const entry = /^ {4}\['[^']+', '(L|B|unsupported)'(, .+)?\],$/.exec(line);
      if (entry !== null) expect(entry[2], line).toBeDefined();
    }
    expect(classOf('glm', 'coef')?.class).toBe('E');
    expect(classOf('glm', 'no such thing')).toBeUndefined();
    expect(referenceErrorOf('glm', 'coef')).toBeUndefined();
  });
});
