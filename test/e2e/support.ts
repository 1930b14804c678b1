import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import Database from 'libsql';
import { readFolder } from '../../cli/commands/model.js';
import { readConsortiumPublicKey } from '../../cli/consortium-keys.js';
import {
  type Federation,
  proposeStudy,
  publishedFolder,
  startFederation,
  stopFederation,
} from '../../cli/demo/federation.js';
import { type DemoProcess, pause, programFile, until } from '../../cli/demo/processes.js';
import { runSimulation } from '../../cli/simulation.js';
import { COORDINATOR_COMPUTATIONS } from '../../coordinator/computations.js';
import { resultBytes, studyResult } from '../../coordinator/result.js';
import type { RoundRecord } from '../../coordinator/round-types.js';
import type { LoggedEvent } from '../../coordinator/study-host-types.js';
import { advanceRun, startRun } from '../../coordinator/study-run.js';
import { verifyBundle } from '../../shared/bundle/verify.js';
import type { Cohort } from '../../shared/cohort.site.js';
import { decodeDocument } from '../../shared/document.js';
import { type LedgerEntry, verifyLedger } from '../../shared/egress-ledger.js';
import { addInto, decodeTotal, encodeContribution, zeroWords } from '../../shared/fixed-point.js';
import { planStudy } from '../../shared/plan.js';
import { seededRandom } from '../../shared/rng.js';
import { type Study, studyHash, studySchema, studySites } from '../../shared/study.js';
import { loadCohort } from '../../site-agent/cohort-files.js';
import { SITE_COMPUTATIONS } from '../../site-agent/computations.js';
import { contributionOf, siteView } from '../../site-agent/site-run.site.js';
import { openSiteStore } from '../../site-agent/store.js';

/**
 * Federations of real processes for tests: `dist/cli/main.js`, started, killed and started again as operators would. Where
 * a test waits, it waits for a fact in a log or a file, with a deadline that a loaded machine meets.
 */
export const DEADLINE_MS = 110_000;

const FEATURES = ['original_size', 'original_contrast', 'original_entropy'];

/** A table of simulated patients of one site, the same for the same name: three features and an age lead to the outcome. */
export function simulatedTable(site: string, n = 40): string {
  const random = seededRandom('e2e cohort', site);
  const rows = Array.from({ length: n }, (_, index) => {
    const features = FEATURES.map(() => random.normal());
    const age = Math.round(50 + 20 * random.uniform());
    const score = 0.8 * features[0]! - 0.6 * features[1]! + 0.04 * (age - 60);
    const mvi = random.uniform() < 1 / (1 + Math.exp(-score)) ? 1 : 0;
    // A scanner's own scale, and here and there a value that nobody measured.
    const shown = features.map((value, feature) =>
      random.uniform() < 0.03 ? '' : (site.length * (feature + 1) * 0.1 + 1.2 * value).toFixed(6),
    );
    return [`${site}-${index + 1}`, ...shown, age, mvi].join(',');
  });
  return `${['patient_id', ...FEATURES, 'age', 'mvi'].join(',')}\n${rows.join('\n')}\n`;
}

export const FOUR_SITES = ['alder', 'birch', 'cedar', 'dogwood'] as const;

/** A study small enough for a run of a few seconds that still goes through describe, ComBat, moments, training, validation. */
export function smallStudy(name: string, changes: Record<string, unknown> = {}): Study {
  return studySchema.parse({
    concordat: 1,
    name,
    title: 'simulated patients of an end-to-end test',
    cohort: {
      endpoint: { type: 'binary', column: 'mvi' },
      features: FEATURES,
      covariates: [{ column: 'age', unit: 'years' }],
    },
    sites: { training: FOUR_SITES.slice(0, 3), external: FOUR_SITES.slice(3) },
    harmonization: { method: 'combat', covariates: ['age'], calibrationCases: 10 },
    model: { type: 'logistic', alpha: 0.5, lambda: 0.1 },
    validation: { folds: 0, threshold: 0.5 },
    quorum: 3,
    seed: 7,
    ...changes,
  });
}

export const OPEN_POLICY = `concordat: 1
automaticApproval: true
secureAggregation: optional
visibility: {metrics: true, descriptions: true, aggregate: true}
`;

const COHORT_YAML = 'concordat: 1\ntable: cases.csv\nid: patient_id\nmissing: ["", NA]\n';

/** A started federation in a folder of its own, with what tests ask of it. */
export class TestFederation {
  private constructor(
    private readonly federation: Federation,
    readonly port: number,
    private readonly root: string,
  ) {}

  static async start(
    names: readonly string[] = FOUR_SITES,
    options: {
      readonly policy?: (site: string) => string;
      readonly table?: (site: string) => string;
      readonly cohortYaml?: string;
      /** Puts more into a site's folder, or other things in the place of the above. */
      readonly prepare?: (site: string, folder: string) => void;
    } = {},
  ): Promise<TestFederation> {
    programFile();
    const root = mkdtempSync(path.join(os.tmpdir(), 'concordat-e2e-'));
    const port = await freePort();
    const federation = await startFederation(root, names, port, (site, folder) => {
      writeFileSync(path.join(folder, 'cases.csv'), (options.table ?? simulatedTable)(site));
      writeFileSync(path.join(folder, 'cohort.yaml'), options.cohortYaml ?? COHORT_YAML);
      writeFileSync(path.join(folder, 'policy.yaml'), options.policy?.(site) ?? OPEN_POLICY);
      options.prepare?.(site, folder);
    });
    return new TestFederation(federation, port, root);
  }

  get coordinator(): DemoProcess {
    return this.federation.coordinator;
  }

  get coordinatorFolder(): string {
    return this.federation.coordinatorFolder;
  }

  get consortiumFolder(): string {
    return this.federation.consortiumFolder;
  }

  /** A place for files of the test, removed with the federation. */
  get folder(): string {
    return this.root;
  }

  get sites(): ReadonlyMap<string, DemoProcess> {
    return this.federation.sites;
  }

  site(name: string): DemoProcess {
    return this.federation.sites.get(name)!;
  }

  siteFolder(name: string): string {
    return this.federation.siteFolder(name);
  }

  propose(study: Study): Promise<string> {
    return proposeStudy(this.federation, study);
  }

  async stop(): Promise<void> {
    // A stopped process takes no other signal.
    for (const process_ of [this.coordinator, ...this.federation.sites.values()]) process_.signal('SIGCONT');
    await stopFederation(this.federation);
    rmSync(this.root, { recursive: true, force: true });
  }

  /** Waits until `probe` gives something; when it does not, says where every process stood. */
  wait<T>(what: string, probe: () => T | undefined, deadlineMs = DEADLINE_MS): Promise<T> {
    return until(probe, () => new Error(`waited in vain for ${what}\n${this.logs()}`), deadlineMs);
  }

  /** Waits for a line that the process has written or will write. */
  async line(process_: DemoProcess, pattern: RegExp): Promise<string> {
    return this.wait(`${pattern} of ${process_.name}`, () => process_.lines.find((line) => pattern.test(line)));
  }

  logs(): string {
    return [this.coordinator, ...this.federation.sites.values()]
      .map(
        ({ name, lines, running }) => `--- ${name}${running ? '' : ' (not running)'}\n${lines.slice(-15).join('\n')}`,
      )
      .join('\n');
  }

  /** Folder of the study in the registry once it is published; fails at once when the study ends otherwise. */
  async published(study: Study): Promise<string> {
    const folder = publishedFolder(this.federation, study);
    const other = new RegExp(`^study ${studyHash(study).slice(0, 12)} (declined|failed|withdrawn)(:|$)`);
    await this.wait(`the publication of ${study.name}`, () => {
      const ended = this.coordinator.lines.find((line) => other.test(line));
      if (ended !== undefined) throw new Error(`${ended}\n${this.logs()}`);
      return existsSync(path.join(folder, 'status.json')) ? true : undefined;
    });
    return path.join(folder, 'bundle');
  }

  verify(bundle: string) {
    return verifyBundle(readFolder(bundle), { consortiumPublicKey: readConsortiumPublicKey(this.consortiumFolder) });
  }

  /** The same study over the sites' own tables in this process. */
  cohorts(study: Study) {
    return studySites(study).map(
      (site) => loadCohort(study, path.join(this.siteFolder(site), 'cohort.yaml'), site).cohort,
    );
  }

  simulated(study: Study): string {
    return Buffer.from(resultBytes(studyResult(study, runSimulation(study, this.cohorts(study))))).toString('utf8');
  }

  /** The site's whole ledger; throws where its chain of hashes is broken. */
  ledger(site: string): LedgerEntry[] {
    const store = openSiteStore(this.siteFolder(site));
    try {
      const entries = store.ledger().map((line) => JSON.parse(line) as LedgerEntry);
      verifyLedger(entries);
      return entries;
    } finally {
      store.close();
    }
  }

  /** The coordinator's log, read from outside. */
  openLog(): CoordinatorLog {
    return new CoordinatorLog(path.join(this.coordinatorFolder, 'events.db'));
  }

  /** Records of the study's rounds so far. */
  recordsOf(study: Study): RoundRecord[] {
    return this.eventsOf(study).flatMap((event) => (event.type === 'round' ? [event.record] : []));
  }

  eventsOf(study: Study): LoggedEvent[] {
    const log = this.openLog();
    try {
      return log.events(studyHash(study)).map(({ event }) => event);
    } finally {
      log.close();
    }
  }

  /** The command line as a person would use it. */
  concordat(...args: string[]): Promise<CommandResult> {
    return concordat(args);
  }
}

/**
 * The study in this process over sums that not every site is in: `sitesOf` says who is in the sum of each round, from 1.
 * The obvious loop, beside cli/simulation.ts, which knows of no missing sites.
 */
export function simulateWith(
  study: Study,
  cohorts: readonly Cohort[],
  sitesOf: (round: number) => readonly string[],
): string {
  const plan = planStudy(study);
  const memos = new Map(cohorts.map((cohort) => [cohort.holder, new Map<string, unknown>()]));
  let run = startRun(plan, COORDINATOR_COMPUTATIONS);
  for (let request = run.request; request !== null; request = run.request) {
    const { leaves, round } = request;
    const sites = sitesOf(round);
    const sum = zeroWords(leaves);
    for (const cohort of cohorts.filter(({ holder }) => sites.includes(holder))) {
      const view = siteView(study, plan, cohort, run.results, memos.get(cohort.holder)!);
      const contribution = contributionOf(plan, SITE_COMPUTATIONS, request, view);
      const words = encodeContribution(leaves, contribution, cohorts.length);
      for (const [index, leaf] of leaves.entries()) addInto(sum[index]!, words[index]!, leaf.ring);
    }
    run = advanceRun(run, COORDINATOR_COMPUTATIONS, { sites: [...sites], values: decodeTotal(leaves, sum) });
  }
  return Buffer.from(resultBytes(studyResult(study, run))).toString('utf8');
}

export interface CommandResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export function concordat(args: readonly string[], cwd?: string): Promise<CommandResult> {
  return new Promise((resolve) => {
    execFile(process.execPath, [programFile(), ...args], { cwd, encoding: 'utf8' }, (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : Number(error.code ?? -1), stdout, stderr });
    });
  });
}

export function readResult(bundle: string): string {
  return readFileSync(path.join(bundle, 'result.json'), 'utf8');
}

export function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** A port that nobody listens on, so that a coordinator can be started again on the same one. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

/** Name of a logged event: a round's record, or a study's event, as the issue lists them. */
export function kindOf(event: LoggedEvent): string {
  if (event.type === 'round') return event.record.type;
  return event.type === 'study' ? event.event.type : event.type;
}

interface LoggedRow {
  readonly sequence: number;
  readonly event: LoggedEvent;
}

/**
 * The coordinator's log from a second connection. `holdAt` takes the database's write lock while a certain event is the
 * last one: the coordinator can then log nothing more, and dies, when it is killed, exactly after that event.
 */
export class CoordinatorLog {
  private readonly db: Database.Database;
  private readonly newest: Database.Statement;
  private readonly counted: Database.Statement;

  constructor(file: string) {
    this.db = new Database(file);
    this.db.pragma('busy_timeout = 0');
    this.counted = this.db.prepare('SELECT count(*) AS n FROM events WHERE study = ?');
    this.newest = this.db.prepare('SELECT sequence, payload FROM events ORDER BY sequence DESC LIMIT 1');
  }

  events(study: string): LoggedRow[] {
    const rows = this.db.prepare('SELECT sequence, payload FROM events WHERE study = ? ORDER BY sequence').all(study);
    return (rows as Row[]).map(rowOf);
  }

  /** Number of the study's events. */
  count(study: string): number {
    return (this.counted.all(study) as { n: number }[])[0]!.n;
  }

  last(): LoggedRow | undefined {
    // `all` reads to the end, so that the statement does not keep an old snapshot open as `get` does.
    const rows = this.newest.all() as Row[];
    return rows[0] === undefined ? undefined : rowOf(rows[0]);
  }

  /** Acts while the last event is one that `matches` and none can follow. False: it did not come before the deadline. */
  async holdAt(matches: (event: LoggedEvent) => boolean, act: () => Promise<void>): Promise<boolean> {
    let seen = 0;
    for (const end = Date.now() + DEADLINE_MS; Date.now() < end; await pause(0)) {
      for (const burst = Date.now() + 15; Date.now() < burst; Atomics.wait(NOTHING, 0, 0, 0.2)) {
        const last = this.last();
        if (last === undefined || last.sequence === seen) continue;
        seen = last.sequence;
        if (!matches(last.event) || !this.lock()) continue;
        try {
          if (this.last()?.sequence !== seen) continue;
          await act();
          return true;
        } finally {
          this.db.exec('ROLLBACK');
        }
      }
    }
    return false;
  }

  private lock(): boolean {
    try {
      this.db.exec('BEGIN IMMEDIATE');
      return true;
    } catch {
      // The coordinator is writing: the event is no longer the last one.
      return false;
    }
  }

  close(): void {
    this.db.close();
  }
}

const NOTHING = new Int32Array(new SharedArrayBuffer(4));

interface Row {
  readonly sequence: number;
  readonly payload: ArrayBuffer | Uint8Array;
}

function rowOf({ sequence, payload }: Row): LoggedRow {
  return { sequence, event: decodeDocument(new Uint8Array(payload)) as LoggedEvent };
}
