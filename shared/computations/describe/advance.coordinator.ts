import { ConcordatError } from '../../errors.js';
import { powerOfTwo } from '../../fixed-point.js';
import { agreedExponents } from '../../scaling.js';
import { type Total, totalOf } from '../../tensors.js';
import type { CoordinatorHalf } from '../computation.js';
import type { DescribeSpec, Frame } from '../frame.js';
import { chiSquareUpperTail } from './chi-square.js';
import {
  type Association,
  type Binning,
  type CategoricalDescription,
  type Count,
  categoricalColumns,
  type DescribeBroadcast,
  type DescribeResult,
  describedSitesOf,
  exclusionReasons,
  type NumericDescription,
  numericColumns,
  REACH_SDS,
  SITE_COUNTS,
  type SiteDescription,
  siteEventsName,
  studySitesOf,
} from './declaration.js';
import { columnMinimum, fewestObserved, isSmall, SUPPRESSED, shownCounts, suppressSmall } from './small-counts.js';
import { type EventMark, type HiddenSites, hiddenSites, type MarkedSite } from './suppression.js';

export interface DescribeState {
  readonly phase: DescribeBroadcast['phase'];
  readonly described: readonly SiteDescription[];
  readonly sites: readonly string[];
  /** Patients of the sites whose columns are described. */
  readonly n: number;
  /** Patients of all sites that take part. */
  readonly casesN: number;
  readonly observed: Float64Array;
  readonly levels: Float64Array;
  readonly exponents: Int32Array;
  readonly hidden: HiddenSites;
  readonly shown: readonly string[];
  readonly pooledEvents: readonly string[];
  readonly events: Count;
  readonly mean: Float64Array;
  readonly sd: Float64Array;
  readonly binnings: readonly Binning[];
}

/** Spread below this share of the largest value is rounding of a constant column. */
const CONSTANT = 1e-14;

type Advance = ReturnType<CoordinatorHalf<DescribeSpec, DescribeBroadcast, DescribeState, DescribeResult>['advance']>;

/**
 * Four rounds: counts, sums (and the events of sites that may show them), squares about the mean, histograms.
 *
 * @throws ConcordatError STUDY_NO_TRAINING_PATIENTS where every training site sits out.
 */
export const describeCoordinator: CoordinatorHalf<DescribeSpec, DescribeBroadcast, DescribeState, DescribeResult> = {
  name: 'describe',
  watchesSites: true,
  start: () => ({ kind: 'step', state: EMPTY, broadcast: { phase: 'counts' } }),
  advance(spec, state, total): Advance {
    switch (state.phase) {
      case 'counts':
        return afterCounts(spec, total);
      case 'sums':
        return afterSums(spec.frame, state, total);
      case 'central':
        return afterCentral(spec.frame, state, total);
      case 'histograms':
        return { kind: 'done', result: resultOf(spec, state, total) };
    }
  },
};

const EMPTY: DescribeState = {
  phase: 'counts',
  described: [],
  sites: [],
  n: 0,
  casesN: 0,
  observed: new Float64Array(0),
  levels: new Float64Array(0),
  exponents: new Int32Array(0),
  hidden: { whole: [], parts: [] },
  shown: [],
  pooledEvents: [],
  events: 0,
  mean: new Float64Array(0),
  sd: new Float64Array(0),
  binnings: [],
};

function afterCounts(spec: DescribeSpec, total: Total): Advance {
  const { frame } = spec;
  const described = studySitesOf(frame).map((name) => {
    const counts = totalOf(total, `site/${name}`);
    // A site without any usable case says that it sits out.
    const isHeard = total.sites.includes(name) || counts.some((count) => count !== 0);
    return isHeard ? describeSite(frame, name, counts) : absentSite(name);
  });
  const taking = described.filter((site) => site.role !== 'excluded');
  if (!taking.some((site) => site.role === 'training'))
    throw new ConcordatError(
      'STUDY_NO_TRAINING_PATIENTS',
      `no training site has ${frame.minimumCohort} usable cases, so there is nobody to train a model on`,
    );
  requireLevelsAtEnoughSites(
    spec,
    taking.filter((site) => site.role === 'training').length,
    totalOf(total, 'levelSites'),
  );
  const marked = taking.map(({ name, n }): MarkedSite => {
    const counts = totalOf(total, `site/${name}`);
    const marks = { whole: markAt(counts, SITE_COUNTS.whole), parts: markAt(counts, SITE_COUNTS.parts) };
    return { name, n: typeof n === 'number' ? n : 0, marks };
  });
  const hidden = hiddenSites(spec, marked);
  const observed = totalOf(total, 'observed');
  const state: DescribeState = {
    ...EMPTY,
    phase: 'sums',
    described,
    sites: taking.map((site) => site.name).filter((name) => describedSitesOf(frame).includes(name)),
    n: observed[0]!,
    casesN: taking.reduce((sum, site) => sum + (typeof site.n === 'number' ? site.n : 0), 0),
    observed: observed.slice(1),
    levels: totalOf(total, 'levels'),
    exponents: agreedExponents(totalOf(total, 'exponents')),
    hidden,
    shown: taking.map((site) => site.name).filter((name) => !hidden.whole.includes(name)),
    pooledEvents: pooledSites(frame, hidden.whole),
  };
  const { exponents, sites, shown, pooledEvents } = state;
  return { kind: 'step', state, broadcast: { phase: 'sums', exponents, sites, hidden, shown, pooledEvents } };
}

/**
 * A level that fewer than minSites training sites have makes its row of every later Gram matrix a sum over those sites
 * alone, whatever the contributors of the whole tensor are. So the study ends before one is made, unless every training
 * site agreed that totals may isolate it. Throws COHORT_LEVEL_FEW_SITES.
 */
function requireLevelsAtEnoughSites(spec: DescribeSpec, trainingSites: number, marks: Float64Array): void {
  const { frame, showAggregate } = spec;
  if (frame.training.every((site) => showAggregate.includes(site))) return;
  // Where fewer sites train at all, everything isolates them, and that is judged tensor by tensor.
  const needed = Math.min(frame.minSites, trainingSites);
  const names = categoricalColumns(frame).flatMap(({ name, levels }) => levels.map((level) => `${name} = ${level}`));
  const few = names.filter((_, at) => marks[at]! > 0 && marks[at]! < needed);
  if (few.length > 0)
    throw new ConcordatError(
      'COHORT_LEVEL_FEW_SITES',
      `fewer than ${needed} sites have patients with ${few.join(', ')}`,
    );
}

/** All hidden sites, so that the study's events are known in total; nobody where that would show a smaller group's. */
function pooledSites(frame: Frame, hidden: readonly string[]): readonly string[] {
  const training = hidden.filter((site) => frame.training.includes(site)).length;
  const isEnough = (sites: number) => sites === 0 || sites >= frame.minSites;
  return isEnough(training) && isEnough(hidden.length - training) ? hidden : [];
}

function afterSums(frame: Frame, state: DescribeState, total: Total): Advance {
  const isWholeSum = everyDescribedSiteIn(state, total);
  const mean = totalOf(total, 'sums').map((sum, at) => {
    const n = state.observed[at]!;
    // A mean over few patients is close to one patient's value: neither sites nor readers are told.
    if (n === 0 || isSmall(n, columnMinimum(frame.minimumCount)) || !isWholeSum) return Number.NaN;
    return (sum / n) * powerOfTwo(state.exponents[at]!);
  });
  const described = state.described.map((site): SiteDescription => {
    if (!state.shown.includes(site.name)) return site;
    const [events, told] = totalOf(total, siteEventsName(site.name));
    // A site that went missing since the first round has told nothing.
    return told! > 0 ? { ...site, events: events! } : site;
  });
  const taking = described.filter((site) => site.role !== 'excluded');
  const told = taking.flatMap(({ events }) => (typeof events === 'number' ? [events] : []));
  const pooled = state.pooledEvents.length > 0 ? totalOf(total, 'events')[0]! : 0;
  const arePooled = state.pooledEvents.every((site) => total.sites.includes(site));
  const isWhole = arePooled && told.length + state.pooledEvents.length === taking.length;
  const events = isWhole ? told.reduce((sum, count) => sum + count, pooled) : SUPPRESSED;
  const { exponents, sites } = state;
  return {
    kind: 'step',
    state: { ...state, phase: 'central', described, mean, events },
    broadcast: { phase: 'central', exponents, sites, mean: mean.map((value) => (Number.isNaN(value) ? 0 : value)) },
  };
}

/** A site that went missing after it was counted: what is summed without it is over fewer patients than were observed. */
function everyDescribedSiteIn(state: DescribeState, total: Total): boolean {
  return state.sites.every((site) => total.sites.includes(site));
}

function afterCentral(frame: Frame, state: DescribeState, total: Total): Advance {
  const isWholeSum = everyDescribedSiteIn(state, total);
  const central = totalOf(total, 'central');
  const sd = central.map((squares, at) => {
    const n = state.observed[at]!;
    if (n < 2 || Number.isNaN(state.mean[at]) || !isWholeSum) return Number.NaN;
    const scaled = Math.sqrt(squares / (n - 1));
    return scaled > CONSTANT ? scaled * powerOfTwo(state.exponents[at]!) : 0;
  });
  const binnings = [...sd].map((spread, at): Binning => {
    // No more bins than one for every minimumCount patients, two of them for what lies beyond.
    const minimumCount = columnMinimum(frame.minimumCount);
    const bins = Math.floor(fewestObserved(state.observed[at]!, state.n, minimumCount) / minimumCount);
    if (!(spread > 0) || bins < 3) return { low: 0, width: 1, bins: 0 };
    return { low: state.mean[at]! - REACH_SDS * spread, width: (2 * REACH_SDS * spread) / (bins - 2), bins };
  });
  const patients = state.sites.map((name) => state.described.find((site) => site.name === name)!.n);
  const broadcast: DescribeBroadcast = {
    phase: 'histograms',
    sites: state.sites,
    // A site that takes part has no small number of patients.
    patients: patients.map((n) => (typeof n === 'number' ? n : 0)),
    binnings,
  };
  return { kind: 'step', state: { ...state, phase: 'histograms', sd, binnings }, broadcast };
}

function describeSite(frame: Frame, name: string, counts: Float64Array): SiteDescription {
  const count = (at: number): Count => (counts[at + 1]! > 0 ? SUPPRESSED : counts[at]!);
  const n = count(SITE_COUNTS.n);
  const sitsOut = counts[SITE_COUNTS.sitsOut]! > 0 || n === 0;
  const role = frame.training.includes(name) ? 'training' : 'external';
  return {
    name,
    role: sitsOut ? 'excluded' : role,
    n,
    // Filled in by the next round where the site may show it. Nobody has events where nobody is.
    events: n === 0 ? 0 : SUPPRESSED,
    exclusions: exclusionReasons(frame)
      .map((reason, index) => ({ reason, count: count(SITE_COUNTS.exclusions + 2 * index) }))
      .filter((entry) => entry.count !== 0),
  };
}

/** Missing in the first round (`onMissingSite: continue`): nothing is known of it, and it stays out of the whole study. */
function absentSite(name: string): SiteDescription {
  return { name, role: 'excluded', absent: true, n: SUPPRESSED, events: SUPPRESSED, exclusions: [] };
}

function markAt(counts: Float64Array, at: number): EventMark {
  return { small: counts[at]! > 0, cover: counts[at + 1]! > 0 };
}

function resultOf(spec: DescribeSpec, state: DescribeState, total: Total): DescribeResult {
  const histograms = totalOf(total, 'histograms');
  const isWholeSum = everyDescribedSiteIn(state, total);
  const { frame } = spec;
  const minimumCount = columnMinimum(frame.minimumCount);
  const columns: Record<string, NumericDescription | CategoricalDescription> = {};
  let offset = 0;
  for (const [at, { name }] of numericColumns(frame).entries()) {
    const n = state.observed[at]!;
    const mean = state.mean[at]!;
    const sd = state.sd[at]!;
    const binning = state.binnings[at]!;
    const cells = histograms.subarray(offset, offset + binning.bins);
    offset += binning.bins;
    const counts = shownCounts(n, state.n, minimumCount);
    if (isSmall(n, minimumCount)) {
      columns[name] = { ...counts, mean: SUPPRESSED, sd: SUPPRESSED, quantiles: null, resolution: null };
      continue;
    }
    const isConstant = n >= 2 && sd === 0;
    const fewest = fewestObserved(n, state.n, minimumCount);
    columns[name] = {
      ...counts,
      mean: Number.isNaN(mean) ? null : mean,
      sd: Number.isNaN(sd) ? null : sd,
      quantiles:
        (binning.bins > 0 && isWholeSum) || isConstant
          ? spec.quantiles.map((p) => ({ p, value: isConstant ? mean : quantile(frame, cells, binning, n, fewest, p) }))
          : null,
      resolution: binning.bins > 0 && isWholeSum ? binning.width : isConstant ? 0 : null,
    };
  }
  let level = 0;
  for (const { name, levels } of categoricalColumns(frame)) {
    const counts = state.levels.subarray(level, level + levels.length);
    level += levels.length;
    const n = counts.reduce((sum, count) => sum + count, 0);
    // Patients without a level are one more count of the same patients; where it is suppressed, so is n.
    const shown = suppressSmall([...counts, state.n - n], minimumCount);
    const missing = shown[levels.length]!;
    columns[name] = {
      n: missing === SUPPRESSED ? SUPPRESSED : n,
      missing,
      levels: levels.map((entry, index) => ({ level: entry, n: shown[index]! })),
    };
  }
  return {
    columns,
    sites: state.described,
    describedSites: state.sites,
    excludedSites: state.described.filter((site) => site.role === 'excluded').map((site) => site.name),
    outcome: { n: state.casesN, events: state.events },
    hidden: state.hidden,
    association: associationOf(frame, state.described),
  };
}

/** Inverse of the distribution function, inside its bin by the share of the bin's patients; null beyond the bins. */
function quantile(
  frame: Frame,
  cells: Float64Array,
  { low, width, bins }: Binning,
  n: number,
  fewest: number,
  p: number,
): Count | null {
  const rankOf = (of: number) => Math.min(of, Math.max(1, Math.ceil(p * of - 1e-9)));
  // A value that few patients reach is close to one patient's own.
  if (Math.min(rankOf(fewest), fewest - rankOf(fewest) + 1) < columnMinimum(frame.minimumCount)) return SUPPRESSED;
  const rank = rankOf(n);
  let before = 0;
  for (let bin = 0; bin < bins; bin++) {
    const count = cells[bin]!;
    if (before + count >= rank) {
      if (bin === 0 || bin === bins - 1) return null;
      return low + width * (bin - 1 + (rank - before - 0.5) / count);
    }
    before += count;
  }
  return null;
}

/** Pearson's chi-square of events by site, over the sites whose counts are shown. */
function associationOf(frame: Frame, described: readonly SiteDescription[]): Association {
  const rows = described.flatMap(({ name, role, n, events }) =>
    role !== 'excluded' && typeof n === 'number' && typeof events === 'number' ? [{ name, n, events }] : [],
  );
  const isBinary = frame.endpoint.type === 'binary';
  const left = described.filter((site) => site.role !== 'excluded' && !rows.some((row) => row.name === site.name));
  const base = {
    test: isBinary
      ? 'chi-square of outcome by site'
      : 'chi-square of number of events by site (not a log-rank test: follow-up time is not considered)',
    df: Math.max(0, rows.length - 1),
    sites: rows.map((row) => row.name),
  };
  const notes =
    left.length > 0
      ? [`left out because their events are suppressed: ${left.map((site) => site.name).join(', ')}`]
      : [];
  const n = rows.reduce((sum, row) => sum + row.n, 0);
  const share = rows.reduce((sum, row) => sum + row.events, 0) / n;
  if (rows.length < 2 || !(share > 0 && share < 1))
    return { ...base, statistic: null, p: null, warning: false, note: ['not estimable', ...notes].join('; ') };
  let statistic = 0;
  let smallestExpected = Number.POSITIVE_INFINITY;
  for (const row of rows) {
    const difference = row.events - row.n * share;
    statistic += (difference * difference) / (row.n * share * (1 - share));
    smallestExpected = Math.min(smallestExpected, row.n * share, row.n * (1 - share));
  }
  const p = chiSquareUpperTail(statistic, base.df);
  if (smallestExpected < 5) notes.push('approximate: an expected count is below 5');
  const warning = p < 0.05;
  if (warning)
    notes.unshift(
      'the outcome is not equally frequent at the sites, so removing site effects can remove real differences',
    );
  return { ...base, statistic, p, warning, note: notes.join('; ') };
}
