import type { CoordinatorMessage, Exchange, SiteMessage } from '../../shared/messages.js';
import { type SeededRandom, seededRandom } from '../../shared/rng.js';

export const EXCHANGES: readonly Exchange[] = ['preKeys', 'maskedInput', 'agreement', 'unmask'];

/**
 * drop, delay, duplicate, reorder: of one message. crash: at a durable write, before or after it. torn: a crash that leaves a
 * blob file empty or with other bytes under its final name. full: a write refused because the disk is full. clock: a process's
 * clock jumps by up to half a day. late: a site that connects long after the others. gone: a site lost for good. restored: a
 * site back with an older state of its disk.
 */
export const FAULT_KINDS = [
  'drop',
  'delay',
  'duplicate',
  'reorder',
  'crash',
  'torn',
  'full',
  'clock',
  'late',
  'gone',
  'restored',
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];
/** `between`: what belongs to no exchange (a connection's first message, the opening of a round). */
export const PLACES = [...EXCHANGES, 'between'] as const;
export type Place = (typeof PLACES)[number];
export type FaultCounts = Record<Place, Record<FaultKind, number>>;

/** Only these exchanges write blob files, so that only there a blob file can be torn. */
const TORN: readonly Place[] = ['maskedInput', 'unmask'];

/** Whether that fault can happen in that exchange at all; a cell that can must not stay empty over many seeds. */
export function canHappen(place: Place, kind: FaultKind): boolean {
  if (place === 'between') return false;
  return kind !== 'torn' || TORN.includes(place);
}

export function noFaults(): FaultCounts {
  const row = () => Object.fromEntries(FAULT_KINDS.map((kind) => [kind, 0])) as Record<FaultKind, number>;
  return Object.fromEntries(PLACES.map((place) => [place, row()])) as FaultCounts;
}

export function addFaults(into: FaultCounts, counts: FaultCounts): void {
  for (const place of PLACES) for (const kind of FAULT_KINDS) into[place][kind] += counts[place][kind];
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
  /** Faults drawn by chance in all, after which the world is calm. */
  readonly budget: number;
  readonly drop: number;
  readonly delay: number;
  readonly duplicate: number;
  readonly crash: number;
  /** At a durable write: the disk is full from here on, for some seconds. */
  readonly full: number;
  /** At a message: the clock of some process jumps. */
  readonly clock: number;
  /** Of crashes in which a blob file was being written or had just been: it is torn. */
  readonly tear: number;
  /** Of the starts of a crashed site: its secret store is gone, and the site knows. */
  readonly wipe: number;
  /** Of the starts of a crashed site: its disk is an older one; half of the time nobody told the site. */
  readonly restore: number;
  /** Crash at exactly this durable write (counted over all processes), besides the above. */
  readonly crashAtWrite?: { readonly index: number; readonly when: 'before' | 'after' };
  /** Disk full at exactly this durable write, for a second. */
  readonly fullAtWrite?: number;
  /** Site -> after which of its own durable writes it is gone for good. */
  readonly lostForGood: ReadonlyMap<string, number>;
  /** Sites that are gone for good, by the latest, when they have made a survivor set durable. */
  readonly lostInAgreement: ReadonlySet<string>;
  /** Site -> when it is started for the first time. */
  readonly late: ReadonlyMap<string, LateStart>;
}

export interface LateStart {
  readonly afterMs: number;
  /** Not before the study is in that exchange, but at most 20 s later; null: whatever it is in. */
  readonly during: Exchange | null;
}

export const CALM: FaultPlan = {
  budget: 0,
  drop: 0,
  delay: 0,
  duplicate: 0,
  crash: 0,
  full: 0,
  clock: 0,
  tear: 0,
  wipe: 0,
  restore: 0,
  lostForGood: new Map(),
  lostInAgreement: new Set(),
  late: new Map(),
};

export type WriteFate = 'fine' | 'before' | 'after' | 'gone' | 'full';
/** What a site finds on its disk when it is started again. */
export type DiskFate = 'same' | 'wiped' | 'restored, told' | 'restored, not told' | 'log restored, not told';

/** Draws faults from a seed and counts them by exchange. */
export class Faults {
  readonly counts = noFaults();
  readonly random: SeededRandom;
  writes = 0;
  private left: number;
  private readonly ownWrites = new Map<string, number>();
  private readonly fullUntilMs = new Map<string, number>();

  constructor(
    readonly plan: FaultPlan,
    seed: number,
  ) {
    this.random = seededRandom('sim-faults', seed);
    this.left = plan.budget;
  }

  count(kind: FaultKind, exchange: Exchange | null): void {
    this.counts[exchange ?? 'between'][kind]++;
  }

  private happens(probability: number): boolean {
    if (this.left <= 0 || probability === 0 || this.random.uniform() >= probability) return false;
    this.left--;
    return true;
  }

  /** Delays of the copies that arrive; none = lost. */
  onMessage(exchange: Exchange | null): number[] {
    const usual = 1 + this.random.integer(20);
    if (this.happens(this.plan.drop)) {
      this.count('drop', exchange);
      return [];
    }
    if (exchange === null) return [usual];
    const delays = [usual];
    if (this.happens(this.plan.delay)) {
      this.count('delay', exchange);
      delays[0] = 200 + this.random.integer(4000);
    }
    if (this.happens(this.plan.duplicate)) {
      this.count('duplicate', exchange);
      delays.push(1 + this.random.integer(3000));
    }
    return delays;
  }

  /** By how much a clock jumps, ms; null where none does. */
  clockJump(exchange: () => Exchange | null): number | null {
    if (!this.happens(this.plan.clock)) return null;
    this.count('clock', exchange());
    const size = 1000 + this.random.integer(12 * 3_600_000);
    return this.random.uniform() < 0.5 ? size : -size;
  }

  /** What happens at a durable write: `before` = the write is lost, `after` = only what follows is, `full` = it is refused. */
  onWrite(who: string, exchange: Exchange | null, nowMs: number): WriteFate {
    const index = this.writes++;
    const own = (this.ownWrites.get(who) ?? 0) + 1;
    this.ownWrites.set(who, own);
    const count = (kind: FaultKind, fate: WriteFate) => {
      this.count(kind, exchange);
      return fate;
    };
    if (this.plan.lostForGood.get(who) === own) return count('gone', 'gone');
    if (exchange === 'agreement' && this.plan.lostInAgreement.has(who)) return count('gone', 'gone');
    if (nowMs < (this.fullUntilMs.get(who) ?? 0)) return count('full', 'full');
    if (this.plan.crashAtWrite?.index === index) return count('crash', this.plan.crashAtWrite.when);
    if (this.plan.fullAtWrite === index || this.happens(this.plan.full)) {
      const lasts = this.plan.fullAtWrite === index ? 1000 : 200 + this.random.integer(8000);
      this.fullUntilMs.set(who, nowMs + lasts);
      return count('full', 'full');
    }
    if (this.happens(exchange === 'agreement' ? 3 * this.plan.crash : this.plan.crash))
      return count('crash', this.random.uniform() < 0.5 ? 'before' : 'after');
    return 'fine';
  }

  /** How a blob file looks after a crash: as the file system promises, or torn. */
  tear(exchange: Exchange, whole: Uint8Array): Uint8Array | null {
    if (this.plan.tear === 0 || this.random.uniform() >= this.plan.tear) return null;
    this.count('torn', exchange);
    const torn = this.random.uniform() < 0.5 ? new Uint8Array(0) : whole.slice();
    if (torn.length > 0) torn[this.random.integer(torn.length)]! ^= 0x10;
    return torn;
  }

  onRestart(): DiskFate {
    if (this.plan.wipe > 0 && this.random.uniform() < this.plan.wipe) return 'wiped';
    if (this.plan.restore === 0 || this.random.uniform() >= this.plan.restore) return 'same';
    const draw = this.random.uniform();
    return draw < 0.5 ? 'restored, told' : draw < 0.8 ? 'restored, not told' : 'log restored, not told';
  }

  writesOf(who: string): number {
    return this.ownWrites.get(who) ?? 0;
  }
}
