import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import type { ValidateResult } from '../../shared/computations/validate/result.js';
import { ConcordatError } from '../../shared/errors.js';
import { type Study, studyHash, studySites } from '../../shared/study.js';
import { output } from '../console.js';
import { bytes, duration, estimate, table } from '../format.js';
import { parseNames } from '../options.js';
import { PROGRAM_VERSION } from '../version.js';
import { readStudy } from './study.js';

interface SimulateOptions {
  readonly table: string;
  readonly siteColumn: string;
  readonly externalSites?: string[];
  readonly out: string;
  readonly oneHolder?: boolean;
  readonly guard: boolean;
  readonly cohort?: string;
  readonly idColumn?: string;
}

export function registerSimulate(program: Command): void {
  program
    .command('simulate')
    .description('run a whole study in one process over one table that is split by site')
    .argument('<study>', 'study.yaml')
    .requiredOption('--table <csv>', 'table with all sites’ cases')
    .requiredOption('--site-column <name>', 'column that names the site of a case')
    .option('--external-sites <a,b>', 'sites that only validate; replaces sites.external, the others train', parseNames)
    .requiredOption('--out <folder>', 'where the result goes')
    .option(
      '--cohort <yaml>',
      'cohort.yaml with column names and codes of the table (its `table` is not read), and the images of its cases',
    )
    .option('--id-column <name>', 'column that names a case; by default the first with all entries different')
    .option('--one-holder', 'all rows in one hand: the pooled analysis, for comparison')
    .option('--no-guard', 'go on where the disclosure guard of a site would refuse; the result says so')
    .addHelpText(
      'after',
      '\nWrites result.json (the same bytes as between hospitals), run.json, bundle/ and local/<site>/harmonization.json\n(what never leaves a site).',
    )
    .action(async (file: string, options: SimulateOptions, command: Command) => {
      const out = output(command.optsWithGlobals()['json'] === true);
      const started = Date.now();
      const { simulateTable } = await import('../simulate-table.js');
      const { tableFromImages } = await import('../simulate-images.js');
      const extracted = await tableFromImages(file, options, out);
      const read = await readStudy(file, extracted === null ? options.table : undefined);
      const study = withExternal(read, options.externalSites);
      let shown = 0;
      const outcome = simulateTable(study, {
        table: extracted ?? options.table,
        siteColumn: options.siteColumn,
        oneHolder: options.oneHolder === true,
        guard: options.guard,
        ...(options.cohort === undefined ? {} : { cohortYaml: options.cohort }),
        ...(options.idColumn === undefined ? {} : { idColumn: options.idColumn }),
        onRound: ({ request }) => {
          if (out.json || Date.now() - shown < 250) return;
          shown = Date.now();
          out.progress(`round ${request.round}  ${request.instance} ${request.iteration}`);
        },
      });
      write(options.out, outcome.files);
      for (const [site, local] of outcome.local)
        write(
          path.join(options.out, 'local', site),
          new Map([['harmonization.json', Buffer.from(`${JSON.stringify(local, null, 2)}\n`)]]),
        );
      const run = {
        program: PROGRAM_VERSION,
        mode: 'simulate',
        durationMs: Date.now() - started,
        rounds: outcome.rounds,
        bytesPerSite: outcome.bytes,
        guard: outcome.guard,
      };
      write(options.out, new Map([['run.json', Buffer.from(`${JSON.stringify(run, null, 2)}\n`)]]));
      const text = [
        `${study.name}  ${studyHash(study).slice(0, 12)}  ${outcome.rounds} rounds, ${bytes(outcome.bytes)} per site, ${duration(Date.now() - started)}`,
        '',
        foldsTable(outcome.validation),
        ...outcome.guard.map((message) => `guard: ${message}`),
        '',
        `Result  ${path.join(options.out, 'result.json')}`,
        `Bundle  ${path.join(options.out, 'bundle')}${outcome.unmet.length === 0 ? '' : `  (acceptance not met: ${outcome.unmet.join('; ')})`}`,
      ];
      out.result(text.join('\n'), { study: studyHash(study), out: options.out, ...run, unmet: outcome.unmet });
    });
}

function withExternal(study: Study, external: readonly string[] | undefined): Study {
  if (external === undefined) return study;
  const all = studySites(study);
  const unknown = external.filter((site) => !all.includes(site));
  if (unknown.length > 0)
    throw new ConcordatError(
      'CLI_USAGE',
      `--external-sites names sites that the study does not: ${unknown.join(', ')}`,
    );
  const training = all.filter((site) => !external.includes(site));
  const show = study.privacy.showAggregate.filter((site) => training.includes(site));
  return {
    ...study,
    sites: { training, external: [...external].sort() },
    privacy: { ...study.privacy, showAggregate: show },
  };
}

/** One line for each fold, its discrimination with 95 % interval. */
export function foldsTable(validation: ValidateResult): string {
  const rows = validation.folds.map((fold) => {
    const metric = fold.pooled['auc'] ?? fold.pooled['cIndex'] ?? null;
    const n = fold.pooled['n'] ?? null;
    return [fold.model, fold.arm, fold.name, fold.evaluates, estimate(n, 0), estimate(metric, 3)];
  });
  const survival = validation.folds.some((fold) => 'cIndex' in fold.pooled);
  return table(
    ['model', 'harmonization', 'fold', 'evaluates', 'n', survival ? 'C-index (95 % CI)' : 'AUC (95 % CI)'],
    rows,
  );
}

function write(folder: string, files: ReadonlyMap<string, Uint8Array>): void {
  for (const [name, content] of files) {
    const file = path.join(folder, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, content);
  }
}
