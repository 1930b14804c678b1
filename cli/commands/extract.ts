import type { Command } from 'commander';
import { ConcordatError } from '../../shared/errors.js';
import type { FailureReason } from '../../site-agent/radiomics/extract.js';
import { type Output, output } from '../console.js';
import { count } from '../format.js';
import { wholeNumber } from '../options.js';

interface ExtractOptions {
  readonly cohort?: string;
  readonly study?: string;
  readonly byLesion?: boolean;
  readonly image?: string;
  readonly mask?: string;
  readonly params?: string;
  readonly deep?: string;
  readonly profile: string;
  readonly label?: number;
  readonly case: string;
  readonly phase: string;
  readonly timepoint: string;
  readonly mode: string;
  readonly mapFormat: string;
  readonly resampleMask?: boolean;
  readonly threads?: number;
  readonly out?: string;
}

/** `concordat extract`: features of a region of an image, in PyRadiomics' names or IBSI's. */
export function registerExtract(program: Command): void {
  program
    .command('extract')
    .description('features of a region of an image: PyRadiomics’ or IBSI’s, or maps of them')
    .option('--cohort <cohort.yaml>', 'all images of a site; goes on where it was interrupted')
    .option('--study <study.yaml>', 'with --cohort: the features of this study, one row a patient, kept for the study')
    .option('--by-lesion', 'with --study: one row a lesion instead; for other programs, a study’s rows are patients')
    .option('--image <file>', 'NIfTI, NRRD or a folder of DICOM')
    .option('--mask <file>', 'the region on the same grid')
    .option('--params <yaml>', 'a PyRadiomics parameter file as it is; under --profile ibsi a file of IBSI settings')
    .option('--deep <yaml>', 'also the deep features of an ONNX encoder: a file with a section `deep`')
    .option('--profile <name>', 'pyradiomics or ibsi: whose definitions and names', 'pyradiomics')
    .option(
      '--label <n>',
      'value of the region in the mask, over the one of the parameter file',
      wholeNumber(1, 2 ** 31),
    )
    .option('--case <name>', 'what the column `case` says', '1')
    .option('--phase <name>', 'what the column `phase` says', '')
    .option('--timepoint <name>', 'what the column `timepoint` says', '')
    .option('--mode <segment|voxel>', 'one value a region, or a map of values', 'segment')
    .option('--map-format <nii.gz|nrrd>', 'form of the maps', 'nii.gz')
    .option('--resample-mask', 'take a mask on another grid to the image’s by nearest neighbour')
    .option('--threads <n>', 'threads, default one a core; the features are the same', wholeNumber(1, 256))
    .option('--out <file>', 'features.csv or features.json; with --mode voxel a folder of maps. Default: CSV on stdout')
    .addHelpText(
      'after',
      `
CSV has the columns case, phase, timepoint, label, status, reason, then one a feature; an undefined value is empty.
JSON also has IBSI codes, the reason of a missing value, diagnostics of image and mask, and the settings' digest.
A region without features has status "failed" and a reason; the exit status is then 1.`,
    )
    .action(async (options: ExtractOptions, command: Command) => {
      const out = output(command.optsWithGlobals()['json'] === true);
      checkUsage(options);
      if (options.cohort !== undefined) return cohort(options.cohort, options, out);
      const one = {
        image: options.image!,
        mask: options.mask!,
        profile: options.profile as 'pyradiomics' | 'ibsi',
        name: { case: options.case, phase: options.phase, timepoint: options.timepoint },
        resampleMask: options.resampleMask === true,
        ...(options.params === undefined ? {} : { params: options.params }),
        ...(options.deep === undefined ? {} : { deep: options.deep }),
        ...(options.label === undefined ? {} : { label: options.label }),
        ...(options.threads === undefined ? {} : { threads: options.threads }),
        ...(options.out === undefined ? {} : { out: options.out }),
        progress: out.progress,
      };
      const { extractMapsOne, extractOne } = await import('../extract-one.js');
      if (options.mode === 'voxel') {
        const format = options.mapFormat as 'nii.gz' | 'nrrd';
        const { maps, failure } = await extractMapsOne({ ...one, out: options.out!, format });
        report(out, failure, `${count(maps, 'map')} in ${options.out}`, { out: options.out, maps });
        return;
      }
      const { failure, features, text, document, written } = await extractOne(one);
      if (written === null) report(out, failure, text.trimEnd(), document);
      else report(out, failure, `${count(features, 'feature')} in ${written}`, { out: written, features });
    });
}

async function cohort(file: string, options: ExtractOptions, out: Output): Promise<void> {
  const { extractCohortFiles } = await import('../extract-cohort.js');
  const { extractionProgress } = await import('../extraction-progress.js');
  const unit = options.study === undefined ? 'image' : options.byLesion === true ? 'lesion' : 'patient';
  const progress = extractionProgress(out, unit);
  const { rows, failed, written, digest } = await extractCohortFiles({
    cohort: file,
    profile: options.profile as 'pyradiomics' | 'ibsi',
    onCase: progress.onCase,
    ...(options.study === undefined ? {} : { study: options.study }),
    byLesion: options.byLesion === true,
    ...(options.params === undefined ? {} : { params: options.params }),
    ...(options.deep === undefined ? {} : { deep: options.deep }),
    ...(options.threads === undefined ? {} : { threads: options.threads }),
    ...(options.out === undefined ? {} : { out: options.out }),
  });
  progress.end();
  if (failed > 0) process.exitCode = 1;
  const what = count(rows, unit);
  const trouble = failed === 0 ? '' : `, ${failed} without features: the column \`reason\` says why`;
  out.result(
    `${what} in ${written}${trouble}\nSettings ${digest.slice(0, 12)}: every site of a study must have the same`,
    {
      out: written,
      rows,
      failed,
      settingsDigest: digest,
    },
  );
}

/** The result, and beside it why a region has none, with exit status 1. */
function report(out: Output, failure: FailureReason | null, text: string, document: unknown): void {
  out.result(text, document);
  if (failure === null) return;
  process.exitCode = 1;
  if (!out.json) out.progress(`failed: ${failure.code}: ${failure.message}`);
}

function checkUsage(options: ExtractOptions): void {
  const problems: string[] = [];
  const form: string[] = [];
  if (options.profile !== 'pyradiomics' && options.profile !== 'ibsi')
    form.push(`--profile is pyradiomics or ibsi, not ${options.profile}`);
  if (options.mode === 'segment' && options.out !== undefined && !/\.(csv|json)$/i.test(options.out))
    form.push('--out ends in .csv or .json');
  if (options.cohort !== undefined) {
    for (const name of ['image', 'mask', 'label', 'resampleMask'] as const)
      if (options[name] !== undefined) problems.push(`--cohort names images and masks itself: leave --${name} out`);
    if (options.study !== undefined && options.params !== undefined)
      problems.push('the study has its settings: leave --params out');
    if (options.byLesion === true && options.study === undefined)
      problems.push('--by-lesion goes with --study: without one every lesion of every image has its row');
    if (options.byLesion === true && options.out?.toLowerCase().endsWith('.json'))
      problems.push('--by-lesion writes CSV');
    if (options.mode !== 'segment') problems.push('--mode voxel is of one image');
    if (options.study !== undefined && options.deep !== undefined)
      problems.push('the study names its encoders itself, under imaging.deep: leave --deep out');
    problems.push(...form);
    if (problems.length > 0) throw new ConcordatError('CLI_USAGE', problems.join('; '));
    return;
  }
  if (options.study !== undefined) problems.push('--study goes with --cohort');
  if (options.byLesion === true) problems.push('--by-lesion goes with --cohort and --study');
  if (options.image === undefined) problems.push('--image <file> is missing');
  if (options.mask === undefined) problems.push('--mask <file> is missing');
  problems.push(...form);
  if (options.mode !== 'segment' && options.mode !== 'voxel')
    problems.push(`--mode is segment or voxel, not ${options.mode}`);
  if (options.mapFormat !== 'nii.gz' && options.mapFormat !== 'nrrd')
    problems.push(`--map-format is nii.gz or nrrd, not ${options.mapFormat}`);
  if (options.deep !== undefined && options.mode === 'voxel') problems.push('--deep goes with --mode segment');
  if (options.mode === 'voxel' && options.out === undefined) problems.push('--mode voxel needs --out <folder>');
  if (options.mode === 'voxel' && options.profile === 'ibsi') problems.push('--mode voxel is of --profile pyradiomics');
  if (problems.length > 0) throw new ConcordatError('CLI_USAGE', problems.join('; '));
}
