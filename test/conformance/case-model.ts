import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';

/**
 * What a `case.json` says about its folder. The runner knows kinds of cases, never data sets: names of columns, files,
 * sites and tolerances all come from here. Unknown fields are kept and ignored.
 */
const tolerance = z.looseObject({
  abs: z.number().nonnegative(),
  rel: z.number().nonnegative(),
  unit: z.string().default(''),
  basis: z.string().default(''),
});
const expectation = z.looseObject({ outcome: z.string() });
const names = z.array(z.string());
/** Some kinds put other forms here (one response per configuration): only a plain name is a column. */
const optionalName = z
  .unknown()
  .optional()
  .transform((value) => (typeof value === 'string' ? value : null));
const optionalNames = z
  .unknown()
  .optional()
  .transform((value) => (Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : []));

const caseSchema = z.looseObject({
  kind: z.string().min(1),
  input: optionalName,
  inputs: z.record(z.string(), z.unknown()).nullish(),
  id: optionalName,
  site: optionalName,
  response: optionalName,
  time: optionalName,
  event: optionalName,
  family: optionalName,
  features: optionalNames,
  covariates: optionalNames,
  factors: z
    .record(z.string(), names)
    .nullish()
    .catch(null)
    .transform((value) => value ?? {}),
  design: z.looseObject({ file: z.string(), columns: names }).nullish().catch(null),
  strata: optionalName,
  group: optionalName,
  foldid: optionalName,
  weights: optionalName,
  offset: optionalName,
  split: z.record(z.string(), z.string()).nullish().catch(null),
  files: z
    .record(z.string(), z.looseObject({ version: z.string().default('') }))
    .nullish()
    .transform((value) => value ?? {}),
  tolerance: z
    .record(z.string(), tolerance)
    .nullish()
    .transform((value) => value ?? {}),
  expect: z
    .record(z.string(), expectation)
    .nullish()
    .transform((value) => value ?? {}),
});

export type CaseDocument = z.output<typeof caseSchema>;
export type Tolerance = z.output<typeof tolerance>;
export type Expectation = z.output<typeof expectation>;
export type GoldenEntry = CaseDocument['files'][string];

export interface ConformanceCase {
  /** Path of the folder relative to the folder walked, with `/`: the name in the report. */
  readonly name: string;
  readonly directory: string;
  readonly document: CaseDocument;
}

/** Kinds by the group that `--only` names and the report shows. */
const GROUP_OF_KIND: Readonly<Record<string, string>> = {
  combat: 'combat',
  combat_apply: 'combat',
  dcombat: 'combat',
  covbat: 'combat',
  combat_variants: 'combat',
  longcombat: 'combat',
};

/** The group of a case: by its kind, so that a folder may lie anywhere and be called anything. */
export function groupOf(one: ConformanceCase): string {
  const { kind } = one.document;
  if (kind === 'reference_log') return one.name.split('/')[0]!;
  return GROUP_OF_KIND[kind] ?? kind;
}

/** Reads and checks one `case.json`. Throws an Error that names the file and every wrong field. */
export function readCase(file: string, name: string): ConformanceCase {
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new Error(`${name}/case.json cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  const checked = caseSchema.safeParse(parsed);
  if (!checked.success) {
    const where = checked.error.issues.map((issue) => `${issue.path.join('.') || 'document'}: ${issue.message}`);
    throw new Error(`${name}/case.json is no case description: ${where.join('; ')}`);
  }
  return { name, directory: dirname(file), document: checked.data };
}

export function pathIn(one: ConformanceCase, file: string): string {
  return join(one.directory, file);
}
