import { afterEach, describe, expect, it } from 'vitest';
import type { Cohort } from '../../shared/cohort.site.js';
import { dominatedColumns } from '../../site-agent/dominance.site.js';
import { OPEN_POLICY, simulatedTable, smallStudy } from '../e2e/support.js';
import { fitsOfTable, frameOfTable, preparedViews } from '../support/views.js';
import { Composed, until } from './composed.js';

/** Known leak: a sum over many sites that one patient nearly makes up. */
const SITES = ['alder', 'birch', 'cedar', 'dogwood'];
const EXTREME = 73_104_250.5;
let world: Composed | undefined;

afterEach(async () => {
  await world?.close();
  world = undefined;
});

/** Four sites, one patient of birch with a value far beyond all others. */
async function federation(policy: string): Promise<Composed> {
  const of = new Composed(SITES);
  world = of;
  const lines = simulatedTable('birch').trimEnd().split('\n');
  lines[5] = lines[5]!.replace(/,[^,]*,/, `,${EXTREME},`);
  of.site('birch').table(`${lines.join('\n')}\n`);
  for (const site of of.sites.values()) site.policy = policy;
  await of.start();
  return of;
}

const study = smallStudy('one-patient-makes-the-sum', { harmonization: { method: 'none' } });
const ended = (of: Composed, hash: string) => ['published', 'failed', 'declined'].includes(of.phase(hash));

describe('a column that one patient nearly makes up', () => {
  it('with the rule off gives that patient’s value from the published mean', async () => {
    const of = await federation(`${OPEN_POLICY}dominance: 1\n`);
    let described: { n: number; mean: number } | undefined;
    const assemble = of.assemble;
    of.assemble = (run, ...rest) => {
      const { columns } = run.results.get('describe') as { columns: Record<string, { n: number; mean: number }> };
      described = columns['original_size'];
      return assemble(run, ...rest);
    };
    const hash = of.propose(study);
    await until(
      () => ended(of, hash) || described !== undefined,
      () => of.phase(hash),
    );
    // All patients of four sites are in it, but one.
    const { n, mean } = described!;
    expect(n).toBeGreaterThan(100);
    expect(Math.abs(n * mean - EXTREME) / EXTREME).toBeLessThan(1e-5);
  }, 60_000);

  it('with the rule on nothing leaves: the site declines, and tells the code and not the column', async () => {
    const of = await federation(OPEN_POLICY);
    const hash = of.propose(study);
    await until(
      () => ended(of, hash),
      () => of.phase(hash),
    );
    expect([of.phase(hash), of.reason(hash)]).toEqual(['declined', expect.stringContaining('COHORT_DOMINATED')]);
    expect(of.reason(hash)).not.toMatch(/original_size|731/);
    expect(of.site('birch').store.ledger()).toEqual([]);
  }, 60_000);
});

describe('the rule', () => {
  const cohort = (values: number[]): Cohort => {
    const table = {
      site: values.map(() => 'alder'),
      features: ['f'],
      x: values.map((value) => [value]),
      y: values.map((_, row) => row % 2),
    };
    const frame = frameOfTable(table);
    return preparedViews(table, frame, fitsOfTable(frame)).views[0]!.cohort;
  };
  const ordinary = Array.from({ length: 30 }, (_, row) => 10 + Math.sin(row));

  it('counts shares of sums and of deviations, ignores gaps, and lets ordinary columns through', () => {
    expect(dominatedColumns(cohort(ordinary), 0.9)).toEqual([]);
    expect(dominatedColumns(cohort([...ordinary, 1e5]), 0.9)).toEqual(['f']);
    // Far from the others, though the sum does not show it.
    expect(dominatedColumns(cohort([...ordinary.map((v) => v / 1000 + 1e6), 1e6 + 100]), 0.9)).toEqual(['f']);
    expect(dominatedColumns(cohort([...ordinary, 1e5, 9e4]), 0.9)).toEqual([]);
    expect(dominatedColumns(cohort([...ordinary, Number.NaN]), 0.9)).toEqual([]);
    expect(dominatedColumns(cohort(ordinary.map(() => 0)), 0.9)).toEqual([]);
    expect(dominatedColumns(cohort([...ordinary, 1e5]), 1)).toEqual([]);
  });

  it('is sharp at its bound, and leaves columns of zeros and ones to the rules for counts', () => {
    const others = Array.from({ length: 30 }, (_, row) => (row % 2 === 0 ? 1 : -1));
    const ninth = 9 * others.length;
    expect(dominatedColumns(cohort([...others, ninth]), 0.9)).toEqual([]);
    expect(dominatedColumns(cohort([...others, 1.01 * ninth]), 0.9)).toEqual(['f']);
    expect(dominatedColumns(cohort([...new Array<number>(30).fill(0), 1]), 0.9)).toEqual([]);
    expect(dominatedColumns(cohort([...new Array<number>(30).fill(0), 2]), 0.9)).toEqual(['f']);
  });
});
