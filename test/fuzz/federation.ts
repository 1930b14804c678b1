import type { RoundState } from '../../coordinator/round-state.js';
import type { RoundConfig, RoundRecord } from '../../coordinator/round-types.js';
import type { CoordinatorMessage, RoundTerms, SiteMessage } from '../../shared/messages.js';
import { seededRandom } from '../../shared/rng.js';
import type { ParticipantState } from '../../site-agent/participant-state.js';
import type { ParticipantConfig, ParticipantRecord } from '../../site-agent/participant-types.js';
import { siteNames } from '../sim/federation.js';
import { makeStudy, makeTerms } from '../sim/world.js';
import { CoordinatorProcess, type Host, SiteProcess } from './processes.js';

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

/** Real reducers, one queue, no faults. `away` never uploads, so that the round goes on without it. */
export function traceOf(options: {
  readonly sites: number;
  readonly rounds: number;
  readonly terms?: Partial<Omit<RoundTerms, 'roster'>>;
  readonly away?: string;
}): Trace {
  const terms = makeTerms(siteNames(options.sites), options.terms ?? {}, 1);
  const study = makeStudy(terms, options.rounds, 1);
  const roundConfig: RoundConfig = { terms, exchangeTimeoutMs: 1000 };
  const entropy = seededRandom('fuzz trace');
  const queue: (() => void)[] = [];
  const timers: (() => void)[] = [];
  let nowMs = 0;
  const host: Host = {
    nowMs: () => nowMs,
    random: () => Uint8Array.from({ length: 32 }, () => entropy.integer(256)),
    later: (delayMs, run) => void (delayMs >= 500 ? timers : queue).push(run),
    write: (_exchange, commit) => commit(),
  };
  const roundStates: RoundState[] = [];
  const siteStates: { site: string; state: ParticipantState }[] = [];
  const toCoordinator: { site: string; message: SiteMessage }[] = [];
  const toSites: { site: string; message: CoordinatorMessage }[] = [];
  let finished = 0;
  const guard = () => 'ok' as const;
  const siteConfigs = new Map([...study.keys].map(([site, keys]) => [site, { site, terms, ...keys, guard }]));
  const silent = (site: string, message: SiteMessage) => site === options.away && message.type === 'maskedInput';
  const sites = new Map<string, SiteProcess>();
  const coordinator = new CoordinatorProcess(
    study,
    roundConfig,
    host,
    (site, message) => {
      toSites.push({ site, message });
      queue.push(() => fed(sites.get(site)!, () => sites.get(site)!.feed({ type: 'message', message })));
    },
    () => void finished++,
    () => void finished++,
  );
  const fed = (process: SiteProcess | CoordinatorProcess, run: () => void) => {
    run();
    // The reducers' states are private to the processes; they are what a hostile message meets.
    const { state } = process as unknown as { state: never };
    if (process instanceof SiteProcess) siteStates.push({ site: process.site, state });
    else roundStates.push(state);
  };
  for (const [site, config] of siteConfigs) {
    const send = (message: SiteMessage, blob?: Uint8Array) => {
      if (silent(site, message)) return;
      toCoordinator.push({ site, message });
      queue.push(() => {
        if (blob !== undefined) coordinator.receiveBlob(blob);
        fed(coordinator, () => coordinator.feed({ type: 'message', site, message }));
      });
    };
    sites.set(
      site,
      new SiteProcess(site, study, config, host, send, { masked: () => undefined, secretMade: () => undefined }),
    );
  }
  fed(coordinator, () => coordinator.boot());
  for (const process of sites.values()) fed(process, () => process.boot(false));
  for (const [site, process] of sites) {
    coordinator.feed({ type: 'connected', site });
    fed(process, () => process.feed({ type: 'connected' }));
  }
  for (let turns = 0; turns < 20_000 && finished < options.rounds; turns++) {
    const next = queue.shift() ?? timers.shift();
    if (next === undefined) break;
    if (queue.length === 0) nowMs += 1000;
    next();
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
