import { roiOf } from '../../site-agent/imaging/roi.js';
import { readImageFile } from '../../site-agent/imaging/shell/read-file.js';
import type { FeatureSet } from '../../site-agent/radiomics/feature.js';
import { extractIbsi } from '../../site-agent/radiomics/ibsi/extract.js';
import { regionLevels } from '../../site-agent/radiomics/ibsi/region-levels.js';
import { type IbsiSettings, ibsiSettingsSchema } from '../../site-agent/radiomics/ibsi/settings.js';
import {
  type Configuration,
  type PublishedMatrix,
  publishedMatrix,
  settingsOf,
  withinTolerance,
} from '../support/ibsi.js';
import { readRows } from '../support/reference.js';
import type { Folder, Pair, Part, Sheet } from './part.js';

/** IBSI 1: the digital phantom's features and matrices, and the CT phantom's features in every configuration that the folder describes. */
export const ibsi1: Part = {
  name: 'ibsi1',
  run(folder: Folder, sheet: Sheet): void {
    for (const file of folder.list('ibsi1', /^reference_values_.*\.csv$/)) {
      const reference = `ibsi1/${file}`;
      const name = file.replace(/^reference_values_(.*)\.csv$/, '$1');
      try {
        compareTable(folder, sheet, reference, name);
      } catch (error) {
        sheet.unreadable({ case: name, quantity: 'features', reference }, error);
      }
    }
    if (folder.has('ibsi1/digital_phantom/texture_matrices.json')) compareMatrices(folder, sheet);
  },
};

function compareTable(folder: Folder, sheet: Sheet, reference: string, name: string): void {
  const rows = readRows(folder.path(reference));
  const at = { case: name, reference };
  const configuration = /^config_(.+)$/.exec(name)?.[1];
  const settings = settingsFor(folder, configuration);
  const where = configuration === undefined ? `ibsi1/${name}` : 'ibsi1/ct_phantom';
  const [image, mask] = [folder.image(where, 'phantom'), folder.image(where, 'mask')];
  if (settings === null || image === undefined || mask === undefined) {
    sheet.unsupported(
      { ...at, quantity: 'features' },
      settings === null ? 'the folder does not describe this configuration' : `no image and mask in ${where}`,
    );
    return;
  }
  sheet.progress(name);
  const features = extractIbsi(readImageFile(image), readImageFile(mask), settings);
  const families = new Map<string, Pair[]>();
  const withoutConsensus: string[] = [];
  for (const row of rows) {
    if (row.reference_value === '') withoutConsensus.push(row.tag!);
    else families.set(row.family!, [...(families.get(row.family!) ?? []), pairOf(row, features)]);
  }
  for (const [family, pairs] of families) sheet.compare({ ...at, quantity: family }, pairs);
  if (withoutConsensus.length > 0)
    sheet.unsupported(
      { ...at, quantity: 'without a consensus value' },
      `computed, and no value published: ${withoutConsensus.join(', ')}`,
    );
}

/** Null where a configuration is named that the folder does not describe. */
function settingsFor(folder: Folder, configuration: string | undefined): IbsiSettings | null {
  if (configuration === undefined) return ibsiSettingsSchema.parse({ dimensions: ['2D', '2.5D', '3D'] });
  const all = folder.settings<{ configurations: Record<string, Configuration> }>('ibsi1/configurations.json');
  const described = all?.configurations[configuration];
  return described === undefined ? null : settingsOf(described);
}

function pairOf(row: Record<string, string>, features: FeatureSet): Pair {
  const [want, tolerance] = [Number(row.reference_value), Number(row.tolerance)];
  const found = features.get(row.tag!);
  const got = found?.value ?? null;
  const code = row.ibsi_code === '' || row.ibsi_code === undefined || found?.code === row.ibsi_code;
  const passed = got !== null && code && withinTolerance(got, want, tolerance);
  // In units of the tolerance; a value published without one agrees or does not.
  const off = got === null ? Number.POSITIVE_INFINITY : Math.abs(Number(got.toPrecision(3)) - want);
  const error = passed ? (tolerance === 0 ? 0 : Math.min(1, off / tolerance)) : Math.max(1, off / tolerance);
  return { name: code ? row.tag! : `${row.tag} (code ${found?.code})`, want, got, rule: { passed, error } };
}

function compareMatrices(folder: Folder, sheet: Sheet): void {
  const reference = 'ibsi1/digital_phantom/texture_matrices.json';
  const where = 'ibsi1/digital_phantom';
  const [image, mask] = [folder.image(where, 'phantom'), folder.image(where, 'mask')];
  const at = { case: 'digital_phantom', reference };
  if (image === undefined || mask === undefined) {
    sheet.unsupported({ ...at, quantity: 'matrices' }, `no image and mask in ${where}`);
    return;
  }
  const { data } = readImageFile(image);
  const roi = roiOf(readImageFile(mask));
  const levels = Int32Array.from(roi.indices, (index) => data[index]!);
  const region = regionLevels(roi, roi, levels, Math.max(...levels));
  const { matrices } = folder.json<{ matrices: PublishedMatrix[] }>(reference);
  for (const published of matrices) {
    const { want, got, tolerance } = publishedMatrix(published, region);
    const cells = [...new Set([...want.keys(), ...got.keys()])];
    const quantity = [published.matrix, published.direction?.join(' '), published.slice].filter((part) => part != null);
    sheet.compare(
      { ...at, quantity: quantity.join(', ') },
      cells.map((name) => ({ name, want: want.get(name) ?? 0, got: got.get(name) ?? 0 })),
      { rel: tolerance, abs: tolerance },
    );
  }
}
