import { createHash } from 'node:crypto';
import type { CoordinatorMessage, RoundTerms, SiteMessage } from '../../shared/messages.js';
import { seededRandom } from '../../shared/rng.js';
import { fewestSurvivors } from '../../shared/secagg/context.js';
import type { SurvivorSet } from '../../site-agent/participant-types.js';
import { Checkers } from './checkers.js';
import { VirtualClock } from './clock.js';
import { CALM, exchangeOf, type FaultCounts, type FaultPlan, Faults } from './faults.js';
import { CoordinatorProcess, type Host, Killed, SiteProcess } from './processes.js';
import { makeStudy, makeTerms } from './world.js';

export interface SimOptions {
  readonly seed: number;
  readonly sites: number;
  readonly rounds: number;
  readonly terms: Partial<Omit<RoundTerms, 'roster'>>;
  readonly faults: FaultPlan;
  /** Sites refuse any set that leaves somebody out. */
  readonly strictGuard?: boolean;
  /** Hears of every message that arrives, every kill and start, every total. */
  readonly trace?: (line: string) => void;
  /** Hears of every durable write: its number over all processes, and within its own. */
  readonly onWrite?: (who: string, write: number, ofThisProcess: number) => void;
}

export interface SimResult {
  readonly finished: boolean;
  /** Whether the faults let the study finish: the checker's own view, not the reducers'. */
  readonly couldFinish: boolean;
  readonly violations: readonly string[];
  readonly faults: FaultCounts;
  /** One for each finished round: who is in it, and the hash of its words. */
  readonly totals: readonly { readonly sites: readonly string[]; readonly hash: string }[];
  readonly attempts: number;
  readonly writes: number;
  readonly virtualMs: number;
  readonly failure: string | null;
}

const HORIZON_MS = 1_000_000;
const SITE_NAMES = [
  'alder',
  'birch',
  'cedar',
  'dogwood',
  'elm',
  'fir',
  'ginkgo',
  'hazel',
  'ivy',
  'juniper',
  'kapok',
  'larch',
];

export function siteNames(count: number): string[] {
  return Array.from(
    { length: count },
    (_, index) => SITE_NAMES[index] ?? `site-${String(index).padStart(3, '0')}`,
  ).sort();
}

/** One whole study of a few rounds, from one seed, in virtual time: real reducers, simulated disks, network and crashes. */
export function simulateFederation(options: SimOptions): SimResult {
  const { seed } = options;
  const terms = makeTerms(siteNames(options.sites), options.terms, seed);
  const study = makeStudy(terms, options.rounds, seed);
  const clock = new VirtualClock();
  const faults = new Faults(options.faults, seed);
  const checkers = new Checkers(study);
  const totals: { sites: readonly string[]; hash: string }[] = [];
  let failure: string | null = null;
  const tell = (line: string) => options.trace?.(`${String(clock.nowMs).padStart(6)} ms  ${line}`);
  const entropy = seededRandom('sim-entropy', seed);
  const random = () => Uint8Array.from({ length: 32 }, () => entropy.integer(256));

  // Lives: a process's timers and work are forgotten when it dies; its disk is not.
  interface Life {
    number: number;
    up: boolean;
    gone: boolean;
  }
  const lives = new Map<string, Life>(
    [...study.keys.keys(), 'coordinator'].map((who) => [who, { number: 0, up: false, gone: false }]),
  );
  const boots = new Map<string, () => void>();

  const alive = (who: string) => lives.get(who)!.up;
  const kill = (who: string, forGood: boolean) => {
    const life = lives.get(who)!;
    life.number++;
    life.up = false;
    life.gone = forGood;
    tell(`${who} is killed${forGood ? ' and lost for good' : ''}`);
    if (who === 'coordinator') for (const site of study.keys.keys()) hangUp(site);
    else hangUp(who);
    if (!forGood) clock.after(100 + faults.random.integer(6000), () => start(who));
  };
  /** Runs a piece of a process; a kill inside it ends this life. */
  const inside = (who: string, run: () => void) => {
    if (!alive(who)) return;
    try {
      run();
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
      kill(who, error.message === 'gone');
    }
  };
  const start = (who: string) => {
    lives.get(who)!.up = true;
    if (lives.get(who)!.number > 0) tell(`${who} is back`);
    inside(who, boots.get(who)!);
  };
  const hostFor = (who: string): Host => ({
    nowMs: () => clock.nowMs,
    random,
    later: (delayMs, run) => {
      const { number } = lives.get(who)!;
      clock.after(delayMs, () => {
        if (lives.get(who)!.number === number) inside(who, run);
      });
    },
    write: (exchange, commit) => {
      const outcome = faults.onWrite(who, exchange);
      options.onWrite?.(who, faults.writes - 1, faults.writesOf(who));
      if (outcome === 'before') throw new Killed('before');
      commit();
      if (outcome !== 'fine') throw new Killed(outcome);
    },
  });

  // Connections: one a site, numbered; both ends hear of the end of the current one only.
  const connection = new Map<string, number>();
  const connected = new Set<string>();
  const lastArrival = new Map<string, number>();
  const dial = (site: string) => {
    if (!alive(site) || connected.has(site)) return;
    if (!alive('coordinator')) {
      clock.after(200, () => dial(site));
      return;
    }
    connection.set(site, (connection.get(site) ?? 0) + 1);
    connected.add(site);
    inside('coordinator', () => coordinator.feed({ type: 'connected', site }));
    inside(site, () => sites.get(site)!.feed({ type: 'connected' }));
  };
  const hangUp = (site: string) => {
    if (!connected.delete(site)) return;
    const ended = connection.get(site);
    clock.after(50, () => {
      if (connection.get(site) !== ended || connected.has(site)) return;
      inside('coordinator', () => coordinator.feed({ type: 'disconnected', site }));
      inside(site, () => sites.get(site)!.feed({ type: 'disconnected' }));
      clock.after(100, () => dial(site));
    });
  };
  const carry = (from: string, to: string, message: CoordinatorMessage | SiteMessage, deliver: () => void) => {
    const exchange = exchangeOf(message);
    const delays = faults.onMessage(exchange);
    const site = from === 'coordinator' ? to : from;
    // A connection whose first message is lost is a broken connection.
    if (delays.length === 0 && exchange === null) hangUp(site);
    const sent = clock.nowMs;
    for (const delay of delays)
      clock.after(delay, () => {
        const link = `${from}>${to}`;
        if ((lastArrival.get(link) ?? 0) > sent) faults.onReorder(exchange);
        lastArrival.set(link, Math.max(lastArrival.get(link) ?? 0, sent));
        if (alive(to)) tell(`${from} > ${to}: ${summaryOf(message)}`);
        inside(to, deliver);
      });
  };

  const guard = (set: SurvivorSet) =>
    options.strictGuard === true && set.survivors.length < options.sites
      ? ('SECAGG_SET_INVALID' as const)
      : ('ok' as const);
  const sites = new Map(
    [...study.keys].map(([site, keys]) => {
      const toCoordinator = (message: SiteMessage, blob?: Uint8Array) => {
        checkers.wire(site, message, blob);
        if (!connected.has(site)) return;
        const current = connection.get(site);
        carry(site, 'coordinator', message, () => {
          // The shell tells the reducer of a new connection's first message only while that connection is the current one.
          if (message.type === 'siteReady' && (!connected.has(site) || connection.get(site) !== current)) return;
          if (blob !== undefined) coordinator.receiveBlob(blob);
          coordinator.feed({ type: 'message', site, message });
        });
      };
      const process = new SiteProcess(site, study, { site, terms, ...keys, guard }, hostFor(site), toCoordinator, {
        masked: (...what) => checkers.masked(...what),
        secretMade: (secret) => checkers.secretMade(secret),
      });
      return [site, process] as const;
    }),
  );
  const coordinator = new CoordinatorProcess(
    study,
    { terms, exchangeTimeoutMs: 1000 },
    hostFor('coordinator'),
    (site, message) => {
      checkers.wire('coordinator', message, undefined);
      if (connected.has(site))
        carry('coordinator', site, message, () => sites.get(site)!.feed({ type: 'message', message }));
    },
    (round, names, words) => {
      const total = { sites: names, hash: createHash('sha256').update(words).digest('hex') };
      const known = totals[round - 1];
      if (known !== undefined && known.hash !== total.hash) checkers.violations.push(`round ${round} has two totals`);
      totals[round - 1] = total;
      tell(`total of round ${round} over ${names.join(', ')}`);
      checkers.total(study.rounds[round - 1]!, names, words);
    },
    (code, names) => {
      failure = `${code} ${names.join(',')}`;
    },
  );

  boots.set('coordinator', () => coordinator.boot());
  for (const [site, process] of sites) {
    let first = true;
    boots.set(site, () => {
      let restored = false;
      if (!first && faults.wipes()) {
        process.secrets.clear();
        restored = true;
      }
      first = false;
      process.boot(restored);
      clock.after(20, () => dial(site));
    });
  }
  start('coordinator');
  for (const site of sites.keys()) start(site);

  const finished = () => totals.length === options.rounds || failure !== null;
  while (!finished() && clock.step(HORIZON_MS)) {
    /* the clock does the work */
  }
  const gone = [...lives].filter(([, life]) => life.gone).map(([who]) => who);
  const remaining = options.sites - gone.length;
  const couldFinish =
    gone.length === 0 ||
    (terms.onMissingSite === 'continue' && options.strictGuard !== true && remaining >= fewestSurvivors(terms));
  return {
    finished: totals.length === options.rounds,
    couldFinish,
    violations: checkers.violations,
    faults: faults.counts,
    totals,
    attempts: coordinator.attempts,
    writes: faults.writes,
    virtualMs: clock.nowMs,
    failure,
  };
}

function summaryOf(message: CoordinatorMessage | SiteMessage): string {
  switch (message.type) {
    case 'preKeyRequest':
      return `preKeyRequest, slot ${message.slot}`;
    case 'preKeyAnswer':
      return `preKeyAnswer, slot ${message.preKey.slot}`;
    case 'attemptOffer':
      return `attemptOffer, round ${message.round}, attempt ${message.attempt}, slot ${message.slot}`;
    case 'maskedInput':
      return `maskedInput with pre-key for slot ${message.nextPreKey?.slot ?? 'none'}`;
    case 'survivorsProposal':
      return `survivorsProposal: ${message.survivors.join(', ')} leaving out ${message.dropped.join(', ') || 'nobody'}`;
    case 'unmaskRequest':
      return `unmaskRequest, signed by ${message.signatures.map((signature) => signature.site).join(', ')}`;
    case 'sharesReleased':
      return `sharesReleased: ${message.shares.map((share) => `${share.dealer} ${share.kind}`).join(', ')}`;
    case 'attemptClosed':
      return `attemptClosed, ${message.outcome}`;
    case 'siteRefusal':
      return `siteRefusal, ${message.code}`;
    default:
      return message.type;
  }
}

/** The world of one seed: how many sites, which terms, which faults. Every tenth seed is plain, every third may lose sites. */
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
  const strictGuard = onMissingSite === 'continue' && random.uniform() < 0.2;
  if (onMissingSite === 'continue' && seed % 3 !== 0) {
    const spare = sites - fewestSurvivors(makeTerms(siteNames(sites), terms));
    // Now and then one more than the study can do without.
    const losses = Math.min(sites - 1, Math.max(0, spare + (random.uniform() < 0.15 ? 1 : 0)));
    for (const site of siteNames(sites).slice(0, losses)) lostForGood.set(site, 1 + random.integer(30));
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
      wipe: 0.15,
      lostForGood,
    },
  };
}
