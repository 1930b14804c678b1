import { encodeDocument } from '../../shared/document.js';
import {
  headIsCountersigned,
  headOf,
  headProblem,
  type LedgerEntry,
  ledgerEntry,
  type Released,
  type SignedLedgerHead,
  signHead,
} from '../../shared/egress-ledger.js';
import { ConcordatError } from '../../shared/errors.js';
import { ledgerHeadShape, readStoredDocument, readStoredJson } from '../../shared/stored-shapes.js';
import type { SiteStore } from '../../shared/stores.js';
import { ledgerLineShape } from '../stored-records.js';
import type { AgentContext } from './agent-context.js';

const CONTRADICTIONS_KEPT = 16;

/** The one writer of the egress ledger. What it writes is durable, and its head is on its way, before the bytes leave. */
export class LedgerKeeper {
  private last: LedgerEntry | null = null;
  private readonly hashes: string[] = [];
  /** Newest entry of each study. */
  private readonly ofStudy = new Map<string, LedgerEntry>();
  private countersigned: SignedLedgerHead | null;
  /** Countersigned heads that this ledger does not hold, as `length head`, since the start of the process. */
  private readonly contradictions = new Set<string>();

  constructor(private readonly context: AgentContext) {
    for (const entry of readLedger(context.config.store)) this.take(entry);
    const kept = readCountersigned(context.config.store);
    this.countersigned = kept.findLast((given) => headProblem(this.hashes, given) === null) ?? null;
  }

  /**
   * Writes the entry of a masked input. After a crash between this and the participant's own record the same masked input
   * is made again, byte for byte: it has its entry already, and gets no second one.
   */
  record(released: Released): void {
    const { store } = this.context.config;
    const known = this.ofStudy.get(released.study);
    const same =
      known !== undefined &&
      known.sha256 === released.sha256 &&
      known.computation === released.computation &&
      known.round === released.round &&
      known.attempt === released.attempt;
    if (!same) {
      const entry = ledgerEntry(this.last, released);
      store.appendLedger(JSON.stringify(entry));
      store.onceDurable(() => this.take(entry));
    }
    store.onceDurable(() => this.sendHead());
  }

  onConnected(): void {
    this.sendHead();
  }

  /**
   * The coordinator's answer: the head that it logged last. It is kept whatever it says, if the pinned authority signed it:
   * a countersigned head that is not in this ledger is the proof that the ledger is no longer the one that was reported.
   */
  onCountersigned({ length, head, signature }: SignedLedgerHead): void {
    const { config } = this.context;
    const given = { length, head, signature };
    if (!headIsCountersigned(config.site, given, config.authority))
      throw new ConcordatError(
        'SITE_COUNTERSIGNATURE_INVALID',
        'the coordinator answered the head of the egress ledger with a signature that is not the pinned authority’s',
      );
    const problem = headProblem(this.hashes, given);
    // An older head that fits proves nothing more, and evidence does not grow by repetition: both would only fill the store.
    const isNew =
      problem === null
        ? this.countersigned === null || length > this.countersigned.length
        : this.contradictions.size < CONTRADICTIONS_KEPT && !this.contradictions.has(`${length} ${head}`);
    if (isNew) config.store.append([{ study: '', type: COUNTERSIGNED, payload: encodeDocument(given) }]);
    if (isNew && problem === null) this.countersigned = given;
    if (problem !== null) this.contradictions.add(`${length} ${head}`);
    if (problem !== null)
      throw new ConcordatError(
        'STORE_LEDGER_CONTRADICTED',
        `the egress ledger is not the one that the coordinator countersigned: ${problem}`,
      );
  }

  private sendHead(): void {
    const { site, signingKey } = this.context.config;
    this.context.send({ type: 'ledgerHead', ...signHead(site, headOf(this.last), signingKey) });
  }

  private take(entry: LedgerEntry): void {
    this.last = entry;
    this.hashes.push(entry.hash);
    this.ofStudy.set(entry.study, entry);
  }
}

const COUNTERSIGNED = 'ledgerCountersigned';

export function readLedger(store: Pick<SiteStore, 'ledger'>): LedgerEntry[] {
  return store
    .ledger()
    .map((line) => readStoredJson(line, ledgerLineShape, 'the egress ledger') as unknown as LedgerEntry);
}

/** Every head that the coordinator countersigned, in the order of arrival. Throws STORE_DAMAGED. */
export function readCountersigned(store: Pick<SiteStore, 'replay'>): SignedLedgerHead[] {
  return [...store.replay({ study: '' })]
    .filter(({ type }) => type === COUNTERSIGNED)
    .map(({ payload }) => readStoredDocument(payload, ledgerHeadShape, 'the countersigned heads of the egress ledger'));
}
