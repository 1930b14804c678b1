import { compareGrids } from '../../site-agent/imaging/compare-grids.js';
import { readImageFile } from '../../site-agent/imaging/shell/read-file.js';
import type { Volume } from '../../site-agent/imaging/volume.js';
import { extractMaps } from '../../site-agent/radiomics/extract.js';
import { objectText, readCase } from './cases.js';
import type { Folder, Part, Place, Sheet } from './part.js';
import { settingsOf } from './pyradiomics.js';

interface VoxelReference {
  readonly id?: string;
  readonly case: string;
  readonly maps?: Readonly<Record<string, { readonly file: string }>>;
}

/** Voxel-based extractions of PyRadiomics: every map on its grid. */
export const voxel: Part = {
  name: 'voxel',
  run(folder: Folder, sheet: Sheet): void {
    const place = 'pyradiomics/voxel';
    for (const file of folder.list(place, /\.json$/)) {
      const at = { case: file.replace(/\.json$/, ''), quantity: 'maps', reference: `${place}/${file}` };
      sheet.attempt(at, () => compareOne(folder, sheet, at, place));
    }
  },
};

function compareOne(folder: Folder, sheet: Sheet, from: Place, place: string): void {
  const one = folder.json<VoxelReference>(from.reference);
  if (one.maps === undefined) return;
  const at = { ...from, case: one.id ?? from.case };
  sheet.progress(at.case);
  const settings = settingsOf(sheet, at, objectText(folder.text(at.reference), 'params'));
  if (settings === null) return;
  const source = readCase(folder, one.case, settings.preprocessing.label);
  if (source === null) {
    sheet.unsupported(at, `the image of ${one.case} is not in the folder`);
    return;
  }
  const got = extractMaps(source, settings);
  if (got.status === 'failed') {
    sheet.check(at, false, `${got.reason.code}: ${got.reason.message}`);
    return;
  }
  const maps = new Map(got.maps.map(({ name, volume }) => [name, volume]));
  for (const [name, { file }] of Object.entries(one.maps)) {
    const here = { ...at, quantity: name, reference: `${place}/${file}` };
    sheet.attempt(here, () => compareMap(sheet, here, readImageFile(folder.path(place, file)), maps.get(name)));
  }
}

function compareMap(sheet: Sheet, at: Place, want: Volume, map: Volume | undefined): void {
  const differences = map === undefined ? [] : compareGrids(want, map);
  if (map === undefined) sheet.check(at, false, 'there is no map of this name');
  else if (differences.length > 0) sheet.check(at, false, differences.map(({ message }) => message).join('; '));
  else sheet.compareMap(at, want.data, map.data);
}
