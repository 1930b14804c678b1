import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { countsOf, csvOf, lastLineOf, tableOf } from '../conformance/report.js';
import { runRadiomics } from './runner.js';
import { markdownTable } from './table.js';

const USAGE = `npm run conformance:radiomics -- [--reference DIR] [--only golden,ibsi1,...] [--out DIR] [--table]

Compares features, filters and preprocessing with reference results: everything that is found under DIR (or DIR/radiomics).
  --reference DIR   default: the folder in the environment variable CONCORDAT_REFERENCE, which also lends images and
                    settings that another DIR lacks
  --only a,b        only these parts
  --out DIR         where conformance.csv goes, default conformance-out/radiomics
  --table           the summary as a Markdown table instead of the report
Exit status: 0 nothing failed and something passed, 1 a failure, 2 no reference or one that cannot be read.`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      reference: { type: 'string' },
      only: { type: 'string' },
      out: { type: 'string' },
      table: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  if (values.help) {
    say(USAGE);
    return 0;
  }
  const usual = process.env['CONCORDAT_REFERENCE'];
  const directory = values.reference ?? usual;
  if (directory === undefined || directory === '') {
    process.stderr.write('no reference folder: give --reference DIR or set CONCORDAT_REFERENCE\n');
    say(lastLineOf({ pass: 0, fail: 0, unsupported: 0 }));
    return 2;
  }
  const only = values.only?.split(',').map((part) => part.trim());
  const run = await runRadiomics({
    directory,
    ...(usual ? { inputs: usual } : {}),
    ...(only === undefined ? {} : { only }),
    progress: (line) => void process.stderr.write(`${line}\n`),
  });
  const out = values.out ?? join('conformance-out', 'radiomics');
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, 'conformance.csv'), csvOf(run.rows));
  say(values.table ? markdownTable(run.rows) : tableOf(run.rows));
  for (const problem of run.problems) process.stderr.write(`${problem}\n`);
  process.stderr.write(`written: ${join(out, 'conformance.csv')}\n`);
  say(lastLineOf(countsOf(run.rows)));
  return run.exitStatus;
}

try {
  process.exitCode = await main();
} catch (error) {
  // Unknown options and an unwritable folder end here: usage, not a failed comparison.
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}\n`);
  process.exitCode = 2;
}
