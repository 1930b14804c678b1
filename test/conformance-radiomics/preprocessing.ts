import type { Diagnostics } from '../../site-agent/radiomics/diagnostics.js';
import { prepare } from '../../site-agent/radiomics/preprocessing.js';
import { objectText, readCase } from './cases.js';
import type { Folder, Pair, Part, Place, Sheet } from './part.js';
import { settingsOf } from './pyradiomics.js';

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
      const at = { case: file.replace(/\.json$/, ''), quantity: 'diagnostics', reference: `${place}/${file}` };
      sheet.attempt(at, () => compareOne(folder, sheet, at));
    }
  },
};

function compareOne(folder: Folder, sheet: Sheet, at: Place): void {
  const golden = folder.json<Golden>(at.reference);
  if (golden.diagnostics === undefined) return;
  const settings = settingsOf(sheet, at, objectText(folder.text(at.reference), 'params'));
  if (settings === null) return;
  const source = readCase(folder, golden.case, settings.preprocessing.label);
  if (source === null) {
    sheet.unsupported(at, `the image of ${golden.case} is not in the folder`);
    return;
  }
  const { diagnostics } = prepare(source, settings.preprocessing);
  compareDiagnostics(sheet, { ...at, version: golden.generator ?? '' }, golden.diagnostics, diagnostics);
}

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
  // With additionalInfo off PyRadiomics says nothing of image and mask.
  if (pairs.length > 0) sheet.compare(at, pairs);
}
