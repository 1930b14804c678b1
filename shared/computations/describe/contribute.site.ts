import type { Cohort } from '../../cohort.site.js';
import { powerOfTwo } from '../../fixed-point.js';
import { CompensatedSum, EXPONENT_BINS, markExponent } from '../../scaling.js';
import type { SiteHalf } from '../computation.js';
import type { DescribeSpec, Frame } from '../frame.js';
import {
  type Binning,
  categoricalColumns,
  type DescribeBroadcast,
  describedSitesOf,
  exclusionReasons,
  numericColumns,
  SITE_COUNTS,
  siteEventsName,
  studySitesOf,
} from './declaration.js';
import { requireOwnNumbers, requireWideEnough } from './histogram-check.site.js';
import { refuseToBeLeftOut } from './left-out.site.js';
import { eventMarks, eventsAmong } from './marks.site.js';
import { checkSuppression } from './suppression-check.site.js';

/**
 * Counts and sums of all rows of the sites this holder has; a site below the minimum cohort only says that it is.
 *
 * @throws ConcordatError POLICY_SMALL_COUNT_EXPOSED where a round would let a small number of events be computed.
 */
export const describeSite: SiteHalf<DescribeSpec, DescribeBroadcast> = {
  name: 'describe',
  contribute(spec, broadcast, { cohort, memo }) {
    const { frame } = spec;
    const contribution = new Map<string, Float64Array>();
    if (broadcast.phase === 'counts') {
      // A site that has no usable case left still says so, with what was left out.
      for (const name of studySitesOf(frame))
        if (cohort.sites.includes(name) || cohort.exclusions.some((entry) => entry.site === name))
          contribution.set(`site/${name}`, siteCounts(cohort, spec, cohort.sites.indexOf(name), name));
      const known = describedSitesOf(frame);
      const taking = rowsOfSites(
        cohort,
        (name, site) => known.includes(name) && rowsAt(cohort, site).length >= frame.minimumCohort,
      );
      contribution.set('exponents', exponents(cohort, frame, taking));
      contribution.set('observed', observed(cohort, frame, taking));
      contribution.set('levels', levels(cohort, frame, taking));
      contribution.set('levelSites', levelSites(cohort, frame));
      return contribution;
    }
    refuseToBeLeftOut(frame, broadcast.sites, cohort);
    const taking = rowsOfSites(cohort, (name) => broadcast.sites.includes(name));
    const columns = numericColumns(frame);
    if (broadcast.phase === 'histograms') {
      requireOwnNumbers(frame, broadcast, cohort);
      for (const [at, column] of columns.entries())
        requireWideEnough(broadcast, broadcast.binnings[at]!, valuesOf(cohort, column, taking));
      contribution.set('histograms', histograms(cohort, frame, taking, broadcast.binnings));
      return contribution;
    }
    if (broadcast.phase === 'sums') {
      checkSuppression(spec, broadcast, cohort, memo);
      const sums = columns.map((column, at) => {
        const sum = new CompensatedSum();
        for (const value of valuesOf(cohort, column, taking)) sum.add(value);
        return sum.value * powerOfTwo(-broadcast.exponents[at]!);
      });
      contribution.set('sums', Float64Array.from(sums));
      for (const [site, name] of cohort.sites.entries()) {
        const rows = rowsAt(cohort, site);
        if (broadcast.shown.includes(name) && rows.length >= frame.minimumCohort)
          contribution.set(siteEventsName(name), Float64Array.of(eventsAmong(cohort, rows), 1));
      }
      if (broadcast.pooledEvents.length > 0) {
        const pooled = rowsOfSites(cohort, (name) => broadcast.pooledEvents.includes(name));
        contribution.set('events', Float64Array.of(eventsAmong(cohort, pooled)));
      }
      return contribution;
    }
    const central = columns.map((column, at) => {
      const scale = powerOfTwo(-broadcast.exponents[at]!);
      let squares = 0;
      for (const value of valuesOf(cohort, column, taking)) {
        const deviation = (value - broadcast.mean[at]!) * scale;
        squares += deviation * deviation;
      }
      return squares;
    });
    contribution.set('central', Float64Array.from(central));
    return contribution;
  },
};

type NumericColumn = ReturnType<typeof numericColumns>[number];

function rowsAt(cohort: Cohort, site: number): number[] {
  return [...cohort.siteOf.keys()].filter((row) => cohort.siteOf[row] === site);
}

function rowsOfSites(cohort: Cohort, takes: (name: string, site: number) => boolean): number[] {
  const flags = cohort.sites.map(takes);
  return [...cohort.siteOf.keys()].filter((row) => flags[cohort.siteOf[row]!]);
}

function siteCounts(cohort: Cohort, spec: DescribeSpec, site: number, name: string): Float64Array {
  const { frame } = spec;
  const reasons = exclusionReasons(frame);
  const counts = new Float64Array(SITE_COUNTS.exclusions + 2 * reasons.length);
  const put = (at: number, count: number, small: boolean) => {
    counts[at] = small ? 0 : count;
    counts[at + 1] = small ? 1 : 0;
  };
  const isSmall = (count: number) => count > 0 && count < frame.minimumCount;
  const rows = rowsAt(cohort, site);
  counts[SITE_COUNTS.sitsOut] = rows.length < frame.minimumCohort ? 1 : 0;
  put(SITE_COUNTS.n, rows.length, isSmall(rows.length));
  const marks = eventMarks(cohort, spec, name);
  for (const what of ['whole', 'parts'] as const) {
    counts[SITE_COUNTS[what]] = marks[what].small ? 1 : 0;
    counts[SITE_COUNTS[what] + 1] = marks[what].cover ? 1 : 0;
  }
  const byReason = new Map<string, number>();
  for (const entry of cohort.exclusions) {
    if (entry.site !== name) continue;
    const reason = reasons.includes(entry.reason) ? entry.reason : 'other';
    byReason.set(reason, (byReason.get(reason) ?? 0) + entry.count);
  }
  for (const [index, reason] of reasons.entries()) {
    const count = byReason.get(reason) ?? 0;
    put(SITE_COUNTS.exclusions + 2 * index, count, isSmall(count));
  }
  return counts;
}

/** Observed values of a column in row order. */
function valuesOf(cohort: Cohort, column: NumericColumn, rows: readonly number[]): number[] {
  const isFeature = column.feature >= 0;
  const table = isFeature ? cohort.features : cohort.covariates;
  const width = isFeature ? cohort.featureNames.length : cohort.covariateColumns.length;
  const at = isFeature ? column.feature : column.covariate;
  const values: number[] = [];
  for (const row of rows) {
    const value = table[row * width + at]!;
    if (!Number.isNaN(value)) values.push(value);
  }
  return values;
}

function exponents(cohort: Cohort, frame: Frame, taking: readonly number[]): Float64Array {
  const columns = numericColumns(frame);
  const marks = new Float64Array(columns.length * EXPONENT_BINS);
  for (const site of cohort.sites.keys()) {
    const rows = taking.filter((row) => cohort.siteOf[row] === site);
    for (const [at, column] of columns.entries()) {
      const values = valuesOf(cohort, column, rows);
      if (values.length === 0) continue;
      const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      markExponent(marks, at, largest, column.name);
    }
  }
  return marks;
}

function observed(cohort: Cohort, frame: Frame, taking: readonly number[]): Float64Array {
  const counts = numericColumns(frame).map((column) => valuesOf(cohort, column, taking).length);
  return Float64Array.of(taking.length, ...counts);
}

/** One mark for each level that a training site has, for every such site of this holder. */
function levelSites(cohort: Cohort, frame: Frame): Float64Array {
  const marks = new Float64Array(categoricalColumns(frame).reduce((sum, column) => sum + column.levels.length, 0));
  for (const [site, name] of cohort.sites.entries()) {
    const rows = rowsAt(cohort, site);
    if (!frame.training.includes(name) || rows.length < frame.minimumCohort) continue;
    for (const [at, count] of levels(cohort, frame, rows).entries()) if (count > 0) marks[at]! += 1;
  }
  return marks;
}

function levels(cohort: Cohort, frame: Frame, taking: readonly number[]): Float64Array {
  const c = cohort.covariateColumns.length;
  return Float64Array.from(
    categoricalColumns(frame).flatMap(({ levels: names, covariate }) =>
      names.map((_, level) => taking.filter((row) => cohort.covariates[row * c + covariate] === level).length),
    ),
  );
}

function histograms(
  cohort: Cohort,
  frame: Frame,
  taking: readonly number[],
  binnings: readonly Binning[],
): Float64Array {
  const counts = new Float64Array(binnings.reduce((sum, binning) => sum + binning.bins, 0));
  let offset = 0;
  for (const [at, column] of numericColumns(frame).entries()) {
    const { low, width, bins } = binnings[at]!;
    if (bins > 0)
      for (const value of valuesOf(cohort, column, taking)) {
        const bin = Math.floor((value - low) / width) + 1;
        counts[offset + Math.min(bins - 1, Math.max(0, bin))]! += 1;
      }
    offset += bins;
  }
  return counts;
}
