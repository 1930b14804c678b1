import { dilated, eroded, innerRim, ringOf } from '../../site-agent/imaging/distance.js';
import { readImageFile } from '../../site-agent/imaging/shell/read-file.js';
import type { Mask } from '../../site-agent/imaging/volume.js';
import { maskOfLabel } from '../../site-agent/radiomics/check-mask.js';
import { extract } from '../../site-agent/radiomics/extract.js';
import { parseSettings } from '../../site-agent/radiomics/settings.js';
import { readCase } from './cases.js';
import type { Folder, Pair, Part, Sheet } from './part.js';
import { compareExtraction, type Numbers } from './pyradiomics.js';

interface RingReference {
  readonly case: string;
  readonly r_mm: number;
  readonly binWidth: number;
  readonly features_on_ring?: Numbers;
  readonly [count: string]: unknown;
}

/** Rings, dilations and erosions in mm: their voxels, and PyRadiomics' features on the ring. */
export const peritumoral: Part = {
  name: 'peritumoral',
  run(folder: Folder, sheet: Sheet): void {
    for (const file of folder.list('peritumoral', /\.json$/)) {
      const reference = `peritumoral/${file}`;
      sheet.attempt({ case: file, quantity: 'rings', reference }, () => {
        const { cases } = folder.json<{ readonly cases: readonly RingReference[] }>(reference);
        for (const one of cases)
          sheet.attempt({ case: `${one.case} ${one.r_mm} mm`, quantity: 'ring', reference }, () =>
            compareRing(folder, sheet, file, one),
          );
      });
    }
  },
};

function compareRing(folder: Folder, sheet: Sheet, file: string, one: RingReference): void {
  const name = `${one.case} ${one.r_mm} mm`;
  const at = { case: name, quantity: 'voxels', reference: `peritumoral/${file}#${name}` };
  const source = readCase(folder, one.case);
  if (source === null) {
    sheet.unsupported(at, `the image of ${one.case} is not in the folder`);
    return;
  }
  const roi = maskOfLabel(source.mask, 1);
  const ring = ringOf(roi, one.r_mm);
  const counts: Pair[] = [
    ['roi_voxels', voxels(roi)],
    ['ring_voxels', voxels(ring)],
    ['dilated_voxels', voxels(dilated(roi, one.r_mm))],
    ['eroded_voxels', voxels(eroded(roi, one.r_mm))],
    ['inner_rim_voxels', voxels(innerRim(roi, one.r_mm))],
  ].flatMap(([key, got]) =>
    typeof one[key as string] === 'number'
      ? [{ name: key as string, want: one[key as string] as number, got: got as number }]
      : [],
  );
  sheet.compare(at, counts, { rel: 0, abs: 0 });
  const saved = folder.image('peritumoral', `${one.case}_ring_${one.r_mm}mm`);
  if (saved !== undefined) sheet.compareSamples({ ...at, quantity: 'ring' }, readImageFile(saved).data, ring.data, 0);
  if (one.features_on_ring === undefined) return;
  const classes = new Set(Object.keys(one.features_on_ring).map((feature) => feature.split('_')[1]!));
  const params = {
    imageType: { Original: {} },
    featureClass: Object.fromEntries([...classes].map((featureClass) => [featureClass, []])),
    setting: { binWidth: one.binWidth, label: 1 },
  };
  const { settings } = parseSettings(JSON.stringify(params), name);
  compareExtraction(sheet, at, one.features_on_ring, extract({ image: source.image, mask: ring }, settings));
}

function voxels(mask: Mask): number {
  let count = 0;
  for (const value of mask.data) count += value;
  return count;
}
