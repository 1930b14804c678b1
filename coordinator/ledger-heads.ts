import {
  countersignedStatement,
  headIsSigned,
  type LedgerHead,
  type SignedLedgerHead,
} from '../shared/egress-ledger.js';
import { ConcordatError } from '../shared/errors.js';
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
  private readonly contradicted = new Set<string>();

  constructor(
    private readonly ports: {
      append(event: LedgerEvent): void;
      sign(bytes: Uint8Array): Uint8Array;
      nowMs(): number;
    },
  ) {}

  /** An event of the log, after a start. */
  replay(event: LedgerEvent): void {
    if (event.type === 'ledgerHead') this.last.set(event.site, event.head);
    else this.contradicted.add(keyOf(event.site, event.head));
  }

  /**
   * Logs a head that goes on from the last one. `answer` is given the countersigned head: the one just logged, or, where the
   * site's does not continue it, the one logged before, as evidence.
   *
   * @throws ConcordatError SITE_SIGNATURE_INVALID, or STORE_LEDGER_CONTRADICTED once it is logged and answered.
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
      if (!this.contradicted.has(keyOf(site, head)))
        this.log({ type: 'ledgerContradicted', site, atMs: this.ports.nowMs(), head });
      answer(this.countersign(site, before));
      throw new ConcordatError(
        'STORE_LEDGER_CONTRADICTED',
        `site "${site}" signed an egress ledger of ${before.length} entries before, and another one of ${head.length} now`,
      );
    }
    if (!same) this.log({ type: 'ledgerHead', site, atMs: this.ports.nowMs(), head });
    answer(this.countersign(site, head));
  }

  private countersign(site: string, { length, head }: LedgerHead): SignedLedgerHead {
    return { length, head, signature: this.ports.sign(countersignedStatement(site, { length, head })) };
  }

  private log(event: LedgerEvent): void {
    this.ports.append(event);
    this.replay(event);
  }
}

function keyOf(site: string, { length, head }: LedgerHead): string {
  return `${site} ${length} ${head}`;
}

/** Every event about egress ledgers in the log, in order. Throws STORE_DAMAGED. */
export function readLedgerEvents(store: Pick<EventStore, 'replay'>): LedgerEvent[] {
  return [...store.replay({ study: '' })].map(({ payload }) => decodeLedgerEvent(payload));
}
