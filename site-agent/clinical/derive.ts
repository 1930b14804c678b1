import * as formula from './scores.js';
import { factorOf, type Quantity, UNITS } from './units.js';

/** Laboratory and clinical inputs that scores are made of. */
export const NUMERIC_INPUTS = {
  bilirubin: 'bilirubin',
  albumin: 'albumin',
  creatinine: 'creatinine',
  inr: 'ratio',
  sodium: 'sodium',
  age: 'age',
  platelets: 'cells',
  neutrophils: 'cells',
  lymphocytes: 'cells',
  ast: 'enzyme',
  alt: 'enzyme',
  ast_upper_limit: 'enzyme',
  tumour_size: 'length',
  tumours: 'ratio',
  performance_status: 'ratio',
} as const satisfies Record<string, Quantity>;

export const CODED_INPUTS = {
  sex: ['F', 'M'],
  ascites: ['none', 'slight', 'moderate'],
  encephalopathy: ['none', 'grade 1-2', 'grade 3-4'],
  dialysis: ['no', 'yes'],
  vascular_invasion: ['no', 'yes'],
  extrahepatic_spread: ['no', 'yes'],
} as const satisfies Record<string, readonly string[]>;

export type NumericInput = keyof typeof NUMERIC_INPUTS;
export type CodedInput = keyof typeof CODED_INPUTS;
export type ClinicalInput = NumericInput | CodedInput;

/** One case's inputs: numbers in the first unit of their quantity (units.ts), codes as CODED_INPUTS has them, null where missing. */
export type ClinicalCase = { readonly [name in NumericInput]?: number | null } & {
  readonly [name in CodedInput]?: string | null;
};

interface ScoreRule {
  readonly needs: readonly ClinicalInput[];
  readonly optional?: readonly ClinicalInput[];
  /** NaN or null: the inputs are there and no score follows from them. */
  readonly of: (inputs: Inputs) => number | string | null;
}

/** Reads inputs that are known to be there. */
class Inputs {
  constructor(private readonly one: ClinicalCase) {}
  number(name: NumericInput): number {
    return this.one[name] ?? Number.NaN;
  }
  code<T extends CodedInput>(name: T): (typeof CODED_INPUTS)[T][number] | null {
    return (this.one[name] ?? null) as (typeof CODED_INPUTS)[T][number] | null;
  }
  mgDl(name: 'bilirubin' | 'creatinine'): number {
    return this.number(name) / UNITS[name]['mg/dL'];
  }
  childPugh(): number {
    return formula.childPugh(
      this.mgDl('bilirubin'),
      this.number('albumin') / UNITS.albumin['g/dL'],
      this.number('inr'),
      this.code('ascites')!,
      this.code('encephalopathy')!,
    );
  }
}

const LIVER: readonly ClinicalInput[] = ['bilirubin', 'albumin', 'inr', 'ascites', 'encephalopathy'];
const whereNumber = <T>(value: number, use: (value: number) => T): T | null =>
  Number.isNaN(value) ? null : use(value);

/** Scores by the name of the column that they give. */
export const SCORES = {
  albi: { needs: ['bilirubin', 'albumin'], of: (of) => formula.albi(of.number('bilirubin'), of.number('albumin')) },
  albi_grade: {
    needs: ['bilirubin', 'albumin'],
    of: (of) => whereNumber(formula.albi(of.number('bilirubin'), of.number('albumin')), formula.albiGrade),
  },
  child_pugh: { needs: LIVER, of: (of) => of.childPugh() },
  child_pugh_class: { needs: LIVER, of: (of) => whereNumber(of.childPugh(), formula.childPughClass) },
  meld: {
    needs: ['bilirubin', 'inr', 'creatinine'],
    optional: ['dialysis'],
    of: (of) =>
      formula.meld(of.mgDl('bilirubin'), of.number('inr'), of.mgDl('creatinine'), of.code('dialysis') === 'yes'),
  },
  meld_na: {
    needs: ['bilirubin', 'inr', 'creatinine', 'sodium'],
    optional: ['dialysis'],
    of: (of) =>
      formula.meldNa(
        of.mgDl('bilirubin'),
        of.number('inr'),
        of.mgDl('creatinine'),
        of.number('sodium'),
        of.code('dialysis') === 'yes',
      ),
  },
  amap: {
    needs: ['age', 'sex', 'platelets', 'bilirubin', 'albumin'],
    of: (of) =>
      formula.amap(
        of.number('age'),
        of.code('sex') === 'M',
        of.number('platelets'),
        of.number('bilirubin'),
        of.number('albumin'),
      ),
  },
  fib4: {
    needs: ['age', 'ast', 'alt', 'platelets'],
    of: (of) => formula.fib4(of.number('age'), of.number('ast'), of.number('alt'), of.number('platelets')),
  },
  apri: {
    needs: ['ast', 'ast_upper_limit', 'platelets'],
    of: (of) => formula.apri(of.number('ast'), of.number('ast_upper_limit'), of.number('platelets')),
  },
  nlr: {
    needs: ['neutrophils', 'lymphocytes'],
    of: (of) => formula.nlr(of.number('neutrophils'), of.number('lymphocytes')),
  },
  bclc: {
    needs: [...LIVER, 'performance_status', 'tumours', 'tumour_size', 'vascular_invasion', 'extrahepatic_spread'],
    of: (of) =>
      whereNumber(of.childPugh(), (points) =>
        formula.bclc({
          performanceStatus: of.number('performance_status'),
          childPugh: formula.childPughClass(points),
          tumours: of.number('tumours'),
          largestCm: of.number('tumour_size'),
          vascularInvasion: of.code('vascular_invasion') === 'yes',
          extrahepaticSpread: of.code('extrahepatic_spread') === 'yes',
        }),
      ),
  },
} as const satisfies Record<string, ScoreRule>;

export type ScoreName = keyof typeof SCORES;
export const SCORE_NAMES = Object.keys(SCORES) as ScoreName[];

/** A score, or null with the reason why there is none: the inputs that are missing, or that they are impossible. */
export type Score = { readonly value: number | string } | { readonly value: null; readonly reason: string };

export function scoreOf(name: ScoreName, one: ClinicalCase): Score {
  const rule: ScoreRule = SCORES[name];
  const missing = rule.needs.filter((input) => (one[input] ?? null) === null);
  if (missing.length > 0) return { value: null, reason: `missing: ${missing.join(', ')}` };
  const value = rule.of(new Inputs(one));
  return value === null || Number.isNaN(value) || value === Number.POSITIVE_INFINITY
    ? { value: null, reason: 'an input is outside what the score is defined for' }
    : { value };
}

/** Everything that a score reads, what it can do without included. */
export function inputsOf(name: ScoreName): {
  readonly needs: readonly ClinicalInput[];
  readonly optional: readonly ClinicalInput[];
} {
  const rule: ScoreRule = SCORES[name];
  return { needs: rule.needs, optional: rule.optional ?? [] };
}

export const isNumericInput = (name: string): name is NumericInput => Object.hasOwn(NUMERIC_INPUTS, name);

/** What a declared unit makes of a value, or the units that would be understood. */
export function unitFactor(
  input: NumericInput,
  unit: string | undefined,
): { readonly factor: number } | { readonly units: readonly string[] } {
  const quantity: Quantity = NUMERIC_INPUTS[input];
  const units = Object.keys(UNITS[quantity]);
  if (unit === undefined) return quantity === 'ratio' ? { factor: 1 } : { units };
  const factor = factorOf(quantity, unit);
  return factor === null ? { units } : { factor };
}
