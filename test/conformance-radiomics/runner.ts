import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { countsOf } from '../conformance/report.js';
import type { Row } from '../conformance/sheet.js';
import { Folder, type Part, Sheet } from './part.js';
import { PARTS } from './parts.js';

export interface RadiomicsOptions {
  readonly directory: string;
  /** Where images and settings are taken from that the directory lacks. */
  readonly inputs?: string;
  /** Parts to run; all where absent. */
  readonly only?: readonly string[];
  readonly progress?: (line: string) => void;
}

export interface RadiomicsRun {
  readonly rows: readonly Row[];
  /** 0 nothing failed and something passed, 1 a failure (or nothing compared), 2 no reference or one that cannot be read. */
  readonly exitStatus: 0 | 1 | 2;
  readonly problems: readonly string[];
}

/** Compares everything in a folder laid out as the radiomics references are; what is missing in it is not asked for. */
export async function runRadiomics(options: RadiomicsOptions): Promise<RadiomicsRun> {
  const progress = options.progress ?? (() => {});
  const root = radiomicsIn(options.directory);
  const folder = new Folder(root, options.inputs ? new Folder(radiomicsIn(options.inputs)) : null);
  const rows: Row[] = [];
  const problems: string[] = [];
  const unknown = (options.only ?? []).filter((name) => !PARTS.some((part) => part.name === name));
  if (unknown.length > 0)
    problems.push(`no part is called ${unknown.join(', ')}; there are ${PARTS.map(({ name }) => name).join(', ')}`);
  for (const part of PARTS.filter(({ name }) => options.only?.includes(name) ?? true)) {
    const sheet = await runPart(part, folder, progress);
    rows.push(...sheet.rows);
    problems.push(...sheet.problems);
  }
  if (rows.length === 0) problems.push(`no reference under ${root}`);
  const counts = countsOf(rows);
  const exitStatus = problems.length > 0 ? 2 : counts.fail === 0 && counts.pass > 0 ? 0 : 1;
  return { rows, exitStatus, problems };
}

function radiomicsIn(directory: string): string {
  const inside = join(directory, 'radiomics');
  return existsSync(inside) && statSync(inside).isDirectory() ? inside : directory;
}

async function runPart(part: Part, folder: Folder, progress: (line: string) => void): Promise<Sheet> {
  const sheet = new Sheet(part.name, (line) => progress(`${part.name}: ${line}`));
  try {
    await part.run(folder, sheet);
  } catch (error) {
    sheet.unreadable({ case: part.name, quantity: 'part', reference: part.name }, error);
  }
  return sheet;
}
