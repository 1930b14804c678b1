import { ConcordatError } from '../../shared/errors.js';
import { readImageFile } from '../../site-agent/imaging/shell/read-file.js';
import { extract } from '../../site-agent/radiomics/extract.js';
import { parseSettings } from '../../site-agent/radiomics/settings.js';
import { caseFiles } from './cases.js';
import type { Folder, Part, Place, Sheet } from './part.js';
import { compareExtraction, compareRefusal, type Numbers, settingsOf } from './pyradiomics.js';

interface Synthetic {
  readonly case: string;
  readonly setting?: Readonly<Record<string, unknown>>;
  readonly features?: Numbers;
  readonly error?: string;
}

/** Small volumes at the edges of what is defined: values, or the error that PyRadiomics raises. */
export const synthetic: Part = {
  name: 'synthetic',
  run(folder: Folder, sheet: Sheet): void {
    const place = 'pyradiomics/synthetic';
    for (const file of folder.list(place, /\.json$/)) {
      let cases: readonly Synthetic[] = [];
      sheet.attempt({ case: file, quantity: 'cases', reference: `${place}/${file}` }, () => {
        cases = [folder.json<readonly Synthetic[] | Synthetic>(place, file)].flat();
      });
      for (const one of cases) {
        const at = { case: one.case, quantity: 'extraction', reference: `${place}/${file}#${one.case}` };
        sheet.attempt(at, () => compareOne(folder, sheet, at, one));
      }
    }
  },
};

function compareOne(folder: Folder, sheet: Sheet, at: Place, one: Synthetic): void {
  const files = caseFiles(folder, one.case);
  if (files?.image === undefined || files.image === null) {
    sheet.unsupported(at, 'image or mask is not in the folder');
    return;
  }
  const source = { image: readImageFile(files.image), mask: readImageFile(files.mask) };
  if (one.error !== undefined && refusedSettings(one)) {
    const reason = `the settings are refused, not: ${one.error}`;
    sheet.check({ ...at, quantity: 'refusal' }, SETTINGS_ERROR.test(one.error), reason);
    return;
  }
  const settings = settingsOf(sheet, at, paramsFor(one));
  if (settings === null) return;
  if (one.error === undefined) compareExtraction(sheet, at, one.features ?? {}, extract(source, settings));
  else compareRefusal(sheet, { ...at, quantity: 'refusal' }, one.error, source, settings);
}

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
  return JSON.stringify({ imageType: { Original: {} }, featureClass, setting: one.setting ?? {} });
}
