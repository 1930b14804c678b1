import { type Imaging, type ImagingRegion, regionsOf } from '../../shared/imaging.js';
import { deepNames, encodersOf } from '../../shared/imaging-deep.js';
import { pairs } from './case-plan.js';
import { acrossPhases, type ComparedImage, daysBetween, overTime } from './comparisons.js';
import type { FeatureSet, FeatureValue } from './feature.js';

/** What one task gave. `volumeMm3` is the lesion's own, whatever the region around it. */
export interface ExtractedRegion extends ComparedImage {
  readonly region: string;
  readonly volumeMm3: number;
  readonly features: FeatureSet;
}

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
      const between = (a: string, b: string, of: (x: number, y: number) => number) => {
        const [one, other] = [a, b].map((phase) => parts.get(key(timepoint, phase, name)));
        const problem = one === undefined || other === undefined ? null : acrossPhases(one.image, other.image);
        return withheld(problem, combined(one?.features, other?.features, of));
      };
      for (const [a, b] of imaging.difference)
        put(
          all,
          prefix([timepoint, `${a}-minus-${b}`, name]),
          between(a, b, (x, y) => x - y),
        );
      for (const [a, b] of imaging.ratio)
        put(
          all,
          prefix([timepoint, `${a}-over-${b}`, name]),
          between(a, b, (x, y) => x / y),
        );
    }
  if (imaging.delta !== undefined) deltas(imaging, imaging.delta, parts, all);
  return all;
}

interface Part {
  readonly features: FeatureSet;
  /** The image of the lesion, of the first one where there are several. */
  readonly image: ComparedImage;
}

const key = (timepoint: string, phase: string, region: string) => JSON.stringify([timepoint, phase, region]);
const prefix = ([timepoint, phase, region]: readonly [string, string, string]): string =>
  [timepoint, phase, region === 'lesion' ? '' : region].filter((word) => word !== '').join('_');

function put(all: FeatureSet, name: string, features: FeatureSet | undefined): void {
  for (const [feature, value] of features ?? []) all.set(`${name}_${feature}`, value);
}

function together(rule: Imaging['lesions'], lesions: readonly ExtractedRegion[]): Part {
  const [first, ...rest] = lesions;
  const image = first!;
  // The first of equally large lesions, so that the table's order decides and nothing else.
  const largest = rest.reduce((best, one) => (one.volumeMm3 > best.volumeMm3 ? one : best), first!);
  if (rule === 'all') return { features: overAll(lesions), image };
  if (rule === 'largest' || rest.length === 0) return { features: largest.features, image };
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
  return { features, image };
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
  all.set('delta_days', intervalOf(imaging, delta, parts));
  for (const phase of imaging.phases)
    for (const { name } of regionsOf(imaging, phase)) {
      const [from, to] = [delta.from, delta.to].map((timepoint) => parts.get(key(timepoint, phase, name)));
      const both = from !== undefined && to !== undefined;
      const problem = both ? (overTime(delta, from.image, to.image).excluded[0] ?? null) : null;
      const days = both ? daysBetween(from.image, to.image) : Number.NaN;
      const of = (x: number, y: number) =>
        delta.kind === 'absolute' ? y - x : delta.kind === 'relative' ? (y - x) / x : (y - x) / days;
      put(all, prefix(['delta', phase, name]), withheld(problem, combined(from?.features, to?.features, of)));
    }
}

/** Days between the two examinations, by the first phase whose images both have their date. */
function intervalOf(
  imaging: Imaging,
  delta: NonNullable<Imaging['delta']>,
  parts: ReadonlyMap<string, Part>,
): FeatureValue {
  for (const phase of imaging.phases)
    for (const { name } of regionsOf(imaging, phase)) {
      const [from, to] = [delta.from, delta.to].map((timepoint) => parts.get(key(timepoint, phase, name)));
      const days = from === undefined || to === undefined ? Number.NaN : daysBetween(from.image, to.image);
      if (days > 0) return known(days);
      if (days <= 0) return missing('the later examination is not after the earlier one');
    }
  return missing('the interval between the examinations is not known');
}

/** The same features without values where there is a problem. */
function withheld(problem: string | null, features: FeatureSet | undefined): FeatureSet | undefined {
  if (problem === null || features === undefined) return features;
  return new Map([...features.keys()].map((feature) => [feature, missing(problem)]));
}

/** Names of all features that `caseFeatures` can give, in its order, from those of one region; an encoder's are known from the study, without its model. */
export function caseFeatureNames(imaging: Imaging, names: readonly string[]): string[] {
  const namesOf = (region: ImagingRegion) => [
    ...names,
    ...encodersOf(imaging, region).flatMap(({ name, features }) => deepNames(name, features)),
  ];
  const whole = pairs(imaging).flatMap(({ timepoint, phase }) =>
    regionsOf(imaging, phase).map(
      (region): ExtractedRegion => ({
        timepoint,
        phase,
        region: region.name,
        volumeMm3: 1,
        features: new Map(namesOf(region).map((name) => [name, { value: 1 }])),
        date: null,
        spacingMm: [1, 1, 1],
      }),
    ),
  );
  return [...caseFeatures(imaging, whole).keys()];
}
