import { invalid } from '../../shared/computations/received.js';
import { decodeDocument } from '../../shared/document.js';
import { ConcordatError, type ErrorCode } from '../../shared/errors.js';
import type { Plan } from '../../shared/plan.js';
import { decodeRoundDocument, type RoundDocument } from '../../shared/round-document.js';
import type { TensorSpec } from '../../shared/tensors.js';
import { SITE_COMPUTATIONS } from '../computations.js';
import { previewLeaves } from '../preview.js';
import { checkResultOf, leavesOf } from '../site-run.site.js';
import type { HashedResults } from './computer.js';

const REJECTED_MAX = 100;

/** A round's broadcast as it arrived, with this agent's own declaration and the public results it builds on. */
export interface LoadedRound {
  readonly document: RoundDocument;
  readonly leaves: readonly TensorSpec[];
  readonly results: ReadonlyMap<string, unknown>;
}

/** Which result of a computation this site built on first; outlives the process. */
export interface FirstResults {
  resultHash(instance: string): string | null;
  /** Durable when it returns. */
  keepResultHash(instance: string, hash: string): void;
}

/** The broadcasts and public results of one study, fetched by hash and checked against what this site approved. */
export class StudyBroadcasts {
  private readonly documents = new Map<string, LoadedRound>();
  private readonly results = new Map<string, { readonly hash: string; readonly value: unknown }>();
  /** Broadcasts that this site will not answer, and why. */
  private readonly rejected = new Map<string, ErrorCode>();
  /** Kinds of tensor that were shown as sums over enough sites before this site approved. */
  private readonly shownAsTotals: ReadonlySet<string>;

  constructor(
    private readonly plan: Plan,
    private readonly fetchBlob: (hash: string) => Promise<Uint8Array>,
    private readonly firstResults: FirstResults,
  ) {
    const shown = previewLeaves(plan).flatMap(({ rounds }) => rounds.flat());
    const bySite = new Set(shown.flatMap((leaf) => (leaf.visibility === 'site' ? [leaf.kind] : [])));
    this.shownAsTotals = new Set(shown.flatMap((leaf) => (bySite.has(leaf.kind) ? [] : [leaf.kind])));
  }

  /** What was loaded under this hash and is still kept, or undefined. */
  loaded(broadcastHash: string): LoadedRound | undefined {
    return this.documents.get(broadcastHash);
  }

  /** Public results that this study has been shown since the start of the process, by instance. */
  get publicResults(): ReadonlyMap<string, unknown> {
    return new Map([...this.results].map(([instance, { value }]) => [instance, value]));
  }

  reject(broadcastHash: string, code: ErrorCode): void {
    if (this.rejected.size >= REJECTED_MAX) this.rejected.clear();
    this.rejected.set(broadcastHash, code);
  }

  /** Why this site will not answer the broadcast, or undefined. */
  rejection(broadcastHash: string): ErrorCode | undefined {
    return this.rejected.get(broadcastHash);
  }

  async load(broadcastHash: string): Promise<LoadedRound> {
    const known = this.documents.get(broadcastHash);
    if (known !== undefined) return known;
    const document = decodeRoundDocument(await this.fetchBlob(broadcastHash));
    const leaves = leavesOf(this.plan, SITE_COMPUTATIONS, document);
    for (const { kind, visibility, contributors } of leaves)
      if (visibility === 'site' && this.shownAsTotals.has(kind))
        throw new ConcordatError(
          'POLICY_VISIBILITY_REFUSED',
          `"${kind}" was approved as a sum over sites and is now asked over ${contributors.length}`,
        );
    const results = new Map([...(await this.upstream(document))].map(([name, { value }]) => [name, value]));
    const loaded = { document, leaves, results };
    // Only the newest two are ever asked for again.
    for (const old of [...this.documents.keys()].slice(0, -1)) this.documents.delete(old);
    this.documents.set(broadcastHash, loaded);
    return loaded;
  }

  async upstream(document: RoundDocument): Promise<HashedResults> {
    const instances = this.plan.computations.map((planned) => planned.instance);
    const before = instances.slice(0, instances.indexOf(document.instance));
    if (Object.keys(document.upstream).sort().join('\n') !== [...before].sort().join('\n'))
      throw invalid('upstream', 'does not name the results of exactly the computations before');
    for (const [instance, hash] of Object.entries(document.upstream)) {
      if (this.results.get(instance)?.hash === hash) continue;
      // A result is made once: another one would be a second question to the same patients.
      const first = this.firstResults.resultHash(instance);
      if (first !== null && first !== hash)
        throw invalid('upstream', `names another result of ${instance} than before`);
      const value = decodeDocument(await this.fetchBlob(hash));
      checkResultOf(this.plan, SITE_COMPUTATIONS, instance, value);
      if (first === null) this.firstResults.keepResultHash(instance, hash);
      this.results.set(instance, { hash, value });
    }
    return new Map(Object.keys(document.upstream).map((instance) => [instance, this.results.get(instance)!]));
  }
}
