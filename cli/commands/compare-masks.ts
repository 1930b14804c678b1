import type { Command } from 'commander';
import type { MaskAgreement, Measure } from '../../site-agent/imaging/mask-agreement.js';
import { output } from '../console.js';
import { significant, table } from '../format.js';
import { wholeNumber } from '../options.js';

interface CompareOptions {
  readonly label: number;
  readonly image?: string;
}

/** `concordat compare-masks`: how far two masks of one lesion agree. */
export function registerCompareMasks(program: Command): void {
  program
    .command('compare-masks')
    .description('overlap, surface distances and kappa of two masks on one grid')
    .argument('<a>', 'NIfTI, NRRD, DICOM SEG or RTSTRUCT')
    .argument('<b>', 'the other one')
    .option('--label <n>', 'value of the region in both masks', wholeNumber(1, 2 ** 31), 1)
    .option('--image <file>', 'the image whose grid counts, where neither mask has one of its own')
    .addHelpText(
      'after',
      `
Distances run between voxel centres of the two surfaces, in mm, and are exact. An empty mask leaves a reason in place of a value.

  $ concordat compare-masks reader1.nii.gz reader2.nii.gz`,
    )
    .action(async (a: string, b: string, options: CompareOptions, command: Command) => {
      const { compareMaskFiles } = await import('../../site-agent/imaging/shell/compare-mask-files.js');
      const agreement = await compareMaskFiles(a, b, options);
      output(command.optsWithGlobals()['json'] === true).result(text(agreement), {
        label: options.label,
        ...agreement,
      });
    });
}

function text({ voxels, volumeMm3, surface, ...rest }: MaskAgreement): string {
  const measures: [string, Measure, string][] = [
    ['Dice', rest.dice, ''],
    ['Jaccard', rest.jaccard, ''],
    ['Cohen’s kappa', rest.kappa, ''],
    ['volume difference, B − A', { value: rest.volumeDifferenceMm3 }, 'mm³'],
    ['volume difference, share of A', rest.volumeDifferenceShare, ''],
    ['mean surface distance', surface.meanMm, 'mm'],
    ['  from A to B', surface.meanAToBMm, 'mm'],
    ['  from B to A', surface.meanBToAMm, 'mm'],
    ['95 % Hausdorff distance', surface.hausdorff95Mm, 'mm'],
    ['Hausdorff distance', surface.hausdorffMm, 'mm'],
  ];
  const reasons = [...new Set(measures.flatMap(([, measure]) => (measure.value === null ? [measure.reason] : [])))];
  const counts = table(
    ['', 'voxels', 'mm³'],
    [
      ['A', String(voxels.both + voxels.onlyA), significant(volumeMm3.a, 6)],
      ['B', String(voxels.both + voxels.onlyB), significant(volumeMm3.b, 6)],
      ['both', String(voxels.both), ''],
    ],
    { align: ['left', 'right', 'right'] },
  );
  const values = table(
    ['measure', 'value', 'unit'],
    measures.map(([name, { value }, unit]) => [name, significant(value), unit]),
    { align: ['left', 'right', 'left'] },
  );
  return [counts, values, ...reasons.map((reason) => `–: ${reason}`)].join('\n\n');
}
