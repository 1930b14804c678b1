import { roiOf } from '../../site-agent/imaging/roi.js';
import { readImageFile } from '../../site-agent/imaging/shell/read-file.js';
import type { IntensityClass } from '../../site-agent/radiomics/features/texture.js';
import { DEFAULT_VOXEL_SETTINGS, voxelMaps } from '../../site-agent/radiomics/voxel-maps.js';
import { classSettings, needsPreprocessing, type Parameters } from '../radiomics/pyradiomics-cases.js';
import { readCase } from './cases.js';
import type { Folder, Pair, Part, Sheet } from './part.js';

interface VoxelSet {
  readonly case: string;
  readonly params: {
    readonly imageType?: object;
    readonly featureClass: Readonly<Record<string, string[] | null>>;
    readonly setting: Parameters;
    readonly voxelSetting?: object;
  };
  readonly maps: Readonly<Record<string, { readonly file: string }>>;
}

/** Maps of features over every voxel's neighbourhood, voxel by voxel; of original images that need no preprocessing. */
export const voxel: Part = {
  name: 'voxel',
  run(folder: Folder, sheet: Sheet): void {
    const where = 'pyradiomics/voxel';
    for (const file of folder.list(where, /^V.*\.json$/)) {
      const reference = `${where}/${file}`;
      const { case: name, params, maps } = folder.json<VoxelSet>(reference);
      const place = { case: file.replace(/\.json$/, ''), reference };
      const label = (params.setting.label as number | undefined) ?? 1;
      const source = readCase(folder, name, label);
      const filtered = Object.keys(params.imageType ?? { Original: {} }).some((type) => type !== 'Original');
      if (source === null || filtered || needsPreprocessing(params.setting)) {
        const reason =
          source === null ? `the image of ${name} is not in the folder` : 'only maps of the original image';
        sheet.unsupported({ ...place, quantity: 'maps' }, reason);
        continue;
      }
      sheet.progress(place.case);
      const wanted = new Map(
        Object.entries(params.featureClass).map(([featureClass, names]) => [
          featureClass as IntensityClass,
          names === null || names.length === 0 ? null : names,
        ]),
      );
      const got = voxelMaps(
        { image: source.image, roi: roiOf(source.mask, label), settings: classSettings(params.setting) },
        wanted,
        { ...DEFAULT_VOXEL_SETTINGS, ...params.voxelSetting },
      );
      for (const [key, { file: mapFile }] of Object.entries(maps)) {
        const want = readImageFile(folder.path(where, mapFile));
        const map = got.get(key.replace(/^original_/, ''));
        const pairs: Pair[] = [];
        const same = map !== undefined && map.size.join() === want.size.join();
        if (same)
          for (let k = 0; k < want.data.length; k++) {
            const value = want.data[k]!;
            pairs.push({ name: `voxel ${k}`, want: Number.isNaN(value) ? null : value, got: map.data[k]! });
          }
        sheet.compare({ ...place, quantity: key, reference: `${where}/${mapFile}` }, pairs);
      }
    }
  },
};
