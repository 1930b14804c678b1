import { describe, expect, it } from 'vitest';
import { describeSite } from '../../shared/computations/describe/contribute.site.js';
import type { DescribeBroadcast, DescribeResult } from '../../shared/computations/describe/declaration.js';
import {
  type EventMark,
  exposedGroups,
  hiddenSites,
  type MarkedSite,
} from '../../shared/computations/describe/suppression.js';
import type { DescribeSpec, ValidateSpec } from '../../shared/computations/frame.js';
import { groupsOf } from '../../shared/computations/validate/declaration.js';
import { sumsHideSites, withheldAt } from '../../shared/computations/validate/withheld.site.js';
import { cohortOf, fitOf, frameOf, type Row, viewOf } from '../harmonization/support.js';

const TRAINING = ['alder', 'birch', 'cedar', 'dogwood', 'elm'];
const EXTERNAL = ['fir', 'gum', 'hazel', 'ivy'];
const SMALL: EventMark = { small: true, cover: false };
const COVER: EventMark = { small: false, cover: true };
/** Nobody has the event, or everybody: shown as it is, and no help to anyone. */
const NEITHER: EventMark = { small: false, cover: false };

function specOf(more: Partial<DescribeSpec> = {}): DescribeSpec {
  const frame = frameOf(TRAINING, ['f1'], [], { external: EXTERNAL });
  return { frame, outers: [TRAINING], hasSplit: false, showAggregate: [], quantiles: [0.5], ...more };
}

function marked(
  marks: Readonly<Record<string, EventMark>>,
  sizes: Readonly<Record<string, number>> = {},
): MarkedSite[] {
  return [...TRAINING, ...EXTERNAL].map((name, at) => {
    const mark = marks[name] ?? COVER;
    return { name, n: sizes[name] ?? 50 + at, marks: { whole: mark, parts: mark } };
  });
}

describe('who hides its events', () => {
  const hiddenOf = (marks: Readonly<Record<string, EventMark>>, spec = specOf(), sizes = {}) =>
    hiddenSites(spec, marked(marks, sizes)).whole;

  it('nobody where none are few; the small ones alone where they are minSites', () => {
    expect(hiddenOf({})).toEqual([]);
    expect(hiddenOf({ alder: SMALL, birch: SMALL, elm: SMALL })).toEqual(['alder', 'birch', 'elm']);
  });

  it('with fewer small ones the smallest other training sites too, then by name', () => {
    expect(hiddenOf({ alder: SMALL })).toEqual(['alder', 'birch', 'cedar']);
    expect(hiddenOf({ alder: SMALL }, specOf(), { elm: 20 })).toEqual(['alder', 'birch', 'elm']);
    expect(hiddenOf({ alder: SMALL }, specOf(), { birch: 30, cedar: 30, dogwood: 30 })).toEqual([
      'alder',
      'birch',
      'cedar',
    ]);
    expect(hiddenOf({ alder: SMALL, elm: SMALL })).toEqual(['alder', 'birch', 'elm']);
  });

  it('a site without any event covers nobody while another can; in need all training sites hide', () => {
    expect(hiddenOf({ alder: SMALL, birch: NEITHER })).toEqual(['alder', 'cedar', 'dogwood']);
    const few = specOf({ frame: frameOf(['alder', 'birch'], ['f1']), outers: [['alder', 'birch']] });
    expect(hiddenSites(few, marked({ alder: SMALL }).slice(0, 2)).whole).toEqual(['alder', 'birch']);
  });

  it('an external site hides alone: no total of events has it', () => {
    expect(hiddenOf({ fir: SMALL })).toEqual(['fir']);
    expect(hiddenOf({ fir: SMALL, alder: SMALL })).toEqual(['alder', 'birch', 'cedar', 'fir']);
  });

  it('leave-one-site-out shows each site’s totals by its consent, so none needs or gives cover', () => {
    const outers = [TRAINING, ...TRAINING.map((site) => TRAINING.filter((other) => other !== site))];
    expect(hiddenOf({ alder: SMALL }, specOf({ outers, showAggregate: TRAINING }))).toEqual(['alder']);
    expect(exposedGroups(specOf({ outers }), ['alder', 'birch', 'cedar'])).toEqual([['alder'], ['birch'], ['cedar']]);
  });
});

describe('what a site checks of the list that it is given', () => {
  const spec = specOf();
  const rowsOf = (site: string, events: number): Row[] =>
    Array.from({ length: 40 }, (_, at) => ({ id: `${site}-${at}`, site, features: [at], y: at < events ? 1 : 0 }));
  const viewAt = (site: string, events: number, results?: ReadonlyMap<string, unknown>) =>
    viewOf(cohortOf(site, rowsOf(site, events), ['f1']), spec.frame, results);
  const cover = ['alder', 'birch', 'cedar'];
  const round = (hidden: readonly string[], more: Partial<DescribeBroadcast & { phase: 'sums' }> = {}) => ({
    phase: 'sums' as const,
    exponents: Int32Array.of(2),
    sites: TRAINING,
    hidden: { whole: hidden, parts: hidden },
    shown: [...TRAINING, ...EXTERNAL].filter((site) => !hidden.includes(site)),
    pooledEvents: [],
    ...more,
  });
  const refusal = expect.objectContaining({ code: 'POLICY_SMALL_COUNT_EXPOSED' }) as unknown;
  const answers = (site: string, events: number, broadcast: DescribeBroadcast) =>
    describeSite.contribute(spec, broadcast, viewAt(site, events));

  it('follows an honest one: hidden sites send no events, the others theirs', () => {
    expect(answers('alder', 3, round(cover)).has('events/alder')).toBe(false);
    expect(answers('birch', 12, round(cover)).has('events/birch')).toBe(false);
    expect(answers('elm', 12, round(cover)).get('events/elm')).toEqual(Float64Array.of(12, 1));
    const pooled = answers('alder', 3, round(cover, { pooledEvents: cover }));
    expect(pooled.get('events')).toEqual(Float64Array.of(3));
  });

  it.each([
    ['leaves it out', round(['birch', 'cedar', 'dogwood'])],
    ['asks for its number all the same', round(cover, { shown: ['alder', 'elm'] })],
    ['names it alone', round(['alder'])],
    ['names it with one other', round(['alder', 'birch'])],
    ['fills up with external sites, which are in no total with it', round(['alder', 'birch', 'fir'])],
    ['says that most sites sit out, and asks them for their events', round(['alder'], { sites: ['alder'] })],
    ['adds its events up alone', round(cover, { pooledEvents: ['alder'] })],
    ['adds up some of the hidden ones', round([...cover, 'dogwood'], { pooledEvents: cover })],
  ])('refuses one that %s', (_, broadcast) => {
    expect(() => answers('alder', 3, broadcast)).toThrow(refusal);
  });

  it('refuses one that changes, in another attempt or in what describe is said to have found', () => {
    const view = viewAt('alder', 3);
    describeSite.contribute(spec, round(cover), view);
    describeSite.contribute(spec, round(cover), view);
    expect(() => describeSite.contribute(spec, round(['alder', 'dogwood', 'elm']), view)).toThrow(refusal);

    const validate = validateSpec({ perSite: true });
    const [group] = groupsOf(validate, { model: 'logistic', arm: 'none' });
    const result = (hidden: readonly string[], describedSites = TRAINING) =>
      ({
        hidden: { whole: hidden, parts: hidden },
        describedSites,
        excludedSites: [] as string[],
      }) as unknown as DescribeResult;
    const later = (described: DescribeResult | undefined) => () =>
      withheldAt(validate, group!, 'alder', { ...view, results: new Map([['describe', described]]) });
    expect(later(result(cover))()).toEqual({ outcome: true, n: false });
    expect(later(result(['alder', 'dogwood', 'elm']))).toThrow(refusal);
    expect(later(result(cover, ['alder', 'birch', 'cedar']))).toThrow(refusal);
    expect(later(undefined)).toThrow(refusal);
  });

  it('a site with few events keeps them back whatever it is told, one that sits out or covers does as told', () => {
    const validate = validateSpec({ perSite: true });
    const [group] = groupsOf(validate, { model: 'logistic', arm: 'none' });
    const told = (hidden: readonly string[], excludedSites: readonly string[] = []) =>
      new Map([['describe', { hidden: { whole: hidden, parts: hidden }, excludedSites, describedSites: TRAINING }]]);
    const kept = (site: string, events: number, results: ReadonlyMap<string, unknown>) =>
      withheldAt(validate, group!, site, viewAt(site, events, results)).outcome;
    expect(kept('alder', 3, told([]))).toBe(true);
    expect(kept('alder', 38, told([]))).toBe(true);
    expect(kept('alder', 12, told([]))).toBe(false);
    expect(kept('alder', 12, told(cover))).toBe(true);
    expect(kept('alder', 12, told([], ['alder']))).toBe(true);
  });

  it('without per-site numbers no sums are made over fewer than minSites sites that are in them', () => {
    const group = groupsOf(validateSpec({}), { model: 'logistic', arm: 'none' }).find(
      ({ name }) => name === 'external',
    )!;
    const sent = (perSite: boolean, hidden: readonly string[]) => {
      const results = new Map([['describe', { hidden: { whole: hidden, parts: hidden }, excludedSites: [] }]]);
      return sumsHideSites(validateSpec({ perSite }), group, viewAt('fir', 12, results));
    };
    expect(sent(false, ['fir'])).toBe(true);
    expect(sent(false, ['fir', 'gum'])).toBe(false);
    expect(sent(true, ['fir', 'gum'])).toBe(true);
  });

  function validateSpec(more: Partial<ValidateSpec>): ValidateSpec {
    return {
      frame: spec.frame,
      fits: [fitOf('none', TRAINING), fitOf('none', TRAINING, ['alder'])],
      models: [{ name: 'logistic', type: 'logistic', covariates: false }],
      threshold: 0.5,
      perSite: true,
      hasSplit: false,
      ...more,
    };
  }
});
