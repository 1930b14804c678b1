import { extract } from '../../site-agent/radiomics/extract.js';
import { objectText, readCase } from './cases.js';
import type { Folder, Part, Sheet } from './part.js';
import { compareExtraction, type Numbers, settingsOf } from './pyradiomics.js';

interface Golden {
  readonly case: string;
  readonly features?: Numbers;
  readonly generator?: string;
}

/** Full extractions of PyRadiomics: every feature of every image type, by name, value and order. */
export const golden: Part = {
  name: 'golden',
  run(folder: Folder, sheet: Sheet): void {
    const place = 'pyradiomics/golden';
    for (const file of folder.list(place, /\.json$/)) {
      const reference = `${place}/${file}`;
      const found = folder.json<Golden>(reference);
      if (found.features === undefined) continue;
      const version = (found.generator ?? '').split(' ').slice(0, 2).join(' ');
      const at = { case: file.replace(/\.json$/, ''), quantity: 'extraction', reference, version };
      sheet.progress(at.case);
      const settings = settingsOf(sheet, at, objectText(folder.text(reference), 'params'));
      if (settings === null) continue;
      const source = readCase(folder, found.case, settings.preprocessing.label);
      if (source === null) sheet.unsupported(at, `the image of ${found.case} is not in the folder`);
      else compareExtraction(sheet, at, found.features, extract(source, settings));
    }
  },
};
