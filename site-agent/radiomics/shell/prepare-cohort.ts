import { availableParallelism } from 'node:os';
import path from 'node:path';
import type { Study } from '../../../shared/study.js';
import type { CohortConfig } from '../../cohort-config.js';
import { readCohortConfig } from '../../cohort-files.js';
import type { CohortExtractionOptions } from './cohort-extraction.js';
import { ensureFeatures } from './feature-store.js';
import { ensureRepeats } from './repeat-store.js';

/** More threads than this gain little and take memory: each holds an image and what is made of it. */
const THREADS_MAX = 8;

export const defaultThreads = (): number => Math.min(THREADS_MAX, availableParallelism());

export interface PrepareOptions {
  readonly threads?: number;
  readonly onCase?: CohortExtractionOptions['onCase'];
}

/**
 * Extracts what a study wants of the images of the site in `folder`, where it wants any, repeated measurements among it; what is there already is not extracted again.
 *
 * @throws ConcordatError COHORT_IMAGES_MISSING, COHORT_UNREADABLE, COHORT_INVALID, IMAGE_SETTINGS_INVALID; IMAGE_MODEL_* where the study's encoders are not here. A case whose images cannot be used is no error: its
 * features are missing.
 */
export async function prepareCohort(study: Study, folder: string, options: PrepareOptions = {}): Promise<void> {
  if (study.imaging === undefined) return;
  await prepareImages(study, folder, readCohortConfig(path.join(folder, 'cohort.yaml')), options);
}

/** The same with a cohort.yaml that was read, whatever it is called. */
export async function prepareImages(
  study: Study,
  folder: string,
  config: CohortConfig,
  options: PrepareOptions = {},
): Promise<void> {
  if (study.imaging === undefined) return;
  const place = { folder, table: config.images?.table, models: config.models };
  const how = {
    threads: options.threads ?? defaultThreads(),
    ...(options.onCase === undefined ? {} : { onCase: options.onCase }),
  };
  await ensureFeatures(study.imaging, place, how);
  await ensureRepeats(study, place, how);
}
