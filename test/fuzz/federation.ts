import type { RoundState } from '../../coordinator/round-state.js';
import type { RoundConfig, RoundRecord } from '../../coordinator/round-types.js';
import type { CoordinatorMessage, RoundTerms, SiteMessage } from '../../shared/messages.js';
import { seededRandom } from '../../shared/rng.js';
import type { ParticipantState } from '../../site-agent/participant-state.js';
import type { ParticipantConfig, ParticipantRecord } from '../../site-agent/participant-types.js';
import { siteNames } from '../sim/federation.js';
import { CoordinatorProcess, type Host, SiteProcess } from '../sim/processes.js';
import { makeStudy, makeTerms } from '../sim/world.js';

/** What an undisturbed study of a few rounds leaves behind: every state on the way, every message, every record. */
export interface Trace {
  readonly terms: RoundTerms;
  readonly roundConfig: RoundConfig;
  readonly siteConfigs: ReadonlyMap<string, ParticipantConfig>;
  readonly roundStates: readonly RoundState[];
  readonly siteStates: readonly { readonly site: string; readonly state: ParticipantState }[];
  readonly toCoordinator: readonly { readonly site: string; readonly message: SiteMessage }[];
  readonly toSites: readonly { readonly site: string; readonly message: CoordinatorMessage }[];
  readonly roundRecords: readonly RoundRecord[];
  readonly siteRecords: ReadonlyMap<string, readonly ParticipantRecord[]>;
}

/** The simulator's processes over one queue, without faults. `away` never uploads, so that the round goes on without it. */
export async function traceOf(options: {
  readonly sites: number;
  readonly rounds: number;
  readonly terms?: Partial<Omit<RoundTerms, 'roster'>>;
  readonly away?: string;
}): Promise<Trace> {
  const terms = makeTerms(siteNames(options.sites), options.terms ?? {}, 1);
  const study = makeStudy(terms, options.rounds, 1);
  const roundConfig: RoundConfig = { terms, exchangeTimeoutMs: 1000 };
  const queue: (() => void)[] = [];
  const timers: (() => void)[] = [];
  let nowMs = 0;
  const roundStates: RoundState[] = [];
  const siteStates: { site: string; state: ParticipantState }[] = [];
  const toCoordinator: { site: string; message: SiteMessage }[] = [];
  const toSites: { site: string; message: CoordinatorMessage }[] = [];
  const totals = new Set<number>();
  const guard = () => 'ok' as const;
  const siteConfigs = new Map([...study.keys].map(([site, keys]) => [site, { site, terms, ...keys, guard }]));
  const silent = (site: string, message: SiteMessage) => site === options.away && message.type === 'maskedInput';
  const sites = new Map<string, SiteProcess>();
  const hostFor = (who: string): Host => {
    const entropy = seededRandom('fuzz trace', who);
    return {
      nowMs: () => nowMs,
      random: () => {
        // Asked for once with each event, before the reducer takes it: so every state is seen.
        const state = sites.has(who) ? stateOf<ParticipantState>(sites.get(who)!) : null;
        if (state !== null) siteStates.push({ site: who, state });
        return Uint8Array.from({ length: 32 }, () => entropy.integer(256));
      },
      later: (delayMs, run) => void (delayMs >= 500 ? timers : queue).push(run),
      write: (_exchange, commit) => commit(),
      writeBlob: (_exchange, blobs, hash, bytes) => void blobs.set(hash, bytes),
      stopped: (error) => {
        throw error;
      },
    };
  };
  const coordinator = new CoordinatorProcess(
    study,
    roundConfig,
    hostFor('coordinator'),
    (site, message) => {
      toSites.push({ site, message });
      queue.push(() => sites.get(site)!.feed({ type: 'message', message }));
    },
    (round) => void totals.add(round),
    (code) => {
      throw new Error(`the trace failed: ${code}`);
    },
  );
  const atCoordinator = (run: () => void) => {
    run();
    roundStates.push(stateOf<RoundState>(coordinator)!);
  };
  for (const [site, config] of siteConfigs) {
    const send = (message: SiteMessage) => {
      if (silent(site, message)) return;
      toCoordinator.push({ site, message });
      queue.push(() => atCoordinator(() => coordinator.receive(site, message)));
    };
    const upload = async (blob: Uint8Array) => {
      if (site !== options.away) coordinator.receiveBlob(site, blob);
    };
    const watch = { masked: () => undefined, secretMade: () => undefined };
    sites.set(
      site,
      new SiteProcess(site, study, config, hostFor(site), { connected: () => true, send, upload }, watch),
    );
  }
  atCoordinator(() => coordinator.boot());
  for (const process of sites.values()) process.boot(false);
  for (const [site, process] of sites) {
    coordinator.feed({ type: 'connected', site });
    process.feed({ type: 'connected' });
  }
  await settled();
  for (let turns = 0; turns < 20_000 && totals.size < options.rounds; turns++) {
    const next = queue.shift() ?? timers.shift();
    if (next === undefined) break;
    if (queue.length === 0) nowMs += 1000;
    next();
    await settled();
    if (options.away !== undefined && turns % 50 === 49) {
      const site = options.away;
      coordinator.feed({ type: 'disconnected', site });
    }
  }
  return {
    terms,
    roundConfig,
    siteConfigs,
    roundStates,
    siteStates,
    toCoordinator,
    toSites,
    roundRecords: coordinator.records,
    siteRecords: new Map([...sites].map(([site, process]) => [site, process.records])),
  };
}

/** The drivers keep their reducers' states to themselves; they are what a hostile message meets. */
function stateOf<T>(process: SiteProcess | CoordinatorProcess): T | null {
  return (process as unknown as { readonly driver: { readonly state: T } | null }).driver?.state ?? null;
}

/** Everything that can go on without another turn of the queue has gone on. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
