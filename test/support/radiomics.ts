import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Volume } from '../../site-agent/imaging/volume.js';
import { readImage } from './images.js';

/** One golden extraction of PyRadiomics. */
export interface Golden {
  readonly id: string;
  readonly case: string;
  readonly diagnostics: Readonly<Record<string, unknown>>;
  readonly features: Readonly<Record<string, number | null>>;
  /** The parameters as they are written in the file, where `1.0` is not `1`. */
  readonly paramsText: string;
}

export function readGolden(root: string, id: string): Golden {
  const folder = join(root, 'pyradiomics', 'golden');
  const file = readdirSync(folder).find((name) => name.startsWith(`${id}_`) || name === `${id}.json`);
  if (file === undefined) throw new Error(`no golden extraction ${id}`);
  const text = readFileSync(join(folder, file), 'utf8');
  return { ...(JSON.parse(text.replaceAll(/\bNaN\b/g, 'null')) as Golden), paramsText: objectText(text, 'params') };
}

/** The text of the object under a key of a JSON text. */
export function objectText(text: string, key: string): string {
  const start = text.indexOf('{', text.indexOf(`"${key}":`));
  for (let at = start, depth = 0; at < text.length; at++) {
    if (text[at] === '{') depth++;
    if (text[at] === '}' && --depth === 0) return text.slice(start, at + 1);
  }
  throw new Error(`no object under ${key}`);
}

/** Image and mask of a case by the name that the golden files give it; `brain1#2D` is one axial slice of the region. */
export function readGoldenCase(root: string, name: string): { image: Volume; mask: Volume } {
  const [base, slice] = name.split('#');
  const files: Record<string, [string, string]> = {
    brain1: ['pyradiomics/images/brain1_image.nrrd', 'pyradiomics/images/brain1_label.nrrd'],
    ibsi_ct_phantom: ['ibsi1/ct_phantom/phantom.nii.gz', 'ibsi1/ct_phantom/mask.nii.gz'],
    ibsi_digital_phantom: ['ibsi1/digital_phantom/phantom.nii.gz', 'ibsi1/digital_phantom/mask.nii.gz'],
  };
  const [image, mask] = files[base!]!.map((file) => readImage(root, file)) as [Volume, Volume];
  return { image, mask: slice === undefined ? mask : largestSlice(mask) };
}

/** The mask with nothing outside the axial slice of its largest area, the first of equals. */
export function largestSlice(mask: Volume, label = 1): Volume {
  const perSlice = mask.size[0] * mask.size[1];
  let best = 0;
  let area = -1;
  for (let z = 0; z < mask.size[2]; z++) {
    let count = 0;
    for (let i = z * perSlice; i < (z + 1) * perSlice; i++) if (mask.data[i] === label) count++;
    if (count > area) [best, area] = [z, count];
  }
  const data = mask.data.slice();
  data.fill(0, 0, best * perSlice);
  data.fill(0, (best + 1) * perSlice);
  return { ...mask, data };
}
