import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { ConcordatError, type ErrorCode } from '../../shared/errors.js';
import type { Finding } from '../../site-agent/imaging/shell/inspect-files.js';
import { output } from '../console.js';
import { wholeNumber } from '../options.js';

interface InspectCommandOptions {
  readonly label?: number;
  readonly series?: number;
}

/** `concordat inspect`: what an image and its mask are, and every problem with them, before any study. */
export function registerInspect(program: Command): void {
  program
    .command('inspect')
    .description('geometry, intensities and mask of an image, and everything that is wrong with it')
    .argument('<image>', 'NIfTI, NRRD, a DICOM file or a folder with a DICOM series')
    .argument('[mask]', 'labels on the image’s grid, DICOM SEG or RTSTRUCT')
    .option('--label <n>', 'only this label, segment or ROI of the mask', wholeNumber(0, 2 ** 31))
    .option('--series <n>', 'which series of a folder, by its number in the list', wholeNumber(1, 1_000_000))
    .addHelpText(
      'after',
      `
Nothing of a patient is shown but names of regions and of files. The exit status is 2 where something keeps the image or
the mask from being used; warnings alone leave it 0. With --json the document then has "error" as well.`,
    )
    .action(async (image: string, mask: string | undefined, options: InspectCommandOptions, command: Command) => {
      for (const file of [image, mask])
        if (file !== undefined && !existsSync(file))
          throw new ConcordatError('CLI_FILE_MISSING', `${file} does not exist`);
      const out = output(command.optsWithGlobals()['json'] === true);
      const { inspectFiles } = await import('../../site-agent/imaging/shell/inspect-files.js');
      const { inspectionText } = await import('../inspect-text.js');
      const inspection = await inspectFiles(image, mask, options);
      const errors = inspection.findings.filter(({ severity }) => severity === 'error');
      if (errors.length > 0) process.exitCode = 2;
      out.result(
        inspectionText(inspection),
        errors.length === 0 ? inspection : { ...inspection, error: errorDocument(errors) },
      );
    });
}

/** The first error as every command gives one, with the places of all. */
function errorDocument(errors: readonly Finding[]): object {
  const { code, message, hint } = errors[0]!;
  const { entry } = new ConcordatError(code as ErrorCode, message);
  return {
    code,
    fault: entry.fault,
    message,
    hint,
    problems: errors.flatMap((finding) =>
      finding.problems.length > 0 ? finding.problems : [{ message: finding.message }],
    ),
  };
}
