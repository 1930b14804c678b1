import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { ConcordatError } from '../../shared/errors.js';
import { output } from '../console.js';
import { significant, table } from '../format.js';

interface ProposeCommandOptions {
  readonly image?: string;
  readonly model?: string;
  readonly settings?: string;
  readonly out?: string;
}

/** `concordat segment`: a model proposes a mask, and a person accepts it before anything is extracted from it. */
export function registerSegment(program: Command): void {
  const segment = program
    .command('segment')
    .description('let an ONNX model propose a mask, which counts for nothing until someone accepts it')
    .option('--image <file>', 'NIfTI, NRRD or a folder of DICOM')
    .option('--model <onnx>', 'segmentation model, one ONNX file')
    .option('--settings <yaml>', 'section `segment`: view, spacing, tiles, intensities, scores')
    .option('--out <mask.nii.gz>', 'the mask; <mask>.proposed.json beside it says that it is a proposal')
    .addHelpText(
      'after',
      `
Look at the mask in your viewer and correct it where needed, then accept it:
  $ concordat segment --image ct.nii.gz --model liver.onnx --settings liver.yaml --out mask.nii.gz
  $ concordat segment accept mask.nii.gz --by "A. Reader"

Extraction refuses a proposed mask that nobody accepted, and one that was changed afterwards.`,
    )
    .action(async (options: ProposeCommandOptions, command: Command) => {
      const { image, model, settings, out: mask } = options;
      if (image === undefined || model === undefined || settings === undefined || mask === undefined)
        throw new ConcordatError('CLI_USAGE', '--image, --model, --settings and --out are all needed');
      if (!/\.nii(\.gz)?$/.test(mask)) throw new ConcordatError('CLI_USAGE', '--out ends in .nii or .nii.gz');
      const out = output(command.optsWithGlobals()['json'] === true);
      const { proposeMask } = await import('../../site-agent/radiomics/shell/propose-mask.js');
      mkdirSync(path.dirname(path.resolve(mask)), { recursive: true });
      const at = new Date().toISOString();
      const progress = (done: number, total: number) => out.progress(`  ${done} of ${total}`);
      const proposed = await proposeMask({ image, model, settings, out: mask, at, progress });
      const rows = proposed.labels.map(({ label, voxels, volumeMm3 }) => [label, voxels, significant(volumeMm3, 6)]);
      const found = rows.length === 0 ? 'The model found nothing.' : table(['label', 'voxels', 'mm³'], rows);
      out.result(
        `${found}\n\nproposed mask in ${mask}\nNext: look at it, then concordat segment accept ${mask} --by NAME`,
        { out: mask, status: 'proposed', ...proposed },
      );
    });
  segment
    .command('accept')
    .description('record that you have looked at a proposed mask and accept it as it lies')
    .argument('<mask>', 'the mask; its note lies beside it')
    .requiredOption('--by <name>', 'who accepts')
    .action(async (mask: string, { by }: { readonly by: string }, command: Command) => {
      if (by.trim() === '') throw new ConcordatError('CLI_USAGE', '--by must name who accepts');
      const { acceptMask } = await import('../../site-agent/imaging/shell/accepted-mask.js');
      const note = acceptMask(mask, by.trim(), new Date().toISOString());
      const last = note.acceptances.at(-1)!;
      const corrected = last.corrected ? ', with the corrections made since' : ', as the model left it';
      output(command.optsWithGlobals()['json'] === true).result(
        `${mask} accepted by ${last.by}${corrected}\nsha256 ${last.maskSha256}`,
        { mask, status: note.status, ...last },
      );
    });
}
