import { assert, ConcordatError, type ErrorCode } from '../../shared/errors.js';
import {
  addInto,
  decodeTotal,
  fitsVector,
  unpackWords,
  type WordVector,
  zeroVector,
} from '../../shared/fixed-point.js';
import type { CoordinatorMessage } from '../../shared/messages.js';
import { removeMasks } from '../../shared/secagg/unmask.coordinator.js';
import type { TensorSpec, Total } from '../../shared/tensors.js';
import { stepRound } from '../round.js';
import { type RoundState, recover } from '../round-state.js';
import type {
  RoundConfig,
  RoundEffect,
  RoundEvent,
  RoundOpening,
  RoundRecord,
  RoundReport,
  UnmaskJob,
} from '../round-types.js';

/** What the driver needs of the world around it; every call returns only when what it says is true. */
export interface RoundDriverPorts {
  /** Durable before it returns. */
  append(records: readonly RoundRecord[]): void;
  putBlob(bytes: Uint8Array): string;
  /** May fill `into` and give it back, where it has the blob's length. */
  getBlob(hash: string, into?: Uint8Array): Uint8Array;
  deleteBlob(hash: string): void;
  send(site: string, message: CoordinatorMessage): void;
  setTimer(atMs: number): void;
  /** Runs a few milliseconds later, unless the process ends before. */
  soon(run: () => void): void;
  nowMs(): number;
  done(round: number, attempt: number, total: Total, totalHash: string): void;
  failed(code: ErrorCode, message: string, sites: readonly string[]): void;
  report(report: RoundReport): void;
}

/**
 * Carries out the effects of the round reducer of one study, in order: `persist` before whatever of it can be seen outside. It
 * decides nothing. Everything runs to completion on one thread, so an event is never handled inside another.
 *
 * What a site's message makes durable waits a few milliseconds for company, its receipt with it, unless something else is to
 * be sent: of the answers of all sites to one question the last one writes them all. A kill in between is as if those
 * messages had been lost.
 */
export class RoundDriver {
  private state: RoundState;
  private leaves: readonly TensorSpec[] = [];
  /** The only copy of the sum so far: one block of words for each leaf. */
  private accumulator: ({ readonly context: string; damaged?: true } & WordVector) | undefined;
  /** The total that was stored last, until it is told. */
  private total: ({ readonly totalHash: string } & WordVector) | undefined;
  /**
   * Memory for one masked input after the other, and that of the last sum for the next one: fresh vectors in every round
   * would cost the coordinator more in garbage collection than adding them up.
   */
  private arrived: WordVector | undefined;
  private idle: WordVector | undefined;
  private readonly queue: RoundEvent[] = [];
  private pending: RoundRecord[] = [];
  private receipts: Extract<RoundEffect, { type: 'send' }>[] = [];
  private awaitsSoon = false;
  private running = false;
  private broken: ConcordatError | null = null;

  constructor(
    private readonly config: RoundConfig,
    private readonly ports: RoundDriverPorts,
    records: readonly RoundRecord[],
  ) {
    this.state = recover(records);
  }

  /** The durable total of a finished round. */
  static readTotal(
    leaves: readonly TensorSpec[],
    total: { readonly totalHash: string; readonly sites: readonly string[] },
    blobs: Pick<RoundDriverPorts, 'getBlob'>,
  ): Total {
    return { sites: total.sites, values: decodeTotal(leaves, unpackWords(leaves, blobs.getBlob(total.totalHash))) };
  }

  /** Begins a round, or takes up the one that the log left open. */
  open(opening: RoundOpening, leaves: readonly TensorSpec[]): void {
    this.leaves = leaves;
    this.feed({ type: 'open', ...opening, nowMs: this.ports.nowMs() });
  }

  /** After a restart: the leaves of the round that the log left open, then the first event. */
  resume(leaves: readonly TensorSpec[]): void {
    this.leaves = leaves;
    this.feed({ type: 'resumed', nowMs: this.ports.nowMs() });
  }

  /** The masked input that this site still owes to the open attempt; null where none is awaited. */
  awaited(site: string): { readonly context: string; readonly byteLength: number } | null {
    const { phase, attempt, opening } = this.state;
    if (phase !== 'maskedInput' || attempt === null || opening === null) return null;
    if (!attempt.sites.includes(site) || attempt.inputs.has(site) || attempt.out.has(site)) return null;
    return { context: attempt.context, byteLength: opening.contributionBytes };
  }

  /** Hash of the masked input of this site that is in the open attempt; null where there is none. */
  given(site: string): string | null {
    return this.state.attempt?.inputs.get(site) ?? null;
  }

  feed(event: RoundEvent): void {
    // What failed may not have become durable, and nothing may be built on it: only a replay of the log goes on from there.
    if (this.broken !== null) throw this.broken;
    this.queue.push(event);
    if (this.running) return;
    this.unlessBroken(() => {
      this.drain();
      if (event.type === 'message') this.flushSoon();
      else this.flush();
    });
  }

  private drain(): void {
    for (let next = this.queue.shift(); next !== undefined; next = this.queue.shift()) {
      const { state, effects } = stepRound(this.config, this.state, next);
      this.state = state;
      for (const effect of effects) this.one(effect);
    }
  }

  private flushSoon(): void {
    if (this.awaitsSoon || this.pending.length === 0) return;
    this.awaitsSoon = true;
    this.ports.soon(() => {
      this.awaitsSoon = false;
      if (this.broken === null) this.unlessBroken(() => this.flush());
    });
  }

  private flush(): void {
    const { pending, receipts } = this;
    if (pending.length === 0) return;
    this.pending = [];
    this.receipts = [];
    this.ports.append(pending);
    for (const { site, message } of receipts) this.ports.send(site, message);
  }

  private unlessBroken(action: () => void): void {
    this.running = true;
    try {
      action();
    } catch (error) {
      this.queue.length = 0;
      if (error instanceof StoppedRounds) {
        this.broken = error;
        throw error;
      }
      const why = error instanceof Error ? error.message : String(error);
      this.broken = new ConcordatError('STORE_UNWRITABLE', `the rounds of this study have stopped: ${why}`, {
        hint: 'Mend the cause (a full disk?): the coordinator then goes on from its log by itself.',
        cause: error,
      });
      throw this.broken;
    } finally {
      this.running = false;
    }
  }

  private one(effect: RoundEffect): void {
    switch (effect.type) {
      case 'persist':
        this.pending.push(effect.record);
        return;
      case 'send':
        // Nobody waits for a receipt.
        if (effect.message.type === 'maskedInputReceived' && this.pending.length > 0) {
          this.receipts.push(effect);
          return;
        }
        this.flush();
        return this.ports.send(effect.site, effect.message);
      case 'resetAccumulator':
        this.idle = this.idle ?? this.accumulator;
        this.accumulator = { context: effect.context, ...this.emptyVector() };
        return;
      case 'accumulate':
        return this.accumulate(effect);
      case 'unmask':
        return this.unmask(effect.job);
      case 'setTimer':
        return this.ports.setTimer(effect.atMs);
      case 'discardBlobs':
        this.flush();
        return effect.hashes.forEach((hash) => {
          this.ports.deleteBlob(hash);
        });
      case 'roundDone':
        this.flush();
        return this.ports.done(effect.round, effect.attempt, this.totalOf(effect), effect.totalHash);
      case 'stop':
        this.flush();
        throw new StoppedRounds(effect.code, effect.message);
      case 'roundFailed':
        this.flush();
        return this.ports.failed(effect.code, effect.message, effect.sites);
      case 'report':
        return this.ports.report(effect.report);
    }
  }

  private accumulate({ context, site, blobHash }: Extract<RoundEffect, { type: 'accumulate' }>): void {
    const accumulator = this.accumulatorOf(context);
    if (accumulator.damaged === true) return;
    if (this.arrived === undefined || !fitsVector(this.leaves, this.arrived)) this.arrived = zeroVector(this.leaves);
    const { packed } = this.arrived;
    let blob: Uint8Array;
    try {
      blob = this.ports.getBlob(blobHash, packed);
    } catch (error) {
      if (!(error instanceof ConcordatError) || !['STORE_DAMAGED', 'STORE_BLOB_MISSING'].includes(error.code))
        throw error;
      // A sum without it must never be unmasked, whatever else this list of effects asks for.
      accumulator.damaged = true;
      this.queue.push({ type: 'inputDamaged', context, site, nowMs: this.ports.nowMs() });
      return;
    }
    const words = blob.buffer === packed.buffer ? this.arrived.blocks : unpackWords(this.leaves, blob);
    for (const [index, leaf] of this.leaves.entries()) addInto(accumulator.blocks[index]!, words[index]!, leaf.ring);
  }

  private emptyVector(): WordVector {
    const { idle } = this;
    this.idle = undefined;
    if (idle === undefined || !fitsVector(this.leaves, idle)) return zeroVector(this.leaves);
    const { blocks, packed } = idle;
    packed.fill(0);
    return { blocks, packed };
  }

  private unmask(job: UnmaskJob): void {
    const { blocks, packed, damaged } = this.accumulatorOf(job.context);
    if (damaged === true) return;
    removeMasks(blocks, this.leaves, job, job.removals);
    const totalHash = this.ports.putBlob(packed);
    this.accumulator = undefined;
    this.total = { totalHash, blocks, packed };
    this.queue.push({ type: 'unmasked', context: job.context, totalHash, nowMs: this.ports.nowMs() });
  }

  /** From memory where it was made in this process. */
  private totalOf(told: { readonly totalHash: string; readonly sites: readonly string[] }): Total {
    const made = this.total;
    this.total = undefined;
    if (made?.totalHash !== told.totalHash) return RoundDriver.readTotal(this.leaves, told, this.ports);
    this.idle = made;
    return { sites: told.sites, values: decodeTotal(this.leaves, made.blocks) };
  }

  private accumulatorOf(context: string): NonNullable<RoundDriver['accumulator']> {
    assert(this.accumulator?.context === context, 'a masked input arrived for an attempt that has no accumulator');
    return this.accumulator;
  }
}

/** The reducer's own end of the rounds in this process. */
class StoppedRounds extends ConcordatError {}
