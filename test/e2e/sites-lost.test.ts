import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { killAfterAcknowledged } from '../../cli/demo/interruption.js';
import { runSimulation } from '../../cli/simulation.js';
import type { RoundRecord } from '../../coordinator/round-types.js';
import { localHarmonization } from '../../harmonization/harmonized.site.js';
import type { Study } from '../../shared/study.js';
import { harmonizationInput } from '../../site-agent/site-run.site.js';
import { FOUR_SITES, readResult, simulateWith, smallStudy, TestFederation } from './support.js';

type Attempt = Extract<RoundRecord, { type: 'attemptOpened' }>;

const attemptsOf = (records: readonly RoundRecord[]) =>
  records.filter((record): record is Attempt => record.type === 'attemptOpened');

const inputsOf = (records: readonly RoundRecord[], context: string) =>
  records.flatMap((record) => (record.type === 'maskedInput' && record.context === context ? [record.site] : []));

const ended = (records: readonly RoundRecord[], context: string) =>
  records.some((record) => (record.type === 'total' || record.type === 'attemptAborted') && record.context === context);

/**
 * Kills `victim` in an attempt that counts on it and has everybody's masked input but its own. It is stopped once its
 * input of an earlier round is in, so that it cannot answer the next offer. Returns that attempt.
 */
async function killBeforeMaskedInput(
  federation: TestFederation,
  study: Study,
  victim: string,
  when: RegExp,
): Promise<Attempt> {
  const target = federation.site(victim);
  await federation.line(target, when);
  target.signal('SIGSTOP');
  const attempt = await federation.wait('an attempt that waits for the victim alone', () => {
    const records = federation.recordsOf(study);
    const last = attemptsOf(records).at(-1);
    if (last === undefined || ended(records, last.context) || !last.sites.includes(victim)) return undefined;
    const inputs = inputsOf(records, last.context);
    return !inputs.includes(victim) && inputs.length === last.sites.length - 1 ? last : undefined;
  });
  target.signal('SIGKILL');
  await target.ended();
  expect(inputsOf(federation.recordsOf(study), attempt.context)).not.toContain(victim);
  return attempt;
}

async function inFederation(sites: readonly string[], act: (federation: TestFederation) => Promise<void>) {
  const federation = await TestFederation.start(sites);
  try {
    await act(federation);
  } finally {
    await federation.stop();
  }
}

describe('a site that goes missing', () => {
  it('before and after its masked input, and comes back: the bytes are those of an undisturbed run', async () => {
    await inFederation(['alder', 'birch', 'cedar', 'dogwood'], async (federation) => {
      const study = smallStudy('secure');
      const acknowledged = killAfterAcknowledged(federation, 'birch', 'cedar', (line) =>
        / round \d+ moments 1$/.test(line),
      );
      await federation.propose(study);
      // Between the acknowledgement and the unmask: it is in the sum, and its peers' shares unmask it.
      const round = await acknowledged;
      expect(round!).toBeGreaterThan(1);
      federation.site('birch').start();
      // Before its masked input: the others wait for it.
      const attempt = await killBeforeMaskedInput(federation, study, 'alder', / logistic uploaded$/);
      expect(ended(federation.recordsOf(study), attempt.context)).toBe(false);
      federation.site('alder').start();
      const bundle = await federation.published(study);
      expect(readResult(bundle)).toBe(federation.simulated(study));
      expect(federation.verify(bundle).problems).toEqual([]);
      const records = federation.recordsOf(study);
      expect(inputsOf(records, attempt.context)).toContain('alder');
      for (const record of records)
        if (record.type === 'total') expect(record.sites, record.context).toEqual(attempt.sites);
      for (const site of attempt.sites) expect(federation.ledger(site).length).toBeGreaterThan(5);
    });
  }, 240_000);

  it('at the end, misses the ratification and still gets the file that its patients are scored with', async () => {
    await inFederation(FOUR_SITES, async (federation) => {
      const study = smallStudy('away-at-the-end');
      const cohorts = federation.cohorts(study);
      const run = runSimulation(study, cohorts);
      // One fold, so one entry a round.
      const lastRound = new RegExp(` round ${run.totals.length} validate uploaded$`);
      const birch = federation.site('birch');
      const stopped = new Promise<void>((resolve) => {
        birch.watch((line) => {
          if (!lastRound.test(line)) return;
          birch.signal('SIGSTOP');
          resolve();
        });
      });
      await federation.propose(study);
      await stopped;
      const bundle = await federation.published(study);
      birch.signal('SIGKILL');
      await birch.ended();
      expect(federation.verify(bundle)).toMatchObject({ problems: [], ratified: ['alder', 'cedar', 'dogwood'] });
      const file = path.join(
        federation.siteFolder('birch'),
        'local',
        path.basename(path.dirname(bundle)),
        'harmonization.json',
      );
      expect(existsSync(file)).toBe(false);
      // The coordinator has forgotten all but its log, and the site all but its store.
      await federation.coordinator.stop();
      federation.coordinator.start();
      birch.start();
      await federation.line(birch, / away-at-the-end published/);
      const cohort = cohorts.find(({ holder }) => holder === 'birch')!;
      const fit = run.plan.fits.find(({ id }) => id === 'combat:all')!;
      const own = localHarmonization(harmonizationInput(study, run.plan, cohort, run.results, new Map()), fit, 'birch');
      expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(JSON.parse(JSON.stringify(own)));
      expect(readResult(bundle)).toBe(federation.simulated(study));
    });
  }, 240_000);

  it('for good, with onMissingSite: continue: its masks are taken out and the study ends without it', async () => {
    const names = ['alder', 'birch', 'cedar', 'dogwood', 'elm'];
    await inFederation(names, async (federation) => {
      const study = smallStudy('lost-for-good', {
        sites: { training: names, external: [] },
        harmonization: { method: 'none' },
        // Sums with and without the lost site differ by its share, so it must have agreed to that.
        privacy: { showAggregate: names },
        onMissingSite: 'continue',
        quorum: 4,
      });
      await federation.propose(study);
      const attempt = await killBeforeMaskedInput(federation, study, 'cedar', / logistic uploaded$/);
      const bundle = await federation.published(study);
      const records = federation.recordsOf(study);
      const others = names.filter((site) => site !== 'cedar');
      const survivors = records.find((record) => record.type === 'survivors' && record.context === attempt.context);
      expect(survivors).toMatchObject({ survivors: others, dropped: ['cedar'] });
      const shares = records.flatMap((record) =>
        record.type === 'shares' && record.context === attempt.context ? [...record.shares] : [],
      );
      const dropout = shares.filter((share) => share.dealer === 'cedar');
      expect(dropout.length).toBeGreaterThanOrEqual(4);
      expect(new Set(dropout.map((share) => share.kind))).toEqual(new Set(['mask']));
      expect(new Set(shares.filter(({ dealer }) => dealer !== 'cedar').map(({ kind }) => kind))).toEqual(
        new Set(['self']),
      );
      // The result says who is in which sum, and is what these sums give in one process.
      const result = JSON.parse(readResult(bundle));
      const sets = result.totals as { sites: string[] }[];
      expect(sets.at(0)!.sites).toEqual(names);
      expect(sets.at(-1)!.sites).toEqual(others);
      expect(readResult(bundle)).toBe(
        simulateWith(study, federation.cohorts(study), (round) => sets[round - 1]!.sites),
      );
      expect(federation.verify(bundle)).toMatchObject({ problems: [], ratified: others });
    });
  }, 300_000);
});
