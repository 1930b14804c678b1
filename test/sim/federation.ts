import { createHash } from 'node:crypto';
import { recover as recoverRound } from '../../coordinator/round-state.js';
import { ConcordatError } from '../../shared/errors.js';
import type { CoordinatorMessage, RoundTerms, SiteMessage } from '../../shared/messages.js';
import { seededRandom } from '../../shared/rng.js';
import { fewestSurvivors } from '../../shared/secagg/context.js';
import { recover as recoverParticipant } from '../../site-agent/participant-state.js';
import type { SurvivorSet } from '../../site-agent/participant-types.js';
import { Checkers } from './checkers.js';
import { VirtualClock } from './clock.js';
import { type DiskFate, exchangeOf, type FaultCounts, type FaultPlan, Faults } from './faults.js';
import { CoordinatorProcess, type Host, Killed, type SiteDisk, SiteProcess } from './processes.js';
import { summaryOf } from './trace.js';
import { makeStudy, makeTerms, siteNames } from './world.js';

export { siteNames } from './world.js';

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
  /** Restarts of sites by what they found on their disk. */
  readonly restarts: Readonly<Record<DiskFate, number>>;
  readonly virtualMs: number;
  readonly failure: string | null;
}

const HORIZON_MS = 1_000_000;
/** Between a driver that stopped on a full disk and the next try from the log. */
const RETAKE_MS = 500;

interface Life {
  number: number;
  up: boolean;
  gone: boolean;
}

/** Lets every promise that can go on do so. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

/**
 * One whole study of a few rounds, from one seed, in virtual time: real drivers and reducers, simulated disks, network, clocks
 * and crashes. Promises run between two steps of the clock, so that a seed replays exactly.
 */
export async function simulateFederation(options: SimOptions): Promise<SimResult> {
  const { seed } = options;
  const terms = makeTerms(siteNames(options.sites), options.terms, seed);
  const study = makeStudy(terms, options.rounds, seed);
  const clock = new VirtualClock();
  const faults = new Faults(options.faults, seed);
  const checkers = new Checkers(study);
  const totals: { sites: readonly string[]; hash: string }[] = [];
  const restarts = { same: 0, wiped: 0, 'restored, told': 0, 'restored, not told': 0, 'log restored, not told': 0 };
  let failure: string | null = null;
  let busy = false;
  const tell = (line: string) => options.trace?.(`${String(clock.nowMs).padStart(6)} ms  ${line}`);
  const entropy = seededRandom('sim-entropy', seed);
  const random = () => {
    const words = Uint32Array.from({ length: 8 }, () => entropy.uint32());
    return new Uint8Array(words.buffer);
  };

  // Lives: a process's timers and work are forgotten when it dies; its disk is not.
  const lives = new Map<string, Life>(
    [...study.keys.keys(), 'coordinator'].map((who) => [who, { number: 0, up: false, gone: false }]),
  );
  const boots = new Map<string, () => void>();
  const skewMs = new Map<string, number>();

  const alive = (who: string) => lives.get(who)!.up;
  const kill = (who: string, forGood: boolean) => {
    const life = lives.get(who)!;
    life.number++;
    life.up = false;
    life.gone = forGood;
    (who === 'coordinator' ? coordinator : sites.get(who)!).halt();
    tell(`${who} is killed${forGood ? ' and lost for good' : ''}`);
    if (who === 'coordinator') for (const site of study.keys.keys()) hangUp(site);
    else hangUp(who);
    if (!forGood) clock.after(100 + faults.random.integer(6000), () => start(who));
  };
  /** An error that ended a piece of a process: a kill, a full disk, or a defect. */
  const ended = (who: string, error: unknown) => {
    const root = rootOf(error);
    if (root instanceof Killed) {
      kill(who, root.message === 'gone');
      return;
    }
    if (!(error instanceof ConcordatError && error.code === 'STORE_UNWRITABLE' && root instanceof DiskFull))
      checkers.violations.push(`${who} stopped: ${String(error)} (${String(root)})`);
    (who === 'coordinator' ? coordinator : sites.get(who)!).halt();
    tell(`${who} stops: its disk is full`);
    hostFor(who).later(RETAKE_MS, () => retake(who));
  };
  const retake = (who: string) => {
    tell(`${who} goes on from its log`);
    if (who === 'coordinator') {
      coordinator.boot();
      // The sites say again where they are.
      for (const site of study.keys.keys()) hangUp(site);
    } else {
      sites.get(who)!.boot(false);
      if (connected.has(who)) sites.get(who)!.feed({ type: 'connected' });
    }
  };
  /** Runs a piece of a process; a kill inside it ends this life. */
  const inside = (who: string, run: () => void) => {
    if (!alive(who)) return;
    if (who !== 'coordinator') busy = true;
    try {
      run();
    } catch (error) {
      ended(who, error);
    }
  };
  const start = (who: string) => {
    lives.get(who)!.up = true;
    if (lives.get(who)!.number > 0) tell(`${who} is back`);
    inside(who, boots.get(who)!);
  };
  const hostFor = (who: string): Host => {
    const fate = (exchange: Parameters<Host['write']>[0]) => {
      const outcome = faults.onWrite(who, exchange, clock.nowMs);
      options.onWrite?.(who, faults.writes - 1, faults.writesOf(who));
      if (outcome === 'full')
        throw new ConcordatError('STORE_UNWRITABLE', 'nothing can be written', { cause: new DiskFull() });
      return outcome;
    };
    return {
      nowMs: () => clock.nowMs + (skewMs.get(who) ?? 0),
      random,
      later: (delayMs, run) => {
        const { number } = lives.get(who)!;
        clock.after(delayMs, () => {
          if (lives.get(who)!.number === number) inside(who, run);
        });
      },
      write: (exchange, commit) => {
        const outcome = fate(exchange);
        if (outcome === 'before') throw new Killed('before');
        commit();
        if (outcome === 'fine') snapshot(who);
        else throw new Killed(outcome);
      },
      writeBlob: (exchange, blobs, hash, bytes) => {
        const outcome = fate(exchange);
        const torn = outcome === 'before' || outcome === 'after' ? faults.tear(exchange, bytes) : null;
        if (torn !== null) blobs.set(hash, torn);
        else if (outcome !== 'before') blobs.set(hash, bytes);
        if (outcome !== 'fine') throw new Killed(outcome);
      },
      stopped: (error) => ended(who, error),
    };
  };

  // Older states of disks, for a site that comes back with one.
  const snapshots = new Map<string, SiteDisk[]>();
  const pick = seededRandom('sim-snapshots', seed);
  const snapshot = (who: string) => {
    if (options.faults.restore === 0 || who === 'coordinator' || pick.uniform() >= 0.15) return;
    const kept = snapshots.get(who) ?? [];
    snapshots.set(who, kept);
    kept[kept.length < 4 ? kept.length : pick.integer(4)] = sites.get(who)!.disk;
  };
  const bringBack = (site: string): boolean => {
    const fate = faults.onRestart();
    const kept = snapshots.get(site);
    const process = sites.get(site)!;
    const old = kept?.[pick.integer(kept.length)];
    if (fate === 'wiped') process.restore({ secrets: new Map() });
    else if (fate !== 'same') {
      if (old === undefined) {
        restarts.same++;
        return false;
      }
      faults.count('restored', coordinator.exchange);
      tell(`${site} has an older disk: ${fate}`);
      // A backup holds no secrets and no masked inputs; an image of the whole host holds both.
      if (fate === 'restored, told') process.restore({ ...old, secrets: new Map(), blobs: new Map() });
      else if (fate === 'restored, not told') process.restore(old);
      else process.restore({ records: old.records, ledger: old.ledger });
    }
    restarts[fate]++;
    return fate === 'wiped' || fate === 'restored, told';
  };

  // Connections: one a site, numbered; both ends hear of the end of the current one only.
  const connection = new Map<string, number>();
  const connected = new Set<string>();
  const lastArrival = new Map<string, number>();
  const brokenOff = new Map<string, Set<() => void>>();
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
    const current = connection.get(site);
    for (const breakOff of brokenOff.get(site) ?? []) breakOff();
    brokenOff.delete(site);
    clock.after(50, () => {
      if (connection.get(site) !== current || connected.has(site)) return;
      inside('coordinator', () => coordinator.feed({ type: 'disconnected', site }));
      inside(site, () => sites.get(site)!.feed({ type: 'disconnected' }));
      clock.after(100, () => dial(site));
    });
  };
  const jump = () => {
    const jumpMs = faults.clockJump(() => coordinator.exchange);
    if (jumpMs === null) return;
    const who = [...lives.keys()][faults.random.integer(lives.size)]!;
    skewMs.set(who, (skewMs.get(who) ?? 0) + jumpMs);
    tell(`the clock of ${who} jumps by ${(jumpMs / 3_600_000).toFixed(1)} h`);
  };
  const carry = (from: string, to: string, message: CoordinatorMessage | SiteMessage, deliver: () => void) => {
    jump();
    const exchange = exchangeOf(message);
    const delays = faults.onMessage(exchange);
    const site = from === 'coordinator' ? to : from;
    // A connection whose first message is lost is a broken connection.
    if (delays.length === 0 && exchange === null) hangUp(site);
    const sent = clock.nowMs;
    for (const delay of delays)
      clock.after(delay, () => {
        const link = `${from}>${to}`;
        if ((lastArrival.get(link) ?? 0) > sent && exchange !== null) faults.count('reorder', exchange);
        lastArrival.set(link, Math.max(lastArrival.get(link) ?? 0, sent));
        if (alive(to)) tell(`${from} > ${to}: ${summaryOf(message)}`);
        inside(to, deliver);
      });
  };
  /** A transfer: arrives whole or breaks the line. */
  const upload = (site: string, blob: Uint8Array) =>
    new Promise<void>((resolve, reject) => {
      let open = true;
      const settle = (error: ConcordatError | null) => {
        if (!open) return;
        open = false;
        inside(site, () => (error === null ? resolve() : reject(error)));
      };
      const lineBroken = () => settle(new ConcordatError('WIRE_DISCONNECTED', 'the line broke'));
      if (!connected.has(site)) return void clock.after(20, lineBroken);
      const waiting = brokenOff.get(site) ?? new Set();
      brokenOff.set(site, waiting.add(lineBroken));
      const delays = faults.onMessage('maskedInput');
      if (delays.length === 0) return void clock.after(1, () => hangUp(site));
      for (const delay of delays)
        clock.after(delay, () => {
          if (!alive('coordinator') || !connected.has(site)) return;
          let error: ConcordatError | null = null;
          inside('coordinator', () => {
            try {
              if (!coordinator.receiveBlob(site, blob)) error = new ConcordatError('WIRE_REFUSED', 'not awaited');
            } catch (problem) {
              // The answer of the transfer, not the end of the study's driver.
              if (!(rootOf(problem) instanceof DiskFull)) throw problem;
              error = problem as ConcordatError;
            }
          });
          if (alive('coordinator')) clock.after(1 + faults.random.integer(5), () => settle(error));
        });
    });

  const guard = (set: SurvivorSet) =>
    options.strictGuard === true && set.survivors.length < options.sites
      ? ('SECAGG_SET_INVALID' as const)
      : ('ok' as const);
  const sites: Map<string, SiteProcess> = new Map(
    [...study.keys].map(([site, keys]) => {
      const send = (message: SiteMessage) => {
        checkers.wire(site, message);
        checkers.durableAtSite(process, message);
        if (!connected.has(site)) return;
        const current = connection.get(site);
        carry(site, 'coordinator', message, () => {
          // The shell tells the reducer of a new connection's first message only while that connection is the current one.
          if (message.type === 'siteReady' && (!connected.has(site) || connection.get(site) !== current)) return;
          coordinator.receive(site, message);
        });
      };
      const process: SiteProcess = new SiteProcess(
        site,
        study,
        {
          ...{ site, terms, ...keys },
          guard: (set) => {
            const verdict = guard(set);
            if (verdict === 'ok') checkers.decided(process, set.context);
            return verdict;
          },
        },
        hostFor(site),
        {
          connected: () => connected.has(site),
          send,
          upload: (blob) => {
            checkers.blob(site, blob);
            checkers.ledgered(process, blob);
            return upload(site, blob);
          },
        },
        {
          masked: (...what) => checkers.masked(...what),
          secretMade: (secret) => checkers.secretMade(secret),
        },
      );
      return [site, process] as const;
    }),
  );
  const coordinator: CoordinatorProcess = new CoordinatorProcess(
    study,
    { terms, exchangeTimeoutMs: 1000, lossGraceMs: 300 },
    hostFor('coordinator'),
    (site, message) => {
      checkers.wire('coordinator', message);
      checkers.durableAtCoordinator(coordinator, site, message);
      if (connected.has(site))
        carry('coordinator', site, message, () => sites.get(site)!.feed({ type: 'message', message }));
    },
    (round, names, words) => {
      const total = { sites: names, hash: createHash('sha256').update(words).digest('hex') };
      const known = totals[round - 1];
      if (known?.hash === total.hash) return;
      if (known !== undefined) checkers.violations.push(`round ${round} has two totals`);
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
      const restored = first ? false : bringBack(site);
      first = false;
      process.boot(restored);
      clock.after(20, () => dial(site));
    });
  }
  start('coordinator');
  for (const site of sites.keys()) {
    const late = options.faults.late.get(site);
    if (late === undefined) start(site);
    else {
      const come = () => {
        const { exchange } = coordinator;
        if (late.during !== null && exchange !== late.during && clock.nowMs < late.afterMs + 20_000) {
          clock.after(3, come);
          return;
        }
        faults.count('late', exchange);
        tell(`${site} comes for the first time`);
        start(site);
      };
      clock.at(late.afterMs, come);
    }
  }

  const finished = () => totals.length === options.rounds || failure !== null;
  await settled();
  while (!finished() && clock.step(HORIZON_MS)) {
    if (!busy) continue;
    busy = false;
    await settled();
  }
  for (const [who, { up }] of lives) if (up) (who === 'coordinator' ? coordinator : sites.get(who)!).halt();
  // Every log folds, whatever happened.
  recoverRound(coordinator.records);
  for (const { records } of sites.values()) recoverParticipant(records);
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
    restarts,
    virtualMs: clock.nowMs,
    failure,
  };
}

class DiskFull extends Error {}

function rootOf(error: unknown): unknown {
  let root = error;
  while (root instanceof Error && root.cause !== undefined) root = root.cause;
  return root;
}
