import { blobsNamed } from '../../coordinator/blob-names.js';
import type { RoundConfig, RoundRecord } from '../../coordinator/round-types.js';
import { RoundDriver } from '../../coordinator/shell/round-driver.js';
import { ConcordatError } from '../../shared/errors.js';
import { packWords, unpackWords } from '../../shared/fixed-point.js';
import type { CoordinatorMessage, Exchange, SiteMessage } from '../../shared/messages.js';
import { maskedInput } from '../../shared/secagg/masked-input.site.js';
import { sha256Hex } from '../../shared/secagg/statements.js';
import { Secret } from '../../shared/secret.js';
import type {
  MaskJob,
  ParticipantConfig,
  ParticipantEvent,
  ParticipantRecord,
} from '../../site-agent/participant-types.js';
import { ParticipantDriver } from '../../site-agent/shell/participant-driver.js';
import type { SimStudy } from './world.js';

/**
 * The two processes of the simulator: the real drivers with the real reducers in them, on simulated disks. What the drivers
 * call durable goes through `Host.write`, which may kill the process or refuse.
 */

/** Thrown inside a simulated process where it is killed. */
export class Killed extends Error {}

/** What the world gives to a process: a disk whose writes may kill, a clock that may jump, time that does not. */
export interface Host {
  /** This process's clock. */
  readonly nowMs: () => number;
  readonly random: () => Uint8Array;
  /** Runs later in this life of the process; forgotten when it is killed. */
  readonly later: (delayMs: number, run: () => void) => void;
  /** Wraps every durable write; throws Killed before or after it, or STORE_UNWRITABLE instead of it. */
  readonly write: (exchange: Exchange | null, commit: () => void) => void;
  /** The same for a blob file, which a crash may leave torn. */
  readonly writeBlob: (exchange: Exchange, blobs: Map<string, Uint8Array>, hash: string, bytes: Uint8Array) => void;
  /** A driver stopped on an error, which it gave a name; the process goes on and takes the study up again. */
  readonly stopped: (error: unknown) => void;
}

type EventBody<T> = T extends unknown ? Omit<T, 'nowMs' | 'random'> : never;

const SITE_RECORD_EXCHANGE: { readonly [type in ParticipantRecord['type']]: Exchange | null } = {
  incarnation: null,
  preKey: 'preKeys',
  joined: 'maskedInput',
  contribution: 'maskedInput',
  masked: 'maskedInput',
  acknowledged: 'maskedInput',
  signedSet: 'agreement',
  released: 'unmask',
  refused: 'maskedInput',
  closed: 'unmask',
};

export interface LedgerLine {
  readonly context: string;
  readonly blobHash: string;
}

/** Everything of a site that outlives its process. */
export interface SiteDisk {
  readonly records: readonly ParticipantRecord[];
  readonly ledger: readonly LedgerLine[];
  readonly secrets: ReadonlyMap<string, Secret>;
  readonly blobs: ReadonlyMap<string, Uint8Array>;
}

export interface SiteNetwork {
  readonly connected: () => boolean;
  readonly send: (message: SiteMessage) => void;
  /** Rejects with a WIRE_* error where the line breaks. */
  readonly upload: (blob: Uint8Array) => Promise<void>;
}

export interface SiteWatch {
  readonly masked: (site: string, keys: Secret, context: string, blobHash: string) => void;
  readonly secretMade: (secret: Secret) => void;
}

export class SiteProcess {
  records: ParticipantRecord[] = [];
  ledger: LedgerLine[] = [];
  secrets = new Map<string, Secret>();
  blobs = new Map<string, Uint8Array>();
  /** What it appended last, or tried to. */
  lastAppended: readonly ParticipantRecord[] = [];
  private driver: ParticipantDriver | null = null;

  constructor(
    readonly site: string,
    private readonly study: SimStudy,
    private readonly config: ParticipantConfig,
    private readonly host: Host,
    private readonly network: SiteNetwork,
    private readonly watch: SiteWatch,
  ) {}

  get disk(): SiteDisk {
    return {
      records: [...this.records],
      ledger: [...this.ledger],
      secrets: new Map(this.secrets),
      blobs: new Map(this.blobs),
    };
  }

  /** Puts an older disk in the place of this one. */
  restore(disk: Partial<SiteDisk>): void {
    if (disk.records !== undefined) this.records = [...disk.records];
    if (disk.ledger !== undefined) this.ledger = [...disk.ledger];
    if (disk.secrets !== undefined) this.secrets = new Map(disk.secrets);
    if (disk.blobs !== undefined) this.blobs = new Map(disk.blobs);
  }

  /** Starts from what is on disk: in a new process, or after the driver stopped. */
  boot(restored: boolean): void {
    this.halt();
    const { host, network } = this;
    const driver: ParticipantDriver = new ParticipantDriver(
      this.config,
      {
        append: (records) => {
          this.lastAppended = [...records];
          host.write(SITE_RECORD_EXCHANGE[records[0]!.type], () => void this.records.push(...records));
        },
        // Every write by itself, so that a kill may come between any two of them.
        together: (write) => write(),
        soon: (run) => host.later(20, run),
        putSecret: (name, secret) => {
          host.write('preKeys', () => void this.secrets.set(name, new Secret(secret.reveal())));
          this.watch.secretMade(secret);
        },
        getSecret: (name) => {
          const found = this.secrets.get(name);
          if (found === undefined) throw new ConcordatError('STORE_SECRET_MISSING', `no secret ${name}`);
          return found;
        },
        secretNames: () => [...this.secrets.keys()],
        eraseSecretsExcept: (names) => {
          const gone = [...this.secrets.keys()].filter((name) => !names.includes(name));
          // As in the store: where nothing is to be erased, nothing is written.
          if (gone.length > 0)
            host.write('unmask', () => {
              for (const name of gone) this.secrets.delete(name);
            });
        },
        putBlob: (bytes) => {
          const hash = sha256Hex(bytes);
          host.write('maskedInput', () => void this.blobs.set(hash, bytes));
          return hash;
        },
        getBlob: (hash) => {
          const found = this.blobs.get(hash);
          if (found === undefined) throw new ConcordatError('STORE_BLOB_MISSING', `no blob ${hash}`);
          return found;
        },
        deleteBlob: (hash) => {
          if (this.blobs.has(hash)) host.write('unmask', () => void this.blobs.delete(hash));
        },
        send: (message) => network.send(message),
        upload: (hash) => network.upload(this.blobs.get(hash)!),
        leaves: async (hash) => this.round(hash).specs,
        contribute: (task) =>
          new Promise((resolve) => {
            const { words } = this.round(task.broadcastHash);
            // The broadcast is fetched over the same line.
            host.later(5, () => resolve(network.connected() ? { words: packWords(words.get(this.site)!) } : 'later'));
          }),
        mask: async (job, leaves, words, secret) => maskedInput(job, leaves, unpackWords(leaves, words), secret),
        recordEgress: (task, blobHash) => {
          const job = task as MaskJob;
          host.write('maskedInput', () => void this.ledger.push({ context: job.context, blobHash }));
          const keys = job.secretName === null ? undefined : this.secrets.get(job.secretName);
          if (keys !== undefined) this.watch.masked(this.site, keys, job.context, blobHash);
        },
        report: () => undefined,
        stopped: (error) => {
          if (this.driver === driver || this.driver === null) host.stopped(error);
        },
        nowMs: () => host.nowMs(),
        random: () => host.random(),
      },
      this.records,
      restored,
    );
    this.driver = driver;
  }

  feed(event: EventBody<ParticipantEvent>): void {
    this.driver?.feed(event);
  }

  /** The process is dead: what it still awaits comes to nothing. */
  halt(): void {
    this.driver?.stop();
    this.driver = null;
  }

  private round(broadcastHash: string) {
    return this.study.rounds.find((candidate) => candidate.broadcastHash === broadcastHash)!;
  }
}

const ROUND_RECORD_EXCHANGE: { readonly [type in RoundRecord['type']]: Exchange | null } = {
  roundOpened: null,
  preKey: 'preKeys',
  preKeyVoid: 'preKeys',
  slotSkipped: 'preKeys',
  attemptOpened: 'maskedInput',
  maskedInput: 'maskedInput',
  siteOut: null,
  survivors: 'agreement',
  signature: 'agreement',
  agreed: 'agreement',
  shares: 'unmask',
  attemptAborted: null,
  total: 'unmask',
  roundFailed: null,
  abandoned: null,
};

/** What of a coordinator's log an exchange is, for counting faults by where the study is. */
const PHASE_OF: { readonly [type in RoundRecord['type']]?: Exchange } = {
  roundOpened: 'preKeys',
  attemptOpened: 'maskedInput',
  survivors: 'agreement',
  agreed: 'unmask',
  attemptAborted: 'preKeys',
};

/** The coordinator of one study: opens one round after the other, as coordinator/shell/study-host.ts does. */
export class CoordinatorProcess {
  readonly records: RoundRecord[] = [];
  readonly blobs = new Map<string, Uint8Array>();
  attempts = 0;
  private driver: RoundDriver | null = null;

  constructor(
    private readonly study: SimStudy,
    private readonly config: RoundConfig,
    private readonly host: Host,
    private readonly send: (site: string, message: CoordinatorMessage) => void,
    private readonly done: (round: number, sites: readonly string[], words: Uint8Array) => void,
    private readonly failed: (code: string, sites: readonly string[]) => void,
  ) {}

  /** The exchange that the study is in, by its log. */
  get exchange(): Exchange | null {
    for (let i = this.records.length - 1; i >= 0; i--) {
      const { type } = this.records[i]!;
      if (type === 'total') return null;
      const exchange = PHASE_OF[type];
      if (exchange !== undefined) return exchange;
    }
    return null;
  }

  /** From the log: in a new process, or after the driver stopped. */
  boot(): void {
    // As coordinator/service.ts at a start: what no record names is deleted, and the rounds must not miss it.
    const named = new Set(this.records.flatMap((record) => blobsNamed({ type: 'round', record })));
    for (const hash of [...this.blobs.keys()]) if (!named.has(hash)) this.blobs.delete(hash);
    const finished = this.records.filter((record) => record.type === 'total');
    // As in a real start: the totals so far are read again, and the run goes on from them.
    for (const [index, { sites, totalHash }] of finished.entries()) this.done(index + 1, sites, this.blob(totalHash));
    const round = finished.length + 1;
    const opened = this.records.some((record) => record.type === 'roundOpened' && record.round === round);
    let timer = 0;
    const { host } = this;
    const driver: RoundDriver = new RoundDriver(
      this.config,
      {
        append: (records) => {
          host.write(ROUND_RECORD_EXCHANGE[records[0]!.type], () => void this.records.push(...records));
          this.attempts += records.filter((record) => record.type === 'attemptOpened').length;
        },
        putBlob: (bytes) => {
          const hash = sha256Hex(bytes);
          // A disk keeps its own copy: the driver uses the memory of a total again for the next round's sum.
          if (!this.isWhole(hash)) host.writeBlob('unmask', this.blobs, hash, bytes.slice());
          return hash;
        },
        getBlob: (hash, into) => {
          const bytes = this.blob(hash);
          if (into?.length !== bytes.length) return bytes;
          into.set(bytes);
          return into;
        },
        deleteBlob: (hash) => void this.blobs.delete(hash),
        send: this.send,
        // As coordinator/service.ts: one timer a study, by the difference to this process's clock.
        setTimer: (atMs) => {
          const number = ++timer;
          host.later(Math.min(Math.max(0, atMs - host.nowMs()), 60_000), () => {
            if (timer === number && this.driver === driver) this.feed({ type: 'tick' });
          });
        },
        soon: (run) =>
          host.later(20, () => {
            if (this.driver === driver) run();
          }),
        nowMs: () => host.nowMs(),
        done: (number, _attempt, total, totalHash) => {
          this.done(number, total.sites, this.blob(totalHash));
          this.open(number + 1);
        },
        failed: (code, _message, sites) => this.failed(code, sites),
        report: () => undefined,
      },
      this.records,
    );
    this.driver = driver;
    if (opened) driver.resume(this.study.rounds[round - 1]!.specs);
    else this.open(round);
  }

  feed(event: EventBody<Parameters<RoundDriver['feed']>[0]>): void {
    this.driver?.feed({ ...event, nowMs: this.host.nowMs() } as Parameters<RoundDriver['feed']>[0]);
  }

  halt(): void {
    this.driver = null;
  }

  /** A message of a site, as coordinator/shell/study-host.ts takes it: a masked input counts only with its blob here. */
  receive(site: string, message: SiteMessage): void {
    if (message.type === 'maskedInput' && this.blobs.get(message.blobHash)?.length !== message.byteLength) return;
    this.feed({ type: 'message', site, message });
  }

  /** One transfer, as coordinator/rpc-transfer.ts takes it. False: not awaited from that site. */
  receiveBlob(site: string, blob: Uint8Array): boolean {
    const hash = sha256Hex(blob);
    if (this.isWhole(hash)) return true;
    if ((this.driver?.awaited(site) ?? null)?.byteLength !== blob.length) return false;
    this.host.writeBlob('maskedInput', this.blobs, hash, blob);
    return true;
  }

  /** Only where the bytes are those of the name does a blob count as there. */
  isWhole(hash: string): boolean {
    const bytes = this.blobs.get(hash);
    return bytes !== undefined && sha256Hex(bytes) === hash;
  }

  private blob(hash: string): Uint8Array {
    if (!this.blobs.has(hash)) throw new ConcordatError('STORE_BLOB_MISSING', `no blob ${hash}`);
    if (!this.isWhole(hash)) throw new ConcordatError('STORE_DAMAGED', `the blob ${hash} is not what was written`);
    return this.blobs.get(hash)!;
  }

  private open(round: number): void {
    const next = this.study.rounds[round - 1];
    if (next === undefined) return;
    const { computation, broadcastHash, declarationHash, bytes, specs } = next;
    this.driver!.open({ computation, round, broadcastHash, declarationHash, contributionBytes: bytes }, specs);
  }
}
