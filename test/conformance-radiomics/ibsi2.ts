import { readImageFile } from '../../site-agent/imaging/shell/read-file.js';
import type { FeatureSet } from '../../site-agent/radiomics/feature.js';
import { ibsi2Response } from '../../site-agent/radiomics/filters/ibsi2/response.js';
import { extractIbsi } from '../../site-agent/radiomics/ibsi/extract.js';
import { ibsiSettingsSchema } from '../../site-agent/radiomics/ibsi/settings.js';
import { withinTolerance } from '../support/ibsi.js';
import { fromPhase1, fromPhase2, isPhase2, type Phase1Settings } from '../support/ibsi2-settings.js';
import { readRows } from '../support/reference.js';
import type { Folder, Pair, Part, Sheet } from './part.js';

/** IBSI 2: every response map whose settings the folder has (phase 1), and the features of filtered CT phantoms (phase 2). */
export const ibsi2: Part = {
  name: 'ibsi2',
  run(folder: Folder, sheet: Sheet): void {
    const maps = folder.list('ibsi2/response_maps', /\.(nii|nii\.gz|nrrd)$/);
    const described = folder.settings<{ tests: Record<string, Phase1Test> }>('ibsi2/phase1_settings.json');
    for (const file of maps) compareMap(folder, sheet, file, described?.tests[testOf(file)]);
    for (const file of folder.list('ibsi2', /^phase2_reference_values.*\.csv$/)) compareFeatures(folder, sheet, file);
  },
};

interface Phase1Test {
  readonly phantom: string;
  readonly settings: Phase1Settings;
}

/** '8_a_1' of 8_a_1.nii.gz, or of 8_a_1-ValidCRM.nii as IBSI names its maps. */
const testOf = (file: string): string => file.replace(/(-ValidCRM)?\..*$/, '');

/** IBSI's rule: no voxel is farther off than 1 % of the reference map's range. */
const ALLOWED_OF_RANGE = 0.01;

function compareMap(folder: Folder, sheet: Sheet, file: string, test: Phase1Test | undefined): void {
  const reference = `ibsi2/response_maps/${file}`;
  const at = { case: testOf(file), quantity: 'response map', reference };
  const phantom = test === undefined ? undefined : folder.image('ibsi2/digital_phantoms', test.phantom);
  if (test === undefined || phantom === undefined) {
    sheet.unsupported(at, test === undefined ? 'the folder has no settings for this map' : 'its phantom is missing');
    return;
  }
  try {
    sheet.progress(`response map ${at.case}`);
    const want = readImageFile(folder.path(reference)).data;
    const got = ibsi2Response(readImageFile(phantom), fromPhase1(test.settings)).data;
    let [low, high, largest, where] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -1, 0];
    for (let i = 0; i < want.length; i++) {
      low = Math.min(low, want[i]!);
      high = Math.max(high, want[i]!);
      const off = Math.abs(want[i]! - got[i]!);
      if (off > largest || Number.isNaN(off)) [largest, where] = [off, i];
    }
    const error = largest / (ALLOWED_OF_RANGE * (high - low));
    const passed = want.length === got.length && error <= 1;
    const pair: Pair = { name: `voxel ${where}`, want: want[where]!, got: got[where]!, rule: { passed, error } };
    sheet.compare(at, [pair]);
  } catch (error) {
    sheet.unreadable(at, error);
  }
}

function compareFeatures(folder: Folder, sheet: Sheet, file: string): void {
  const [image, mask] = [folder.image('ibsi1/ct_phantom', 'phantom'), folder.image('ibsi1/ct_phantom', 'mask')];
  const reference = `ibsi2/${file}`;
  const byFilter = new Map<string, Record<string, string>[]>();
  for (const row of readRows(folder.path(reference)))
    byFilter.set(row.filter_id!, [...(byFilter.get(row.filter_id!) ?? []), row]);
  for (const [id, rows] of byFilter) {
    const at = { case: id, quantity: 'features of the response', reference: `${reference}#${id}` };
    if (image === undefined || mask === undefined) {
      sheet.unsupported(at, 'no image and mask in ibsi1/ct_phantom');
      continue;
    }
    if (!isPhase2(id)) {
      sheet.unsupported(at, 'no filter of this number is described');
      continue;
    }
    sheet.progress(`phase 2, ${id}`);
    const features = responseFeatures(id, image, mask);
    const pairs = rows.filter((row) => row.consensus_value !== '').map((row) => pairOf(row, features));
    sheet.compare(at, pairs);
  }
}

/** Configuration A leaves the image as it is and filters slices, B works at 1 mm. */
function responseFeatures(id: string, image: string, mask: string): FeatureSet {
  const [number, configuration] = id.split('.') as [string, string];
  const filter = fromPhase2(number, configuration);
  const interpolation = {
    spacingMm: [1, 1, 1],
    method: 'cubic',
    round: true,
    roiMethod: 'linear',
    roiThreshold: 0.5,
  };
  const settings = ibsiSettingsSchema.parse({
    families: ['statistics'],
    resegmentation: { range: [-1000, 400] },
    ...(configuration === 'B' ? { interpolation } : {}),
    ...(filter === null ? {} : { filter }),
  });
  return extractIbsi(readImageFile(image), readImageFile(mask), settings);
}

function pairOf(row: Record<string, string>, features: FeatureSet): Pair {
  const [want, tolerance] = [Number(row.consensus_value), Number(row.tolerance)];
  const got = features.get(row.feature_tag!)?.value ?? null;
  const passed = got !== null && withinTolerance(got, want, tolerance);
  const off = got === null ? Number.POSITIVE_INFINITY : Math.abs(Number(got.toPrecision(3)) - want);
  return {
    name: row.feature_tag!,
    want,
    got,
    rule: { passed, error: tolerance === 0 ? (passed ? 0 : off) : off / tolerance },
  };
}
