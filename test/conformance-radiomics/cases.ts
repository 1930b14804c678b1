import { readImageFile } from '../../site-agent/imaging/shell/read-file.js';
import type { Volume } from '../../site-agent/imaging/volume.js';
import type { Folder } from './part.js';

export interface CaseFiles {
  /** Null where the folder has the mask alone. */
  readonly image: string | null;
  readonly mask: string;
}

/**
 * Where image and mask of a case lie, by its name in the references: `brain1` among the PyRadiomics images or the
 * synthetic ones, `ibsi_ct_phantom` in ibsi1/ct_phantom. Null where there is no mask.
 */
export function caseFiles(folder: Folder, name: string): CaseFiles | null {
  const places: [string, string, string][] = [
    ['pyradiomics/images', `${name}_image`, `${name}_label`],
    ['pyradiomics/images', `${name}_image`, `${name}_mask`],
    ['pyradiomics/synthetic', `${name}_image`, `${name}_mask`],
    [`ibsi1/${name.replace(/^ibsi_/, '')}`, 'phantom', 'mask'],
  ];
  for (const [where, image, mask] of places) {
    const found = folder.image(where, mask);
    if (found !== undefined) return { image: folder.image(where, image) ?? null, mask: found };
  }
  return null;
}

/** Image and mask of a case; `name#2D` has of the mask the one axial slice in which the region is largest. */
export function readCase(folder: Folder, name: string, label = 1): { image: Volume; mask: Volume } | null {
  const [base, kind] = name.split('#');
  const files = caseFiles(folder, base!);
  if (files === null || files.image === null) return null;
  const mask = readImageFile(files.mask);
  return { image: readImageFile(files.image), mask: kind === undefined ? mask : largestSlice(mask, label) };
}

/** The mask with nothing outside the axial slice in which the label has most voxels, the first of equals. */
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

/** The text of the object under a key of a JSON text, in which `1.0` is still not `1`. */
export function objectText(text: string, key: string): string {
  const start = text.indexOf('{', text.indexOf(`"${key}":`));
  for (let at = start, depth = 0; at < text.length; at++) {
    if (text[at] === '{') depth++;
    if (text[at] === '}' && --depth === 0) return text.slice(start, at + 1);
  }
  throw new Error(`no object under ${key}`);
}
