import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { compare } from '../conformance/compare.js';
import type { Row } from '../conformance/sheet.js';

/** One kind of reference under the folder walked. A part lists what is there and compares all of it; it knows no file by name. */
export interface Part {
  /** What `--only` names and the report shows as its group. */
  readonly name: string;
  run(folder: Folder, sheet: Sheet): Promise<void> | void;
}

/** The reference folder, by paths relative to it with `/`. */
export class Folder {
  /** @param inputs another such folder: images and settings that this one lacks are taken from there, never a reference result. */
  constructor(
    readonly root: string,
    private readonly inputs: Folder | null = null,
  ) {}

  path(...parts: string[]): string {
    return join(this.root, ...parts);
  }

  has(...parts: string[]): boolean {
    return existsSync(this.path(...parts));
  }

  /** Names of the files in a folder that match, sorted, without hidden ones; none where there is no such folder. */
  list(folder: string, matching = /./): string[] {
    if (!this.has(folder) || !statSync(this.path(folder)).isDirectory()) return [];
    return readdirSync(this.path(folder))
      .filter((name) => matching.test(name) && !name.startsWith('.'))
      .sort();
  }

  text(...parts: string[]): string {
    return readFileSync(this.path(...parts), 'utf8');
  }

  /** JSON as Python writes it: NaN and Infinity become null and text. */
  json<T>(...parts: string[]): T {
    const text = this.text(...parts)
      .replaceAll(/(?<=[[:,\s])NaN(?=[\s,\]}])/g, 'null')
      .replaceAll(/(?<=[[:,\s])(-?)Infinity(?=[\s,\]}])/g, '"$1Infinity"');
    return JSON.parse(text) as T;
  }

  /** The first image file of this name, whatever its format; undefined where there is none. */
  image(folder: string, name: string): string | undefined {
    const extension = /^\.(nrrd|nhdr|nii|nii\.gz|hdr|mha)$/;
    const found = this.list(folder).find((file) => file.startsWith(name) && extension.test(file.slice(name.length)));
    return found === undefined ? this.inputs?.image(folder, name) : this.path(folder, found);
  }

  /** A file that describes settings; undefined where there is none. */
  settings<T>(file: string): T | undefined {
    return this.has(file) ? this.json<T>(file) : this.inputs?.settings<T>(file);
  }
}

export interface Tolerance {
  readonly rel: number;
  readonly abs: number;
}

/** |difference| ≤ 1e-6 |reference| + 1e-10: what is asked of everything that follows PyRadiomics. */
export const PYRADIOMICS_TOLERANCE: Tolerance = { rel: 1e-6, abs: 1e-10 };

export interface Place {
  readonly case: string;
  readonly quantity: string;
  /** The file, with `#place in it`. */
  readonly reference: string;
  readonly version?: string;
}

/** One number of a reference and ours; null on either side is "no value". */
export interface Pair {
  readonly name: string;
  readonly want: number | null;
  readonly got: number | null | undefined;
  /** Where the number brings its own tolerance: the rule it states decides, and `error` is in units of it. */
  readonly rule?: { readonly passed: boolean; readonly error: number };
}

/** The report of one part. */
export class Sheet {
  readonly rows: Row[] = [];
  readonly problems: string[] = [];

  constructor(
    private readonly group: string,
    readonly progress: (line: string) => void = () => {},
  ) {}

  /** One row for all pairs: passes where every one is within the tolerance. */
  compare(place: Place, pairs: readonly Pair[], tolerance: Tolerance = PYRADIOMICS_TOLERANCE): void {
    let worst = 0;
    const off: string[] = [];
    for (const { name, want, got, rule } of pairs) {
      const { passed, error } = rule ?? judge(want, got, tolerance);
      worst = Math.max(worst, error);
      if (!passed) off.push(`${name}: ${got ?? 'no value'} for ${want ?? 'no value'}`);
    }
    const own = pairs.some((pair) => pair.rule !== undefined);
    const reason = off.length === 0 ? '' : `${off.length} of ${pairs.length} off: ${off.slice(0, 4).join('; ')}`;
    this.add(place, pairs.length === 0 || off.length > 0 ? 'fail' : 'pass', {
      values: pairs.length,
      worst,
      unit: own ? 'of the tolerance' : 'relative',
      tolerance: own ? 'as published' : `rel ${tolerance.rel} abs ${tolerance.abs}`,
      reason: pairs.length === 0 ? 'the reference holds no numbers here' : reason,
    });
  }

  /** One row for all samples of an image; the error is in shares of the reference's range. */
  compareSamples(place: Place, want: ArrayLike<number>, got: ArrayLike<number>, tolerance = 1e-6): void {
    let low = Number.POSITIVE_INFINITY;
    let high = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < want.length; i++) {
      if (want[i]! < low) low = want[i]!;
      if (want[i]! > high) high = want[i]!;
    }
    const range = high > low ? high - low : 1;
    const found = compare(
      want,
      got,
      { rel: 0, abs: tolerance, unit: 'of the range', basis: '' },
      { scale: () => range },
    );
    this.add(place, found.passed ? 'pass' : 'fail', {
      values: found.values,
      worst: found.worst,
      unit: found.unit,
      tolerance: `${tolerance} of the range`,
      reason: found.passed ? '' : found.detail,
    });
  }

  /** One row for all samples of a map, each held to the tolerance of a feature; NaN must meet NaN. */
  compareMap(place: Place, want: ArrayLike<number>, got: ArrayLike<number>, tolerance = PYRADIOMICS_TOLERANCE): void {
    const found = compare(want, got, { ...tolerance, unit: '', basis: '' });
    let worst = 0;
    for (let i = 0; i < want.length; i++) {
      const one = judge(nullable(want[i]!), nullable(got[i] ?? Number.NaN), tolerance);
      if (one.error > worst) worst = one.error;
    }
    this.add(place, found.passed ? 'pass' : 'fail', {
      values: found.values,
      worst,
      unit: 'relative',
      tolerance: `rel ${tolerance.rel} abs ${tolerance.abs}`,
      reason: found.passed ? '' : found.detail,
    });
  }

  /** Something that is either right or not. */
  check(place: Place, passed: boolean, reason: string): void {
    this.add(place, passed ? 'pass' : 'fail', { values: 1, reason: passed ? '' : reason });
  }

  unsupported(place: Place, reason: string): void {
    this.add(place, 'unsupported', { reason });
  }

  /** A file that should hold a reference and cannot be read: the whole run then ends with status 2. */
  unreadable(place: Place, error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    this.problems.push(`${place.reference} cannot be read: ${message}`);
    this.add(place, 'fail', { reason: `cannot be read: ${message}` });
  }

  /** Runs one comparison; what it throws is a problem of this one reference, and the next ones are still compared. */
  attempt(place: Place, comparison: () => void): void {
    try {
      comparison();
    } catch (error) {
      this.unreadable(place, error);
    }
  }

  private add(place: Place, status: Row['status'], rest: Partial<Row>): void {
    this.rows.push({
      group: this.group,
      case: place.case,
      quantity: place.quantity,
      // Features are of one image at one site: nothing here is federated.
      class: 'L',
      reference: place.reference,
      version: place.version ?? '',
      values: 0,
      worst: null,
      unit: '',
      tolerance: '',
      status,
      reason: '',
      ...rest,
    });
  }
}

function nullable(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}

function judge(
  want: number | null,
  got: number | null | undefined,
  { rel, abs }: Tolerance,
): { passed: boolean; error: number } {
  if (want === null || got === null || got === undefined || !Number.isFinite(got)) {
    const same = (want ?? Number.NaN) === got || (want === null && (got === null || Number.isNaN(got)));
    return { passed: same, error: same ? 0 : Number.POSITIVE_INFINITY };
  }
  const difference = Math.abs(got - want);
  const passed = difference <= rel * Math.abs(want) + abs;
  // Next to zero the absolute tolerance decides, and a relative error says nothing.
  const error =
    want === 0 ? (passed ? 0 : Number.POSITIVE_INFINITY) : difference <= abs ? 0 : difference / Math.abs(want);
  return { passed, error };
}
