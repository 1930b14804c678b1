import { z } from 'zod';
import { ConcordatError } from '../shared/errors.js';
import { readYaml } from '../shared/strict-yaml.js';
import { clinicalSchema } from './clinical/config.js';

/** A YAML scalar taken as text: `1`, `NA` and an empty entry are what a table's cell would hold. */
const cellText = z
  .union([z.string(), z.number(), z.boolean(), z.null()])
  .transform((value) => (value === null ? '' : String(value)));
const columnName = z.string().min(1).max(200);

/** cohort.yaml: how this site's table becomes the study's cohort. Local; no one else ever sees it. */
export const cohortConfigSchema = z.strictObject({
  concordat: z.literal(1).describe('Version of the cohort format.'),
  table: z.string().min(1).describe('CSV file, relative to cohort.yaml.'),
  id: columnName.describe('Column that names the case. Identifiers never leave the site.'),
  separator: z
    .enum([',', ';', '\t'])
    .default(',')
    .describe('Column separator; spreadsheets of many countries write `;`.'),
  decimal: z.enum(['.', ',']).default('.').describe('Decimal mark of numbers in the table.'),
  missing: z.array(cellText).default(['', 'NA']).describe('Cell texts that mean "not measured".'),
  site: columnName.optional().describe("Column that names the site, where one table holds several sites' rows."),
  columns: z.record(columnName, columnName).default({}).describe('Study name of a column: local name.'),
  values: z
    .record(columnName, z.record(z.string(), cellText))
    .default({})
    .describe('Study name of a column: local value: value as the study has it, or a text of `missing`.'),
  images: z
    .strictObject({
      table: z
        .string()
        .min(1)
        .describe('CSV file of images and masks, relative to cohort.yaml; docs/radiomics.md has its columns.'),
    })
    .optional()
    .describe('Images and lesion masks of the cases, for studies that extract features.'),
  models: z
    .array(z.string().min(1))
    .default([])
    .describe(
      'ONNX files, relative to cohort.yaml, for studies with deep features; those in the folder `models` beside it need no entry.',
    ),
  repeats: z
    .strictObject({
      table: z
        .string()
        .min(1)
        .describe('CSV file with the id column, `reading` and the features, relative to cohort.yaml.'),
    })
    .optional()
    .describe('Repeated measurements of some cases, for studies that judge the stability of features.'),
  clinical: clinicalSchema.optional().describe('Clinical scores to compute from columns of the table.'),
});

export type CohortConfig = z.output<typeof cohortConfigSchema>;

/** How cells are read and columns are found, without the file's own name. */
export interface CohortMapping {
  /** Null: the first column whose entries are all there and all different; else the rows are numbered. */
  readonly id: string | null;
  readonly decimal: '.' | ',';
  readonly missing: readonly string[];
  readonly columns: Readonly<Record<string, string>>;
  readonly values: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** What `simulate` and tests use where no cohort.yaml says more. */
export const PLAIN_MAPPING: CohortMapping = { id: null, decimal: '.', missing: ['', 'NA'], columns: {}, values: {} };

/** @throws ConcordatError COHORT_UNREADABLE or COHORT_INVALID, with every problem at once. */
export function parseCohortConfig(text: string, file: string): CohortConfig {
  const reading = readYaml(text, file, cohortConfigSchema);
  if (reading.kind === 'ok') return reading.value;
  const { kind, problems } = reading;
  throw kind === 'unreadable'
    ? new ConcordatError('COHORT_UNREADABLE', `${file} cannot be read`, { problems })
    : new ConcordatError(
        'COHORT_INVALID',
        `${file} has ${problems.length} problem${problems.length === 1 ? '' : 's'}`,
        {
          problems,
        },
      );
}
