import type { CoordinatorMessage, Exchange, SiteMessage } from '../../shared/messages.js';
import { type SeededRandom, seededRandom } from '../../shared/rng.js';

export const EXCHANGES: readonly Exchange[] = ['preKeys', 'maskedInput', 'agreement', 'unmask'];
export const FAULT_KINDS = ['drop', 'delay', 'duplicate', 'reorder', 'crash'] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];
export type FaultCounts = Record<Exchange, Record<FaultKind, number>>;

export function noFaults(): FaultCounts {
  const row = () => ({ drop: 0, delay: 0, duplicate: 0, reorder: 0, crash: 0 });
  return { preKeys: row(), maskedInput: row(), agreement: row(), unmask: row() };
}

export function addFaults(into: FaultCounts, counts: FaultCounts): void {
  for (const exchange of EXCHANGES) for (const kind of FAULT_KINDS) into[exchange][kind] += counts[exchange][kind];
}

/** The exchange that a message belongs to; a connection's first message belongs to none. */
export function exchangeOf(message: CoordinatorMessage | SiteMessage): Exchange | null {
  switch (message.type) {
    case 'preKeyRequest':
    case 'preKeyAnswer':
      return 'preKeys';
    case 'attemptOffer':
    case 'maskedInput':
    case 'maskedInputReceived':
      return 'maskedInput';
    case 'survivorsProposal':
    case 'survivorsSigned':
      return 'agreement';
    case 'unmaskRequest':
    case 'sharesReleased':
    case 'attemptClosed':
      return 'unmask';
    case 'siteRefusal':
      return message.exchange;
    case 'siteReady':
      return null;
  }
}

export interface FaultPlan {
  /** Faults in all, after which the world is calm. */
  readonly budget: number;
  readonly drop: number;
  readonly delay: number;
  readonly duplicate: number;
  readonly crash: number;
  /** A crashed site comes back without its secret store. */
  readonly wipe: number;
  /** Crash at exactly this durable write (counted over all processes), besides the above. */
  readonly crashAtWrite?: { readonly index: number; readonly when: 'before' | 'after' };
  /** Site -> after which of its own durable writes it is gone for good. */
  readonly lostForGood: ReadonlyMap<string, number>;
}

export const CALM: FaultPlan = {
  budget: 0,
  drop: 0,
  delay: 0,
  duplicate: 0,
  crash: 0,
  wipe: 0,
  lostForGood: new Map(),
};

/** Draws faults from a seed and counts them by exchange. */
export class Faults {
  readonly counts = noFaults();
  readonly random: SeededRandom;
  writes = 0;
  private left: number;
  private readonly ownWrites = new Map<string, number>();

  constructor(
    readonly plan: FaultPlan,
    seed: number,
  ) {
    this.random = seededRandom('sim-faults', seed);
    this.left = plan.budget;
  }

  private happens(probability: number): boolean {
    if (this.left <= 0 || probability === 0 || this.random.uniform() >= probability) return false;
    this.left--;
    return true;
  }

  /** Delays of the copies that arrive; none = lost. */
  onMessage(exchange: Exchange | null): number[] {
    const usual = 1 + this.random.integer(20);
    if (exchange === null) return this.happens(this.plan.drop) ? [] : [usual];
    const count = this.counts[exchange];
    if (this.happens(this.plan.drop)) {
      count.drop++;
      return [];
    }
    const delays = [usual];
    if (this.happens(this.plan.delay)) {
      count.delay++;
      delays[0] = 200 + this.random.integer(4000);
    }
    if (this.happens(this.plan.duplicate)) {
      count.duplicate++;
      delays.push(1 + this.random.integer(3000));
    }
    return delays;
  }

  onReorder(exchange: Exchange | null): void {
    if (exchange !== null) this.counts[exchange].reorder++;
  }

  /** What happens at a durable write: `before` = the write is lost, `after` = only what follows is. */
  onWrite(who: string, exchange: Exchange | null): 'fine' | 'before' | 'after' | 'gone' {
    const index = this.writes++;
    const own = (this.ownWrites.get(who) ?? 0) + 1;
    this.ownWrites.set(who, own);
    const count = (outcome: 'before' | 'after' | 'gone') => {
      if (exchange !== null) this.counts[exchange].crash++;
      return outcome;
    };
    if (this.plan.lostForGood.get(who) === own) return count('gone');
    if (this.plan.crashAtWrite?.index === index) return count(this.plan.crashAtWrite.when);
    if (this.happens(this.plan.crash)) return count(this.random.uniform() < 0.5 ? 'before' : 'after');
    return 'fine';
  }

  writesOf(who: string): number {
    return this.ownWrites.get(who) ?? 0;
  }

  wipes(): boolean {
    return this.plan.wipe > 0 && this.random.uniform() < this.plan.wipe;
  }
}
