import { ConcordatError } from '../../shared/errors.js';
import { type ConformanceCase, type Expectation, groupOf, pathIn, type Tolerance } from './case-model.js';
import { classOf, referenceErrorOf } from './classes.js';
import { type Comparison, compare } from './compare.js';
import { isRecord, numeric, readJson, UnreadableCase, valueAt } from './readers.js';

export interface Row {
  readonly group: string;
  readonly case: string;
  readonly quantity: string;
  readonly class: string;
  /** `file` or `file#path/in/it`, or the key of an expectation. */
  readonly reference: string;
  readonly version: string;
  readonly values: number;
  readonly worst: number | null;
  readonly unit: string;
  readonly tolerance: string;
  readonly status: 'pass' | 'fail' | 'unsupported';
  readonly reason: string;
}

/** Thrown while computing where Concordat does not (yet) offer the thing: listed as unsupported, never as a pass. */
export class NotCovered extends Error {}

/** Thrown by an expected refusal that Concordat gives as a named status in its result instead of an error. */
export class Reported extends Error {}

/** How one kind of case is read and computed. */
export interface KindRunner {
  /** The quantity at a place of a golden, without names that belong to the data: what classes.ts is asked about. */
  quantityOf(file: string, path: readonly string[], one: ConformanceCase): string;
  run(one: ConformanceCase, sheet: Sheet): void;
}

export interface Place {
  readonly file: string;
  readonly path?: readonly string[];
}

interface CompareOptions {
  /** Names in case.json's `tolerance`, the first that is there is used. */
  readonly tolerance: readonly string[];
  /** The reference's numbers where they are not simply all numbers at the place. */
  readonly want?: ArrayLike<number>;
  readonly quantity?: string;
  readonly scale?: (index: number) => number;
  readonly label?: (index: number) => string;
  readonly skip?: (index: number) => boolean;
  readonly note?: string;
  /** The reference's own way to the number, tried where Concordat's differs from it; the row says so. */
  readonly otherwise?: { readonly got: () => ArrayLike<number>; readonly note: string };
}

/**
 * The report of one case. A kind runner claims places of goldens by comparing them or saying why it cannot; `close`
 * then finds whatever nobody claimed, so that no number of a golden is passed over in silence.
 */
export class Sheet {
  readonly rows: Row[] = [];
  readonly group: string;
  private readonly claimed = new Map<string, Set<string>>();
  private readonly goldens = new Map<string, Record<string, unknown>>();
  private readonly honoured = new Set<string>();

  constructor(
    readonly one: ConformanceCase,
    private readonly runner: KindRunner,
  ) {
    this.group = groupOf(one);
  }

  json(file: string): Record<string, unknown> {
    let golden = this.goldens.get(file);
    if (golden === undefined) {
      golden = readJson(pathIn(this.one, file));
      this.goldens.set(file, golden);
    }
    return golden;
  }

  /** The numbers at a place, or undefined where there is nothing or text. */
  numbers(file: string, ...path: string[]): number[] | undefined {
    const value = valueAt(this.json(file), path);
    return value === undefined ? undefined : numeric(value);
  }

  expectation(key: string): Expectation | undefined {
    const found = this.one.document.expect[key];
    if (found !== undefined) this.honoured.add(key);
    return found;
  }

  compare(place: Place, got: () => ArrayLike<number>, options: CompareOptions): void {
    this.claim(place);
    const quantity = options.quantity ?? this.runner.quantityOf(place.file, place.path ?? [], this.one);
    const rule = classOf(this.group, quantity);
    if (rule === undefined) {
      this.unclassified(place, quantity);
      return;
    }
    if (rule.class === 'unsupported') {
      this.add(place, quantity, 'unsupported', { reason: rule.reason });
      return;
    }
    const want = options.want ?? this.numbers(place.file, ...(place.path ?? []));
    if (want === undefined) {
      this.add(place, quantity, 'fail', { reason: 'the golden holds no numbers here' });
      return;
    }
    const tolerance = this.toleranceOf(options.tolerance);
    if (tolerance === undefined) {
      this.add(place, quantity, 'fail', {
        reason: `case.json states no tolerance ${options.tolerance.join(' or ')}`,
      });
      return;
    }
    let comparison: Comparison;
    let note = options.note ?? '';
    try {
      comparison = compare(want, got(), tolerance, options);
      const known = referenceErrorOf(this.group, quantity);
      if (!comparison.passed && known !== undefined) {
        comparison = compare(want, got(), { ...tolerance, rel: tolerance.rel + known.rel }, options);
        note = `allowance of ${known.rel} relative for the reference: ${known.reason}`;
      }
      if (!comparison.passed && options.otherwise !== undefined) {
        const again = compare(want, options.otherwise.got(), tolerance, options);
        if (again.passed) {
          note = `${options.otherwise.note}; Concordat's own value is ${comparison.worst.toExponential(1)} off`;
          comparison = again;
        }
      }
    } catch (error) {
      if (error instanceof NotCovered) {
        this.add(place, quantity, 'unsupported', { reason: error.message });
        return;
      }
      if (error instanceof UnreadableCase) throw error;
      this.add(place, quantity, 'fail', { values: want.length, reason: `no answer: ${messageOf(error)}` });
      return;
    }
    if (comparison.values === 0) {
      this.add(place, quantity, 'unsupported', { reason: 'the case leaves no value to compare' });
      return;
    }
    const notes = [comparison.passed ? '' : comparison.detail, rule.reason, note];
    this.add(place, quantity, comparison.passed ? 'pass' : 'fail', {
      values: comparison.values,
      worst: comparison.worst,
      unit: comparison.unit,
      tolerance: comparison.tolerance,
      reason: notes.filter((note) => note !== '').join('; '),
    });
  }

  /** A call that must be refused with an error of Concordat's table: a result, or a crash, is a failure. */
  refusal(key: string, quantity: string, act: () => void): void {
    this.honoured.add(key);
    const place = { file: key };
    const rule = classOf(this.group, quantity);
    if (rule === undefined) {
      this.unclassified(place, quantity);
      return;
    }
    const result = { values: 1, unit: 'refusal', tolerance: 'must refuse' };
    try {
      act();
    } catch (error) {
      if (error instanceof NotCovered) {
        this.add(place, quantity, 'unsupported', { reason: error.message });
        return;
      }
      if (error instanceof UnreadableCase) throw error;
      const clear = error instanceof Reported || (error instanceof ConcordatError && error.code !== 'INTERNAL_BUG');
      this.add(place, quantity, clear ? 'pass' : 'fail', {
        ...result,
        worst: clear ? 0 : null,
        reason: clear ? `refused: ${messageOf(error)}` : `failed without a clear error: ${messageOf(error)}`,
      });
      return;
    }
    this.add(place, quantity, 'fail', { ...result, reason: 'gave a result where the case expects a refusal' });
  }

  /** A property that must hold; `act` gives null, or what is wrong. */
  check(key: string, quantity: string, act: () => string | null): void {
    this.honoured.add(key);
    const place = { file: key };
    if (classOf(this.group, quantity) === undefined) {
      this.unclassified(place, quantity);
      return;
    }
    let wrong: string | null;
    try {
      wrong = act();
    } catch (error) {
      if (error instanceof NotCovered) {
        this.add(place, quantity, 'unsupported', { reason: error.message });
        return;
      }
      if (error instanceof UnreadableCase) throw error;
      wrong = `no answer: ${messageOf(error)}`;
    }
    const fields = { values: 1, unit: 'property', tolerance: 'must hold', reason: wrong ?? '' };
    this.add(place, quantity, wrong === null ? 'pass' : 'fail', { ...fields, worst: wrong === null ? 0 : null });
  }

  unsupported(place: Place, reason: string, quantity?: string): void {
    this.claim(place);
    const name = quantity ?? this.runner.quantityOf(place.file, place.path ?? [], this.one);
    if (classOf(this.group, name) === undefined) {
      this.unclassified(place, name);
      return;
    }
    this.add(place, name, 'unsupported', { reason });
  }

  /** Unsupported for the reason that classes.ts gives. */
  unsupportedByClass(place: Place): void {
    this.claim(place);
    const quantity = this.runner.quantityOf(place.file, place.path ?? [], this.one);
    const rule = classOf(this.group, quantity);
    if (rule?.class !== 'unsupported') {
      this.unclassified(place, quantity);
      return;
    }
    this.add(place, quantity, 'unsupported', { reason: rule.reason });
  }

  /** A row that belongs to the whole case or to a key of `expect`. */
  remark(reference: string, quantity: string, status: 'fail' | 'unsupported', reason: string): void {
    this.honoured.add(reference);
    this.add({ file: reference }, quantity, status, { reason });
  }

  /** Lists what nobody claimed: unsupported where classes.ts says why, a failure otherwise. */
  close(): void {
    for (const [file, entry] of Object.entries(this.one.document.files)) {
      if (this.isClaimed(file, [])) continue;
      if (!file.endsWith('.json')) {
        this.leftOver(file, []);
        continue;
      }
      const golden = this.json(file);
      this.sweep(file, [], golden);
      const blocks = isRecord(entry['blocks']) ? Object.keys(entry['blocks']) : [];
      for (const block of blocks.filter((key) => !(key in golden)))
        this.add({ file, path: [block] }, block, 'unsupported', {
          reason: 'listed in case.json, absent from the golden',
        });
    }
    for (const [key, { outcome }] of Object.entries(this.one.document.expect))
      if (!this.honoured.has(key)) {
        const asksNothing = ['not_comparable', 'not_required', 'comparison_only', 'inexact'].includes(outcome);
        const reason = asksNothing
          ? `the case asks for no comparison here: "${outcome}"`
          : `expected outcome "${outcome}" of something that is not covered yet`;
        this.add({ file: key }, 'expectation', 'unsupported', { reason });
      }
  }

  private sweep(file: string, path: readonly string[], value: unknown): void {
    if (this.isClaimed(file, path)) return;
    if (path.length > 0) {
      const rule = classOf(this.group, this.runner.quantityOf(file, path, this.one));
      if (rule !== undefined) {
        if (!this.hasClaims(file, path)) {
          this.leftOver(file, path);
          return;
        }
      } else if (!isRecord(value) || Object.keys(value).length === 0) {
        this.leftOver(file, path);
        return;
      }
    }
    if (isRecord(value)) for (const [key, child] of Object.entries(value)) this.sweep(file, [...path, key], child);
    else if (path.length > 0 && !this.hasClaims(file, path)) this.leftOver(file, path);
  }

  private leftOver(file: string, path: readonly string[]): void {
    const place = { file, path };
    const quantity = this.runner.quantityOf(file, path, this.one);
    const rule = classOf(this.group, quantity);
    if (rule === undefined) {
      this.unclassified(place, quantity);
      return;
    }
    if (rule.class === 'text') return;
    if (rule.class === 'unsupported') {
      this.add(place, quantity, 'unsupported', { reason: rule.reason });
      return;
    }
    this.add(place, quantity, 'fail', { reason: `classified ${rule.class}, but the runner compared nothing here` });
  }

  private unclassified(place: Place, quantity: string): void {
    this.claim(place);
    this.add(place, quantity, 'fail', {
      reason: 'unclassified quantity: classes.ts says neither E, B, L nor unsupported',
    });
  }

  private toleranceOf(candidates: readonly string[]): Tolerance | undefined {
    for (const name of candidates) {
      const found = this.one.document.tolerance[name];
      if (found !== undefined) return found;
    }
    return undefined;
  }

  private add(place: Place, quantity: string, status: Row['status'], fields: Partial<Row>): void {
    const path = place.path ?? [];
    this.rows.push({
      group: this.group,
      case: this.one.name,
      quantity,
      class: status === 'unsupported' ? '' : labelOf(classOf(this.group, quantity)?.class),
      reference: path.length === 0 ? place.file : `${place.file}#${path.join('/')}`,
      version: this.one.document.files[place.file]?.version ?? '',
      values: 0,
      worst: null,
      unit: '',
      tolerance: '',
      status,
      reason: '',
      ...fields,
    });
  }

  private claim(place: Place): void {
    const claims = this.claimed.get(place.file) ?? new Set();
    claims.add(JSON.stringify(place.path ?? []));
    this.claimed.set(place.file, claims);
  }

  private isClaimed(file: string, path: readonly string[]): boolean {
    return this.claimed.get(file)?.has(JSON.stringify(path)) ?? false;
  }

  private hasClaims(file: string, path: readonly string[]): boolean {
    const start = JSON.stringify(path).slice(0, -1);
    for (const claim of this.claimed.get(file) ?? []) if (claim.startsWith(`${start},`)) return true;
    return false;
  }
}

function labelOf(name: string | undefined): string {
  return name === undefined || name === 'unsupported' || name === 'text' ? '' : name;
}

export function messageOf(error: unknown): string {
  if (error instanceof ConcordatError) return `${error.code}: ${error.message}`;
  return error instanceof Error ? error.message : String(error);
}
