import { EXPONENT_BINS } from '../../scaling.js';
import { COUNT, STATISTIC, type TensorSpec } from '../../tensors.js';
import type { Declaration } from '../computation.js';
import type { DescribeSpec, Frame } from '../frame.js';
import type { HiddenSites } from './suppression.js';

/** A count below the study's minimum is a value of its own, not 0 (law 7). */
export type Count = number | { readonly suppressed: true };

export interface NumericDescription {
  /** Patients with a value and without. Both are suppressed where either is small: their sum is public. */
  readonly n: Count;
  readonly missing: Count;
  /**
   * Null where nobody observed the column, and where a site that was counted went missing (`onMissingSite: continue`) before it
   * was summed; suppressed where few observed it. sd has divisor n - 1 and is null for n < 2.
   */
  readonly mean: Count | null;
  readonly sd: Count | null;
  /**
   * Smallest value with at least that share of the patients at or below it, from a histogram: it lies within one
   * `resolution` of the true one. Null where it falls beyond four sd of the mean, where the histogram ends; suppressed
   * where fewer than minimumCount patients lie on one side of it (so the smallest and largest value are not told). No quantiles
   * at all where sd is null, or a counted site is missing in the histogram.
   */
  readonly quantiles:
    | readonly { readonly p: number; readonly value: number | null | { readonly suppressed: true } }[]
    | null;
  /** Width of a histogram bin: how far a quantile may be off. */
  readonly resolution: number | null;
}

export interface CategoricalDescription {
  /** Suppressed where `missing` is. */
  readonly n: Count;
  readonly missing: Count;
  /** A small count of levels or of `missing` is suppressed, and more beside it where the rest would give it away. */
  readonly levels: readonly { readonly level: string; readonly n: Count }[];
}

export interface SiteDescription {
  readonly name: string;
  /** `excluded`: fewer cases than the minimum cohort, or `absent`; it sits out. */
  readonly role: 'training' | 'external' | 'excluded';
  /** Missing when the study began (`onMissingSite: continue`): its counts are unknown, which is shown as suppressed. */
  readonly absent?: true;
  readonly n: Count;
  readonly events: Count;
  readonly exclusions: readonly { readonly reason: string; readonly count: Count }[];
}

/** Chi-square test of the outcome's frequency over sites: centring sites also removes real differences in case mix. */
export interface Association {
  readonly test: string;
  readonly statistic: number | null;
  readonly df: number;
  readonly p: number | null;
  /** Sites whose counts are in it: those whose events are not suppressed. */
  readonly sites: readonly string[];
  /** True at p < 0.05: outcome frequency differs between sites. */
  readonly warning: boolean;
  readonly note: string;
}

export interface DescribeResult {
  readonly columns: Readonly<Record<string, NumericDescription | CategoricalDescription>>;
  readonly sites: readonly SiteDescription[];
  /** Sites below the minimum cohort or missing when the study began, named. */
  readonly excludedSites: readonly string[];
  /** Sites whose patients `columns` describes. */
  readonly describedSites: readonly string[];
  readonly outcome: { readonly n: number; readonly events: Count };
  /** Sites that show no number of events: few of their own, or to cover such a site. */
  readonly hidden: HiddenSites;
  readonly association: Association;
}

/**
 * Those of `sites` whose patients are in sums after `describe`: sites that sit out send zeros, so they hide nobody.
 * `own` always counts, so that a site is never talked out of guarding itself.
 */
export function contributingSites(
  sites: readonly string[],
  results: ReadonlyMap<string, unknown>,
  own: string | null,
): string[] {
  const described = results.get('describe') as DescribeResult | undefined;
  return sites.filter((site) => site === own || described?.excludedSites.includes(site) !== true);
}

/** The histogram reaches this many standard deviations to either side of the mean. */
export const REACH_SDS = 4;

/** One column's histogram: all below `low`, then bins - 2 bins of `width` from `low` on, then all beyond. */
export interface Binning {
  readonly low: number;
  readonly width: number;
  readonly bins: number;
}

export type DescribeBroadcast =
  | { readonly phase: 'counts' }
  | {
      readonly phase: 'sums';
      readonly exponents: Int32Array;
      /** Sites that take part: not below the minimum cohort. */
      readonly sites: readonly string[];
      /** Sites that keep their number of events back, now and in every later computation. */
      readonly hidden: HiddenSites;
      /** Sites that show it: all others that take part. */
      readonly shown: readonly string[];
      /** Hidden sites whose events are added up: of the training and of the external ones none, or all, and at least minSites. */
      readonly pooledEvents: readonly string[];
    }
  | {
      readonly phase: 'central';
      readonly exponents: Int32Array;
      readonly sites: readonly string[];
      readonly mean: Float64Array;
    }
  | {
      readonly phase: 'histograms';
      readonly sites: readonly string[];
      /** How many patients each of `sites` has: all sign the same list, and each knows its own entry. */
      readonly patients: readonly number[];
      readonly binnings: readonly Binning[];
    };

/** Numeric columns in result order: features, then numeric covariates (index into frame.covariates). */
export function numericColumns(frame: Frame): { name: string; feature: number; covariate: number }[] {
  return [
    ...frame.features.map((name, feature) => ({ name, feature, covariate: -1 })),
    ...frame.covariates.flatMap(({ name, levels }, covariate) =>
      levels === null ? [{ name, feature: -1, covariate }] : [],
    ),
  ];
}

export function categoricalColumns(frame: Frame): { name: string; levels: readonly string[]; covariate: number }[] {
  return frame.covariates.flatMap(({ name, levels }, covariate) =>
    levels === null ? [] : [{ name, levels, covariate }],
  );
}

/** Why all cases of a site that sits out are left out. */
export const BELOW_MINIMUM_COHORT = 'cohort below the minimum';

/** Reasons a case can be left out for, known beforehand so that their counts can be declared; others count as `other`. */
export function exclusionReasons(frame: Frame): string[] {
  return [
    'outcome missing',
    'follow-up time missing',
    'split missing',
    'batch missing',
    'stratum missing',
    'all features missing',
    BELOW_MINIMUM_COHORT,
    ...frame.covariates.map(({ name }) => `covariate ${name} missing`),
    'other',
  ];
}

/**
 * Positions in a site's own tensor. n and each exclusion are followed by a 1 where they are suppressed. Of events only marks
 * are here (small, then cover; see suppression.ts): who may show their number follows from all sites' marks.
 */
export const SITE_COUNTS = { sitsOut: 0, n: 1, whole: 3, parts: 5, exclusions: 7 } as const;

export function siteEventsName(site: string): string {
  return `events/${site}`;
}

export function studySitesOf(frame: Frame): string[] {
  return [...frame.training, ...frame.external].sort();
}

/**
 * Sites whose patients are in the description of the columns: the training sites, and the external ones where there are at
 * least minSites of them. Later sums go over the training sites alone, so a single external site could otherwise be had
 * by subtraction.
 */
export function describedSitesOf(frame: Frame): string[] {
  return frame.external.length >= frame.minSites ? studySitesOf(frame) : [...frame.training].sort();
}

/** `describe`: what the cohort looks like, before anything is modelled. Four rounds over all sites of the study. */
export const describeDeclaration: Declaration<DescribeSpec, DescribeBroadcast> = {
  name: 'describe',
  leaves({ frame }, broadcast) {
    const columns = numericColumns(frame).length;
    if (broadcast.phase === 'counts') {
      const levels = categoricalColumns(frame).reduce((sum, column) => sum + column.levels.length, 0);
      const sites = describedSitesOf(frame);
      return [
        ...studySitesOf(frame).map(
          (site): TensorSpec => ({
            ...common(frame, [site]),
            ...COUNT,
            name: `site/${site}`,
            kind: 'describe.site',
            shape: [SITE_COUNTS.exclusions + 2 * exclusionReasons(frame).length],
            meaning: `number of patients and of left-out cases of ${site}, and whether its events are few; a small count leaves as a mark, not as a number`,
          }),
        ),
        {
          ...common(frame, sites),
          ...COUNT,
          name: 'exponents',
          kind: 'describe.exponents',
          shape: [columns, EXPONENT_BINS],
          meaning: 'order of magnitude (in steps of 16) of the largest value of each column, one mark a site',
        },
        {
          ...common(frame, sites),
          ...COUNT,
          name: 'observed',
          kind: 'describe.observed',
          shape: [columns + 1],
          meaning: 'number of patients, and how many have each column',
        },
        {
          ...common(frame, sites),
          ...COUNT,
          name: 'levels',
          kind: 'describe.levels',
          shape: [levels],
          meaning: 'number of patients with each level of a categorical column',
        },
        {
          ...common(frame, [...frame.training].sort()),
          ...COUNT,
          name: 'levelSites',
          kind: 'describe.levelSites',
          shape: [levels],
          meaning: 'number of training sites that have each level of a categorical column, one mark a site',
        },
      ];
    }
    if (broadcast.phase === 'histograms')
      return [
        {
          ...common(frame, broadcast.sites),
          ...COUNT,
          name: 'histograms',
          kind: 'describe.histograms',
          shape: [broadcast.binnings.reduce((sum, binning) => sum + binning.bins, 0)],
          meaning: 'histogram of each column on bins fixed from the published mean and sd',
        },
      ];
    const statistic: Omit<TensorSpec, 'name' | 'kind' | 'meaning'> = {
      ...common(frame, broadcast.sites),
      ...STATISTIC,
      shape: [columns],
    };
    if (broadcast.phase === 'central')
      return [
        {
          ...statistic,
          name: 'central',
          kind: 'describe.central',
          meaning: 'squared deviations from the overall mean',
        },
      ];
    const events: TensorSpec = {
      ...common(frame, broadcast.pooledEvents),
      ...COUNT,
      name: 'events',
      kind: 'describe.events',
      shape: [1],
      meaning: 'events of the sites whose own number of events is suppressed, together',
    };
    return [
      { ...statistic, name: 'sums', kind: 'describe.sums', meaning: 'sum of each column over the patients' },
      ...broadcast.shown.map(
        (site): TensorSpec => ({
          ...common(frame, [site]),
          ...COUNT,
          visibility: 'site',
          name: siteEventsName(site),
          kind: 'describe.site-events',
          shape: [2],
          meaning: `number of events of ${site}, where neither it nor, by subtraction, a small one at another site is told`,
        }),
      ),
      ...(broadcast.pooledEvents.length > 0 ? [events] : []),
    ];
  },
};

function common(frame: Frame, sites: readonly string[]) {
  const cells = Array.from({ length: Math.max(1, frame.cells) }, (_, cell) => cell);
  return {
    contributors: sites.map((site) => ({ site, cells })),
    visibility: sites.length < frame.minSites ? ('site' as const) : ('total' as const),
    momentColumns: 0,
    fold: 'study',
  };
}
