import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { canonicalJson } from '../../../shared/canonical-json.js';
import { csvText, numberCell } from '../../../shared/csv.js';
import { writeReplacing } from '../../../shared/durable-files.js';
import { ConcordatError } from '../../../shared/errors.js';
import type { Study } from '../../../shared/study.js';
import { parseTable, type Table } from '../../cohort-table.site.js';
import { imageRows } from '../../imaging/images-table.js';
import { READING_COLUMN } from '../../repeats.site.js';
import { casePlans } from '../case-plan.js';
import { type CaseRow, namesOf } from '../features-file.js';
import { type ReadingSource, readingsOf } from '../readings.js';
import { canonicalImaging } from '../study-extraction.js';
import { type CohortExtractionOptions, caseRow, inOrder, studyRegions } from './cohort-extraction.js';
import { FEATURES_FOLDER, type ImagesPlace, imagesBytes, studyEncoders } from './feature-store.js';

/** Where a study's repeated measurements are of images: from what; otherwise null. */
export function readingSource(study: Study): ReadingSource | null {
  const source = study.selection?.stability?.source;
  return source === undefined || source.type === 'table' ? null : source;
}

/**
 * The repeated measurements that a study wants of this site's images, as they were extracted last: `case`, `reading`, then the features. Null
 * where nothing was measured twice.
 *
 * @throws ConcordatError COHORT_FEATURES_MISSING where they were not extracted with these settings from this table of images.
 */
export function readRepeats(study: Study, place: ImagesPlace): Table | null {
  const file = repeatsFile(study, place);
  if (!existsSync(file))
    throw new ConcordatError(
      'COHORT_FEATURES_MISSING',
      'the repeated measurements of this study are not extracted from this table of images yet',
    );
  const text = readFileSync(file, 'utf8');
  return text.trimEnd().includes('\n') ? parseTable(text, `${FEATURES_FOLDER}/${path.basename(file)}`) : null;
}

/** Extracts the readings that a study judges stability by, where it wants any. Each region is cached as any other; the table stays at the site. */
export async function ensureRepeats(
  study: Study,
  place: ImagesPlace,
  options: Pick<CohortExtractionOptions, 'threads' | 'onCase' | 'threadFile'>,
): Promise<string | null> {
  const source = readingSource(study);
  const { imaging } = study;
  if (source === null || imaging === undefined) return null;
  const images = imagesBytes(place);
  const rows = imageRows(parseTable(images.toString('utf8'), path.basename(place.table!)));
  const store = path.join(place.folder, FEATURES_FOLDER);
  mkdirSync(store, { recursive: true });
  const folder = path.dirname(path.resolve(place.folder, place.table!));
  const encoders = await studyEncoders(imaging, place);
  const regions = studyRegions(imaging, { ...options, folder, store, encoders });
  const tasks = readingsOf(source, study.selection!.stability!.repeats, rows).flatMap((reading) =>
    casePlans(imaging, reading.rows).map((plan) => ({ reading, plan })),
  );
  let done = 0;
  let failed = 0;
  let found: CaseRow[];
  try {
    found = await inOrder(tasks, 2 * options.threads, async ({ reading, plan }) => {
      const { number, perturbation } = reading;
      const asked = perturbation === null ? null : { of: perturbation, seed: study.seed, reading: number };
      const row = await caseRow(imaging, plan, {
        of: (image, region, phase) => regions.of(image, region, phase, asked),
      });
      done++;
      if (row.status === 'failed') failed++;
      options.onCase?.(done, tasks.length, failed);
      return row;
    });
  } finally {
    await regions.close();
    await encoders.close();
  }
  const file = repeatsFile(study, place);
  writeReplacing(file, repeatsCsv(found, tasks), 0o600);
  return file;
}

/** CSV: case, reading, then one column a feature; a missing one is empty. */
function repeatsCsv(
  rows: readonly CaseRow[],
  tasks: readonly { readonly reading: { readonly number: number } }[],
): string {
  const names = namesOf(rows);
  const lines = rows.map((row, at) => [
    row.case,
    String(tasks[at]!.reading.number),
    ...names.map((name) => numberCell(row.features.get(name)?.value ?? null)),
  ]);
  return csvText([['case', READING_COLUMN, ...names], ...lines]);
}

/** Named by all that it depends on besides the images' own bytes, as the study's features are. */
function repeatsFile(study: Study, place: ImagesPlace): string {
  const about = {
    imaging: canonicalImaging(study.imaging!),
    source: readingSource(study),
    repeats: study.selection!.stability!.repeats,
    seed: study.seed,
    images: createHash('sha256').update(imagesBytes(place)).digest('hex'),
  };
  const digest = createHash('sha256').update('concordat repeats 1\n').update(canonicalJson(about)).digest('hex');
  return path.join(place.folder, FEATURES_FOLDER, `repeats-${digest.slice(0, 12)}.csv`);
}
