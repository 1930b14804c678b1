import { extract } from '../../site-agent/radiomics/extract.js';
import { objectText, readCase } from './cases.js';
import type { Folder, Part, Sheet } from './part.js';
import { compareExtraction, compareRefusal, type Numbers, settingsOf } from './pyradiomics.js';

interface Golden {
  readonly case: string;
  readonly features?: Numbers;
  readonly error?: string;
  readonly generator?: string;
}

/** Full extractions of PyRadiomics: every feature of every image type, by name, value and order. */
export const golden: Part = {
  name: 'golden',
  run(folder: Folder, sheet: Sheet): void {
    const place = 'pyradiomics/golden';
    for (const file of folder.list(place, /\.json$/)) {
      const reference = `${place}/${file}`;
      sheet.attempt({ case: file, quantity: 'extraction', reference }, () =>
        compareOne(folder, sheet, file, reference),
      );
    }
  },
};

function compareOne(folder: Folder, sheet: Sheet, file: string, reference: string): void {
  const found = folder.json<Golden>(reference);
  if (found.features === undefined && found.error === undefined) return;
  const version = (found.generator ?? '').split(' ').slice(0, 2).join(' ');
  const at = { case: file.replace(/\.json$/, ''), quantity: 'extraction', reference, version };
  sheet.progress(at.case);
  const settings = settingsOf(sheet, at, objectText(folder.text(reference), 'params'));
  if (settings === null) return;
  const source = readCase(folder, found.case, settings.preprocessing.label);
  if (source === null) sheet.unsupported(at, `the image of ${found.case} is not in the folder`);
  else if (found.features !== undefined) compareExtraction(sheet, at, found.features, extract(source, settings));
  else compareRefusal(sheet, { ...at, quantity: 'refusal' }, found.error!, source, settings);
}
