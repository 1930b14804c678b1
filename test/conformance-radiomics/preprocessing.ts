import type { Diagnostics } from '../../site-agent/radiomics/diagnostics.js';
import { prepare } from '../../site-agent/radiomics/preprocessing.js';
import { parseSettings } from '../../site-agent/radiomics/settings.js';
import { objectText, readCase } from './cases.js';
import type { Folder, Pair, Part, Sheet } from './part.js';

interface Golden {
  readonly case: string;
  readonly generator?: string;
  readonly diagnostics: Readonly<Record<string, unknown>>;
}

/** What PyRadiomics says of image and mask after each step: hashes, sizes, boxes, means, of every golden extraction. */
export const preprocessing: Part = {
  name: 'preprocessing',
  run(folder: Folder, sheet: Sheet): void {
    const place = 'pyradiomics/golden';
    for (const file of folder.list(place, /\.json$/)) {
      const reference = `${place}/${file}`;
      const at = { case: file.replace(/\.json$/, ''), quantity: 'diagnostics', reference };
      const golden = folder.json<Golden>(reference);
      if (golden.diagnostics === undefined) continue;
      const source = readCase(folder, golden.case);
      if (source === null) {
        sheet.unsupported(at, `the image of ${golden.case} is not in the folder`);
        continue;
      }
      const { settings } = parseSettings(objectText(folder.text(reference), 'params'), file);
      const { diagnostics } = prepare(source, settings.preprocessing);
      compareDiagnostics(sheet, { ...at, version: golden.generator ?? '' }, golden.diagnostics, diagnostics);
    }
  },
};

export function compareDiagnostics(
  sheet: Sheet,
  at: { case: string; quantity: string; reference: string; version?: string },
  want: Readonly<Record<string, unknown>>,
  got: Diagnostics,
): void {
  const pairs: Pair[] = [];
  for (const [name, value] of Object.entries(want)) {
    const short = name.replace(/^diagnostics_/, '');
    if (!/^(Image|Mask)-/.test(short)) continue;
    const own = [got[short]].flat();
    for (const [k, one] of [value].flat().entries()) {
      const mine = own[k];
      if (typeof one === 'number') pairs.push({ name: short, want: one, got: typeof mine === 'number' ? mine : null });
      else pairs.push({ name: short, want: 1, got: mine === one ? 1 : null });
    }
  }
  sheet.compare(at, pairs);
}
