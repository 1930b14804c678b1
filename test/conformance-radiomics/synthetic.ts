import { ConcordatError } from '../../shared/errors.js';
import { readImageFile } from '../../site-agent/imaging/shell/read-file.js';
import { extract } from '../../site-agent/radiomics/extract.js';
import { parseSettings } from '../../site-agent/radiomics/settings.js';
import { caseFiles } from './cases.js';
import type { Folder, Part, Sheet } from './part.js';
import { compareExtraction, compareRefusal, type Numbers, settingsOf } from './pyradiomics.js';

interface Synthetic {
  readonly case: string;
  readonly setting: Readonly<Record<string, unknown>>;
  readonly features?: Numbers;
  readonly error?: string;
}

/** Small volumes at the edges of what is defined: values, or the error that PyRadiomics raises. */
export const synthetic: Part = {
  name: 'synthetic',
  run(folder: Folder, sheet: Sheet): void {
    const place = 'pyradiomics/synthetic';
    for (const file of folder.list(place, /\.json$/)) {
      const cases = folder.json<readonly Synthetic[]>(place, file);
      for (const one of cases) {
        const at = { case: one.case, quantity: 'extraction', reference: `${place}/${file}#${one.case}` };
        const files = caseFiles(folder, one.case);
        if (files?.image === undefined || files.image === null) {
          sheet.unsupported(at, 'image or mask is not in the folder');
          continue;
        }
        const source = { image: readImageFile(files.image), mask: readImageFile(files.mask) };
        if (one.error !== undefined && refusedSettings(one)) {
          sheet.check(
            { ...at, quantity: 'refusal' },
            SETTINGS_ERROR.test(one.error),
            `the settings are refused, not: ${one.error}`,
          );
          continue;
        }
        const settings = settingsOf(sheet, at, paramsFor(one));
        if (settings === null) continue;
        if (one.error === undefined) compareExtraction(sheet, at, one.features ?? {}, extract(source, settings));
        else compareRefusal(sheet, { ...at, quantity: 'refusal' }, one.error, source, settings);
      }
    }
  },
};

/** What PyRadiomics says of settings that are refused here before any image is read. */
const SETTINGS_ERROR =
  /not allowed for resegmentRange|Resegment mode|Wrong dimensionality|requested, but segmentation object/;

function refusedSettings(one: Synthetic): boolean {
  try {
    parseSettings(paramsFor(one), one.case);
    return false;
  } catch (error) {
    if (error instanceof ConcordatError) return true;
    throw error;
  }
}

/** Of the original image; the classes are those that the reference has values of, in its order. */
function paramsFor(one: Synthetic): string {
  const classes = new Set(Object.keys(one.features ?? {}).map((name) => name.split('_')[1]!));
  const featureClass = Object.fromEntries([...classes].map((name) => [name, []]));
  return JSON.stringify({ imageType: { Original: {} }, featureClass, setting: one.setting });
}
