import { describe, expect, it } from 'vitest';
import { runSimulation } from '../../cli/simulation.js';
import { COORDINATOR_COMPUTATIONS } from '../../coordinator/computations.js';
import { advanceRun, startRun } from '../../coordinator/study-run.js';
import type { Cohort } from '../../shared/cohort.site.js';
import type { Binning, DescribeBroadcast } from '../../shared/computations/describe/declaration.js';
import { addInto, decodeTotal, encodeContribution, zeroWords } from '../../shared/fixed-point.js';
import { planStudy } from '../../shared/plan.js';
import { seededRandom } from '../../shared/rng.js';
import { type Study, studySchema } from '../../shared/study.js';
import { cohortsFromTable } from '../../site-agent/cohort.site.js';
import { PLAIN_MAPPING } from '../../site-agent/cohort-config.js';
import { parseTable } from '../../site-agent/cohort-table.site.js';
import { SITE_COMPUTATIONS } from '../../site-agent/computations.js';
import { contributionOf, siteView } from '../../site-agent/site-run.site.js';

/** Known leaks inside one total: a cell that few sites fill, and bins so fine that each holds one patient. */
const SITES = ['alder', 'birch', 'cedar', 'dogwood'];
const FEATURES = ['f1', 'f2'];

interface Patient {
  readonly site: string;
  readonly stage: string;
  readonly x: readonly number[];
}

/** 40 patients a site; stage C is known at the given sites only, by one patient each. */
function patients(rare: readonly string[]): Patient[] {
  const random = seededRandom('cells', rare.length);
  return SITES.flatMap((site) =>
    Array.from({ length: 40 }, (_, row) => ({
      site,
      stage: row === 7 && rare.includes(site) ? 'C' : row % 2 === 0 ? 'A' : 'B',
      x: FEATURES.map(() => 5 + random.normal()),
    })),
  );
}

function study(privacy: Record<string, unknown> = {}): Study {
  return studySchema.parse({
    concordat: 1,
    name: 'cells',
    cohort: {
      endpoint: { type: 'binary', column: 'mvi' },
      features: FEATURES,
      covariates: [{ column: 'stage', levels: ['A', 'B', 'C'] }],
    },
    sites: { training: SITES },
    harmonization: { method: 'none' },
    model: { type: 'logistic', alpha: 0.5, lambda: 0.1 },
    validation: { folds: 0, threshold: 0.5 },
    quorum: 3,
    seed: 7,
    privacy,
  });
}

function cohorts(of: Study, rows: readonly Patient[]) {
  const lines = rows.map(({ site, stage, x }, row) => [`p${row}`, site, stage, ...x, Number(row % 3 === 0)].join(','));
  const csv = [['id', 'site', 'stage', ...FEATURES, 'mvi'].join(','), ...lines].join('\n');
  const loads = cohortsFromTable(of, { ...PLAIN_MAPPING, id: 'id' }, parseTable(csv, 'x.csv'), 'site', {
    oneHolder: false,
  });
  return loads.map(({ cohort }) => cohort);
}

describe('a level that few sites have', () => {
  it('with the rule off makes its row of the Gram total a sum over those sites, here over one patient', () => {
    const rows = patients(['birch']);
    // Sum over all four sites of X'X with the columns A, B, C, f1, f2.
    const design = rows.map(({ stage, x }) => [...['A', 'B', 'C'].map((level) => Number(level === stage)), ...x]);
    const total = design[0]!.map((_, i) =>
      design[0]!.map((__, j) => design.reduce((sum, row) => sum + row[i]! * row[j]!, 0)),
    );
    const victim = rows.find(({ stage }) => stage === 'C')!;
    expect(total[2]).toEqual([0, 0, 1, ...victim.x]);
  });

  it('with the rule on ends the study in its first round, before any sum over the level is made', () => {
    const of = study();
    for (const rare of [['birch'], ['birch', 'cedar']]) {
      const rounds: string[] = [];
      const run = () =>
        runSimulation(of, cohorts(of, patients(rare)), { onRound: ({ request }) => rounds.push(request.instance) });
      expect(run).toThrow(expect.objectContaining({ code: 'COHORT_LEVEL_FEW_SITES' }));
      expect(run).toThrow('stage = C');
      expect(rounds).toEqual([]);
    }
  });

  it('is let through at minSites sites, and where every training site agreed to be isolated', () => {
    const of = study();
    const enough = runSimulation(of, cohorts(of, patients(['alder', 'birch', 'cedar'])));
    expect(enough.request).toBeNull();
    const open = study({ showAggregate: SITES });
    expect(runSimulation(open, cohorts(open, patients(['birch']))).request).toBeNull();
    const partly = study({ showAggregate: SITES.slice(1) });
    expect(() => runSimulation(partly, cohorts(partly, patients(['birch'])))).toThrow('stage = C');
  });
});

type Histograms = DescribeBroadcast & { readonly phase: 'histograms' };

/**
 * `describe` up to its histograms, as sums over all sites; `change` is what a coordinator that lies makes of their round.
 * With the guard off, sites answer whatever they are asked.
 */
function histogramTotals(change: (honest: Histograms) => Histograms, { guard }: { guard: boolean }) {
  const of = study();
  const rows = patients(['alder', 'birch', 'cedar']);
  const holders = cohorts(of, rows);
  const plan = planStudy(of);
  let run = startRun(plan, COORDINATOR_COMPUTATIONS);
  for (;;) {
    let request = run.request!;
    let broadcast = request.broadcast as DescribeBroadcast;
    const lies = broadcast.phase === 'histograms';
    if (broadcast.phase === 'histograms') {
      broadcast = change(broadcast);
      const instance = plan.computations.find((entry) => entry.instance === request.instance)!;
      const { declaration } = COORDINATOR_COMPUTATIONS[instance.computation]!;
      request = { ...request, broadcast, leaves: declaration.leaves(instance.spec as never, broadcast as never) };
    }
    const sum = zeroWords(request.leaves);
    for (const cohort of holders) {
      const contribution =
        lies && !guard
          ? new Map([['histograms', unguarded(cohort, broadcast as Histograms)]])
          : contributionOf(
              plan,
              SITE_COMPUTATIONS,
              request,
              siteView(of, plan, cohort, run.results, new Map<string, unknown>()),
            );
      const words = encodeContribution(request.leaves, contribution, holders.length);
      for (const [index, leaf] of request.leaves.entries()) addInto(sum[index]!, words[index]!, leaf.ring);
    }
    const total = { sites: SITES, values: decodeTotal(request.leaves, sum) };
    if (broadcast.phase === 'histograms') return { rows, broadcast, counts: total.values.get('histograms')! };
    run = advanceRun(run, COORDINATOR_COMPUTATIONS, total);
  }
}

/** What a site without its checks would answer. */
function unguarded(cohort: Cohort, { binnings }: Histograms): Float64Array {
  const width = cohort.featureNames.length;
  return Float64Array.from(
    binnings.flatMap(({ low, width: step, bins }, at) => {
      const counts = new Array<number>(bins).fill(0);
      for (const row of cohort.siteOf.keys()) {
        const bin = Math.floor((cohort.features[row * width + at]! - low) / step) + 1;
        counts[Math.min(bins - 1, Math.max(0, bin))]! += 1;
      }
      return counts;
    }),
  );
}

const sdOf = ({ width, bins }: Binning): number => (width * (bins - 2)) / 8;

/** Bins about the same middle over `reach` of it. */
function over(binning: Binning, reach: number, bins: number): Binning {
  const middle = binning.low + 4 * sdOf(binning);
  const half = 4 * sdOf(binning) * reach;
  return { low: middle - half, width: (2 * half) / (bins - 2), bins };
}

/** Of how many patients the first feature can be told to within a hundredth of its spread, from bins that hold one. */
function readOff({ rows, broadcast, counts }: ReturnType<typeof histogramTotals>): number {
  const { low, width, bins } = broadcast.binnings[0]!;
  const guesses = [...counts.subarray(1, bins - 1).entries()].flatMap(([bin, count]) =>
    count === 1 ? [low + width * (bin + 0.5)] : [],
  );
  // The spread is one; half a bin is how far a guess may be off.
  return width / 2 > 0.01 ? 0 : rows.filter(({ x }) => guesses.some((guess) => Math.abs(guess - x[0]!) < 0.01)).length;
}

describe('histograms', () => {
  const all = (change: (binning: Binning) => Binning) => (honest: Histograms) => ({
    ...honest,
    binnings: honest.binnings.map(change),
  });
  /** Each asks for cells of one patient; the last two say what would permit them. */
  const LIES: [string, (honest: Histograms) => Histograms][] = [
    ['bins by the thousand', all((binning) => over(binning, 1, 4002))],
    ['the permitted number of bins over a stretch of half an sd', all((binning) => over(binning, 1 / 16, 32))],
    ['the same, where few patients are', all((binning) => over({ ...binning, low: binning.low + 2 }, 1 / 16, 32))],
    [
      'bins by the thousand, and patients by the million at other sites',
      (honest) => ({
        ...all((binning) => over(binning, 1, 4002))(honest),
        patients: honest.patients.map((n, at) => (at === 1 ? n : 1_000_000)),
      }),
    ],
    [
      'bins over a stretch of half an sd, and patients by the million at all sites',
      (honest) => ({
        ...all((binning) => over(binning, 1 / 16, 32))(honest),
        patients: honest.patients.map(() => 1_000_000),
      }),
    ],
  ];

  it.each(LIES)(
    'a coordinator asks for %s: patients are read where sites do not look, and refused by them',
    (_, lie) => {
      const read = histogramTotals(lie, { guard: false });
      expect(readOff(read)).toBeGreaterThan(0);
      expect(() => histogramTotals(lie, { guard: true })).toThrow(
        expect.objectContaining({ code: 'POLICY_BROADCAST_INVALID' }),
      );
    },
  );

  it('in thousands of bins would give most patients’ values', () => {
    const fine = histogramTotals(LIES[0]![1], { guard: false });
    expect(readOff(fine)).toBeGreaterThan(0.8 * fine.rows.length);
  });

  it('by one site’s own look are at most a bin for every minimumCount patients, and as wide as its own spread asks', () => {
    const refused = (lie: (honest: Histograms) => Histograms) => {
      try {
        histogramTotals(lie, { guard: true });
        return false;
      } catch {
        return true;
      }
    };
    // 160 patients, minimumCount 5; four sites of like spread: half of the honest range is what each alone would need.
    expect(refused(all((binning) => over(binning, 1, 32)))).toBe(false);
    expect(refused(all((binning) => over(binning, 1, 33)))).toBe(true);
    expect(refused(all((binning) => over(binning, 0.6, 32)))).toBe(false);
    expect(refused(all((binning) => over(binning, 0.45, 32)))).toBe(true);
  });

  it('as the product bins them give none: at most a bin for every minimumCount patients', () => {
    const own = histogramTotals((honest) => honest, { guard: true });
    for (const { bins } of own.broadcast.binnings) {
      expect(bins).toBeGreaterThan(3);
      expect(bins * study().privacy.minimumCount).toBeLessThanOrEqual(own.rows.length);
    }
    expect(readOff(own)).toBe(0);
    // Not promised: that no bin holds one patient. It tells where that patient lies to within a bin.
    expect([...own.counts].some((count) => count === 1)).toBe(true);
  });
});
