import { readFileSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import type { Cohort } from '../shared/cohort.site.js';
import { ConcordatError } from '../shared/errors.js';
import type { Imaging } from '../shared/imaging.js';
import type { Study } from '../shared/study.js';
import { clinicalColumns, withScores } from './clinical/columns.site.js';
import type { ClinicalConfig } from './clinical/config.js';
import { type CohortLoad, cohortOf } from './cohort.site.js';
import { type CohortConfig, type CohortMapping, PLAIN_MAPPING, parseCohortConfig } from './cohort-config.js';
import { parseTable, type Table } from './cohort-table.site.js';
import { withLearned } from './learned.site.js';
import { withFeatures } from './radiomics/features-file.js';
import { readFeatures, readLearned } from './radiomics/shell/feature-store.js';
import { readingSource, readRepeats } from './radiomics/shell/repeat-store.js';
import { withRepeats } from './repeats.site.js';

/** The one place of cohort loading that touches files. Everything behind it is pure. */

/** @throws ConcordatError COHORT_UNREADABLE, COHORT_INVALID */
export function readCohortConfig(path: string): CohortConfig {
  return parseCohortConfig(readText(path), basename(path));
}

/** @throws ConcordatError COHORT_UNREADABLE, COHORT_INVALID */
export function readTable(path: string, separator: ',' | ';' | '\t' = ','): Table {
  return parseTable(readText(path), basename(path), separator);
}

/** The cohort of one site as its cohort.yaml describes it, without the cases that were removed. */
export function loadCohort(
  study: Study,
  cohortYaml: string,
  site: string,
  isRemoved: (id: string) => boolean = () => false,
): CohortLoad {
  const { config, table } = readCohortTable(cohortYaml, study.imaging);
  const load = cohortOf(study, config, table, site, config.site ?? null, isRemoved);
  const folder = dirname(cohortYaml);
  const cohort = repeated(study, load.cohort, config, folder);
  const { imaging } = study;
  if (imaging?.learn === undefined) return { ...load, cohort };
  return {
    ...load,
    cohort: withLearned(imaging, cohort, readLearned(imaging, { folder, table: config.images?.table })),
  };
}

/**
 * The cohort with repeated measurements, where the study asks for them: those extracted from its images, or those of the table that its cohort.yaml in
 * `folder` names.
 */
export function repeated(study: Study, cohort: Cohort, config: CohortConfig, folder: string): Cohort {
  if (study.selection?.stability === undefined) return cohort;
  if (readingSource(study) !== null) {
    const table = readRepeats(study, { folder, table: config.images?.table });
    return table === null ? cohort : withRepeats(study, cohort, { ...PLAIN_MAPPING, id: 'case' }, table);
  }
  if (config.repeats === undefined) return cohort;
  return withRepeats(study, cohort, config, readTable(resolve(folder, config.repeats.table), config.separator));
}

/**
 * The table that cohort.yaml names, with the clinical scores that it asks for, and the features of its images that a study wants, as further columns.
 *
 * @throws ConcordatError COHORT_UNREADABLE, COHORT_INVALID, COHORT_FEATURES_MISSING, COHORT_IMAGES_MISSING
 */
export function readCohortTable(cohortYaml: string, imaging?: Imaging): { config: CohortConfig; table: Table } {
  const config = readCohortConfig(cohortYaml);
  const folder = dirname(cohortYaml);
  const plain = readTable(resolve(folder, config.table), config.separator);
  const table = config.clinical === undefined ? plain : scored(config, config.clinical, plain);
  if (imaging === undefined) return { config, table };
  const features = readFeatures(imaging, { folder, table: config.images?.table });
  return { config, table: withFeatures(table, features, config.id, config.decimal) };
}

/** The table as it is read with a cohort.yaml at hand. */
export function scored(mapping: CohortMapping, clinical: ClinicalConfig, table: Table): Table {
  return withScores(table, clinicalColumns(clinical, mapping, table));
}

/** Names of the table's columns as the study would call them: what feature patterns are matched against. */
export function studyHeader(config: CohortConfig, table: Table): string[] {
  const studyName = new Map(Object.entries(config.columns).map(([study, local]) => [local, study]));
  return table.header.map((local) => studyName.get(local) ?? local);
}

function readText(path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path));
  } catch (error) {
    const file = basename(path);
    if (error instanceof TypeError)
      throw new ConcordatError('COHORT_UNREADABLE', `${file} is not UTF-8 text`, {
        hint: 'Save the file as UTF-8 (in a spreadsheet: "CSV UTF-8").',
      });
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    throw new ConcordatError('COHORT_UNREADABLE', `${file} cannot be read (${code})`);
  }
}
