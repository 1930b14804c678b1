import { type Imaging, regionsOf } from '../../shared/imaging.js';
import { pairs } from './case-plan.js';
import type { FeatureSet, FeatureValue } from './feature.js';

/** What one task gave. `volumeMm3` is the lesion's own, whatever the region around it. */
export interface ExtractedRegion {
  readonly timepoint: string;
  readonly phase: string;
  readonly region: string;
  readonly volumeMm3: number;
  readonly features: FeatureSet;
  /** Day of the examination, or null. */
  readonly date: string | null;
  /** Voxel size of the image before any resampling, in mm: two time points are compared only where it matches. */
  readonly spacingMm: readonly number[];
}

/** Voxel sizes of two examinations may differ by this share before their difference counts as one of acquisition. */
export const ACQUISITION_TOLERANCE = 0.1;

/**
 * One row of features for a patient: lesions put together, features of each phase and region, differences and ratios between phases, delta features between
 * time points. Missing parts give missing features with the reason; nothing is dropped silently.
 */
export function caseFeatures(imaging: Imaging, extracted: readonly ExtractedRegion[]): FeatureSet {
  const parts = new Map<string, Part>();
  for (const { timepoint, phase } of pairs(imaging))
    for (const { name } of regionsOf(imaging, phase)) {
      const lesions = extracted.filter(
        (one) => one.timepoint === timepoint && one.phase === phase && one.region === name,
      );
      if (lesions.length > 0) parts.set(key(timepoint, phase, name), together(imaging.lesions, lesions));
    }
  const all: FeatureSet = new Map();
  for (const { timepoint, phase } of pairs(imaging))
    for (const { name } of regionsOf(imaging, phase))
      put(all, prefix([timepoint, phase, name]), parts.get(key(timepoint, phase, name))?.features);
  for (const timepoint of imaging.timepoints.length === 0 ? [''] : imaging.timepoints)
    for (const { name } of imaging.regions) {
      const at = (phase: string) => parts.get(key(timepoint, phase, name))?.features;
      for (const [a, b] of imaging.difference)
        put(
          all,
          prefix([timepoint, `${a}-minus-${b}`, name]),
          combined(at(a), at(b), (x, y) => x - y),
        );
      for (const [a, b] of imaging.ratio)
        put(
          all,
          prefix([timepoint, `${a}-over-${b}`, name]),
          combined(at(a), at(b), (x, y) => x / y),
        );
    }
  if (imaging.delta !== undefined) deltas(imaging, imaging.delta, parts, all);
  return all;
}

interface Part {
  readonly features: FeatureSet;
  readonly date: string | null;
  readonly spacingMm: readonly number[];
}

const key = (timepoint: string, phase: string, region: string) => JSON.stringify([timepoint, phase, region]);
const prefix = ([timepoint, phase, region]: readonly [string, string, string]): string =>
  [timepoint, phase, region === 'lesion' ? '' : region].filter((word) => word !== '').join('_');

function put(all: FeatureSet, name: string, features: FeatureSet | undefined): void {
  for (const [feature, value] of features ?? []) all.set(`${name}_${feature}`, value);
}

function together(rule: Imaging['lesions'], lesions: readonly ExtractedRegion[]): Part {
  const [first, ...rest] = lesions;
  const { date, spacingMm } = first!;
  // The first of equally large lesions, so that the table's order decides and nothing else.
  const largest = rest.reduce((best, one) => (one.volumeMm3 > best.volumeMm3 ? one : best), first!);
  if (rule === 'all') return { features: overAll(lesions), date, spacingMm };
  if (rule === 'largest' || rest.length === 0) return { features: largest.features, date, spacingMm };
  const features: FeatureSet = new Map();
  for (const [name, { code }] of largest.features) {
    const values = lesions.map((lesion) => lesion.features.get(name));
    const lacking = values.find((value) => (value?.value ?? null) === null);
    let sum = 0;
    let volume = 0;
    for (const [at, lesion] of lesions.entries()) {
      sum += lesion.volumeMm3 * (values[at]?.value ?? Number.NaN);
      volume += lesion.volumeMm3;
    }
    features.set(
      name,
      lacking === undefined && volume > 0 ? known(sum / volume, code) : missing('a lesion has no value', code),
    );
  }
  return { features, date, spacingMm };
}

/**
 * Mean, smallest and largest value of each feature over a patient's lesions, and how many there are, so that the patient stays the unit of folds,
 * counts, thresholds and intervals. A lesion without a value is left out of that feature.
 */
function overAll(lesions: readonly ExtractedRegion[]): FeatureSet {
  const features: FeatureSet = new Map([['lesions', { value: lesions.length }]]);
  for (const [name, { code }] of lesions[0]!.features) {
    const values = lesions.map((lesion) => lesion.features.get(name)?.value ?? null).filter((value) => value !== null);
    const put = (kind: string, value: number) =>
      features.set(`${name}_${kind}`, values.length > 0 ? known(value, code) : missing('no lesion has a value', code));
    put('mean', values.reduce((sum, value) => sum + value, 0) / values.length);
    put('min', Math.min(...values));
    put('max', Math.max(...values));
  }
  return features;
}

const known = (value: number, code?: string): FeatureValue =>
  Number.isFinite(value) ? { value, ...(code === undefined ? {} : { code }) } : missing('not a finite number', code);
const missing = (reason: string, code?: string): FeatureValue => ({
  value: null,
  reason,
  ...(code === undefined ? {} : { code }),
});

function combined(
  a: FeatureSet | undefined,
  b: FeatureSet | undefined,
  of: (x: number, y: number) => number,
): FeatureSet | undefined {
  const names = (a ?? b)?.keys();
  if (names === undefined) return undefined;
  return new Map(
    [...names].map((name): [string, FeatureValue] => {
      const [x, y] = [a?.get(name)?.value ?? null, b?.get(name)?.value ?? null];
      return [name, x === null || y === null ? missing('one side of the comparison is missing') : known(of(x, y))];
    }),
  );
}

function deltas(
  imaging: Imaging,
  delta: NonNullable<Imaging['delta']>,
  parts: ReadonlyMap<string, Part>,
  all: FeatureSet,
): void {
  for (const phase of imaging.phases)
    for (const { name } of regionsOf(imaging, phase)) {
      const [from, to] = [delta.from, delta.to].map((timepoint) => parts.get(key(timepoint, phase, name)));
      const problem = from === undefined || to === undefined ? null : mismatch(delta.kind, from, to);
      const days = from === undefined || to === undefined ? Number.NaN : daysBetween(from, to);
      const of = (x: number, y: number) =>
        delta.kind === 'absolute' ? y - x : delta.kind === 'relative' ? (y - x) / x : (y - x) / days;
      const found = combined(from?.features, to?.features, of);
      const values =
        problem === null ? found : new Map([...(found?.keys() ?? [])].map((feature) => [feature, missing(problem)]));
      put(all, prefix(['delta', phase, name]), values);
    }
}

function mismatch(kind: NonNullable<Imaging['delta']>['kind'], from: Part, to: Part): string | null {
  const differs = from.spacingMm.some(
    (spacing, axis) => Math.abs(spacing - to.spacingMm[axis]!) > ACQUISITION_TOLERANCE * spacing,
  );
  if (differs) return 'the voxel size of the two examinations differs by more than a tenth';
  const days = daysBetween(from, to);
  if (kind === 'per-day' && Number.isNaN(days)) return 'the interval between the examinations is not known';
  return days <= 0 ? 'the later examination is not after the earlier one' : null;
}

/** Days between the two examinations, NaN where a date is missing. */
function daysBetween(from: Part, to: Part): number {
  if (from.date === null || to.date === null) return Number.NaN;
  return (Date.parse(`${to.date}T00:00:00Z`) - Date.parse(`${from.date}T00:00:00Z`)) / 86_400_000;
}

/** Names of all features that `caseFeatures` can give, from those of one region, in its order. */
export function caseFeatureNames(imaging: Imaging, names: readonly string[]): string[] {
  const features: FeatureSet = new Map(names.map((name) => [name, { value: 1 }]));
  const whole = pairs(imaging).flatMap(({ timepoint, phase }) =>
    regionsOf(imaging, phase).map(
      (region): ExtractedRegion => ({
        timepoint,
        phase,
        region: region.name,
        volumeMm3: 1,
        features,
        date: null,
        spacingMm: [1, 1, 1],
      }),
    ),
  );
  return [...caseFeatures(imaging, whole).keys()];
}
