import { ConcordatError } from '../../shared/errors.js';
import { rosterHash } from '../../shared/roster.js';
import { type Study, studySites } from '../../shared/study.js';
import type { StudyProposed } from '../../shared/study-messages.js';
import { readStudyDocument } from '../../shared/study-signatures.js';
import { prepareCohort } from '../radiomics/shell/prepare-cohort.js';
import type { KnownStudy } from '../site-records.js';
import type { AgentContext } from './agent-context.js';
import { decide, decisionGrounds } from './decide.js';
import { fetchEarlierBundles, originsAt } from './earlier-bundles.js';
import type { TrustedChain } from './trusted-chain.js';

/** Proposals that arrive and decisions that go out. A person decides through `site approve`, which writes to the store. */
export class Decisions {
  private readonly sent = new Set<string>();
  private readonly extracting = new Set<string>();

  constructor(
    private readonly context: AgentContext,
    private readonly chain: TrustedChain,
  ) {}

  onConnected(): void {
    this.sent.clear();
  }

  async onProposed(message: StudyProposed): Promise<void> {
    let known = this.context.log.study(message.studyHash);
    if (known === undefined) {
      const document = await this.context.fetch(message.documentBlob);
      const study = readStudyDocument(document, message.studyHash);
      if (!studySites(study).includes(this.context.config.site)) return;
      const roster = this.chain.version(message.rosterVersion);
      this.chain.checkMembers(study, roster);
      this.context.append(message.studyHash, {
        type: 'proposed',
        rosterVersion: message.rosterVersion,
        rosterHash: rosterHash(roster),
        document,
        atMs: this.context.config.nowMs(),
      });
      known = this.context.log.study(message.studyHash)!;
      this.context.tell(known, 'proposed', `decide with: concordat site approve ${message.studyHash.slice(0, 12)}`);
    }
    if (known.approval === null && this.context.config.policy.automaticApproval) this.decideByPolicy(known);
    this.send();
  }

  /** Images are extracted first, which takes its time: the agent goes on meanwhile, and the decision is sent when it is made. */
  private decideByPolicy(known: KnownStudy): void {
    const study = readStudyDocument(known.document, known.studyHash);
    if (study.imaging === undefined) return this.approveByPolicy(known);
    if (this.extracting.has(known.studyHash)) return;
    this.extracting.add(known.studyHash);
    this.context.tell(known, 'extracting', 'features from this site’s images');
    this.fetchEarlier(study)
      .then(() =>
        this.originProblems(study).length > 0 ? undefined : prepareCohort(study, this.context.config.folder),
      )
      .catch((error: unknown) => {
        // What is wrong with the images is found again, and told, where the cohort is loaded; that an encoder is not here is not.
        if (!(error instanceof ConcordatError) || error.code.startsWith('WIRE_')) throw error;
        return error.code.startsWith('IMAGE_MODEL_') ? error : undefined;
      })
      .then((noEncoder) => {
        if (this.context.log.study(known.studyHash)?.approval !== null) return;
        const problems = this.originProblems(study);
        if (problems.length > 0) this.decline(known, problems.join('; '));
        // The consortium hears the code, and nothing of what the error says of this site's files.
        else if (noEncoder !== undefined)
          this.decline(known, `${noEncoder.code}: this site cannot run the study's encoder`);
        else this.approveByPolicy(known);
        this.send();
        if (noEncoder !== undefined) throw noEncoder;
      })
      .catch((error: unknown) => this.context.problem(error))
      .finally(() => this.extracting.delete(known.studyHash));
  }

  private async fetchEarlier(study: Study): Promise<void> {
    const { folder, consortiumPublicKey, link, registry } = this.context.config;
    if (registry === undefined) return;
    await fetchEarlierBundles(
      study,
      { folder, consortiumPublicKey },
      {
        download: (hash, bytesMax) => link.download(hash, bytesMax),
        listBundles: () => registry.listBundles(),
        getBundle: (query) => registry.getBundle(query),
      },
    );
  }

  /** Against what the study takes over from earlier ones: nothing is extracted by values that nobody published. */
  private originProblems(study: Study): string[] {
    const { folder, consortiumPublicKey } = this.context.config;
    return originsAt(study, folder, consortiumPublicKey);
  }

  private decline(known: KnownStudy, reason: string): void {
    const { site, signingKey, store, nowMs } = this.context.config;
    decide(store, known, {
      site,
      signingKey,
      frozen: null,
      decision: 'declined',
      reason,
      nowMs: nowMs(),
      rule: null,
    });
    this.context.tell(known, 'declined by policy', reason);
  }

  private approveByPolicy(known: KnownStudy): void {
    const { site, folder, policy, signingKey, store, consortiumPublicKey } = this.context.config;
    const study = readStudyDocument(known.document, known.studyHash);
    const nowMs = this.context.config.nowMs();
    try {
      const place = { site, folder, policy, nowMs, consortiumPublicKey };
      const grounds = decisionGrounds(store, known, place, this.context.config.leavesOfStudy(study));
      const allowed = grounds.reasons.length === 0;
      const reason = grounds.reasonsToTell.join('; ');
      const decision = allowed ? ('approved' as const) : ('declined' as const);
      decide(store, known, { site, signingKey, frozen: grounds.frozen, decision, reason, nowMs, rule: null });
      this.context.tell(known, `${decision} by policy`, grounds.reasons.join('; '));
    } catch (error) {
      // Nobody is asked here, so nobody would mend the table: the consortium hears the code, the site the places.
      if (!(error instanceof ConcordatError) || !error.code.startsWith('COHORT_')) throw error;
      const reason = `${error.code}: this site's table cannot be used for the study`;
      this.decline(known, reason);
      throw error;
    }
  }

  /** Decisions in the store that the coordinator may not have: each is sent once per connection. */
  send(): void {
    if (!this.context.config.link.connected) return;
    for (const { studyHash, approval, withdrawal, closed } of this.context.log.all()) {
      if (closed !== null) continue;
      for (const decision of [approval, withdrawal]) {
        const key = `${studyHash} ${decision?.decision}`;
        if (decision === null || this.sent.has(key)) continue;
        this.sent.add(key);
        this.context.send({ type: 'approval', approval: decision });
      }
    }
  }
}
