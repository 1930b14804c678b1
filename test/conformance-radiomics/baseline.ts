import { parse } from 'csv-parse/sync';
import { readImageFile } from '../../site-agent/imaging/shell/read-file.js';
import type { Volume } from '../../site-agent/imaging/volume.js';
import { type Extraction, extract } from '../../site-agent/radiomics/extract.js';
import { caseFiles, largestSlice } from './cases.js';
import type { Folder, Pair, Part, Place, Sheet } from './part.js';
import { settingsOf } from './pyradiomics.js';

/** Columns of the shipped baselines; `reproduced_…` is what the named commit of PyRadiomics gives on the same image. */
type Line = Readonly<Record<string, string>>;

interface BaselineSettings {
  readonly case: string;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly imageTypes?: Readonly<Record<string, unknown>>;
}

/** The baselines that PyRadiomics ships, one row a test and class; without the image, the classes of the mask alone. */
export const baseline: Part = {
  name: 'baseline',
  run(folder: Folder, sheet: Sheet): void {
    const place = 'pyradiomics/baseline';
    for (const file of folder.list(place, /\.csv$/)) {
      const reference = `${place}/${file}`;
      sheet.attempt({ case: file, quantity: 'baseline', reference }, () => {
        const lines = parse(folder.text(reference), { columns: true, skip_empty_lines: true }) as Line[];
        const described = settingsBeside(folder, place, file);
        for (const [key, rows] of grouped(lines, (line) => `${line['test']}/${line['feature_class']}`)) {
          const at = {
            case: rows[0]!['test']!,
            quantity: rows[0]!['feature_class']!,
            reference: `${reference}#${key}`,
          };
          sheet.attempt(at, () => compareTest(folder, sheet, at, rows, described[key]));
        }
      });
    }
  },
};

type Described = Readonly<Record<string, BaselineSettings>>;

/** The settings of each test and class: of the file named as the table where there is one, else of all such files. */
function settingsBeside(folder: Folder, place: string, file: string): Described {
  const own = file.replace(/\.csv$/, '_settings.json');
  const files = folder.has(place, own) ? [own] : folder.list(place, /_settings\.json$/);
  return Object.assign({}, ...files.map((name) => folder.json<Described>(place, name))) as Described;
}

function compareTest(
  folder: Folder,
  sheet: Sheet,
  at: Place,
  lines: readonly Line[],
  described: BaselineSettings | undefined,
): void {
  const { feature_class: featureClass, case: name } = lines[0]! as Record<'feature_class' | 'case', string>;
  const files = caseFiles(folder, name);
  if (described === undefined || files === null) {
    sheet.unsupported(
      at,
      described === undefined ? 'its settings are not in the folder' : 'its mask is not in the folder',
    );
    return;
  }
  const maskOnly = files.image === null;
  if (maskOnly && lines.some((line) => line['mask_only'] !== 'yes')) {
    sheet.unsupported(at, 'the image is not in the folder');
    return;
  }
  const params = { imageType: described.imageTypes ?? { Original: {} }, setting: described.settings };
  const settings = settingsOf(sheet, at, JSON.stringify({ ...params, featureClass: { [featureClass]: [] } }));
  if (settings === null) return;
  const mask = readImageFile(files.mask);
  const { label } = settings.preprocessing;
  const image = files.image === null ? flatImage(mask) : readImageFile(files.image);
  const got = extract({ image, mask: featureClass === 'shape2D' ? largestSlice(mask, label) : mask }, settings);
  compareLines(sheet, at, lines, got);
}

function compareLines(sheet: Sheet, at: Place, lines: readonly Line[], got: Extraction): void {
  if (got.status === 'failed') {
    sheet.check(at, false, `${got.reason.code}: ${got.reason.message}`);
    return;
  }
  const pairs: Pair[] = [];
  let version = '';
  for (const line of lines) {
    const reproduced = Object.keys(line).find((column) => column.startsWith('reproduced'));
    const text = (reproduced === undefined ? undefined : line[reproduced]) || line['value']!;
    version = reproduced ?? 'as shipped';
    const name = `${line['image_type']}_${line['feature_class']}_${line['feature']}`;
    const want = Number(text);
    pairs.push({ name, want: Number.isFinite(want) && text !== '' ? want : null, got: got.features.get(name)?.value });
  }
  sheet.compare({ ...at, version }, pairs);
}

/** For classes of the mask alone any image does. */
function flatImage(mask: Volume): Volume {
  return { ...mask, data: new Uint8Array(mask.data.length) };
}

export function grouped<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}
