import type { RoundTerms } from '../../shared/messages.js';
import { seededRandom } from '../../shared/rng.js';
import { fewestSurvivors } from '../../shared/secagg/context.js';
import { CALM, EXCHANGES, type LateStart } from './faults.js';
import type { SimOptions } from './federation.js';
import { makeTerms, siteNames } from './world.js';

/** The world of one seed: how many sites, which terms, which faults. Every tenth seed is plain, a third of the others may lose sites. */
export function optionsForSeed(seed: number, siteCount?: number): SimOptions {
  const random = seededRandom('sim-options', seed);
  const sites = siteCount ?? 3 + random.integer(4);
  const onMissingSite = seed % 2 === 0 ? 'wait' : 'continue';
  const terms: Partial<Omit<RoundTerms, 'roster'>> = {
    mode: seed % 10 === 9 ? 'plain' : 'secure',
    coordinator: random.uniform() < 0.7 ? 'malicious' : 'curious',
    onMissingSite,
  };
  const lostForGood = new Map<string, number>();
  const lostInAgreement = new Set<string>();
  const strictGuard = onMissingSite === 'continue' && random.uniform() < 0.2;
  if (onMissingSite === 'continue' && seed % 3 !== 0) {
    const spare = sites - fewestSurvivors(makeTerms(siteNames(sites), terms));
    // Now and then one more than the study can do without.
    const losses = Math.min(sites - 1, Math.max(0, spare + (random.uniform() < 0.15 ? 1 : 0)));
    for (const site of siteNames(sites).slice(0, losses)) lostForGood.set(site, 1 + random.integer(30));
    // Agreement is short: few losses would fall into it by chance.
    if (losses > 0 && random.uniform() < 0.2) lostInAgreement.add(siteNames(sites)[0]!);
  }
  const late = new Map<string, LateStart>();
  if (random.uniform() < 0.25) {
    const site = siteNames(sites)[random.integer(sites)]!;
    const afterMs = 1000 + random.integer(random.uniform() < 0.5 ? 5000 : 60_000);
    // Under `continue` the others have begun by then, and are anywhere in a round.
    const during = EXCHANGES[seededRandom('sim-late', seed).integer(EXCHANGES.length)]!;
    late.set(site, { afterMs, during: onMissingSite === 'continue' ? during : null });
  }
  return {
    seed,
    sites,
    rounds: 3 + random.integer(2),
    terms,
    strictGuard,
    faults: {
      ...CALM,
      budget: 10 + random.integer(40),
      drop: 0.05,
      delay: 0.05,
      duplicate: 0.05,
      crash: 0.03,
      full: 0.006,
      clock: 0.01,
      tear: 0.6,
      wipe: 0.12,
      restore: 0.25,
      lostForGood,
      lostInAgreement,
      late,
    },
  };
}
