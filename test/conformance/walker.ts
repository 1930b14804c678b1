import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type ConformanceCase, readCase } from './case-model.js';

export interface Found {
  readonly root: string;
  readonly cases: readonly ConformanceCase[];
  /** One message for each case.json that cannot be read. */
  readonly unreadable: readonly { readonly name: string; readonly message: string }[];
}

/** Every folder under DIR (or DIR/stats where that exists) that holds a `case.json`, in the order of their names. */
export function findCases(directory: string): Found {
  const inside = join(directory, 'stats');
  const root = existsSync(inside) && statSync(inside).isDirectory() ? inside : directory;
  const cases: ConformanceCase[] = [];
  const unreadable: { name: string; message: string }[] = [];
  const visit = (folder: string, name: string): void => {
    const file = join(folder, 'case.json');
    if (existsSync(file)) {
      const shown = name === '' ? basename(folder) : name;
      try {
        cases.push(readCase(file, shown));
      } catch (error) {
        unreadable.push({ name: shown, message: error instanceof Error ? error.message : String(error) });
      }
    }
    const entries = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    for (const entry of entries.map((one) => one.name).sort())
      visit(join(folder, entry), name === '' ? entry : `${name}/${entry}`);
  };
  if (existsSync(root) && statSync(root).isDirectory()) visit(root, '');
  return { root, cases, unreadable };
}
