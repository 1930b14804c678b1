import type { Folder, Part, Sheet } from './part.js';

/** A part whose references are listed and counted, not compared, until the thing itself is there. */
export function notBuilt(name: string, folder: string, matching: RegExp, reason: string): Part {
  return {
    name,
    run(references: Folder, sheet: Sheet): void {
      for (const file of references.list(folder, matching))
        sheet.unsupported({ case: file, quantity: name, reference: `${folder}/${file}` }, reason);
    },
  };
}
