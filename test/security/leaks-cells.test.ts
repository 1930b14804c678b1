import { describe, expect, it } from 'vitest';
import { runSimulation } from '../../cli/simulation.js';
import { COORDINATOR_COMPUTATIONS } from '../../coordinator/computations.js';
import { advanceRun, startRun } from '../../coordinator/study-run.js';
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

/** `describe` up to its histograms, as sums over all sites; `change` is what somebody in between makes of the bins. */
function histogramTotals(change: (binnings: readonly Binning[]) => Binning[]) {
  const of = study();
  const rows = patients(['alder', 'birch', 'cedar']);
  const holders = cohorts(of, rows);
  const plan = planStudy(of);
  let run = startRun(plan, COORDINATOR_COMPUTATIONS);
  for (;;) {
    let request = run.request!;
    let broadcast = request.broadcast as DescribeBroadcast;
    if (broadcast.phase === 'histograms') {
      broadcast = { ...broadcast, binnings: change(broadcast.binnings) };
      const instance = plan.computations.find((entry) => entry.instance === request.instance)!;
      const { declaration } = COORDINATOR_COMPUTATIONS[instance.computation]!;
      request = { ...request, broadcast, leaves: declaration.leaves(instance.spec as never, broadcast as never) };
    }
    const sum = zeroWords(request.leaves);
    for (const cohort of holders) {
      const contribution = contributionOf(
        plan,
        SITE_COMPUTATIONS,
        request,
        siteView(of, plan, cohort, run.results, new Map()),
      );
      const words = encodeContribution(request.leaves, contribution, holders.length);
      for (const [index, leaf] of request.leaves.entries()) addInto(sum[index]!, words[index]!, leaf.ring);
    }
    const total = { sites: SITES, values: decodeTotal(request.leaves, sum) };
    if (broadcast.phase === 'histograms')
      return { rows, binnings: broadcast.binnings, counts: total.values.get('histograms')! };
    run = advanceRun(run, COORDINATOR_COMPUTATIONS, total);
  }
}

/** Of how many patients the first feature can be told to within a hundredth of its spread, from bins that hold one. */
function readOff({ rows, binnings, counts }: ReturnType<typeof histogramTotals>): number {
  const { low, width, bins } = binnings[0]!;
  const guesses = [...counts.subarray(1, bins - 1).entries()].flatMap(([bin, count]) =>
    count === 1 ? [low + width * (bin + 0.5)] : [],
  );
  // The spread is one; half a bin is how far a guess may be off.
  return width / 2 > 0.01 ? 0 : rows.filter(({ x }) => guesses.some((guess) => Math.abs(guess - x[0]!) < 0.01)).length;
}

describe('histograms', () => {
  it('with fine bins give most patients’ values', () => {
    const fine = histogramTotals((binnings) =>
      binnings.map(({ low, width, bins }) => ({ low, width: (width * (bins - 2)) / 4000, bins: 4002 })),
    );
    expect(readOff(fine)).toBeGreaterThan(0.8 * fine.rows.length);
  });

  it('as the product bins them give none: at most a bin for every minimumCount patients', () => {
    const own = histogramTotals((binnings) => [...binnings]);
    for (const { bins } of own.binnings) {
      expect(bins).toBeGreaterThan(3);
      expect(bins * study().privacy.minimumCount).toBeLessThanOrEqual(own.rows.length);
    }
    expect(readOff(own)).toBe(0);
    // Not promised: that no bin holds one patient. It tells where that patient lies to within a bin.
    expect([...own.counts].some((count) => count === 1)).toBe(true);
  });
});
