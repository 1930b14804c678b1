import { createHash } from 'node:crypto';
import type { DemoProcess } from '../../cli/demo/processes.js';
import { pause } from '../../cli/demo/processes.js';
import type { LoggedEvent } from '../../coordinator/study-host-types.js';
import { decodeDocument, encodeDocument } from '../../shared/document.js';
import { type SeededRandom, seededRandom } from '../../shared/rng.js';
import { type Study, studyHash } from '../../shared/study.js';
import type { SiteRecord } from '../../site-agent/site-records.js';
import { openSiteStore } from '../../site-agent/store.js';
import { type CoordinatorLog, kindOf, readResult, smallStudy, type TestFederation } from '../e2e/support.js';

/**
 * Real processes killed with SIGKILL at seeded moments. The seed decides who is killed, after how many further events in the
 * coordinator's log, how many milliseconds later, and how long the victim stays down. What the operating system does in between
 * is not in the seed: the same seed kills the same processes after the same number of events, not at the same instruction.
 */
export interface Kill {
  readonly study: string;
  readonly victim: string;
  /** Events of the study in the coordinator's log when it was killed. */
  readonly events: number;
  /** Kind of the last of them: how far the study was. */
  readonly after: string;
  readonly downMs: number;
}

export interface ChaosResult {
  readonly kills: readonly Kill[];
  readonly studies: readonly Study[];
  /** Every broken promise, in words; empty where all was kept. */
  readonly problems: readonly string[];
}

/** Events of one small study from its proposal to its publication, about; kills are spread over them. */
const EVENTS_OF_A_STUDY = 260;
/** Without an event for so long the next kill does not wait any longer. */
const QUIET_MS = 15_000;

/** Runs small studies one after another in `federation` until `kills` processes have been killed, each started again. */
export async function chaos(
  federation: TestFederation,
  options: {
    readonly kills: number;
    readonly killsPerStudy: number;
    readonly seed: number;
    readonly onKill?: (kill: Kill) => void;
  },
): Promise<ChaosResult> {
  const random = seededRandom('chaos', options.seed);
  const kills: Kill[] = [];
  const studies: Study[] = [];
  const problems: string[] = [];
  for (let number = 1; kills.length < options.kills; number++) {
    const study = smallStudy(`chaos-${options.seed}-${number}`);
    studies.push(study);
    const wanted = Math.min(options.killsPerStudy, options.kills - kills.length);
    const run = new StudyUnderFire(federation, study, random, wanted);
    for (const kill of await run.run(options.onKill)) kills.push(kill);
    for (const problem of await run.check()) problems.push(`${study.name}: ${problem}`);
  }
  return { kills, studies, problems };
}

class StudyUnderFire {
  private readonly hash: string;
  private readonly gap: number;
  /** What an outside reader saw of the log right before the coordinator was killed. */
  private readonly seen: string[][] = [];
  private readonly restarts: Promise<void>[] = [];
  private readonly down = new Set<DemoProcess>();
  private over = false;

  constructor(
    private readonly federation: TestFederation,
    private readonly study: Study,
    private readonly random: SeededRandom,
    private readonly wanted: number,
  ) {
    this.hash = studyHash(study);
    this.gap = Math.floor((1.6 * EVENTS_OF_A_STUDY) / (wanted + 1));
  }

  async run(onKill?: (kill: Kill) => void): Promise<Kill[]> {
    const { federation } = this;
    const kills: Kill[] = [];
    const log = federation.openLog();
    try {
      const proposing = federation.propose(this.study);
      const firing = (async () => {
        let next = 0;
        while (kills.length < this.wanted) {
          next += 1 + this.random.integer(this.gap);
          const names = ['coordinator', 'coordinator', ...federation.sites.keys()];
          const victim = names[this.random.integer(names.length)]!;
          const delayMs = this.random.integer(40);
          const downMs = this.random.integer(400);
          if (!(await this.reached(log, next))) return;
          await pause(delayMs);
          const kill = await this.kill(log, victim, downMs);
          if (kill === null) continue;
          next = kill.events;
          kills.push(kill);
          onKill?.(kill);
        }
      })();
      await Promise.all([proposing, this.published(), firing]);
      await Promise.all(this.restarts);
    } finally {
      log.close();
    }
    return kills;
  }

  private async published(): Promise<void> {
    try {
      await this.federation.published(this.study);
    } finally {
      this.over = true;
    }
  }

  /** Waits for that many events of the study, or for a long silence; false where the study is over before. */
  private async reached(log: CoordinatorLog, count: number): Promise<boolean> {
    let last = -1;
    for (let since = Date.now(); !this.over; await pause(2)) {
      const now = log.count(this.hash);
      if (now >= count) return true;
      if (now !== last) since = Date.now();
      last = now;
      if (now > 0 && Date.now() - since > QUIET_MS) return true;
    }
    return false;
  }

  private async kill(log: CoordinatorLog, victim: string, downMs: number): Promise<Kill | null> {
    const { coordinator } = this.federation;
    const target = victim === 'coordinator' ? coordinator : this.federation.site(victim);
    if (this.over || this.down.has(target)) return null;
    this.down.add(target);
    const before = log.events(this.hash).map(({ event }) => event);
    if (victim === 'coordinator') this.seen.push(before.map(digestOf));
    target.signal('SIGKILL');
    await target.ended();
    const last = log.events(this.hash).at(-1)?.event ?? before.at(-1);
    this.restarts.push(
      pause(downMs).then(() => {
        target.start();
        this.down.delete(target);
      }),
    );
    return {
      study: this.study.name,
      victim,
      events: before.length,
      after: last === undefined ? 'nothing' : kindOf(last),
      downMs,
    };
  }

  /** What must hold when the study is published, whatever was killed. */
  async check(): Promise<string[]> {
    const problems = await checkStudy(this.federation, this.study);
    const digests = this.federation.eventsOf(this.study).map(digestOf);
    for (const [index, before] of this.seen.entries())
      if (before.some((digest, position) => digests[position] !== digest))
        problems.push(`events that were in the log before kill ${index + 1} of the coordinator are not in it now`);
    return problems;
  }
}

/** Waits for the publication and for every site to hear of it; says which promises were broken on the way. */
export async function checkStudy(federation: TestFederation, study: Study): Promise<string[]> {
  const problems: string[] = [];
  const bundle = await federation.published(study);
  if (readResult(bundle) !== federation.simulated(study))
    problems.push('result.json is not that of an undisturbed run');
  for (const problem of federation.verify(bundle).problems) problems.push(`the bundle does not verify: ${problem}`);
  const events = federation.eventsOf(study);
  for (const [site] of federation.sites) {
    await federation.line(federation.site(site), new RegExp(` ${study.name} published`));
    problems.push(...checkSite(federation, study, site, events).map((problem) => `${site}: ${problem}`));
  }
  return problems;
}

function checkSite(federation: TestFederation, study: Study, site: string, events: readonly LoggedEvent[]): string[] {
  const problems: string[] = [];
  const hash = studyHash(study);
  // Throws where the chain of hashes is broken.
  const ledger = federation.ledger(site).filter((entry) => entry.study === hash);
  const names = ledger.map(({ round, attempt }) => `round ${round}, attempt ${attempt}`);
  for (const name of new Set(names.filter((entry, index) => names.indexOf(entry) !== index)))
    problems.push(`${name} stands in the ledger more than once`);
  const sent = new Set(ledger.map(({ sha256 }) => sha256));
  const arrived = new Set<string>();
  for (const event of events)
    if (event.type === 'round' && event.record.type === 'maskedInput' && event.record.site === site) {
      arrived.add(event.record.context);
      if (!sent.has(event.record.blobHash)) problems.push('the coordinator has an input that is not in the ledger');
    }
  for (const context of acknowledgedAt(federation, site, hash))
    if (!arrived.has(context)) problems.push("an input that was acknowledged is not in the coordinator's log");
  return problems;
}

/** Attempts whose masked input the site's log calls acknowledged. */
function acknowledgedAt(federation: TestFederation, site: string, study: string): string[] {
  const store = openSiteStore(federation.siteFolder(site));
  try {
    const contexts: string[] = [];
    for (const { type, payload } of store.replay({ study }))
      if (type === 'participant') {
        const { record } = decodeDocument(payload) as Extract<SiteRecord, { type: 'participant' }>;
        if (record.type === 'acknowledged') contexts.push(record.context);
      }
    return contexts;
  } finally {
    store.close();
  }
}

function digestOf(event: LoggedEvent): string {
  return createHash('sha256').update(encodeDocument(event)).digest('hex');
}

/** Kills by victim and by how far the study was, as lines of text. */
export function killTable(kills: readonly Kill[]): string[] {
  const victims = [...new Set(kills.map(({ victim }) => victim))].sort();
  const phases = [...new Set(kills.map(({ after }) => after))].sort();
  const width = Math.max(...phases.map((phase) => phase.length), 10) + 2;
  const cell = (value: string | number) => String(value).padStart(13);
  const row = (name: string, values: readonly (string | number)[]) =>
    ` ${name.padEnd(width)}${values.map(cell).join('')}`;
  return [
    row('killed after', [...victims, 'all']),
    ...phases.map((phase) => {
      const here = kills.filter(({ after }) => after === phase);
      return row(phase, [
        ...victims.map((victim) => here.filter((kill) => kill.victim === victim).length),
        here.length,
      ]);
    }),
    row('all', [...victims.map((victim) => kills.filter((kill) => kill.victim === victim).length), kills.length]),
  ];
}
