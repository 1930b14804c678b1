import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { ConcordatError } from '../../shared/errors.js';
import { output } from '../console.js';
import { count } from '../format.js';
import { wholeNumber } from '../options.js';

interface QualityCommandOptions {
  readonly cohort: string;
  readonly study?: string;
  readonly site?: string;
  readonly features?: string;
  readonly threads?: number;
  readonly out: string;
}

/** `concordat quality`: what a site's images, masks and features are like. The report stays at the site. */
export function registerQuality(program: Command): void {
  program
    .command('quality')
    .description('a page about a site’s images, masks and features, which stays at the site')
    .requiredOption('--cohort <cohort.yaml>', 'names the tables of cases and of images')
    .requiredOption('--out <folder>', 'a new or empty folder, readable by its owner only')
    .option(
      '--study <study.yaml>',
      'also the features of this study, extracted where they are not yet, and whom it leaves out',
    )
    .option('--site <name>', 'this site’s name, where the table holds several sites’ rows')
    .option('--features <file.csv>', 'also these features, as `concordat extract --cohort` wrote them')
    .option('--threads <n>', 'threads of the extraction', wholeNumber(1, 256))
    .addHelpText(
      'after',
      `
Writes index.html, quality.json and lesions/*.png. They name cases and show their images: do not send them.

  $ concordat quality --cohort cohort.yaml --out quality`,
    )
    .action(async (options: QualityCommandOptions, command: Command) => {
      if (options.study !== undefined && options.features !== undefined)
        throw new ConcordatError('CLI_USAGE', '--study and --features name features twice: give one');
      if (existsSync(options.out) && readdirSync(options.out).length > 0)
        throw new ConcordatError('CLI_USAGE', `${options.out} is not empty`);
      const out = output(command.optsWithGlobals()['json'] === true);
      const { writeQualityReport } = await import('../../site-agent/radiomics/shell/quality-report.js');
      const { defaultThreads } = await import('../../site-agent/radiomics/shell/prepare-cohort.js');
      const { qualitySummary } = await import('../../site-agent/radiomics/quality/report.js');
      const { cohort, study, site, features } = options;
      const report = await writeQualityReport({
        cohort,
        out: options.out,
        threads: options.threads ?? defaultThreads(),
        at: new Date().toISOString(),
        onCase: (done, total) => out.progress(`  image ${done} of ${total}`),
        onExtracted: (done, total) => out.progress(`  features ${done} of ${total}`),
        ...(study === undefined ? {} : { study }),
        ...(site === undefined ? {} : { site }),
        ...(features === undefined ? {} : { features }),
      });
      const found = qualitySummary(report);
      const page = path.join(options.out, 'index.html');
      const lines = [
        `${count(found.cases, 'case')}, ${count(found.images, 'image')} with a lesion: ${found.excluded} excluded, ${found.noted} worth a look`,
        ...(report.features === null
          ? []
          : [
              `${count(found.features, 'feature')}: ${found.constant} constant, ${found.incomplete} with gaps, ${found.withOutliers} with outliers, ${count(found.duplicates, 'duplicate')}`,
            ]),
        `report in ${page}: it names cases and stays at the site`,
      ];
      out.result(lines.join('\n'), { out: options.out, page, ...found });
    });
}
