import { contributingSites } from '../../shared/computations/describe/declaration.js';
import { ConcordatError, type ErrorCode } from '../../shared/errors.js';
import {
  type GuardDecision,
  type GuardRequest,
  type GuardState,
  guardDecision,
  guardRequest,
  withRequest,
} from '../../shared/guard-decision.js';
import type { Plan } from '../../shared/plan.js';
import { studySites } from '../../shared/study.js';
import type { ParticipantRecord, SurvivorSet } from '../participant-types.js';
import { previewLeaves } from '../preview.js';
import { isInOrder, type JoinedRounds } from '../round-order.js';
import { setsRequest } from '../survivor-sets.js';
import { guardScheme } from './decide.js';
import type { SiteStudyConfig, SiteStudyPorts } from './site-study-ports.js';
import type { LoadedRound, StudyBroadcasts } from './study-broadcasts.js';

/** The disclosure guard over one running study: which sets this site signs, and what counts as released by it. */
export class StudyGuard {
  private readonly rounds = new Map<string, JoinedRounds>();
  private pendingGuard: GuardState | null = null;
  /** The attempt this site joined last, and whether it signed a set of it. */
  private joined: {
    readonly context: string;
    readonly computation: string;
    readonly round: number;
    readonly broadcastHash: string;
    readonly sites: readonly string[];
    signed: boolean;
  } | null = null;

  constructor(
    private readonly config: SiteStudyConfig,
    private readonly ports: Pick<SiteStudyPorts, 'readGuard' | 'appendRecords' | 'readRecords'>,
    private readonly plan: Plan,
    private readonly broadcasts: StudyBroadcasts,
    private readonly problem: (code: ErrorCode, message: string) => void,
  ) {}

  /** Broadcast of the attempt that this site joined last, or undefined. */
  get joinedBroadcast(): string | undefined {
    return this.joined?.broadcastHash;
  }

  /**
   * The study ends here with an attempt open: where the masked input has left, others may have agreed on a set with it
   * that this site never saw, so the offered set counts as released.
   */
  async settle(): Promise<void> {
    const open = sentAndUnsigned(this.ports.readRecords().records);
    if (open === null) return;
    // Whether or not the coordinator still gives it.
    await this.broadcasts.load(open.broadcastHash).catch(() => undefined);
    const before = this.ports.readGuard();
    const guard = this.withOffered(before, open);
    if (guard !== before) this.ports.appendRecords([], guard);
  }

  /**
   * The guard after a restore: everything that the study could have released is taken as released, all kinds of totals over
   * all its sites. Under `wait` no other set is ever signed, so the guard is then at least as strict as before the loss. The
   * plan is judged as a whole, for nothing of it would be news to the guard afterwards.
   */
  private assumePlan(results: ReadonlyMap<string, unknown>): GuardDecision {
    const leaves = previewLeaves(this.plan).flatMap(({ rounds }) => rounds.flat());
    const before = this.ports.readGuard();
    const request = this.requestOf({ leaves, results }, studySites(this.config.study));
    const decision = guardDecision(before, request, this.config.guardRules);
    if (decision.ok && decision.state !== before) this.ports.appendRecords([], decision.state);
    return decision;
  }

  /** Throws SITE_RESTORED where this site cannot know what it would add to. */
  requireHistory(): void {
    const { history, terms } = this.config;
    if (history === 'known') return;
    if (history === 'unknown' && (terms.onMissingSite === 'continue' || terms.mode === 'plain'))
      throw new ConcordatError(
        'SITE_RESTORED',
        'since the backup this site may have been in totals with other sites missing, and cannot know which',
      );
    const decision = this.assumePlan(new Map());
    if (!decision.ok)
      throw new ConcordatError('SITE_RESTORED', `the plan as a whole would not pass the guard: ${decision.message}`);
  }

  decide(set: SurvivorSet): 'ok' | ErrorCode {
    const loaded = this.broadcasts.loaded(set.broadcastHash);
    if (loaded === undefined) return this.broadcasts.rejection(set.broadcastHash) ?? 'POLICY_DECLARATION_MISMATCH';
    const { instance, iteration } = loaded.document;
    if (instance !== set.computation) return 'POLICY_DECLARATION_MISMATCH';
    const order = this.plan.computations.map((planned) => planned.instance);
    // Who takes part is settled once; what follows may begin anew over fewer sites.
    const mayBeginAnew = this.config.terms.onMissingSite === 'continue' && instance !== order[0];
    if (!isInOrder(order, this.rounds, { instance, iteration, round: set.round }, mayBeginAnew))
      return 'POLICY_ROUND_OUT_OF_ORDER';
    // Who sits out is known by now: the same once more, without those who hide nobody.
    const assumed = this.config.history === 'known' ? null : this.assumePlan(loaded.results);
    if (assumed !== null && !assumed.ok) {
      this.problem(assumed.code, assumed.message);
      return assumed.code;
    }
    const request = this.requestOf(loaded, set.survivors);
    const decision = guardDecision(this.ports.readGuard(), request, this.config.guardRules);
    if (!decision.ok) {
      this.problem(decision.code, decision.message);
      return decision.code;
    }
    this.pendingGuard = decision.state;
    const joined = this.rounds.get(instance);
    if (joined !== undefined) this.rounds.set(instance, { ...joined, start: set.round - iteration + 1 });
    return 'ok';
  }

  append(records: readonly ParticipantRecord[]): void {
    const before = this.ports.readGuard();
    let guard: GuardState | null = records.some((record) => record.type === 'signedSet') ? this.pendingGuard : null;
    for (const record of records) {
      // This site's input was in, and others agreed on a set without it (it was away): the offered set counts as released.
      // Under `wait` every attempt offers the same set, so there it counts however the attempt is said to have ended.
      const mayBeOut =
        record.type === 'closed' && (record.outcome === 'total' || this.config.terms.onMissingSite === 'wait');
      if (mayBeOut && this.isUnsigned(record.context)) guard = this.withOffered(guard ?? before, this.joined!);
      this.follow(record);
    }
    // A set that shows nothing new leaves the guard as it is, and its state need not be written again.
    this.ports.appendRecords(records, guard === before ? null : guard);
    if (guard !== null) this.pendingGuard = null;
  }

  isUnsigned(context: string): boolean {
    return this.joined?.context === context && !this.joined.signed;
  }

  follow(record: ParticipantRecord): void {
    if (record.type === 'joined') {
      const { context, computation, round, broadcastHash, sites } = record;
      this.joined = { context, computation, round, broadcastHash, sites, signed: false };
      const known = this.rounds.get(computation) ?? { first: round, last: round };
      const isLater = round > known.last;
      this.rounds.set(computation, {
        ...known,
        first: Math.min(known.first, round),
        ...(isLater ? { before: known.last, last: round } : {}),
      });
    }
    if (record.type === 'signedSet' && this.joined?.context === record.context) {
      this.joined.signed = true;
      const { computation, round } = this.joined;
      const known = this.rounds.get(computation)!;
      const sets = new Map(known.sets).set(round, record.survivors.join('\n'));
      this.rounds.set(computation, { ...known, sets });
    }
  }

  /**
   * A broadcast that is no longer here (offers of others came since, or this process began later and the coordinator does
   * not give it again) is taken as all that its computation could have asked for: forgetting it would suit a coordinator.
   */
  private withOffered(
    guard: GuardState,
    offered: { readonly computation: string; readonly broadcastHash: string; readonly sites: readonly string[] },
  ): GuardState {
    const asked = this.broadcasts.loaded(offered.broadcastHash) ?? {
      leaves: previewLeaves(this.plan)
        .filter(({ computation }) => computation === offered.computation)
        .flatMap(({ rounds }) => rounds.flat()),
      results: this.broadcasts.publicResults,
    };
    return withRequest(guard, this.requestOf(asked, offered.sites)).state;
  }

  private requestOf(asked: Pick<LoadedRound, 'leaves' | 'results'>, sites: readonly string[]): GuardRequest {
    const { leaves, results } = asked;
    const counted = contributingSites(sites, results, this.config.site);
    const request = guardRequest(leaves, counted, guardScheme(this.config.study), this.plan.frame.cells);
    return { tensors: [...request.tensors, ...setsRequest(this.plan.frame, leaves, results, sites)] };
  }
}

/** The open attempt whose masked input may have left while this site has signed no set of it, or null. */
export function sentAndUnsigned(
  records: readonly ParticipantRecord[],
): Extract<ParticipantRecord, { type: 'joined' }> | null {
  const open = records.findLast((record) => record.type === 'joined');
  if (open === undefined) return null;
  const has = (type: 'masked' | 'signedSet' | 'closed') =>
    records.some((record) => record.type === type && record.context === open.context);
  return has('masked') && !has('signedSet') && !has('closed') ? open : null;
}
