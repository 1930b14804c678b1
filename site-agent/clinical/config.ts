import { z } from 'zod';
import {
  type ClinicalInput,
  CODED_INPUTS,
  NUMERIC_INPUTS,
  type NumericInput,
  SCORE_NAMES,
  unitFactor,
} from './derive.js';

const column = z.string().min(1).max(200);
const coded = (codes: readonly string[]) =>
  z.strictObject({
    column,
    values: z
      .record(z.string(), z.enum(codes as [string, ...string[]]))
      .default({})
      .describe('Local entry: code.'),
  });
const numeric = (name: NumericInput) =>
  z.strictObject({ column, unit: z.string().optional() }).superRefine((entry, context) => {
    const found = unitFactor(name, entry.unit);
    if ('factor' in found) return;
    const message =
      entry.unit === undefined
        ? `${name} needs a unit: ${found.units.join(', ')}`
        : `the unit of ${name} is one of ${found.units.join(', ')}`;
    context.addIssue({ code: 'custom', message, path: entry.unit === undefined ? [] : ['unit'] });
  });

const inputShape = {
  ...mapped(Object.keys(NUMERIC_INPUTS) as NumericInput[], (name) => numeric(name).optional()),
  ...mapped(Object.keys(CODED_INPUTS) as (keyof typeof CODED_INPUTS)[], (name) => coded(CODED_INPUTS[name]).optional()),
};

function mapped<K extends string, V>(names: readonly K[], of: (name: K) => V): Record<K, V> {
  return Object.fromEntries(names.map((name) => [name, of(name)])) as Record<K, V>;
}

/** `clinical:` of cohort.yaml: which columns hold the inputs of clinical scores, in which units, and which scores are wanted. */
export const clinicalSchema = z.strictObject({
  inputs: z
    .strictObject(inputShape)
    .describe('Input of a score: its column, and its unit or the codes of its entries.'),
  scores: z
    .array(z.enum(SCORE_NAMES as [string, ...string[]]))
    .optional()
    .describe('Scores to add as columns; without it, every score whose inputs are named.'),
});

export type ClinicalConfig = z.output<typeof clinicalSchema>;
export type ClinicalEntry = {
  readonly column: string;
  readonly unit?: string | undefined;
  readonly values?: Record<string, string>;
};

/** The inputs that cohort.yaml names, with their entries. */
export function namedInputs(config: ClinicalConfig): [ClinicalInput, ClinicalEntry][] {
  const entries = Object.entries(config.inputs) as [ClinicalInput, ClinicalEntry | undefined][];
  return entries.filter((entry): entry is [ClinicalInput, ClinicalEntry] => entry[1] !== undefined);
}
