import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { ConcordatError } from '../../shared/errors.js';
import { ICC_KINDS, type IccKind } from '../../shared/metrics/icc.js';
import type { FeatureStability } from '../../site-agent/radiomics/stability-table.js';
import { type Output, output } from '../console.js';
import { count, decimals, table } from '../format.js';
import { parseSeed, wholeNumber } from '../options.js';

interface StabilityOptions {
  readonly cohort?: string;
  readonly params?: string;
  readonly deep?: string;
  readonly table?: string;
  readonly idColumn: string;
  readonly perturb?: string;
  readonly readers?: boolean;
  readonly repeats: number;
  readonly seed: number;
  readonly kind: string;
  readonly judge: string;
  readonly minimum: number;
  readonly threads?: number;
  readonly out?: string;
}

/** Features shown from the bottom of the list. */
const SHOWN = 10;

/** `concordat stability`: which features hold when a lesion is read again. Everything stays on this machine. */
export function registerStability(program: Command): void {
  program
    .command('stability')
    .description(
      'which features hold when lesions are read again: second readers, perturbed masks and images, or a table',
    )
    .option('--cohort <cohort.yaml>', 'names the table of images; with --perturb or --readers')
    .option('--params <yaml>', 'a PyRadiomics parameter file')
    .option('--deep <yaml>', 'also the deep features of an ONNX encoder: a file with a section `deep`')
    .option('--perturb <amounts>', 'for instance translateMm=1,rotateDegrees=5,volume=0.1,contourMm=0.5,noise=1')
    .option('--readers', 'masks of the readers in the column `reader` of the table of images')
    .option('--table <repeats.csv>', 'measurements made elsewhere: case, reading, features')
    .option('--id-column <name>', 'with --table: the column that names the case', 'case')
    .option('--repeats <k>', 'with --perturb: readings of every lesion', wholeNumber(2, 100), 5)
    .option('--seed <n>', 'with --perturb: the same seed perturbs alike', parseSeed, 1)
    .option('--kind <icc>', `coefficient that decides: ${ICC_KINDS.join(', ')}`, 'ICC(1,1)')
    .option(
      '--judge <value|low>',
      'what must reach the minimum: the coefficient, or the lower end of its interval',
      'value',
    )
    .option('--minimum <x>', 'features below it are not kept', share, 0.75)
    .option('--threads <n>', 'default one a core, at most 8', wholeNumber(1, 256))
    .option('--out <stability.csv>', 'one row a feature')
    .addHelpText(
      'after',
      `
Columns: feature, n (lesions with a value in every reading), k (readings), ICC(1,1), ICC(2,1) and ICC(3,1) each with
the ends of its 95 % interval, kept. Perturbations are drawn anew for every lesion, so ICC(1,1) fits them; for readers
who each drew all lesions take ICC(2,1) or ICC(3,1).

  $ concordat stability --cohort cohort.yaml --params P.yaml --perturb translateMm=1,contourMm=0.5 --out stability.csv`,
    )
    .action(async (options: StabilityOptions, command: Command) => {
      const out = output(command.optsWithGlobals()['json'] === true);
      checkUsage(options);
      const { stabilityCsv, stabilityTable } = await import('../../site-agent/radiomics/stability-table.js');
      const { measurements, failed } = await measured(options, out);
      const kind = options.kind as IccKind;
      const judge = options.judge as 'value' | 'low';
      const rows = stabilityTable(measurements, { kind, judge, minimum: options.minimum });
      if ((rows[0]?.k ?? 0) < 2)
        throw new ConcordatError('COHORT_INVALID', 'every lesion was read once only: nothing can be compared');
      if (options.out !== undefined) {
        mkdirSync(path.dirname(path.resolve(options.out)), { recursive: true });
        writeFileSync(options.out, stabilityCsv(rows), { mode: 0o600 });
      }
      out.result(text(rows, kind, options, failed), {
        kind,
        judge,
        minimum: options.minimum,
        failed,
        kept: rows.filter(({ kept }) => kept).length,
        features: rows,
        out: options.out ?? null,
      });
    });
}

function share(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0 && value <= 1))
    throw new ConcordatError('CLI_USAGE', `--minimum is a number from 0 to 1, not ${text}`);
  return value;
}

async function measured(options: StabilityOptions, out: Output) {
  const { cohortMeasurements, parsePerturbation, tableMeasurements } = await import('../stability.js');
  if (options.table !== undefined)
    return { measurements: tableMeasurements(options.table, options.idColumn), failed: 0 };
  const { extractionProgress } = await import('../extraction-progress.js');
  const progress = extractionProgress(out, 'reading');
  try {
    return await cohortMeasurements({
      cohort: options.cohort!,
      perturbation: options.perturb === undefined ? null : parsePerturbation(options.perturb),
      repeats: options.repeats,
      seed: options.seed,
      onReading: progress.onCase,
      ...(options.params === undefined ? {} : { params: options.params }),
      ...(options.deep === undefined ? {} : { deep: options.deep }),
      ...(options.threads === undefined ? {} : { threads: options.threads }),
    });
  } finally {
    progress.end();
  }
}

function checkUsage(options: StabilityOptions): void {
  const problems: string[] = [];
  if ((options.cohort === undefined) === (options.table === undefined))
    problems.push('name either --cohort or --table');
  if (options.cohort !== undefined && (options.perturb === undefined) === (options.readers !== true))
    problems.push('--cohort goes with either --perturb or --readers');
  if (
    options.table !== undefined &&
    [options.perturb, options.readers, options.params, options.deep].some((one) => one !== undefined)
  )
    problems.push('--table has its measurements: leave --perturb, --readers, --params and --deep out');
  if (!(ICC_KINDS as readonly string[]).includes(options.kind))
    problems.push(`--kind is one of ${ICC_KINDS.join(', ')}, not ${options.kind}`);
  if (options.judge !== 'value' && options.judge !== 'low')
    problems.push(`--judge is value or low, not ${options.judge}`);
  if (problems.length > 0) throw new ConcordatError('CLI_USAGE', problems.join('; '));
}

/** Koo and Li, J Chiropr Med 2016;15:155-63: poor below 0.5, moderate, good from 0.75, excellent above 0.9. */
const GRADES = [
  ['excellent', 0.9],
  ['good', 0.75],
  ['moderate', 0.5],
  ['poor', Number.NEGATIVE_INFINITY],
] as const;

function text(rows: readonly FeatureStability[], kind: IccKind, options: StabilityOptions, failed: number): string {
  const value = (row: FeatureStability) => row.icc[kind].value;
  const grade = (row: FeatureStability) =>
    GRADES.find(([, least]) => (value(row) ?? Number.NaN) >= least)?.[0] ?? 'undefined';
  const most = Math.max(...rows.map(({ n }) => n));
  const kept = rows.filter((row) => row.kept).length;
  const lowest = [...rows].sort((a, b) => (value(a) ?? -2) - (value(b) ?? -2)).slice(0, SHOWN);
  const grades = [...GRADES.map(([name]) => name), 'undefined']
    .map((name) => `${rows.filter((row) => grade(row) === name).length} ${name}`)
    .join(' · ');
  const what = options.judge === 'low' ? `the lower end of ${kind}` : kind;
  return [
    `${count(rows.length, 'feature')}, ${count(most, 'lesion')} read ${rows[0]!.k} times${failed === 0 ? '' : `, ${count(failed, 'reading')} without features`}`,
    `Kept ${kept} of ${rows.length}: ${what} at least ${options.minimum}`,
    `${kind}: ${grades}`,
    '',
    lowest.length < rows.length ? `The ${lowest.length} lowest` : 'From the lowest',
    table(
      ['feature', 'n', ...ICC_KINDS.flatMap((one) => [one, '95 %']), 'kept'],
      lowest.map((row) => [
        row.feature,
        String(row.n),
        ...ICC_KINDS.flatMap((one) => {
          const { value: at, low, high } = row.icc[one];
          return [decimals(at, 3), at === null ? '' : `${decimals(low, 3)} to ${decimals(high, 3)}`];
        }),
        row.kept ? 'yes' : 'no',
      ]),
      { align: ['left', 'right', 'right', 'left', 'right', 'left', 'right', 'left', 'left'] },
    ),
    ...(options.out === undefined ? [] : ['', `All of them in ${options.out}`]),
  ].join('\n');
}
