import { readFileSync } from 'node:fs';
import path from 'node:path';
import { ConcordatError } from '../shared/errors.js';
import { type Perturbation, perturbationSchema, perturbsNothing } from '../shared/perturbation.js';
import { readCohortConfig, readTable } from '../site-agent/cohort-files.js';
import { type ImageRow, imageRows } from '../site-agent/imaging/images-table.js';
import { readingsOf } from '../site-agent/radiomics/readings.js';
import { resultOf } from '../site-agent/radiomics/region-task.js';
import { defaultSettings, parseSettings } from '../site-agent/radiomics/settings.js';
import { canonicalSettings, settingsDigest } from '../site-agent/radiomics/settings-digest.js';
import { inOrder, RegionExtraction } from '../site-agent/radiomics/shell/cohort-extraction.js';
import { Encoders } from '../site-agent/radiomics/shell/encoders.js';
import { FEATURES_FOLDER } from '../site-agent/radiomics/shell/feature-store.js';
import { defaultThreads } from '../site-agent/radiomics/shell/prepare-cohort.js';
import type { Measurement } from '../site-agent/radiomics/stability-table.js';

/** Amounts as they are written on the command line: `translateMm=1,rotateDegrees=5`. */
export function parsePerturbation(text: string): Perturbation {
  const entries = text.split(',').map((part): [string, unknown] => {
    const [name, value] = part.split('=').map((word) => word.trim());
    return [name ?? '', value !== undefined && /^-?[\d.]+$/.test(value) ? Number(value) : value];
  });
  const read = perturbationSchema.safeParse(Object.fromEntries(entries));
  const problems = read.success
    ? perturbsNothing(read.data)
      ? ['nothing is perturbed']
      : []
    : read.error.issues.map(({ path: at, message }) => `${at.join('.') || text}: ${message}`);
  if (problems.length > 0) throw new ConcordatError('CLI_USAGE', `--perturb: ${problems.join('; ')}`);
  return perturbationSchema.parse(Object.fromEntries(entries));
}

/** Repeated measurements that were made elsewhere: the case, `reading`, and every column that holds numbers only. */
export function tableMeasurements(file: string, idColumn: string): Measurement[] {
  const { header, rows } = readTable(file);
  const [idAt, readingAt] = [idColumn, 'reading'].map((name) => header.indexOf(name));
  const problems = [idColumn, 'reading']
    .filter((name) => !header.includes(name))
    .map((name) => ({ file: path.basename(file), row: 1, column: name, message: `the table has no column "${name}"` }));
  const missing = (cell: string) => cell === '' || cell === 'NA';
  const columns = [...header.keys()].filter(
    (at) =>
      at !== idAt &&
      at !== readingAt &&
      rows.every((cells) => missing(cells[at]!) || Number.isFinite(Number(cells[at]))),
  );
  const seen = new Set<string>();
  for (const [row, cells] of rows.entries()) {
    const key = JSON.stringify([cells[idAt!], cells[readingAt!]]);
    if (problems.length === 0 && seen.has(key))
      problems.push({
        file: path.basename(file),
        row: row + 2,
        column: 'reading',
        message: 'the case has this reading twice',
      });
    seen.add(key);
  }
  if (problems.length > 0)
    throw new ConcordatError('COHORT_INVALID', `${path.basename(file)} is no table of readings`, { problems });
  return rows.map((cells) => ({
    subject: cells[idAt!]!,
    reading: cells[readingAt!]!,
    features: new Map(columns.map((at) => [header[at]!, missing(cells[at]!) ? null : Number(cells[at])])),
  }));
}

export interface CohortReadings {
  readonly cohort: string;
  readonly params?: string;
  /** Settings of an encoder whose deep features are judged too. */
  readonly deep?: string;
  /** Null: the readers of the table of images. */
  readonly perturbation: Perturbation | null;
  readonly repeats: number;
  readonly seed: number;
  readonly threads?: number;
  readonly threadFile?: URL;
  readonly onReading: (done: number, total: number, failed: number) => void;
}

/**
 * Every reading of every lesion of a cohort. A subject is a lesion at a time point; features of several phases are named by them. A lesion that
 * cannot be extracted in one reading has no features there, and `failed` counts it.
 */
export async function cohortMeasurements(
  options: CohortReadings,
): Promise<{ readonly measurements: Measurement[]; readonly failed: number }> {
  const folder = path.dirname(path.resolve(options.cohort));
  const config = readCohortConfig(options.cohort);
  if (config.images === undefined)
    throw new ConcordatError('COHORT_IMAGES_MISSING', `${path.basename(options.cohort)} names no table of images`);
  const imagesTable = path.resolve(folder, config.images.table);
  const rows = imageRows(readTable(imagesTable));
  const source =
    options.perturbation === null
      ? ({ type: 'readers' } as const)
      : ({ type: 'perturbations', ...options.perturbation } as const);
  const readings = readingsOf(source, options.perturbation === null ? null : options.repeats, rows);
  if (readings.length === 0)
    throw new ConcordatError('COHORT_INVALID', 'the table of images names no second reader in a column `reader`');
  for (const reading of readings) requireToldApart(reading.rows);
  const settings =
    options.params === undefined
      ? defaultSettings()
      : parseSettings(readFileSync(options.params, 'utf8'), options.params).settings;
  const digest = settingsDigest(canonicalSettings(settings));
  const threads = options.threads ?? defaultThreads();
  const encoders = options.deep === undefined ? Encoders.NONE : await Encoders.ofFile(options.deep);
  const regions = new RegionExtraction(
    { profile: 'pyradiomics', settings },
    {
      folder: path.dirname(imagesTable),
      store: path.join(folder, FEATURES_FOLDER),
      threads,
      encoders,
      ...(options.threadFile === undefined ? {} : { threadFile: options.threadFile }),
    },
    () => digest,
  );
  const tasks = readings.flatMap((reading) => reading.rows.map((row) => ({ reading, row })));
  const severalPhases = new Set(rows.map(({ phase }) => phase)).size > 1;
  const found = new Map<string, { subject: string; reading: string; features: Map<string, number | null> }>();
  let done = 0;
  let failed = 0;
  try {
    const results = await inOrder(tasks, 2 * threads, async ({ reading: { number, perturbation }, row }) => {
      const asked = perturbation === null ? null : { of: perturbation, seed: options.seed, reading: number };
      const result = resultOf(
        await regions.of(row, { name: 'lesion', kind: 'lesion', withinOrgan: true }, row.phase, asked),
      );
      if (result.status === 'failed') failed++;
      options.onReading(++done, tasks.length, failed);
      return result;
    });
    for (const [at, result] of results.entries()) {
      const { reading, row } = tasks[at]!;
      const subject = subjectOf(row);
      const key = JSON.stringify([subject, reading.number]);
      const one = found.get(key) ?? { subject, reading: String(reading.number), features: new Map() };
      found.set(key, one);
      if (result.status === 'failed') continue;
      for (const [name, { value }] of result.features)
        one.features.set(severalPhases ? `${row.phase}_${name}` : name, value);
    }
  } finally {
    await regions.close();
    await encoders.close();
  }
  return { measurements: [...found.values()], failed };
}

const subjectOf = (row: ImageRow): string => JSON.stringify([row.case, row.timepoint, row.lesion]);

/** Two lesions that go by one name would be taken for one. */
function requireToldApart(rows: readonly ImageRow[]): void {
  const seen = new Set<string>();
  for (const row of rows) {
    const key = JSON.stringify([subjectOf(row), row.phase]);
    if (seen.has(key))
      throw new ConcordatError(
        'COHORT_INVALID',
        'a case has several lesions of one label in one phase, so nothing says which is which',
        { hint: 'Name the lesions in a column `lesion` of the table of images, alike for every reader and phase.' },
      );
    seen.add(key);
  }
}
