import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parseStudy } from '../shared/study-parse.js';
import { readCohortConfig, readTable } from '../site-agent/cohort-files.js';
import type { Table } from '../site-agent/cohort-table.site.js';
import { withFeatures } from '../site-agent/radiomics/features-file.js';
import { readFeatures } from '../site-agent/radiomics/shell/feature-store.js';
import { prepareImages } from '../site-agent/radiomics/shell/prepare-cohort.js';
import { studyFeatureNames } from '../site-agent/radiomics/study-names.js';
import type { Output } from './console.js';
import { extractionProgress } from './extraction-progress.js';

/**
 * The table of all sites' cases with the features of their images, extracted where they are not yet: where the study has an imaging section, cohort.yaml names images and the
 * table itself has none of their features. Otherwise null: the table is taken as it is.
 *
 * @throws ConcordatError as an extraction at a site does
 */
export async function tableFromImages(
  studyFile: string,
  options: { readonly table: string; readonly cohort?: string; readonly idColumn?: string },
  out: Output,
): Promise<Table | null> {
  if (options.cohort === undefined) return null;
  const study = parseStudy(readFileSync(studyFile, 'utf8'), path.basename(studyFile));
  const config = readCohortConfig(options.cohort);
  if (study.imaging === undefined || config.images === undefined) return null;
  const table = readTable(options.table, config.separator);
  const names = new Set(studyFeatureNames(study.imaging));
  if (table.header.some((column) => names.has(column))) return null;
  const folder = path.dirname(path.resolve(options.cohort));
  const progress = extractionProgress(out);
  await prepareImages(study, folder, config, { onCase: progress.onCase });
  progress.end();
  const features = readFeatures(study.imaging, { folder, table: config.images.table });
  return withFeatures(table, features, options.idColumn ?? config.id, config.decimal);
}
