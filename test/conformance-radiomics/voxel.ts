import { compareGrids } from '../../site-agent/imaging/compare-grids.js';
import { readImageFile } from '../../site-agent/imaging/shell/read-file.js';
import { extractMaps } from '../../site-agent/radiomics/extract.js';
import { objectText, readCase } from './cases.js';
import type { Folder, Part, Sheet } from './part.js';
import { settingsOf } from './pyradiomics.js';

interface VoxelReference {
  readonly id: string;
  readonly case: string;
  readonly maps: Readonly<Record<string, { readonly file: string }>>;
}

/** Voxel-based extractions of PyRadiomics: every map on its grid. */
export const voxel: Part = {
  name: 'voxel',
  run(folder: Folder, sheet: Sheet): void {
    const place = 'pyradiomics/voxel';
    for (const file of folder.list(place, /\.json$/)) {
      const reference = `${place}/${file}`;
      const one = folder.json<VoxelReference>(reference);
      const at = { case: one.id, quantity: 'maps', reference };
      sheet.progress(one.id);
      const settings = settingsOf(sheet, at, objectText(folder.text(reference), 'params'));
      const source = readCase(folder, one.case, settings?.preprocessing.label);
      if (settings === null) continue;
      if (source === null) {
        sheet.unsupported(at, `the image of ${one.case} is not in the folder`);
        continue;
      }
      const got = extractMaps(source, settings);
      if (got.status === 'failed') {
        sheet.check(at, false, `${got.reason.code}: ${got.reason.message}`);
        continue;
      }
      const maps = new Map(got.maps.map(({ name, volume }) => [name, volume]));
      for (const [name, { file: mapFile }] of Object.entries(one.maps)) {
        const here = { ...at, quantity: name, reference: `${place}/${mapFile}` };
        const want = readImageFile(folder.path(place, mapFile));
        const map = maps.get(name);
        const differences = map === undefined ? [] : compareGrids(want, map);
        if (map === undefined) sheet.check(here, false, 'there is no map of this name');
        else if (differences.length > 0) sheet.check(here, false, differences.map(({ message }) => message).join('; '));
        else sheet.compareMap(here, want.data, map.data);
      }
    }
  },
};
