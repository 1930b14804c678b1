import type { ConcordatError } from '../shared/errors.js';
import type { StudyClosed, TranscriptProof } from '../shared/study-messages.js';
import type { ToSite } from '../shared/wire/types.js';
import { type AgentConfig, AgentContext } from './shell/agent-context.js';
import { Decisions } from './shell/decisions.js';
import { LedgerKeeper } from './shell/ledger-keeper.js';
import { RatificationDesk } from './shell/ratification.js';
import { RunningStudies } from './shell/running-studies.js';
import { TranscriptWatch } from './shell/transcript-watch.js';
import { TrustedChain } from './shell/trusted-chain.js';

export type { AgentConfig, AgentProgress } from './shell/agent-context.js';

/**
 * One site's agent: takes what the coordinator says, checks it against what this site pinned, and runs the studies that
 * were approved here. Approvals come from the store, where `site approve` puts them.
 */
export class SiteAgent {
  private readonly context: AgentContext;
  private readonly chain: TrustedChain;
  private readonly ledger: LedgerKeeper;
  private readonly transcripts: TranscriptWatch;
  private readonly decisions: Decisions;
  private readonly studies: RunningStudies;
  private readonly ratification: RatificationDesk;
  private poll: NodeJS.Timeout | undefined;

  constructor(config: AgentConfig) {
    this.context = new AgentContext(config);
    this.chain = new TrustedChain(this.context);
    this.decisions = new Decisions(this.context, this.chain);
    this.ledger = new LedgerKeeper(this.context);
    this.transcripts = new TranscriptWatch(this.context);
    this.studies = new RunningStudies(this.context, this.chain, this.ledger);
    this.ratification = new RatificationDesk(this.context, this.studies, this.transcripts);
  }

  /** Takes up running studies, then looks for decisions that were made while it runs. */
  async start(): Promise<void> {
    await this.studies.takeUpAll();
    this.poll = setInterval(() => {
      try {
        this.decisions.send();
        this.studies.leaveWithdrawn().catch((error: unknown) => this.context.problem(error));
      } catch (error) {
        this.context.problem(error);
      }
    }, 300);
  }

  stop(): void {
    clearInterval(this.poll);
    this.studies.stop();
  }

  onConnected(): void {
    this.context.config.progress({ kind: 'connected' });
    this.ledger.onConnected();
    this.decisions.onConnected();
    this.studies.onConnected();
    this.transcripts.onConnected();
  }

  /** Also after an attempt to connect that failed; the next one follows by itself. */
  onDisconnected(reason: ConcordatError): void {
    this.context.config.progress({ kind: 'disconnected', code: reason.code, message: reason.message });
    this.studies.onDisconnected();
  }

  async onMessage(message: ToSite): Promise<void> {
    try {
      await this.route(message);
    } catch (error) {
      this.context.problem(error);
    }
  }

  private async route(message: ToSite): Promise<void> {
    switch (message.type) {
      case 'rosterPublished':
        return this.chain.onPublished(await this.context.fetch(message.rosterBlob));
      case 'transcriptProof':
        return this.onProof(message);
      case 'ledgerCountersigned':
        return this.ledger.onCountersigned(message);
      case 'studyProposed':
        return this.decisions.onProposed(message);
      case 'studyStarted':
        return this.studies.onStarted(message.studyHash, message.approvals);
      case 'studyProgress':
        return;
      case 'ratificationRequest':
        return this.ratification.onRequest(message);
      case 'studyClosed':
        return this.onClosed(message);
      default:
        await this.studies.onMessage(message);
        if (message.type === 'attemptClosed') this.transcripts.poke(message.studyHash);
    }
  }

  private async onProof(proof: TranscriptProof): Promise<void> {
    try {
      this.transcripts.onProof(proof);
      await this.ratification.onTranscript(proof.studyHash);
    } catch (error) {
      this.studies.onStopped(proof.studyHash, error);
      // A bundle that waits for this site's verdict gets it.
      await this.ratification.onTranscript(proof.studyHash);
    }
  }

  private async onClosed({ studyHash, phase, reason }: StudyClosed): Promise<void> {
    const known = this.context.log.study(studyHash);
    if (known === undefined || known.closed !== null) return;
    // A site that was away when the others ratified still needs the file that its own patients are scored with.
    if (phase === 'published' && known.approvals !== null && known.ratification === null)
      await this.ratification.writeLocal(known).catch((error: unknown) => this.context.problem(error));
    await this.studies.settle(known);
    this.context.append(studyHash, { type: 'closed', phase, reason });
    this.studies.end(known);
    this.context.tell(known, phase, reason);
  }
}
