import { describe, expect, it } from 'vitest';
import type { DescribeResult } from '../../shared/computations/describe/declaration.js';
import type { Frame, ModelResult, ValidateSpec } from '../../shared/computations/frame.js';
import {
  FLAG,
  groupsOf,
  PAIR_ENTRIES,
  siteMetricNames,
  siteTensorName,
  tensorName,
  type ValidateBroadcast,
} from '../../shared/computations/validate/declaration.js';
import type { ValidateResult } from '../../shared/computations/validate/result.js';
import { fitContributors } from '../../shared/fits.js';
import { combinations } from '../../shared/guard-span.js';
import type { Plan } from '../../shared/plan.js';
import { describeLeaves } from '../../site-agent/egress.js';
import { previewLeaves } from '../../site-agent/preview.js';
import { type Design, runDesign, type Seen, type SiteCounts } from './suppression-study.js';

/**
 * An attacker with every broadcast, every total and every tensor visible per site (so the coordinator, or more than any
 * reader of result.json) writes down all linear equations in the unknown numbers of events: one unknown for each site,
 * inner fold and part of the split. Then it solves.
 */
const MINIMUM_COUNT = 5;
const MIN_SITES = 3;

interface Equation {
  readonly terms: ReadonlyMap<string, number>;
  readonly value: number;
}

class Attacker {
  readonly unknowns: string[] = [];
  readonly equations: Equation[] = [];
  private readonly frame: Frame;

  constructor(
    plan: Plan,
    private readonly design: Design,
    seen: readonly Seen[],
  ) {
    this.frame = plan.frame;
    for (const site of [...this.frame.training, ...this.frame.external])
      for (const part of ['train', 'test'])
        for (let cell = 0; cell < this.frame.cells; cell++) this.unknowns.push(`${site}/${part}/${cell}`);
    for (const site of [...this.frame.training, ...this.frame.external])
      if (this.countsOf(site).test === undefined) this.learn(this.terms([site], ['test']), 0);
    for (const round of seen) this.read(plan, round);
  }

  countsOf(site: string): SiteCounts {
    return { ...this.design.training, ...this.design.external }[site]!;
  }

  /** The exact sum of events over these sites and parts, or null where the equations do not give it. */
  recover(sites: readonly string[], parts: readonly string[]): number | null {
    const target = this.terms(sites, parts);
    const rows = this.equations.map(({ terms, value }) => [
      ...this.unknowns.map((name) => terms.get(name) ?? 0),
      value,
    ]);
    let wanted = [...this.unknowns.map((name) => target.get(name) ?? 0), 0];
    // Gauss-Jordan on small whole numbers; what is left of the target says whether the equations span it.
    for (let column = 0; column < this.unknowns.length; column++) {
      const at = rows.findIndex((row) => Math.abs(row[column]!) > 1e-9);
      if (at < 0) continue;
      const [pivot] = rows.splice(at, 1) as [number[]];
      const without = (row: number[]) => {
        const factor = row[column]! / pivot[column]!;
        return row.map((value, index) => (index === column ? 0 : value - factor * pivot[index]!));
      };
      for (const [index, row] of rows.entries()) rows[index] = without(row);
      wanted = without(wanted);
    }
    if (wanted.slice(0, -1).some((value) => Math.abs(value) > 1e-9)) return null;
    return Math.round(-wanted.at(-1)!);
  }

  private terms(sites: readonly string[], parts: readonly string[], cells?: readonly number[]): Map<string, number> {
    const wanted = cells ?? Array.from({ length: this.frame.cells }, (_, cell) => cell);
    return new Map(
      sites.flatMap((site) => parts.flatMap((part) => wanted.map((cell) => [`${site}/${part}/${cell}`, 1] as const))),
    );
  }

  private learn(terms: ReadonlyMap<string, number>, value: number): void {
    this.equations.push({ terms, value });
  }

  private read(plan: Plan, { instance, broadcast, leaves, total }: Seen): void {
    for (const leaf of leaves) {
      const values = total.values.get(leaf.name)!;
      const [, ...rest] = leaf.name.split('/');
      if (leaf.kind === 'describe.site-events' && values[1] === 1)
        this.learn(this.terms([rest[0]!], ['train', 'test']), values[0]!);
      if (leaf.kind === 'describe.events')
        this.learn(
          this.terms(
            leaf.contributors.map(({ site }) => site),
            ['train', 'test'],
          ),
          values[0]!,
        );
      if (leaf.kind === 'logistic.counts' || leaf.kind === 'cox.counts') {
        const fit = plan.fits.find(({ id }) => leaf.name === `${id}/counts`)!;
        const { sites } = fit;
        this.learn(this.terms(sites, ['train'], fitContributors(fit, this.frame.cells)[0]!.cells), values[1]!);
      }
      if (leaf.kind === 'validate.count')
        this.learn(this.terms(plan.fits.find(({ outer }) => outer === rest[0])!.sites, ['train']), values[1]!);
      if (leaf.kind === 'validate.histogram') {
        const bins = values.length / 2;
        const events = values.subarray(bins).reduce((sum, count) => sum + count, 0);
        this.learn(this.terms(plan.fits.find(({ outer }) => outer === rest[2])!.sites, ['train']), events);
      }
    }
    if (instance === 'validate') this.readMetrics(plan, broadcast as ValidateBroadcast, total.values);
  }

  private readMetrics(plan: Plan, broadcast: ValidateBroadcast, values: ReadonlyMap<string, Float64Array>): void {
    if (broadcast.phase !== 'evaluate') return;
    const spec = plan.computations.find((entry) => entry.instance === 'validate')!.spec as ValidateSpec;
    const at = siteMetricNames(this.frame).indexOf('events');
    for (const unit of broadcast.units)
      for (const group of groupsOf(spec, unit)) {
        const parts = group.rows === 'test' ? ['test'] : group.rows === 'out-of-fold' ? ['train'] : ['train', 'test'];
        const told: string[] = [];
        for (const { site } of group.parts) {
          const tensor = values.get(siteTensorName(unit, group, site));
          if (tensor?.[2 * at + 1] !== FLAG.ok) continue;
          told.push(site);
          this.learn(this.terms([site], parts), tensor[2 * at]!);
        }
        const sums = values.get(tensorName('pairs', unit, group));
        // As many sites as say so are in the sums: those that told their own, or else the attacker cannot tell which.
        if (sums !== undefined && sums[PAIR_ENTRIES.indexOf('sites')] === told.length)
          this.learn(this.terms(told, parts), sums[PAIR_ENTRIES.indexOf('events')]!);
        else if (sums !== undefined && spec.perSite) throw new Error(`${group.name} adds up sites that told nothing`);
      }
  }
}

const eventsOf = (part: { events: number } | undefined) => part?.events ?? 0;

/** Whole numbers that a site's events may be, as far as marks, its n and the sum over the hidden sites of one total say. */
function feasible(hidden: Readonly<Record<string, { n: number; events: number }>>, site: string): number[] {
  const small = (n: number, events: number) => [events, n - events].some((count) => count > 0 && count < MINIMUM_COUNT);
  const total = Object.values(hidden).reduce((sum, { events }) => sum + events, 0);
  let sums = new Set([0]);
  for (const [name, { n, events }] of Object.entries(hidden)) {
    if (name === site) continue;
    const next = new Set<number>();
    for (const sum of sums)
      for (let count = 0; count <= n; count++)
        if (
          small(n, count) === small(n, events) &&
          (small(n, events) || (count >= MINIMUM_COUNT && n - count >= MINIMUM_COUNT))
        )
          next.add(sum + count);
    sums = next;
  }
  const { n } = hidden[site]!;
  return Array.from({ length: n + 1 }, (_, count) => count).filter(
    (count) => small(n, count) && sums.has(total - count),
  );
}

const SIX: Readonly<Record<string, SiteCounts>> = {
  alder: { train: { n: 31, events: 3 } },
  birch: { train: { n: 44, events: 16 } },
  cedar: { train: { n: 36, events: 14 } },
  dogwood: { train: { n: 52, events: 22 } },
  elm: { train: { n: 40, events: 15 } },
  fir: { train: { n: 61, events: 25 } },
};
const THREE: Readonly<Record<string, SiteCounts>> = {
  gum: { train: { n: 30, events: 2 } },
  hazel: { train: { n: 33, events: 12 } },
  ivy: { train: { n: 35, events: 17 } },
};
const split = (sites: Readonly<Record<string, SiteCounts>>, small: Readonly<Record<string, number>>) =>
  Object.fromEntries(
    Object.entries(sites).map(([name, { train }], at) => [
      name,
      { train, test: { n: 20 + at, events: small[name] ?? 8 + (at % 3) } },
    ]),
  );

const TWO = { ...SIX, cedar: { train: { n: 36, events: 33 } } };
const DESIGNS: readonly [string, Design, readonly string[]][] = [
  ['logistic, one small site', { kind: 'logistic', training: SIX }, ['alder']],
  ['logistic, few without the event at a second site', { kind: 'logistic', training: TWO }, ['alder', 'cedar']],
  ['logistic, folds and external sites', { kind: 'logistic', training: SIX, external: THREE, folds: 3 }, ['alder']],
  ['cox, one small site, folds', { kind: 'cox', training: SIX, external: THREE, folds: 3 }, ['alder']],
  ['cox, two small sites', { kind: 'cox', training: TWO }, ['alder', 'cedar']],
  ['logistic, split', { kind: 'logistic', training: split(SIX, { alder: 0 }), folds: 2 }, ['alder']],
  [
    'cox, groups left out: cover must be in the same totals',
    { kind: 'cox', training: SIX, leaveOut: [['alder', 'elm', 'fir']] },
    ['alder'],
  ],
  [
    'logistic, overlapping groups left out',
    {
      kind: 'logistic',
      training: { ...SIX, juniper: { train: { n: 33, events: 13 } }, kauri: { train: { n: 39, events: 18 } } },
      leaveOut: [
        ['alder', 'birch', 'cedar', 'dogwood'],
        ['dogwood', 'elm', 'fir', 'juniper'],
      ],
    },
    ['alder'],
  ],
];

describe('an attacker with all totals and all numbers shown per site', () => {
  describe.each(DESIGNS)('%s', (_, design, small) => {
    const truth = small.reduce(
      (sum, site) => sum + eventsOf(design.training[site]!.train) + eventsOf(design.training[site]!.test),
      0,
    );

    it('finds what few suppressing sites hide where nobody else hides it with them', () => {
      const { seen, plan } = runDesign(design, { secondary: false });
      const parts = design.training['alder']!.test === undefined ? ['train', 'test'] : ['train'];
      const found = new Attacker(plan, design, seen).recover(small, parts);
      expect(found).toBe(parts.length === 2 ? truth : eventsOf(design.training['alder']!.train));
    });

    it('finds no sum over fewer than minSites hidden sites, and no narrower range for a small one', () => {
      const { seen, plan, run } = runDesign(design, { secondary: true });
      const attacker = new Attacker(plan, design, seen);
      const { hidden } = run.results.get('describe') as DescribeResult;
      expect(hidden.whole).toEqual(expect.arrayContaining([...small]));
      const training = hidden.whole.filter((site) => plan.frame.training.includes(site));
      expect(training.length).toBeGreaterThanOrEqual(MIN_SITES);
      expect(training.length).toBeLessThan(plan.frame.training.length);
      for (let size = 1; size < MIN_SITES; size++)
        for (const group of combinations(hidden.whole, size))
          for (const parts of [['train'], ['test'], ['train', 'test']]) {
            const known = group.every((site) => attacker.countsOf(site).test === undefined) && parts.join() === 'test';
            if (!known) expect([group, parts, attacker.recover(group, parts)]).toEqual([group, parts, null]);
          }
      // Sites that hide nothing are read off as before: the attacker's method is not what fails.
      for (const site of plan.frame.training.filter((name) => !hidden.parts.includes(name)))
        expect(attacker.recover([site], ['train'])).toBe(attacker.countsOf(site).train.events);
      for (const site of small) {
        const range = feasible(Object.fromEntries(training.map((name) => [name, design.training[name]!.train])), site);
        const { n, events } = design.training[site]!.train;
        const few = Array.from({ length: MINIMUM_COUNT - 1 }, (_, at) => at + 1);
        expect(range).toEqual(expect.arrayContaining(events < MINIMUM_COUNT ? few : few.map((count) => n - count)));
      }
    });
  });

  it('with a split: small numbers of test cases, of events among them, and the training part beside them', () => {
    const design: Design = {
      kind: 'cox',
      training: split({ ...SIX, alder: { train: { n: 31, events: 12 } } }, { alder: 2 }),
    };
    const before = runDesign(design, { secondary: false });
    expect(new Attacker(before.plan, design, before.seen).recover(['alder'], ['test'])).toBe(2);
    const { seen, plan, run } = runDesign(design, { secondary: true });
    const attacker = new Attacker(plan, design, seen);
    const { hidden } = run.results.get('describe') as DescribeResult;
    // The site's events altogether are many enough to be shown; its two parts are not.
    expect(hidden).toEqual({ whole: [], parts: ['alder', 'cedar', 'elm'] });
    expect(attacker.recover(['alder'], ['train', 'test'])).toBe(14);
    for (let size = 1; size < MIN_SITES; size++)
      for (const group of combinations(hidden.parts, size))
        for (const parts of [['train'], ['test']]) expect(attacker.recover(group, parts)).toBeNull();
    expect(attacker.recover(hidden.parts, ['train'])).toBe(12 + 14 + 15);
    const { folds } = run.results.get('validate') as ValidateResult;
    const shown = folds.find(({ name }) => name === 'split')!.sites;
    for (const site of ['alder', 'cedar', 'elm'])
      for (const metric of Object.values(shown[site]!)) expect(metric).toEqual({ suppressed: true });
    expect(shown['dogwood']!['events']).toEqual({ value: 8 });
  });

  it('a site that signed showAggregate and is left out alone is known by its own consent, and covers nobody', () => {
    const design: Design = { kind: 'cox', training: SIX, leaveOut: [['cedar']], showAggregate: ['cedar'] };
    const { seen, plan, run } = runDesign(design, { secondary: true });
    const { hidden } = run.results.get('describe') as DescribeResult;
    expect(hidden.whole).toEqual(['alder', 'birch', 'elm']);
    const attacker = new Attacker(plan, design, seen);
    expect(attacker.recover(['cedar'], ['train'])).toBe(14);
    expect(attacker.recover(['alder'], ['train'])).toBeNull();
    const own = runDesign({ ...design, leaveOut: [['alder']], showAggregate: ['alder'] }, { secondary: true });
    expect((own.run.results.get('describe') as DescribeResult).hidden.whole).toEqual(['alder']);
  });

  it('nothing in a hidden site’s metrics depends on its outcome', () => {
    const design: Design = { kind: 'logistic', training: SIX, external: THREE, folds: 3 };
    const metricsOf = (events: number) => {
      const { run } = runDesign(
        { ...design, training: { ...SIX, alder: { train: { n: 31, events } } } },
        { secondary: true },
      );
      return (run.results.get('validate') as ValidateResult).folds.map(({ name, sites }) => [name, sites['alder']]);
    };
    expect(metricsOf(3)).toEqual(metricsOf(4));
    expect(Object.values(metricsOf(3)[1]![1]!)).toContainEqual({ suppressed: true });
  });

  it('no tensor leaves that a site was not shown before it approved', () => {
    const designs: Design[] = [
      { kind: 'logistic', training: SIX, external: { ...THREE, gum: { train: { n: 30, events: 9 } } }, folds: 3 },
      { kind: 'cox', training: split(SIX, {}), external: THREE, folds: 2 },
      { kind: 'cox', training: { ...TWO, elm: { train: { n: 40, events: 4 } } } },
    ];
    const left = new Set<string>();
    for (const design of designs) {
      const { seen, plan } = runDesign(design, { secondary: true });
      const shown = new Map(
        describeLeaves(previewLeaves(plan)).map((row) => [`${row.computation} ${row.kind}`, row] as const),
      );
      for (const { instance, leaves } of seen)
        for (const { kind, visibility, contributors } of leaves) {
          left.add(kind);
          const row = shown.get(`${instance} ${kind}`);
          expect(row, kind).toBeDefined();
          if (visibility !== 'site') continue;
          expect(row!.visible, kind).not.toBe('total');
          for (const { site } of contributors) expect(row!.sites, kind).toContain(site);
        }
    }
    for (const kind of ['describe.site-events', 'describe.events', 'validate.calibration.external', 'cox.baseline'])
      expect([...left]).toContain(kind);
  });

  it('models and totals stay what they are', () => {
    const design: Design = { kind: 'logistic', training: SIX, folds: 3 };
    const models = [true, false].map((secondary) => {
      const { run } = runDesign(design, { secondary });
      return (run.results.get('logistic') as ModelResult).summaries;
    });
    expect(models[0]).toEqual(models[1]);
  });
});
