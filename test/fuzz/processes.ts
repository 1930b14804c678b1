import { stepRound } from '../../coordinator/round.js';
import { INITIAL_ROUND_STATE, type RoundState, recover as recoverRound } from '../../coordinator/round-state.js';
import type { RoundConfig, RoundEffect, RoundEvent, RoundRecord } from '../../coordinator/round-types.js';
import { packWords, unpackWords, zeroWords } from '../../shared/fixed-point.js';
import type { CoordinatorMessage, Exchange, SiteMessage } from '../../shared/messages.js';
import { accumulate } from '../../shared/secagg/masked-input.coordinator.js';
import { maskedInput } from '../../shared/secagg/masked-input.site.js';
import { sha256Hex } from '../../shared/secagg/statements.js';
import { removeMasks } from '../../shared/secagg/unmask.coordinator.js';
import { releaseShares } from '../../shared/secagg/unmask.site.js';
import { Secret } from '../../shared/secret.js';
import { stepParticipant } from '../../site-agent/participant.js';
import {
  INITIAL_PARTICIPANT_STATE,
  type ParticipantState,
  recover as recoverParticipant,
} from '../../site-agent/participant-state.js';
import type {
  ParticipantConfig,
  ParticipantEffect,
  ParticipantEvent,
  ParticipantRecord,
} from '../../site-agent/participant-types.js';
import type { SimStudy } from '../sim/world.js';

/** Thrown inside a simulated process where it is killed. */
export class Killed extends Error {}

/** What the world gives to a process: a disk whose writes may kill, a network, time. */
export interface Host {
  readonly nowMs: () => number;
  readonly random: () => Uint8Array;
  /** Runs later in this life of the process; forgotten when it is killed. */
  readonly later: (delayMs: number, run: () => void) => void;
  /** Wraps every durable write; may throw Killed before or after it. */
  readonly write: (exchange: Exchange | null, commit: () => void) => void;
}

type OmitTime<T> = T extends unknown ? Omit<T, 'nowMs' | 'random'> : never;

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

/** A site: the real participant reducer on a simulated disk. */
export class SiteProcess {
  readonly records: ParticipantRecord[] = [];
  readonly secrets = new Map<string, Secret>();
  readonly blobs = new Map<string, Uint8Array>();
  private state: ParticipantState = INITIAL_PARTICIPANT_STATE;

  constructor(
    readonly site: string,
    private readonly study: SimStudy,
    private readonly config: ParticipantConfig,
    private readonly host: Host,
    private readonly send: (message: SiteMessage, blob?: Uint8Array) => void,
    private readonly watch: {
      readonly masked: (site: string, keys: Secret, context: string, blobHash: string) => void;
      readonly secretMade: (secret: Secret) => void;
    },
  ) {}

  /** Starts from what is on disk. */
  boot(restored: boolean): void {
    this.state = recoverParticipant(this.records);
    this.feed({ type: 'resumed', secrets: [...this.secrets.keys()], restored });
  }

  feed(event: OmitTime<ParticipantEvent>): void {
    const full = { ...event, nowMs: this.host.nowMs(), random: this.host.random() } as ParticipantEvent;
    const { state, effects } = stepParticipant(this.config, this.state, full);
    this.state = state;
    for (const effect of effects) this.carryOut(effect);
  }

  private carryOut(effect: ParticipantEffect): void {
    const { host } = this;
    switch (effect.type) {
      case 'persist':
        host.write(SITE_RECORD_EXCHANGE[effect.record.type], () => this.records.push(effect.record));
        break;
      case 'persistSecret':
        host.write('preKeys', () => this.secrets.set(effect.name, new Secret(effect.secret.reveal())));
        this.watch.secretMade(effect.secret);
        break;
      case 'eraseSecretsExcept':
        for (const name of [...this.secrets.keys()]) if (!effect.names.includes(name)) this.secrets.delete(name);
        break;
      case 'send':
        this.send(effect.message);
        break;
      case 'contribute':
        host.later(5, () => {
          const { broadcastHash, declarationHash } = effect;
          const round = this.study.rounds.find((candidate) => candidate.broadcastHash === broadcastHash)!;
          const bytes = packWords(round.words.get(this.site)!);
          const blobHash = this.store('maskedInput', bytes);
          this.feed({ type: 'contributionReady', broadcastHash, declarationHash, blobHash, byteLength: bytes.length });
        });
        break;
      case 'mask':
        host.later(3, () => {
          const { job } = effect;
          const round = this.study.rounds.find((candidate) => candidate.broadcastHash === job.broadcastHash)!;
          const keys = job.secretName === null ? null : this.secrets.get(job.secretName);
          const contribution = this.blobs.get(job.contributionHash);
          // The attempt was closed meanwhile.
          if (keys === undefined || contribution === undefined) return;
          const bytes = maskedInput(job, round.specs, unpackWords(round.specs, contribution), keys);
          const blobHash = sha256Hex(bytes);
          if (keys !== null) this.watch.masked(this.site, keys, job.context, blobHash);
          this.store('maskedInput', bytes);
          this.feed({ type: 'masked', context: job.context, blobHash, byteLength: bytes.length });
        });
        break;
      case 'upload':
        this.send(effect.message, this.blobs.get(effect.blobHash)!);
        break;
      case 'release':
        this.send(releaseShares(effect.job, this.secrets.get(effect.job.secretName)!, this.config.signingKey));
        break;
      case 'discardBlobs':
        for (const hash of effect.hashes) this.blobs.delete(hash);
        break;
      case 'report':
        break;
    }
  }

  private store(exchange: Exchange, bytes: Uint8Array): string {
    const hash = sha256Hex(bytes);
    this.host.write(exchange, () => this.blobs.set(hash, bytes));
    return hash;
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

/** The coordinator: the real round reducer on a simulated disk; opens one round after the other. */
export class CoordinatorProcess {
  readonly records: RoundRecord[] = [];
  readonly blobs = new Map<string, Uint8Array>();
  attempts = 0;
  private state: RoundState = INITIAL_ROUND_STATE;
  private accumulator: { context: string; words: BigUint64Array[] } | null = null;

  constructor(
    private readonly study: SimStudy,
    private readonly config: RoundConfig,
    private readonly host: Host,
    private readonly send: (site: string, message: CoordinatorMessage) => void,
    private readonly done: (round: number, sites: readonly string[], words: Uint8Array) => void,
    private readonly failed: (code: string, sites: readonly string[]) => void,
  ) {}

  boot(): void {
    this.accumulator = null;
    this.state = recoverRound(this.records);
    this.feed({ type: 'resumed' });
    if (this.state.opening === null && this.state.end === null) this.open(1);
  }

  feed(event: OmitTime<RoundEvent>): void {
    const { state, effects } = stepRound(this.config, this.state, { ...event, nowMs: this.host.nowMs() } as RoundEvent);
    this.state = state;
    for (const effect of effects) this.carryOut(effect);
  }

  /** A blob is durable before the message that names it is fed. */
  receiveBlob(blob: Uint8Array): void {
    this.host.write('maskedInput', () => this.blobs.set(sha256Hex(blob), blob));
  }

  get phase(): string {
    return this.state.phase;
  }

  private open(round: number): void {
    const next = this.study.rounds[round - 1];
    if (next === undefined) return;
    const { computation, broadcastHash, declarationHash, bytes } = next;
    this.feed({ type: 'open', computation, round, broadcastHash, declarationHash, contributionBytes: bytes });
  }

  private carryOut(effect: RoundEffect): void {
    const { host } = this;
    switch (effect.type) {
      case 'persist':
        if (effect.record.type === 'attemptOpened') this.attempts++;
        host.write(ROUND_RECORD_EXCHANGE[effect.record.type], () => this.records.push(effect.record));
        break;
      case 'send':
        this.send(effect.site, effect.message);
        break;
      case 'resetAccumulator':
        this.accumulator = { context: effect.context, words: zeroWords(this.specs()) };
        break;
      case 'accumulate':
        if (this.accumulator?.context !== effect.context) throw new Error('no accumulator for this attempt');
        accumulate(this.accumulator.words, this.specs(), this.blobs.get(effect.blobHash)!);
        break;
      case 'unmask': {
        const { job } = effect;
        const specs = this.specs();
        host.later(3, () => {
          if (this.accumulator?.context !== job.context) return;
          removeMasks(this.accumulator.words, specs, job, job.removals);
          const bytes = packWords(this.accumulator.words);
          this.accumulator = null;
          const totalHash = sha256Hex(bytes);
          host.write('unmask', () => this.blobs.set(totalHash, bytes));
          this.feed({ type: 'unmasked', context: job.context, totalHash });
        });
        break;
      }
      case 'setTimer':
        host.later(effect.atMs - host.nowMs(), () => this.feed({ type: 'tick' }));
        break;
      case 'discardBlobs':
        for (const hash of effect.hashes) this.blobs.delete(hash);
        break;
      case 'roundDone':
        this.done(effect.round, effect.sites, this.blobs.get(effect.totalHash)!);
        host.later(1, () => this.open(effect.round + 1));
        break;
      case 'roundFailed':
        this.failed(effect.code, effect.sites);
        break;
      case 'report':
        break;
    }
  }

  private specs() {
    return this.study.rounds[(this.state.opening ?? this.state.end!.opening).round - 1]!.specs;
  }
}
