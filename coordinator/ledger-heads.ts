import {
  countersignedStatement,
  headIsSigned,
  type LedgerHead,
  type SignedLedgerHead,
} from '../shared/egress-ledger.js';
import { ConcordatError } from '../shared/errors.js';
import { LIMITS } from '../shared/limits.js';
import type { EventStore } from '../shared/stores.js';
import { decodeLedgerEvent } from './logged-events.js';

/** Durable facts about the sites' egress ledgers; in the log under no study. */
export type LedgerEvent =
  /** The site signed this head. */
  | { readonly type: 'ledgerHead'; readonly site: string; readonly atMs: number; readonly head: SignedLedgerHead }
  /** The site signed a head that does not continue the one before it: it cut or rewrote its ledger. */
  | {
      readonly type: 'ledgerContradicted';
      readonly site: string;
      readonly atMs: number;
      readonly head: SignedLedgerHead;
    };

/** Heads of the sites' egress ledgers, as a fold over the log. Pure but for the ports it is given. */
export class LedgerHeads {
  private readonly last = new Map<string, SignedLedgerHead>();
  private readonly contradicted = new Map<string, Set<string>>();
  /** Heads that each site may have logged at once: bounds what a site can make the log grow by. */
  private readonly spare = new Map<string, number>();
  private readonly lastAtMs = new Map<string, number>();

  constructor(
    private readonly ports: {
      append(event: LedgerEvent): void;
      sign(bytes: Uint8Array): Uint8Array;
      nowMs(): number;
    },
  ) {}

  /** An event of the log, after a start. */
  replay(event: LedgerEvent): void {
    const { site, head, atMs } = event;
    if (event.type === 'ledgerHead') {
      this.last.set(site, head);
      this.lastAtMs.set(site, atMs);
      this.spare.set(site, this.spareOf(site) - 1);
    } else this.contradictionsOf(site).add(keyOf(head));
  }

  /** The site was asked for a contribution (an attempt was opened with it), which makes one entry of its ledger, so one head. */
  asked(site: string): void {
    this.spare.set(site, this.spareOf(site) + 1);
  }

  /**
   * Logs a head that goes on from the last one. `answer` is given the countersigned head: the one just logged, or, where the
   * site's does not continue it, the one logged before, as evidence.
   *
   * @throws ConcordatError SITE_SIGNATURE_INVALID; STORE_LEDGER_FLOODED where the site was not asked for that many entries;
   *   STORE_LEDGER_CONTRADICTED once it is logged and answered.
   */
  take(
    site: string,
    head: SignedLedgerHead,
    signingPublicKey: Uint8Array,
    answer: (countersigned: SignedLedgerHead) => void,
  ): void {
    if (!headIsSigned(site, head, signingPublicKey))
      throw new ConcordatError(
        'SITE_SIGNATURE_INVALID',
        `the head of the egress ledger is not signed by site "${site}"`,
      );
    const before = this.last.get(site);
    const same = before !== undefined && before.length === head.length && before.head === head.head;
    const contradicts = before !== undefined && !same && head.length <= before.length;
    if (contradicts) {
      const known = this.contradictionsOf(site);
      if (!known.has(keyOf(head)) && known.size < LIMITS.ledgerContradictionsKept)
        this.log({ type: 'ledgerContradicted', site, atMs: this.ports.nowMs(), head });
      answer(this.countersign(site, before));
      throw new ConcordatError(
        'STORE_LEDGER_CONTRADICTED',
        `site "${site}" signed an egress ledger of ${before.length} entries before, and another one of ${head.length} now`,
      );
    }
    if (!same && !this.mayLog(site))
      throw new ConcordatError(
        'STORE_LEDGER_FLOODED',
        `site "${site}" signs more heads of its egress ledger than it was asked for contributions`,
      );
    if (!same) this.log({ type: 'ledgerHead', site, atMs: this.ports.nowMs(), head });
    answer(this.countersign(site, head));
  }

  /** Beyond what it was asked for, a site's ledger is worth a head an hour: a later head covers all entries before it. */
  private mayLog(site: string): boolean {
    if (this.spareOf(site) > 0) return true;
    return this.ports.nowMs() - (this.lastAtMs.get(site) ?? 0) >= LIMITS.ledgerHeadIntervalMs;
  }

  private spareOf(site: string): number {
    return this.spare.get(site) ?? LIMITS.ledgerHeadsSpare;
  }

  private contradictionsOf(site: string): Set<string> {
    return this.contradicted.get(site) ?? this.contradicted.set(site, new Set()).get(site)!;
  }

  private countersign(site: string, { length, head }: LedgerHead): SignedLedgerHead {
    return { length, head, signature: this.ports.sign(countersignedStatement(site, { length, head })) };
  }

  private log(event: LedgerEvent): void {
    this.ports.append(event);
    this.replay(event);
  }
}

function keyOf({ length, head }: LedgerHead): string {
  return `${length} ${head}`;
}

/** Every event about egress ledgers in the log, in order. Throws STORE_DAMAGED. */
export function readLedgerEvents(store: Pick<EventStore, 'replay'>): LedgerEvent[] {
  return [...store.replay({ study: '' })].map(({ payload }) => decodeLedgerEvent(payload));
}
