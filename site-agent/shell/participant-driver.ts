import { createHash } from 'node:crypto';
import { ConcordatError, type ErrorCode } from '../../shared/errors.js';
import type { SiteMessage } from '../../shared/messages.js';
import { releaseShares } from '../../shared/secagg/unmask.site.js';
import type { Secret } from '../../shared/secret.js';
import type { TensorSpec } from '../../shared/tensors.js';
import { isTransient } from '../../shared/wire/status.js';
import { stepParticipant } from '../participant.js';
import { type ParticipantState, recover } from '../participant-state.js';
import type {
  MaskJob,
  ParticipantConfig,
  ParticipantEffect,
  ParticipantEvent,
  ParticipantRecord,
  ParticipantReport,
} from '../participant-types.js';
import { PendingWrites } from './pending-writes.js';

type EventBody = ParticipantEvent extends infer E
  ? E extends ParticipantEvent
    ? Omit<E, 'nowMs' | 'random'>
    : never
  : never;

/** What the driver needs of the world; synchronous calls are durable when they return, or when `together` does. */
export interface ParticipantPorts {
  /** Runs `write` at once; what it writes becomes durable as one, in the order of `SiteStore.together`. */
  together(write: () => void): void;
  /** Runs a few milliseconds later, unless the process ends before. */
  soon(run: () => void): void;
  append(records: readonly ParticipantRecord[]): void;
  putSecret(name: string, secret: Secret): void;
  getSecret(name: string): Secret;
  secretNames(): readonly string[];
  eraseSecretsExcept(names: readonly string[]): void;
  putBlob(bytes: Uint8Array): string;
  getBlob(hash: string): Uint8Array;
  deleteBlob(hash: string): void;
  /** Dropped without a word where there is no connection: the reducer sends again when there is. */
  send(message: SiteMessage): void;
  /** `fresh`: it was made just now, and nothing of it was sent yet. */
  upload(blobHash: string, fresh: boolean): Promise<void>;
  /** The declared tensors of a broadcast, from this agent's own computations; fetches it if it must. */
  leaves(broadcastHash: string): Promise<readonly TensorSpec[]>;
  /** Computes behind the release gate; the packed words, or the code of the refusal; `later` where the network is at fault. */
  contribute(task: ContributeTask): Promise<{ readonly words: Uint8Array } | { readonly refused: ErrorCode } | 'later'>;
  /** The masked input of the job; `words` and `secret` stay as they are. */
  mask(job: MaskJob, leaves: readonly TensorSpec[], words: Uint8Array, secret: Secret | null): Promise<Uint8Array>;
  /** The masked input of a round is about to leave: writes the egress ledger. */
  recordEgress(task: ContributeTask, blobHash: string, byteLength: number): void;
  report(report: ParticipantReport): void;
  /** The driver has stopped: what failed may not be durable. Only a fresh one, from the records, goes on. */
  stopped(error: unknown): void;
  nowMs(): number;
  /** 32 bytes from the operating system. */
  random(): Uint8Array;
}

export type ContributeTask = Pick<
  Extract<ParticipantEffect, { type: 'contribute' }>,
  'computation' | 'round' | 'broadcastHash' | 'declarationHash'
>;

/** Carries out the effects of the participant reducer in order, each awaited before the next. It decides nothing but what is written together. */
export class ParticipantDriver {
  private state: ParticipantState;
  private readonly queue: EventBody[] = [];
  private readonly contributions = new Map<string, Uint8Array>();
  private running = false;
  private dead = false;
  private postponed: Extract<ParticipantEffect, { type: 'contribute' | 'mask' }> | null = null;
  private readonly pending = new PendingWrites();
  private awaitsSoon = false;
  /** Hash of a masked input that was made and not sent yet. */
  private fresh: string | null = null;
  /** The attempt of which this site signed a set: the guard knows all of it, however it ends. */
  private signed: string | null;

  constructor(
    private readonly config: ParticipantConfig,
    private readonly ports: ParticipantPorts,
    records: readonly ParticipantRecord[],
    restored: boolean,
  ) {
    this.state = recover(records);
    this.signed = this.state.attempt?.set == null ? null : this.state.attempt.context;
    this.feed({ type: 'resumed', secrets: ports.secretNames(), restored });
  }

  feed(event: EventBody): void {
    if (this.dead) return;
    this.queue.push(event);
    if (!this.running) void this.drain();
  }

  /** The study has ended here, or the process ends: what waits is written, and nothing more is taken. */
  end(): void {
    try {
      if (!this.dead) this.flush('all');
    } catch {
      // As after a crash: whoever takes the study up again goes on from the records.
    }
    this.stop();
  }

  /** Takes and writes nothing more. */
  stop(): void {
    this.dead = true;
    this.queue.length = 0;
  }

  private async drain(): Promise<void> {
    this.running = true;
    try {
      for (let next = this.queue.shift(); next !== undefined; next = this.queue.shift()) {
        const event = { ...next, nowMs: this.ports.nowMs(), random: this.ports.random() } as ParticipantEvent;
        const { state, effects } = stepParticipant(this.config, this.state, event);
        this.state = state;
        await this.carryOut(effects);
        if (next.type === 'connected' || next.type === 'message') await this.resumePostponed();
      }
    } catch (error) {
      this.failed(error);
    } finally {
      this.running = false;
    }
  }

  private failed(error: unknown): void {
    if (this.dead) return;
    this.stop();
    this.ports.stopped(error);
  }

  /** What waited for the network. The reducer ignores the answer where its attempt is over by now. */
  private async resumePostponed(): Promise<void> {
    const effect = this.postponed;
    this.postponed = null;
    if (effect === null) return;
    // Of an attempt that was closed meanwhile the secrets are destroyed.
    if (effect.type === 'mask' && this.state.attempt?.context !== effect.job.context) return;
    await this.one(effect);
  }

  /**
   * What an event makes durable is written before the first of its effects that anybody else may see, and otherwise at its end.
   * The driver's own events, which answer an effect, belong to the event before them.
   *
   * Nobody else has a turn between the guard's yes and that write: the guard of another study over the same patients would
   * decide without it. So only what takes long is awaited.
   */
  private async carryOut(effects: readonly ParticipantEffect[]): Promise<void> {
    for (const effect of effects) {
      if (this.dead) return;
      const takesLong = this.one(effect);
      if (takesLong !== undefined) await takesLong;
    }
    const next = this.queue[0]?.type;
    if (!this.dead && next !== 'contributionReady' && next !== 'masked') this.flush('needed');
  }

  /**
   * With `needed`, what no next step rests on waits a little for company: the receipt of a masked input, the end of an attempt
   * whose set was signed, and the destruction of what is no longer needed.
   */
  private flush(what: 'needed' | 'all'): void {
    const { pending, ports } = this;
    if (pending.isUrgent || (what === 'all' && !pending.isEmpty)) {
      ports.together(() => pending.write(ports));
      pending.written();
    }
    if (what === 'all') {
      if (!pending.destroysNothing) ports.together(() => pending.destroy(ports));
    } else if (!this.awaitsSoon && !(pending.isEmpty && pending.destroysNothing)) {
      this.awaitsSoon = true;
      ports.soon(() => {
        this.awaitsSoon = false;
        if (this.dead) return;
        try {
          this.flush('all');
        } catch (error) {
          this.failed(error);
        }
      });
    }
  }

  private one(effect: ParticipantEffect): Promise<void> | undefined {
    const { ports, pending } = this;
    switch (effect.type) {
      case 'persist':
        if (effect.record.type === 'signedSet') this.signed = effect.record.context;
        pending.addRecord(effect.record, !this.canWait(effect.record));
        return undefined;
      case 'persistSecret':
        pending.addSecret(effect.name, effect.secret);
        return undefined;
      case 'eraseSecretsExcept':
        pending.sweep(effect.names);
        return undefined;
      case 'discardBlobs':
        for (const hash of effect.hashes) this.contributions.delete(hash);
        pending.discard(effect.hashes);
        return undefined;
      case 'report':
        ports.report(effect.report);
        return undefined;
      case 'mask':
        return this.mask(effect);
      default:
        this.flush('needed');
        return this.visible(effect);
    }
  }

  /** In plain mode nothing is signed after the receipt, and the guard may wait for the end. */
  private canWait(record: ParticipantRecord): boolean {
    if (record.type === 'acknowledged') return this.config.terms.mode === 'secure';
    return record.type === 'closed' && record.context === this.signed;
  }

  /** Of these others see something, or they take long. */
  private async visible(
    effect: Extract<ParticipantEffect, { type: 'send' | 'contribute' | 'upload' | 'release' }>,
  ): Promise<void> {
    const { ports } = this;
    switch (effect.type) {
      case 'send':
        return ports.send(effect.message);
      case 'contribute': {
        const { computation, round, broadcastHash, declarationHash } = effect;
        const answer = await ports.contribute({ computation, round, broadcastHash, declarationHash });
        if (answer === 'later') this.postponed = effect;
        else if ('refused' in answer)
          this.queue.push({ type: 'contributionRefused', broadcastHash, declarationHash, code: answer.refused });
        else {
          const blobHash = sha256(answer.words);
          this.contributions.set(blobHash, answer.words);
          this.queue.push({
            type: 'contributionReady',
            broadcastHash,
            declarationHash,
            blobHash,
            byteLength: answer.words.byteLength,
          });
        }
        return;
      }
      case 'upload':
        // The attempt may have closed since this was decided; the next one has an input of its own.
        if (effect.message.type === 'maskedInput' && this.state.attempt?.context !== effect.message.context) return;
        // A transfer that breaks is taken up again after the next connection.
        try {
          const fresh = effect.blobHash === this.fresh;
          this.fresh = null;
          await ports.upload(effect.blobHash, fresh);
        } catch {
          return;
        }
        return ports.send(effect.message);
      case 'release':
        return ports.send(releaseShares(effect.job, ports.getSecret(effect.job.secretName), this.config.signingKey));
    }
  }

  private async mask(effect: { readonly type: 'mask'; readonly job: MaskJob }): Promise<void> {
    const { ports } = this;
    const { job } = effect;
    const { context, broadcastHash, declarationHash } = job;
    let bytes: Uint8Array;
    try {
      const leaves = await ports.leaves(broadcastHash);
      const words = await this.contributionOf(job);
      // Closed while something was fetched: the secrets are gone.
      if (this.dead) return;
      if (this.pending.hasInput || (job.secretName !== null && this.pending.holdsSecret(job.secretName)))
        this.flush('needed');
      const secret = job.secretName === null ? null : ports.getSecret(job.secretName);
      bytes = await ports.mask(job, leaves, words, secret);
      if (this.dead) return;
    } catch (error) {
      if (!(error instanceof ConcordatError)) throw error;
      if (isTransient(error) || error.code === 'SITE_COMPUTATION_LOST') this.postponed = effect;
      // A peer's key that nobody can agree with, or a table that changed: this site says so and lives on.
      else if (error.code === 'SECAGG_PRE_KEY_INVALID' || error.code === 'COHORT_CHANGED')
        this.queue.push({ type: 'contributionRefused', broadcastHash, declarationHash, code: error.code });
      else throw error;
      return;
    }
    const blobHash = sha256(bytes);
    this.pending.addInput({ task: job, blobHash, bytes });
    this.fresh = blobHash;
    this.queue.push({ type: 'masked', context, blobHash, byteLength: bytes.byteLength });
  }

  /**
   * The unmasked words. They never touch the disk: after a restart they are computed again, bit for bit, from the frozen
   * cohort. Only masked inputs, which leave, are kept and re-sent as they were.
   */
  private async contributionOf(job: MaskJob): Promise<Uint8Array> {
    const kept = this.contributions.get(job.contributionHash);
    if (kept !== undefined) return kept;
    const answer = await this.ports.contribute(job);
    if (answer === 'later') throw new ConcordatError('WIRE_DISCONNECTED', 'the broadcast cannot be fetched now');
    if ('refused' in answer || sha256(answer.words) !== job.contributionHash)
      throw new ConcordatError(
        'COHORT_CHANGED',
        `round ${job.round} cannot be computed again as it was before the restart`,
      );
    this.contributions.set(job.contributionHash, answer.words);
    return answer.words;
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
