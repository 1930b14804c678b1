import path from 'node:path';
import type { Command } from 'commander';
import { csvText } from '../../shared/csv.js';
import { writeReplacing } from '../../shared/durable-files.js';
import { ConcordatError } from '../../shared/errors.js';
import type { ClinicalColumns } from '../../site-agent/clinical/columns.site.js';
import { output } from '../console.js';
import { count, table } from '../format.js';

interface ScoresOptions {
  readonly cohort: string;
  readonly out: string;
}

/** `concordat scores`: clinical scores of a table, by the `clinical` section of cohort.yaml. Everything stays on this machine. */
export function registerScores(program: Command): void {
  program
    .command('scores')
    .description(
      'ALBI, Child-Pugh, MELD, MELD-Na, aMAP, FIB-4, APRI, NLR and BCLC from the columns that cohort.yaml names',
    )
    .requiredOption('--cohort <cohort.yaml>', 'names the table, the columns of the inputs and their units')
    .requiredOption('--out <file.csv>', 'the case, then each score and, where there is none, why')
    .addHelpText(
      'after',
      `
Example, in cohort.yaml:
  clinical:
    inputs:
      bilirubin: {column: bili, unit: mg/dL}
      albumin: {column: alb, unit: g/L}

  $ concordat scores --cohort cohort.yaml --out scores.csv`,
    )
    .action(async (options: ScoresOptions, command: Command) => {
      const { readCohortConfig, readTable } = await import('../../site-agent/cohort-files.js');
      const { clinicalColumns, missingScores } = await import('../../site-agent/clinical/columns.site.js');
      const config = readCohortConfig(options.cohort);
      if (config.clinical === undefined)
        throw new ConcordatError('COHORT_INVALID', `${path.basename(options.cohort)} has no clinical section`, {
          hint: 'Name the columns of the inputs under clinical.inputs; `concordat scores --help` shows how.',
        });
      const cases = readTable(path.resolve(path.dirname(options.cohort), config.table), config.separator);
      const columns = clinicalColumns(config.clinical, config, cases);
      const idAt = cases.header.indexOf(config.id);
      const ids = cases.rows.map((cells, row) => (idAt < 0 ? `row ${row + 2}` : cells[idAt]!));
      // Rows are cases, with their laboratory values turned into scores: nobody else on the machine needs to read them.
      writeReplacing(path.resolve(options.out), csv(ids, columns), 0o600);
      const missing = missingScores(columns);
      output(command.optsWithGlobals()['json'] === true).result(text(columns, missing, options.out), {
        cases: ids.length,
        scores: columns.names,
        missing,
        out: options.out,
      });
    });
}

function csv(ids: readonly string[], { names, rows }: ClinicalColumns): string {
  const header = ['case', ...names.flatMap((name) => [name, `${name}_reason`])];
  const lines = rows.map((row, at) => [
    ids[at]!,
    ...row.flatMap((score) => (score.value === null ? ['', score.reason] : [String(score.value), ''])),
  ]);
  return csvText([header, ...lines]);
}

function text(
  { names, rows }: ClinicalColumns,
  missing: readonly { readonly score: string; readonly reason: string; readonly rows: number }[],
  out: string,
): string {
  const there = names.map((name, at) => {
    const got = rows.filter((row) => row[at]!.value !== null).length;
    const reasons = missing.filter(({ score }) => score === name).map((entry) => `${entry.rows} ${entry.reason}`);
    return [name, String(got), String(rows.length - got), reasons.join('; ')];
  });
  return `${table(['score', 'cases', 'none', 'why'], there, { align: ['left', 'right', 'right', 'left'] })}

${count(rows.length, 'case')} written to ${out}`;
}
