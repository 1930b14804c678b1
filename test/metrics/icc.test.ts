import { describe, expect, it } from 'vitest';
import { fCdf, fQuantile, logGamma } from '../../shared/metrics/f-distribution.js';
import { type AnovaSums, anovaSums, ICC_KINDS, icc, iccOfMean, iccTest } from '../../shared/metrics/icc.js';
import { seededRandom } from '../../shared/rng.js';
import { readJson, referenceFolder } from '../support/reference.js';

const FOLDER = referenceFolder('CONCORDAT_REFERENCE', 'radiomics/icc');
/** Six targets by four judges: Shrout and Fleiss 1979, table 2. */
const SHROUT = Float64Array.of(9, 2, 5, 8, 6, 1, 3, 2, 8, 4, 6, 8, 7, 1, 2, 6, 10, 5, 6, 9, 6, 2, 4, 7);

describe('the F distribution', () => {
  it('has the tabulated quantiles', () => {
    // R: qf(0.975, 5, 18), qf(0.95, 1, 1), qf(0.975, 3.5, 120).
    expect(fQuantile(0.975, 5, 18)).toBeCloseTo(3.381968, 5);
    expect(fQuantile(0.95, 1, 1)).toBeCloseTo(161.4476, 3);
    expect(fCdf(1, 7, 7)).toBeCloseTo(0.5, 12);
    expect(fCdf(0, 3, 4)).toBe(0);
    // SciPy: f.ppf(0.975, 10, v), far out.
    expect(fQuantile(0.975, 10, 0.3) / 10457132011.849733).toBeCloseTo(1, 12);
    expect(fQuantile(0.975, 10, 0.03) / 1.5181050220430876e105).toBeCloseTo(1, 10);
    for (const [a, b] of [
      [1, 5],
      [2.5, 40],
      [300, 7],
      [1000, 1000],
    ] as const)
      for (const p of [0.025, 0.5, 0.975]) expect(fCdf(fQuantile(p, a, b), a, b)).toBeCloseTo(p, 11);
  });

  it('agrees with the integral of its density', () => {
    const [a, b] = [5, 9];
    const constant = Math.exp(logGamma((a + b) / 2) - logGamma(a / 2) - logGamma(b / 2) + (a / 2) * Math.log(a / b));
    const density = (x: number) =>
      constant * Math.exp((a / 2 - 1) * Math.log(x) - ((a + b) / 2) * Math.log1p((a / b) * x));
    let sum = 0;
    for (let i = 0; i < 20000; i++) sum += density((i + 0.5) * 1e-4) * 1e-4;
    expect(fCdf(2, a, b)).toBeCloseTo(sum, 7);
  });
});

describe('intraclass correlation', () => {
  it('gives the published coefficients and intervals of Shrout and Fleiss', () => {
    const sums = anovaSums(SHROUT, 4);
    const rounded = ICC_KINDS.map((kind) => Object.values(icc(kind, sums, 4)).map((x) => Math.round(100 * x!) / 100));
    expect(rounded).toEqual([
      [0.17, -0.13, 0.72],
      [0.29, 0.02, 0.76],
      [0.71, 0.34, 0.95],
    ]);
  });

  it('of the mean of four judges, and its F tests, are those of the same example', () => {
    const sums = anovaSums(SHROUT, 4);
    const averaged = ICC_KINDS.map((kind) => iccOfMean(icc(kind, sums, 4), 4));
    expect(averaged.map(({ value }) => Math.round(100 * value!) / 100)).toEqual([0.44, 0.62, 0.91]);
    // McGraw and Wong 1996, table 7: the averaged form's own interval, 1 - 1/F at either end.
    const { f, df1, df2 } = iccTest('ICC(3,1)', sums, 4);
    expect(averaged[2]!.low).toBeCloseTo(1 - fQuantile(0.975, df1, df2) / f!, 12);
    expect(averaged[2]!.high).toBeCloseTo(1 - 1 / (f! * fQuantile(0.975, df2, df1)), 12);
    const tests = ICC_KINDS.map((kind) => iccTest(kind, sums, 4));
    expect(tests.map((test) => [Math.round(100 * test.f!) / 100, test.df1, test.df2])).toEqual([
      [1.79, 5, 18],
      [11.03, 5, 15],
      [11.03, 5, 15],
    ]);
    expect(tests[0]!.p).toBeCloseTo(1 - fCdf(tests[0]!.f!, 5, 18), 12);
    expect(tests[1]!.p!.toFixed(5)).toBe('0.00013');
  });

  it('of a mean, and the F test, are undefined where there is nothing to tell', () => {
    for (const kind of ICC_KINDS) {
      expect(iccTest(kind, anovaSums(Float64Array.of(1, 1, 2, 2, 5, 5), 2), 2)).toMatchObject({ f: Infinity, p: 0 });
      expect(iccTest(kind, anovaSums(new Float64Array(8).fill(3), 2), 2)).toMatchObject({ f: null, p: null });
      expect(iccTest(kind, anovaSums(Float64Array.of(1, 2), 2), 2)).toMatchObject({ f: null, p: null });
    }
    expect(iccOfMean({ value: -1, low: null, high: 1 }, 2)).toEqual({ value: null, low: null, high: 1 });
  });

  it.skipIf(FOLDER === null)('gives what the reference folder says', () => {
    const reference = readJson(FOLDER!, 'icc_reference.json') as {
      rows_targets_cols_raters: number[][];
      expected: Record<string, number>;
      CI95_single: Record<string, [number, number]>;
    };
    const rows = reference.rows_targets_cols_raters;
    const sums = anovaSums(Float64Array.from(rows.flat()), rows[0]!.length);
    for (const kind of ICC_KINDS) {
      const found = icc(kind, sums, rows[0]!.length);
      expect(found.value).toBeCloseTo(reference.expected[kind]!, 2);
      expect(Math.abs(found.low! - reference.CI95_single[kind]![0])).toBeLessThanOrEqual(0.005 + 1e-12);
      expect(Math.abs(found.high! - reference.CI95_single[kind]![1])).toBeLessThanOrEqual(0.005 + 1e-12);
    }
  });

  it('of sites together is not raised by a difference between scanners, nor lowered by their readers', () => {
    const random = seededRandom('icc');
    const subject = Array.from({ length: 60 }, () => random.normal());
    const measured = (shift: number, reader: number, from: number) =>
      Float64Array.from(
        { length: 60 },
        (_, at) => subject[from + Math.floor(at / 2)]! + 0.7 * random.normal() + shift + (at % 2) * reader,
      );
    const add = (a: AnovaSums, b: AnovaSums): AnovaSums => ({
      sites: a.sites + b.sites,
      subjects: a.subjects + b.subjects,
      between: a.between + b.between,
      within: a.within + b.within,
      raters: a.raters + b.raters,
    });
    const one = measured(0, 0, 0);
    const two = measured(0, 0, 30);
    const plain = add(anovaSums(one, 2), anovaSums(two, 2));
    const shifted = add(
      anovaSums(
        one.map((value, at) => value + (at % 2) * 3),
        2,
      ),
      anovaSums(
        two.map((value) => value + 50),
        2,
      ),
    );
    expect(icc('ICC(3,1)', shifted, 2).value).toBeCloseTo(icc('ICC(3,1)', plain, 2).value!, 10);
    expect(icc('ICC(1,1)', shifted, 2).value).toBeLessThan(icc('ICC(1,1)', plain, 2).value!);
    // All rows at one site would take the scanners' difference for one between patients.
    const naive = anovaSums(Float64Array.of(...one, ...two.map((value) => value + 50)), 2);
    expect(icc('ICC(1,1)', naive, 2).value).toBeGreaterThan(0.99);
    expect(icc('ICC(1,1)', plain, 2).value).toBeLessThan(0.85);
  });

  it('covers the true value in about 95 of 100 draws', () => {
    const truth = 1 / (1 + 0.5);
    const random = seededRandom('icc-coverage');
    const covered = { 'ICC(1,1)': 0, 'ICC(2,1)': 0, 'ICC(3,1)': 0 };
    for (let draw = 0; draw < 600; draw++) {
      const values = new Float64Array(40 * 3);
      for (let i = 0; i < 40; i++) {
        const subject = random.normal();
        for (let j = 0; j < 3; j++) values[i * 3 + j] = subject + Math.SQRT1_2 * random.normal();
      }
      const sums = anovaSums(values, 3);
      for (const kind of ICC_KINDS) {
        const { low, high } = icc(kind, sums, 3);
        if (low! <= truth && truth <= high!) covered[kind]++;
      }
    }
    for (const count of Object.values(covered)) expect(Math.abs(count / 600 - 0.95)).toBeLessThan(0.03);
  });

  // Shrout and Fleiss 1979 and McGraw and Wong 1996 written out in SciPy 1.16; pingouin 0.7.0 rounds its intervals to the same two digits.
  it.each([
    [
      'two raters who contradict each other',
      [4, 1, 2, 3.5, 1, 4.25, 3.5, 1.5, 2, 2.75],
      2,
      [
        [-0.9696616102683782, -0.9958389185010107, -0.7478858543366204],
        [-1.6049382716049385, -1.6550696214464966, -1.203909693198988],
        [-0.9756097560975611, -0.9974324968789445, -0.7879900729700201],
      ],
    ],
    [
      'a large mean',
      [1e6 + 1, 1e6 + 1.5, 1e6 + 3, 1e6 + 2.5, 1e6 + 7, 1e6 + 7.25],
      2,
      [
        [0.9899888765294772, 0.8506287523871343, 0.9997431362795062],
        [0.9899665551836038, 0.7028281239832326, 0.9997422593455886],
        [0.985571587125416, 0.5583623693379793, 0.9996274217585693],
      ],
    ],
    [
      'raters far apart, so that hardly a degree of freedom is left',
      [1.2, 10.6, 24.4, -0.5, 11.7, 25, -0.4, 12.8, 23.9, -1.2, 13.1, 24.3],
      3,
      [
        [-0.49999590292667606, -0.49999924351718283, -0.4999404312216076],
        [-0.002771828146654908, -0.0027736591850299097, -0.0027736591850299097],
        [-0.49950641658440276, -0.4999251801285028, -0.492759908849516],
      ],
    ],
  ] as const)('is that of the formulas elsewhere: %s', (_, values, k, expected) => {
    const sums = anovaSums(Float64Array.from(values), k);
    for (const [at, kind] of ICC_KINDS.entries())
      for (const [end, found] of Object.values(icc(kind, sums, k)).entries())
        expect(Math.abs(found! - expected[at]![end]!)).toBeLessThan(1e-9);
  });

  it('of agreement ends at the limit where subjects’ means are equal', () => {
    const { value, low } = icc('ICC(2,1)', anovaSums(Float64Array.of(2, -1, 0, 1, -2, 3), 2), 2);
    expect(low).toBeCloseTo(value!, 12);
    expect(value).toBeLessThan(0);
  });

  it('takes what rounding leaves of equal readings for nothing, whatever their size', () => {
    for (const base of [1, 1 / 3, 1e6 + 0.1, -7.7]) {
      const constant = anovaSums(new Float64Array(15).fill(base), 3);
      expect([constant.between, constant.within, constant.raters]).toEqual([0, 0, 0]);
      // Raters who differ by the same amount on every subject, and subjects who do not differ.
      const raters = Float64Array.from({ length: 18 }, (_, at) => base + (at % 3) / 7);
      expect(icc('ICC(3,1)', anovaSums(raters, 3), 3).value).toBeNull();
      const additive = Float64Array.from({ length: 18 }, (_, at) => base + Math.floor(at / 3) + (at % 3) / 7);
      expect(icc('ICC(3,1)', anovaSums(additive, 3), 3)).toEqual({ value: 1, low: 1, high: 1 });
    }
  });

  it('is undefined where nothing varies or a subject is alone, and 1 where measurements agree', () => {
    for (const kind of ICC_KINDS) {
      expect(icc(kind, anovaSums(new Float64Array(8).fill(3), 2), 2).value).toBeNull();
      expect(icc(kind, anovaSums(Float64Array.of(1, 2), 2), 2).value).toBeNull();
      expect(icc(kind, anovaSums(Float64Array.of(1, 1, 2, 2, 5, 5), 2), 2)).toEqual({ value: 1, low: 1, high: 1 });
    }
  });
});
