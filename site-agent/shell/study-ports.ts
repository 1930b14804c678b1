import { createHash, randomBytes } from 'node:crypto';
import { ConcordatError } from '../../shared/errors.js';
import { EMPTY_GUARD, type GuardState } from '../../shared/guard-decision.js';
import { readStoredJson } from '../../shared/stored-shapes.js';
import type { Study } from '../../shared/study.js';
import { encodeSiteRecord, type KnownStudy } from '../site-records.js';
import { guardStateShape } from '../stored-records.js';
import type { AgentContext } from './agent-context.js';
import { computeHere } from './computer.js';
import type { LedgerKeeper } from './ledger-keeper.js';
import type { SiteStudyPorts } from './site-study-ports.js';

/** How long what nobody waits for may wait for company on its way to the disk. */
const SOON_MS = 20;

/** Joins running studies to the site's store and connection. The guard is one for all studies over a cohort. */
export class StudyPorts {
  private readonly guards = new Map<string, GuardState>();

  constructor(
    private readonly context: AgentContext,
    private readonly ledger: LedgerKeeper,
  ) {}

  of(known: KnownStudy, study: Study, patients: number, stopped: (error: unknown) => void): SiteStudyPorts {
    const { config } = this.context;
    const { store } = config;
    const { studyHash } = known;
    const joined = known.participant.findLast((record) => record.type === 'joined');
    let attempt = joined?.attempt ?? 0;
    const guardKey = `guard ${createHash('sha256').update(known.cohort!.cases.join('\n')).digest('hex')}`;
    return {
      appendRecords: (records, guard) => {
        // First the guard: after a crash between the two it knows a set too many, never one too few.
        if (guard !== null) {
          store.setSetting(guardKey, JSON.stringify(guard));
          store.onceDurable(() => void this.guards.set(guardKey, guard));
        }
        store.append(records.map((record) => encodeSiteRecord(studyHash, { type: 'participant', record })));
      },
      readRecords: () => ({ records: this.context.log.study(studyHash)!.participant }),
      resultHash: (instance) => config.store.getSetting(`result/${studyHash}/${instance}`),
      keepResultHash: (instance, hash) => config.store.setSetting(`result/${studyHash}/${instance}`, hash),
      readGuard: () => {
        const known = this.guards.get(guardKey);
        if (known !== undefined) return known;
        const stored = store.getSetting(guardKey);
        const guard =
          stored === null
            ? EMPTY_GUARD
            : (readStoredJson(stored, guardStateShape, "the disclosure guard's state") as GuardState);
        this.guards.set(guardKey, guard);
        return guard;
      },
      stopped,
      together: (write) => store.together(write),
      soon: (run) => void setTimeout(run, SOON_MS).unref(),
      putSecret: (name, secret) => store.putSecret(studyHash, name, secret),
      getSecret: (name) => store.getSecret(studyHash, name),
      secretNames: () => store.secretNames(studyHash),
      eraseSecretsExcept: (names) => store.eraseSecretsExcept(studyHash, names),
      putBlob: (bytes) => store.putBlob(bytes),
      getBlob: (hash) => store.getBlob(hash),
      hasBlob: (hash) => store.blobSize(hash) !== null,
      deleteBlob: (hash) => store.deleteBlob(hash),
      fetchBlob: (hash) => this.context.fetch(hash),
      uploadBlob: async (hash, fresh) => {
        this.requireStaying(studyHash);
        await config.link.upload(store.getBlob(hash), fresh);
      },
      send: (message) => {
        if (!this.hasWithdrawn(studyHash)) this.context.send(message);
      },
      requireStaying: () => this.requireStaying(studyHash),
      release: {
        site: config.site,
        policy: config.policy,
        showAggregate: study.privacy.showAggregate,
        patients,
        minimumCohort: study.privacy.minimumCohort,
      },
      computer: config.computer ?? computeHere,
      recordEgress: (released) => {
        const time = new Date(config.nowMs()).toISOString();
        const masked = study.privacy.secureAggregation;
        this.ledger.record({ time, study: studyHash, attempt, masked, ...released });
      },
      keepOwnValues: (computation, iteration, values) =>
        this.context.append(studyHash, {
          type: 'ownValues',
          computation,
          iteration,
          values: Object.fromEntries(values),
        }),
      report: (report) => {
        if (report.kind === 'problem') config.progress(report);
        if (report.kind !== 'joined' && report.kind !== 'uploaded') return;
        attempt = report.attempt;
        config.progress({
          kind: 'round',
          studyHash,
          what: report.kind,
          round: report.round,
          computation: report.computation,
        });
      },
      nowMs: config.nowMs,
      random: () => new Uint8Array(randomBytes(32)),
    };
  }

  /** Asked of the store each time: the command that withdraws is another process. */
  private hasWithdrawn(studyHash: string): boolean {
    return (this.context.log.study(studyHash)?.withdrawal ?? null) !== null;
  }

  private requireStaying(studyHash: string): void {
    if (this.hasWithdrawn(studyHash))
      throw new ConcordatError('SITE_WITHDRAWN', 'nothing was released: this site has withdrawn from the study');
  }
}
