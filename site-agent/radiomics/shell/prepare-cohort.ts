import { availableParallelism } from 'node:os';
import path from 'node:path';
import type { Study } from '../../../shared/study.js';
import { readCohortConfig } from '../../cohort-files.js';
import type { CohortExtractionOptions } from './cohort-extraction.js';
import { ensureFeatures } from './feature-store.js';
import { ensureRepeats } from './repeat-store.js';

/** More threads than this gain little and take memory: each holds an image and what is made of it. */
const THREADS_MAX = 8;

export const defaultThreads = (): number => Math.min(THREADS_MAX, availableParallelism());

/**
 * Extracts what a study wants of the images of the site in `folder`, where it wants any, repeated measurements among it; what is there already is not extracted again.
 *
 * @throws ConcordatError COHORT_IMAGES_MISSING, COHORT_UNREADABLE, COHORT_INVALID, IMAGE_SETTINGS_INVALID. A case whose images cannot be used is no error: its
 * features are missing.
 */
export async function prepareCohort(
  study: Study,
  folder: string,
  options: { readonly threads?: number; readonly onCase?: CohortExtractionOptions['onCase'] } = {},
): Promise<void> {
  if (study.imaging === undefined) return;
  const config = readCohortConfig(path.join(folder, 'cohort.yaml'));
  const place = { folder, table: config.images?.table };
  const how = {
    threads: options.threads ?? defaultThreads(),
    ...(options.onCase === undefined ? {} : { onCase: options.onCase }),
  };
  await ensureFeatures(study.imaging, place, how);
  await ensureRepeats(study, place, how);
}
