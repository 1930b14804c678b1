import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { parse } from 'csv-parse/sync';
import { z } from 'zod';
import { BUNDLE_FILE, type BundleDocument, MODEL_FILE, parseBundle, sha256 } from '../shared/bundle/bundle.js';
import { csvText } from '../shared/csv.js';
import { didYouMean } from '../shared/did-you-mean.js';
import { ConcordatError, type Problem } from '../shared/errors.js';
import type { OnnxAnswer, OnnxJob } from './onnx-worker.js';

export interface PredictOptions {
  /** harmonization.json of the patients' site; without it features enter unharmonized (gamma 0, delta 1). */
  readonly calibrationPath?: string;
  /** Where to write the predictions as CSV; not written when absent. */
  readonly outPath?: string;
  /** Column with the patients' identifiers; by default `id`, else the table's first column if it is no input. */
  readonly idColumn?: string;
  /** Cells that mean "missing". */
  readonly missing?: readonly string[];
  /** For tests that run from source: where the compiled worker is. */
  readonly workerUrl?: URL;
}

export interface Prediction {
  readonly id: string;
  /** Null where the row has a problem. */
  readonly score: number | null;
  /** Probability of a binary endpoint, risk at the horizon of a survival endpoint, null where not defined. */
  readonly probability: number | null;
  /** 1 or 0 at the bundle's threshold; null where there is none. */
  readonly class: 0 | 1 | null;
  readonly problem: string;
}

const MISSING = ['', 'NA', 'NaN', 'nan', '.'];

/**
 * Scores a table of raw values with a published bundle. A row with a value that cannot be used (text in a number, an
 * unknown level) gets a problem instead of a score; gaps are imputed by the bundle.
 * Throws BUNDLE_UNREADABLE, BUNDLE_CHANGED, BUNDLE_TABLE_INVALID or BUNDLE_CALIBRATION_INVALID.
 */
export async function predictTable(
  bundleDir: string,
  tablePath: string,
  options: PredictOptions = {},
): Promise<{ bundle: BundleDocument; rows: Prediction[] }> {
  const bundle = parseBundle(await readOf(join(bundleDir, BUNDLE_FILE), 'BUNDLE_UNREADABLE'));
  const model = await readOf(join(bundleDir, MODEL_FILE), 'BUNDLE_UNREADABLE');
  if (sha256(model) !== bundle.files[MODEL_FILE])
    throw new ConcordatError('BUNDLE_CHANGED', `${MODEL_FILE} is not the file that bundle.json names`);
  const calibration = await readCalibration(bundle, options.calibrationPath);
  const table = readTable(bundle, await readOf(tablePath, 'BUNDLE_TABLE_INVALID'), tablePath, options);
  const usable = table.filter((row) => row.values !== null);
  const inputs = bundle.inputs.length;
  const x = Float64Array.from(usable.flatMap((row) => row.values!));
  const outputs =
    usable.length === 0
      ? {}
      : await runModel(
          {
            model,
            feeds: {
              x: { values: x, shape: [usable.length, inputs] },
              gamma: { values: calibration.gamma, shape: [inputs] },
              delta: { values: calibration.delta, shape: [inputs] },
            },
          },
          options.workerUrl ?? defaultWorkerUrl(),
        );
  // A model is read by where its numbers stand: one for each patient, or they would go to others.
  if (usable.length > 0)
    for (const [name, numbers] of Object.entries({ score: new Float64Array(0), ...outputs }))
      if (['score', 'probability', 'risk'].includes(name) && numbers.length !== usable.length)
        throw new ConcordatError(
          'BUNDLE_UNREADABLE',
          `${MODEL_FILE} gives ${numbers.length} numbers of "${name}" for ${usable.length} patients`,
        );
  let scored = 0;
  const rows = table.map(({ id, values, problem }): Prediction => {
    if (values === null) return { id, score: null, probability: null, class: null, problem };
    const at = scored++;
    const score = outputs['score']?.[at] ?? Number.NaN;
    if (!Number.isFinite(score))
      return { id, score: null, probability: null, class: null, problem: 'the score is not finite' };
    const probability = outputs['probability']?.[at] ?? outputs['risk']?.[at] ?? null;
    const called = probability === null || bundle.threshold === null ? null : probability >= bundle.threshold ? 1 : 0;
    return { id, score, probability, class: called, problem };
  });
  if (options.outPath !== undefined) await writeFile(options.outPath, predictionsCsv(rows));
  return { bundle, rows };
}

/** `id, score, probability, class, problem`; undefined = empty. */
export function predictionsCsv(rows: readonly Prediction[]): string {
  const lines = rows.map((row) => [row.id, row.score, row.probability, row.class, row.problem]);
  return csvText([['id', 'score', 'probability', 'class', 'problem'], ...lines]);
}

interface TableRow {
  readonly id: string;
  /** Raw inputs, NaN = missing; null where the row cannot be scored. */
  readonly values: readonly number[] | null;
  readonly problem: string;
}

function readTable(bundle: BundleDocument, bytes: Uint8Array, path: string, options: PredictOptions): TableRow[] {
  const invalid = (message: string, problems: readonly Problem[] = []) =>
    new ConcordatError('BUNDLE_TABLE_INVALID', `${path}: ${message}`, { problems });
  let records: string[][];
  try {
    records = parse(Buffer.from(bytes), { bom: true, skip_empty_lines: true, trim: true });
  } catch (cause) {
    throw invalid(`is not a CSV table (${cause instanceof Error ? cause.message : String(cause)})`);
  }
  const [header, ...body] = records;
  if (header === undefined) throw invalid('is empty');
  const missingColumns = bundle.inputs.filter(({ name }) => !header.includes(name));
  const repeated = bundle.inputs.filter(({ name }) => header.indexOf(name) !== header.lastIndexOf(name));
  const problems: Problem[] = [
    ...missingColumns.map(({ name }) => ({
      column: name,
      message: `column "${name}" is missing${didYouMean(name, header)}`,
    })),
    ...repeated.map(({ name }) => ({ column: name, message: `column "${name}" appears twice` })),
  ].map((problem) => ({ file: path, row: 1, ...problem }));
  if (problems.length > 0) throw invalid(problems.map((problem) => problem.message).join('; '), problems);
  const idAt = idColumn(header, bundle, options.idColumn);
  if (idAt === null) throw invalid(`there is no column "${options.idColumn}" with the patients' identifiers`);
  const positions = bundle.inputs.map(({ name }) => header.indexOf(name));
  const missing = new Set(options.missing ?? MISSING);
  return body.map((record, index) => {
    const complaints: string[] = [];
    const values = bundle.inputs.map((input, at) => {
      const text = record[positions[at]!]!;
      if (missing.has(text)) return Number.NaN;
      const value = input.levels === null ? numberOf(text) : input.levels.indexOf(text);
      if (input.levels === null && Number.isNaN(value)) complaints.push(`${input.name}: "${text}" is no number`);
      if (input.levels !== null && value < 0)
        complaints.push(`${input.name}: "${text}" is no level of the study (${input.levels.join(', ')})`);
      return value;
    });
    const id = idAt < 0 ? String(index + 1) : record[idAt]!;
    return { id, values: complaints.length > 0 ? null : values, problem: complaints.join('; ') };
  });
}

/** Position of the identifiers; -1 = number the rows; null = the wanted column is absent. */
function idColumn(header: readonly string[], bundle: BundleDocument, wanted: string | undefined): number | null {
  if (wanted !== undefined) return header.includes(wanted) ? header.indexOf(wanted) : null;
  if (header.includes('id')) return header.indexOf('id');
  return bundle.inputs.some(({ name }) => name === header[0]) ? -1 : 0;
}

/** A finite decimal number, or NaN. */
function numberOf(text: string): number {
  if (!/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text)) return Number.NaN;
  const value = Number(text);
  return Number.isFinite(value) ? value : Number.NaN;
}

const calibrationSchema = z.looseObject({
  method: z.string(),
  inputs: z.array(z.string()),
  gamma: z.array(z.number()),
  delta: z.array(z.number().positive()),
});

async function readCalibration(
  bundle: BundleDocument,
  path: string | undefined,
): Promise<{ gamma: Float64Array; delta: Float64Array }> {
  const inputs = bundle.inputs.length;
  if (path === undefined) {
    if (bundle.harmonization !== 'zscore')
      return { gamma: new Float64Array(inputs), delta: new Float64Array(inputs).fill(1) };
    throw new ConcordatError(
      'BUNDLE_CALIBRATION_INVALID',
      'the model takes z-scores within a site, so raw values mean nothing to it without the site’s harmonization.json',
    );
  }
  const invalid = (why: string) => new ConcordatError('BUNDLE_CALIBRATION_INVALID', `${path}: ${why}`);
  const bytes = await readOf(path, 'BUNDLE_CALIBRATION_INVALID');
  let plain: unknown;
  try {
    plain = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    throw invalid('is not JSON');
  }
  const parsed = calibrationSchema.safeParse(plain);
  if (!parsed.success)
    throw invalid(parsed.error.issues.map(({ path: at, message }) => `${at.join('.')}: ${message}`).join('; '));
  const { gamma, delta, method } = parsed.data;
  if (method !== bundle.harmonization)
    throw invalid(`is for the harmonization "${method}", the bundle's is "${bundle.harmonization}"`);
  const names = bundle.inputs.map(({ name }) => name);
  if (parsed.data.inputs.join('\n') !== names.join('\n')) throw invalid('names other inputs than the bundle');
  if (gamma.length !== inputs || delta.length !== inputs) throw invalid(`needs ${inputs} values of gamma and delta`);
  return { gamma: Float64Array.from(gamma), delta: Float64Array.from(delta) };
}

async function readOf(path: string, code: 'BUNDLE_UNREADABLE' | 'BUNDLE_TABLE_INVALID' | 'BUNDLE_CALIBRATION_INVALID') {
  try {
    return new Uint8Array(await readFile(path));
  } catch (cause) {
    throw new ConcordatError(code, `${path} cannot be read`, { cause });
  }
}

/** Node cannot start a worker from TypeScript, so a run from source uses the compiled one. */
function defaultWorkerUrl(): URL {
  const fromSource = import.meta.url.endsWith('.ts');
  return fromSource
    ? new URL('../dist/cli/onnx-worker.js', import.meta.url)
    : new URL('./onnx-worker.js', import.meta.url);
}

/** Runs the model once in a worker thread of its own. */
export async function runModel(
  job: OnnxJob,
  workerUrl: URL = defaultWorkerUrl(),
): Promise<Record<string, Float64Array>> {
  const answer = await new Promise<OnnxAnswer>((resolve, reject) => {
    const worker = new Worker(workerUrl, { workerData: job });
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', () => reject(new Error('the scoring thread ended without an answer')));
  });
  if ('error' in answer)
    throw new ConcordatError('BUNDLE_UNREADABLE', `${MODEL_FILE} cannot be run by onnxruntime: ${answer.error}`);
  return { ...answer.outputs };
}
