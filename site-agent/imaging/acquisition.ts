import { createHash } from 'node:crypto';
import type { Dataset } from './dicom/dataset.js';
import { TAG } from './dicom/tags.js';

/**
 * How an image was made, as DICOM states it: settings of the scanner and of the reconstruction, never who was in it, when or where. Items that a file
 * does not state are absent; NIfTI and NRRD state none.
 */
export type Acquisition = Readonly<Partial<Record<AcquisitionItem, string | number>>> & {
  /** Digest of the frame of reference, to compare and not to show: the identifier itself could be looked up in an archive. */
  readonly frame?: string;
};

interface Item {
  readonly words: string;
  readonly unit: string;
  /** Numbers may differ by this share of the larger one, and by `absolute` in their unit; codes must be the same. */
  readonly share: number;
  readonly absolute: number;
  /** Features of two images that differ in it are not compared. Otherwise it is remarked. */
  readonly excludes: boolean;
}

const code = (words: string, excludes: boolean): Item => ({ words, unit: '', share: 0, absolute: 0, excludes });
const number = (words: string, unit: string, excludes: boolean, share: number, absolute = 0): Item => ({
  words,
  unit,
  share,
  absolute,
  excludes,
});

/** What is compared, in the order in which it is told. */
export const ACQUISITION_ITEMS = {
  modality: code('modality', true),
  sliceThicknessMm: number('slice thickness', 'mm', true, 0.1),
  kernel: code('reconstruction kernel', true),
  tubeVoltageKv: number('tube voltage', 'kV', true, 0.05),
  fieldStrengthT: number('field strength', 'T', true, 0.1),
  sequence: code('scanning sequence', true),
  sequenceVariant: code('sequence variant', true),
  echoTimeMs: number('echo time', 'ms', true, 0.1),
  repetitionTimeMs: number('repetition time', 'ms', true, 0.1),
  inversionTimeMs: number('inversion time', 'ms', true, 0.1),
  flipAngleDegrees: number('flip angle', 'degrees', false, 0.1),
  contrastDelayS: number('time since contrast was given', 's', false, 0, 10),
  manufacturer: code('manufacturer', false),
  model: code('scanner model', false),
} as const satisfies Record<string, Item>;
export type AcquisitionItem = keyof typeof ACQUISITION_ITEMS;

const CODES: readonly (readonly [AcquisitionItem, number])[] = [
  ['modality', TAG.modality],
  ['kernel', TAG.convolutionKernel],
  ['sequence', TAG.scanningSequence],
  ['sequenceVariant', TAG.sequenceVariant],
  ['manufacturer', TAG.manufacturer],
  ['model', TAG.manufacturerModel],
];
const NUMBERS: readonly (readonly [AcquisitionItem, number])[] = [
  ['sliceThicknessMm', TAG.sliceThickness],
  ['tubeVoltageKv', TAG.kvp],
  ['fieldStrengthT', TAG.fieldStrength],
  ['echoTimeMs', TAG.echoTime],
  ['repetitionTimeMs', TAG.repetitionTime],
  ['inversionTimeMs', TAG.inversionTime],
  ['flipAngleDegrees', TAG.flipAngle],
];

/** Of the data set of one slice; an item that is no number where one belongs counts as not stated. */
export function acquisitionOf(dataset: Dataset): Acquisition {
  const found: Partial<Record<AcquisitionItem, string | number>> = {};
  for (const [item, tag] of CODES) {
    const text = codeText(dataset, tag);
    if (text !== null) found[item] = text;
  }
  for (const [item, tag] of NUMBERS) {
    const text = dataset.text(tag);
    const value = text === null ? Number.NaN : Number(text);
    if (Number.isFinite(value)) found[item] = value;
  }
  const [given, taken] = [secondsOfDay(dataset, TAG.contrastStart), secondsOfDay(dataset, TAG.acquisitionTime)];
  // Contrast is given minutes before: a larger distance is another day, or another clock.
  if (given !== null && taken !== null && taken >= given && taken - given < LONGEST_DELAY_S)
    found.contrastDelayS = taken - given;
  const frame = dataset.text(TAG.frameOfReference);
  return frame === null ? found : { ...found, frame: createHash('sha256').update(frame).digest('hex').slice(0, 32) };
}

const LONGEST_DELAY_S = 7200;

/** Code strings only: whatever else could stand there is left out. */
export function codeText(dataset: Dataset, tag: number): string | null {
  const value = (dataset.text(tag) ?? '')
    .replace(/[^A-Za-z0-9 ._+^\\/-]/g, '')
    .trim()
    .slice(0, 32);
  return value === '' ? null : value;
}

/** DICOM's HHMMSS.FFFFFF. */
function secondsOfDay(dataset: Dataset, tag: number): number | null {
  const match = /^(\d{2})(\d{2})(\d{2})(\.\d+)?$/.exec(dataset.text(tag) ?? '');
  if (match === null) return null;
  return 3600 * Number(match[1]) + 60 * Number(match[2]) + Number(match[3]) + Number(match[4] ?? 0);
}

export interface AcquisitionDifference {
  readonly item: AcquisitionItem;
  /** In words, with what each image states. */
  readonly text: string;
  readonly excludes: boolean;
}

/** In what two images differ of what both state. */
export function acquisitionDifferences(from: Acquisition, to: Acquisition): AcquisitionDifference[] {
  return (Object.keys(ACQUISITION_ITEMS) as AcquisitionItem[]).flatMap((item) => {
    const [a, b] = [from[item], to[item]];
    const { words, unit, share, absolute, excludes }: Item = ACQUISITION_ITEMS[item];
    if (a === undefined || b === undefined) return [];
    const same =
      typeof a === 'number' && typeof b === 'number'
        ? Math.abs(a - b) <= Math.max(absolute, share * Math.max(Math.abs(a), Math.abs(b)))
        : a === b;
    if (same) return [];
    const after = unit === '' ? '' : ` ${unit}`;
    return [{ item, text: `the ${words} differs (${a}${after}, then ${b}${after})`, excludes }];
  });
}
