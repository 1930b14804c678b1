import type { Volume } from '../../site-agent/imaging/volume.js';
import { objectText, readCase } from '../conformance-radiomics/cases.js';
import { Folder } from '../conformance-radiomics/part.js';

/** One golden extraction of PyRadiomics. */
export interface Golden {
  readonly id: string;
  readonly case: string;
  readonly diagnostics: Readonly<Record<string, unknown>>;
  readonly features: Readonly<Record<string, number | null>>;
  /** The parameters as they are written in the file, where `1.0` is not `1`. */
  readonly paramsText: string;
}

const PLACE = 'pyradiomics/golden';

export function readGolden(root: string, id: string): Golden {
  const folder = new Folder(root);
  const file = folder.list(PLACE, new RegExp(`^${id}[_.]`))[0];
  if (file === undefined) throw new Error(`no golden extraction ${id}`);
  return { ...folder.json<Golden>(PLACE, file), paramsText: objectText(folder.text(PLACE, file), 'params') };
}

/** Image and mask of a case by the name that the golden files give it; `brain1#2D` is one axial slice of the region. */
export function readGoldenCase(root: string, name: string): { image: Volume; mask: Volume } {
  const found = readCase(new Folder(root), name);
  if (found === null) throw new Error(`no image and mask of ${name}`);
  return found;
}
