import { describe, expect, it } from 'vitest';
import {
  CODED_INPUTS,
  inputsOf,
  isNumericInput,
  NUMERIC_INPUTS,
  SCORE_NAMES,
  scoreOf,
} from '../../site-agent/clinical/derive.js';
import * as score from '../../site-agent/clinical/scores.js';
import { factorOf, UNITS } from '../../site-agent/clinical/units.js';

describe('clinical scores', () => {
  it('ALBI and its grades by Johnson 2015: 40 g/L and 10 µmol/L are grade 1', () => {
    // 0.66 × log10(10) = 0.66; 0.085 × 40 = 3.4.
    expect(score.albi(10, 40)).toBeCloseTo(-2.74, 12);
    expect(score.albi(100, 25)).toBeCloseTo(1.32 - 2.125, 12);
    expect([-2.61, -2.6, -2.59, -1.39, -1.38].map(score.albiGrade)).toEqual([1, 1, 2, 2, 3]);
    expect(score.albi(0, 40)).toBeNaN();
  });

  it('Child-Pugh counts the middle column at both bounds, classes at 6 and 9', () => {
    expect(score.childPugh(1.9, 3.6, 1.6, 'none', 'none')).toBe(5);
    expect(score.childPugh(2, 3.5, 1.7, 'slight', 'grade 1-2')).toBe(10);
    expect(score.childPugh(3, 2.8, 2.3, 'slight', 'grade 1-2')).toBe(10);
    expect(score.childPugh(3.1, 2.7, 2.4, 'moderate', 'grade 3-4')).toBe(15);
    expect([5, 6, 7, 9, 10, 15].map(score.childPughClass)).toEqual(['A', 'A', 'B', 'B', 'C', 'C']);
  });

  it('MELD is 6 where all is normal, 40 at most; dialysis counts as creatinine 4', () => {
    expect(score.meld(0.5, 0.9, 0.7)).toBe(6);
    // 0.957 ln 1.9 + 0.378 ln 4.2 + 1.12 ln 1.2 + 0.643 = 2.0039...
    expect(score.meld(4.2, 1.2, 1.9)).toBe(20);
    expect(score.meld(2, 1.5, 1, true)).toBe(score.meld(2, 1.5, 7));
    expect(score.meld(50, 10, 4)).toBe(40);
  });

  it('MELD-Na equals MELD up to 11 or from 137 mmol/L on, and is never below MELD', () => {
    expect(score.meldNa(0.5, 0.9, 0.7, 120)).toBe(6);
    expect(score.meldNa(4.2, 1.2, 1.9, 137)).toBe(20);
    expect(score.meldNa(4.2, 1.2, 1.9, 145)).toBe(20);
    // 20 + 1.32 × 7 - 0.033 × 20 × 7 = 24.62
    expect(score.meldNa(4.2, 1.2, 1.9, 130)).toBe(25);
    expect(score.meldNa(4.2, 1.2, 1.9, 100)).toBe(score.meldNa(4.2, 1.2, 1.9, 125));
    for (let na = 110; na < 150; na++)
      expect(score.meldNa(9, 1.9, 2.5, na)).toBeGreaterThanOrEqual(score.meld(9, 1.9, 2.5));
  });

  it('FIB-4, APRI, NLR and aMAP as their formulas say', () => {
    expect(score.fib4(60, 80, 64, 100)).toBe(6);
    expect(score.apri(80, 40, 100)).toBe(2);
    expect(score.nlr(6, 2)).toBe(3);
    // ((3.6 + 0.89 + 0.48 × -2.74 - 1.5) + 7.4) / 14.77 × 100
    expect(score.amap(60, true, 150, 10, 40)).toBeCloseTo((9.0748 / 14.77) * 100, 10);
    expect(score.nlr(6, 0)).toBeNaN();
    expect(score.fib4(60, 80, 0, 100)).toBeNaN();
  });

  it('BCLC 2022 by burden, then invasion or performance, then liver function', () => {
    const one = {
      performanceStatus: 0,
      childPugh: 'A',
      tumours: 1,
      largestCm: 2,
      vascularInvasion: false,
      extrahepaticSpread: false,
    } as const;
    expect(score.bclc(one)).toBe('0');
    expect(score.bclc({ ...one, largestCm: 9 })).toBe('A');
    expect(score.bclc({ ...one, tumours: 3, largestCm: 3 })).toBe('A');
    expect(score.bclc({ ...one, tumours: 2, largestCm: 3.1 })).toBe('B');
    expect(score.bclc({ ...one, tumours: 4, largestCm: 1 })).toBe('B');
    expect(score.bclc({ ...one, vascularInvasion: true })).toBe('C');
    expect(score.bclc({ ...one, performanceStatus: 2 })).toBe('C');
    expect(score.bclc({ ...one, performanceStatus: 3 })).toBe('D');
    expect(score.bclc({ ...one, childPugh: 'C' })).toBe('D');
    expect(score.bclc({ ...one, performanceStatus: 5 })).toBeNull();
    expect(score.bclc({ ...one, tumours: 1.5 })).toBeNull();
  });
});

describe('a score of one case', () => {
  const healthy = {
    ...Object.fromEntries(Object.keys(NUMERIC_INPUTS).map((name) => [name, 2])),
    ...Object.fromEntries(Object.entries(CODED_INPUTS).map(([name, codes]) => [name, codes[0]])),
  };

  it.each(SCORE_NAMES)('%s is there with its inputs, and names each one that is missing', (name) => {
    expect(scoreOf(name, healthy).value).not.toBeNull();
    for (const input of inputsOf(name).needs)
      expect(scoreOf(name, { ...healthy, [input]: null })).toEqual({ value: null, reason: `missing: ${input}` });
    for (const input of inputsOf(name).optional)
      expect(scoreOf(name, { ...healthy, [input]: null }).value).not.toBeNull();
  });

  it('has a reason where inputs are impossible', () => {
    expect(scoreOf('nlr', { ...healthy, lymphocytes: 0 })).toEqual({
      value: null,
      reason: 'an input is outside what the score is defined for',
    });
    expect(isNumericInput('toString')).toBe(false);
  });
});

describe('units', () => {
  it('convert to the first one and are found however the micro sign is typed', () => {
    expect(factorOf('bilirubin', 'mg/dL')! * 1.2).toBeCloseTo(20.52, 2);
    expect(factorOf('bilirubin', 'umol/l')).toBe(1);
    expect(factorOf('bilirubin', 'μmol/L')).toBe(1);
    expect(factorOf('creatinine', 'mg/dl')).toBe(88.4);
    expect(factorOf('cells', '/uL')).toBe(0.001);
    expect(factorOf('bilirubin', 'g/L')).toBeNull();
    for (const units of Object.values(UNITS)) expect(Object.values(units)[0]).toBe(1);
  });

  it('bilirubin and creatinine follow from their molar masses', () => {
    expect(UNITS.bilirubin['mg/dL']).toBeCloseTo(10_000 / 584.66, 2);
    expect(UNITS.creatinine['mg/dL']).toBeCloseTo(10_000 / 113.12, 1);
  });
});
