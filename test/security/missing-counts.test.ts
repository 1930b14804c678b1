import { describe, expect, it } from 'vitest';
import { describeCoordinator } from '../../shared/computations/describe/advance.coordinator.js';
import { describeSite } from '../../shared/computations/describe/contribute.site.js';
import {
  type CategoricalDescription,
  type DescribeBroadcast,
  describeDeclaration,
  type NumericDescription,
} from '../../shared/computations/describe/declaration.js';
import { columnMinimum, suppressSmall } from '../../shared/computations/describe/small-counts.js';
import type { CovariateColumn, DescribeSpec } from '../../shared/computations/frame.js';
import { runInMemory } from '../../shared/computations/run-in-memory.js';
import { seededRandom } from '../../shared/rng.js';
import { frameOf, holdersOf, type Row, viewOf } from '../harmonization/support.js';

/**
 * A reader of result.json who wants to know how many patients lack a value, or have one, where these are few. The number
 * of patients in all is public, and so is the program: the reader tries every number that could be and keeps those that
 * would have been published in the same way.
 */
const MINIMUM_COUNT = 5;
const QUANTILES = [0.05, 0.25, 0.5, 0.75, 0.95];
const SITES = ['alder', 'birch', 'cedar'];
const COVARIATES: CovariateColumn[] = [{ name: 'etiology', levels: ['HBV', 'HCV', 'other'] }];
const SUPPRESSED = { suppressed: true };

interface Published {
  readonly feature: NumericDescription;
  readonly etiology: CategoricalDescription;
  readonly means: number[];
}

/** `total` patients at three sites, of whom the last `gaps` lack the feature and the last `unknown` the covariate. */
function publish(total: number, gaps: number, unknown = 0, minimumCount = MINIMUM_COUNT): Published {
  const random = seededRandom('missing counts', total);
  const rows = Array.from({ length: total }, (_, at): Row => {
    const value = random.normal();
    return {
      id: `p${at}`,
      site: SITES[at % 3]!,
      features: [at >= total - gaps ? Number.NaN : value],
      covariates: [at >= total - unknown ? Number.NaN : Math.floor(at / 3) % 3],
      y: at % 2,
    };
  });
  const frame = { ...frameOf(SITES, ['f1'], COVARIATES), minimumCount };
  const spec: DescribeSpec = { frame, outers: [SITES], hasSplit: false, showAggregate: [], quantiles: QUANTILES };
  const means: number[] = [];
  const coordinator: typeof describeCoordinator = {
    ...describeCoordinator,
    advance: (...given) => {
      const step = describeCoordinator.advance(...given);
      const broadcast = step.kind === 'step' ? (step.broadcast as DescribeBroadcast) : null;
      if (broadcast?.phase === 'central') means.push(broadcast.mean[0]!);
      return step;
    },
  };
  const views = holdersOf(rows, 'sites', ['f1'], COVARIATES).map((cohort) => viewOf(cohort, frame));
  const { result } = runInMemory({ declaration: describeDeclaration, site: describeSite, coordinator }, spec, views);
  return {
    feature: result.columns['f1'] as NumericDescription,
    etiology: result.columns['etiology'] as CategoricalDescription,
    means,
  };
}

/** All that is told of a column but its values: counts, how fine the histogram is, which quantiles are told. */
const tellsOf = ({ n, missing, sd, resolution, quantiles }: NumericDescription) =>
  JSON.stringify({
    n,
    missing,
    bins: resolution === null ? null : Math.round((8 * (sd as number)) / resolution),
    told: quantiles?.map(({ value }) => (typeof value === 'number' ? 'told' : value)),
  });

describe('few patients without a value', () => {
  it('are told by nothing that is published: every small number of them looks the same', () => {
    // Sizes on both sides of where one more bin, or one more quantile, would be told.
    for (const total of [40, 79, 80, 81, 82, 83, 84, 85, 99, 100, 101, 102, 103, 104, 105]) {
      const looks = new Set([1, 2, 3, 4].map((gaps) => tellsOf(publish(total, gaps).feature)));
      expect([...looks], `${total} patients`).toHaveLength(1);
      expect(publish(total, 2).feature).toMatchObject({ n: SUPPRESSED, missing: SUPPRESSED });
    }
  });

  it('also under a minimum of 2 or 3, where a suppressed number would otherwise have one solution', () => {
    for (const minimumCount of [2, 3])
      for (const total of [40, 80, 81, 82, 83, 84]) {
        const published = [1, 2, 3].map((few) => publish(total, few, few, minimumCount));
        expect([...new Set(published.map(({ feature }) => tellsOf(feature)))]).toHaveLength(1);
        for (const { feature, etiology } of published) {
          expect(feature).toMatchObject({ n: SUPPRESSED, missing: SUPPRESSED });
          expect(etiology).toMatchObject({ n: SUPPRESSED, missing: SUPPRESSED });
        }
      }
    // Who asks for nothing to be suppressed gets that.
    expect(publish(60, 1, 0, 1).feature).toMatchObject({ n: 59, missing: 1 });
  });

  it('nobody, or enough of them, are shown, and n is what is left', () => {
    for (const gaps of [0, 5, 12]) expect(publish(60, gaps).feature).toMatchObject({ n: 60 - gaps, missing: gaps });
  });

  it('of a column with levels are one of its counts: another level is suppressed with them, and n', () => {
    for (const unknown of [1, 2, 3, 4]) {
      const { n, missing, levels } = publish(61, 0, unknown).etiology;
      expect([n, missing]).toEqual([SUPPRESSED, SUPPRESSED]);
      expect(levels.filter((level) => typeof level.n !== 'number')).toHaveLength(1);
    }
    expect(publish(61, 0, 6).etiology).toMatchObject({ n: 55, missing: 6 });
  });
});

describe('few patients with a value', () => {
  it('show neither their number nor their mean, to readers or in a broadcast', () => {
    for (const n of [1, 2, 3, 4]) {
      const { feature, means } = publish(45, 45 - n);
      expect(feature).toEqual({
        ...{ n: SUPPRESSED, missing: SUPPRESSED, mean: SUPPRESSED, sd: SUPPRESSED },
        ...{ quantiles: null, resolution: null },
      });
      expect(means).toEqual([0]);
    }
    expect(publish(45, 40).feature.n).toBe(5);
    expect(publish(45, 40).means[0]).not.toBe(0);
    expect(publish(45, 45).feature).toMatchObject({ n: 0, missing: 45, mean: null, sd: null });
  });
});

describe('suppressed counts of which the sum is public', () => {
  /** All ways to divide `total` among so many counts. */
  function* divisions(total: number, parts: number): Generator<number[]> {
    if (parts === 1) yield [total];
    else
      for (let first = 0; first <= total; first++)
        for (const rest of divisions(total - first, parts - 1)) yield [first, ...rest];
  }

  it.each([2, 3, 4, 5, 6])(
    'with a minimum of %i: no small one follows from what is shown, alone or as a sum of the hidden',
    (asked) => {
      const minimum = columnMinimum(asked);
      for (const total of [minimum + 5, minimum + 9, 4 * minimum]) {
        const looks = new Map<string, number[][]>();
        for (const counts of divisions(total, 4)) {
          const shown = suppressSmall(counts, minimum);
          expect(shown.every((value, at) => value === counts[at] || typeof value !== 'number')).toBe(true);
          expect(shown.some((value) => typeof value === 'number' && value > 0 && value < minimum)).toBe(false);
          const hidden = counts.filter((_, at) => typeof shown[at] !== 'number');
          if (hidden.length > 0) expect(hidden.reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(minimum);
          const look = JSON.stringify(shown);
          looks.set(look, [...(looks.get(look) ?? []), counts]);
        }
        for (const [look, same] of looks)
          for (let at = 0; at < 4; at++) {
            const values = new Set(same.map((counts) => counts[at]!));
            const small = same.some((counts) => counts[at]! > 0 && counts[at]! < minimum);
            if (small) expect(values.size, `${look} of ${total}, count ${at}`).toBeGreaterThan(1);
          }
      }
    },
  );
});
