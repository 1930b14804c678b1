import { ConcordatError, type ErrorCode } from '../../shared/errors.js';
import { type Extraction, extract, type Source } from '../../site-agent/radiomics/extract.js';
import { type ExtractionSettings, parseSettings } from '../../site-agent/radiomics/settings.js';
import type { Pair, Place, Sheet } from './part.js';

export type Numbers = Readonly<Record<string, number | string | null>>;

/** The settings of a reference, or null after a row that says what of them is not supported. */
export function settingsOf(sheet: Sheet, at: Place, params: string): ExtractionSettings | null {
  try {
    return parseSettings(params, at.reference).settings;
  } catch (error) {
    if (!(error instanceof ConcordatError)) throw error;
    sheet.unsupported(at, error.problems.map(({ message }) => message).join('; '));
    return null;
  }
}

/** One row for each image type and class of a full extraction, in the reference's order; null marks a value that is no number. */
export function compareExtraction(sheet: Sheet, at: Place, want: Numbers, got: Extraction): void {
  if (got.status === 'failed') {
    sheet.check(at, false, `${got.reason.code}: ${got.reason.message}`);
    return;
  }
  const groups = new Map<string, Pair[]>();
  for (const [name, value] of Object.entries(want)) {
    const group = name.split('_').slice(0, 2).join(' ');
    const pairs = groups.get(group) ?? [];
    groups.set(group, pairs);
    pairs.push({ name, want: asNumber(value), got: got.features.get(name)?.value });
  }
  for (const [quantity, pairs] of groups) sheet.compare({ ...at, quantity }, pairs);
  // A name that is not in the reference is an error of naming, which no comparison of values would find.
  const extra = [...got.features.keys()].filter((name) => !(name in want));
  if (extra.length > 0 || Object.keys(want).join() !== [...got.features.keys()].join())
    sheet.check({ ...at, quantity: 'names and order' }, extra.length === 0 && sameOrder(want, got), namesReason(extra));
  else sheet.check({ ...at, quantity: 'names and order' }, true, '');
}

function sameOrder(want: Numbers, got: Extraction & { status: 'ok' }): boolean {
  const wanted = Object.keys(want);
  return wanted.join() === [...got.features.keys()].filter((name) => name in want).join();
}

function namesReason(extra: readonly string[]): string {
  return extra.length === 0 ? 'the order differs' : `not in the reference: ${extra.slice(0, 5).join(', ')}`;
}

/** null is no number; infinity stands in JSON as text. */
function asNumber(value: number | string | null): number | null {
  if (typeof value === 'number') return value;
  const sign = /^([+-]?)inf(inity)?$/i.exec(value ?? '')?.[1];
  return sign === undefined ? null : sign === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
}

/** What PyRadiomics says of a case it refuses, and the code it has here. */
const REFUSALS: readonly [RegExp, ErrorCode][] = [
  [/too few dimensions|single voxel|Size of the ROI is too small|excluded too many voxels/i, 'IMAGE_ROI_TOO_SMALL'],
  [/Label .*not present|No labels found/i, 'IMAGE_MASK_EMPTY'],
  [/larger than image space/i, 'IMAGE_ROI_OUTSIDE'],
  [/geometry mismatch|size mismatch/i, 'IMAGE_GRID_MISMATCH'],
  [/cannot compute 2D shape/i, 'IMAGE_ROI_NOT_FLAT'],
];

/** Passes where the case is refused for the reason that the reference gives. */
export function compareRefusal(
  sheet: Sheet,
  at: Place,
  message: string,
  source: Source,
  settings: ExtractionSettings,
): void {
  const code = REFUSALS.find(([pattern]) => pattern.test(message))?.[1];
  if (code === undefined) {
    sheet.unsupported(at, `no counterpart of this error is known: ${message}`);
    return;
  }
  const got = extract(source, settings);
  const said = got.status === 'ok' ? 'it gave features' : `it said ${got.reason.code}: ${got.reason.message}`;
  sheet.check(at, got.status === 'failed' && got.reason.code === code, `${code} is wanted, ${said}`);
}
