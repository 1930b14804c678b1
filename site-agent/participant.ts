import { ConcordatError, type ErrorCode } from '../shared/errors.js';
import { LIMITS } from '../shared/limits.js';
import type {
  AttemptOffer,
  CoordinatorMessage,
  Exchange,
  PreKey,
  SiteMessage,
  SurvivorsProposal,
  UnmaskRequest,
} from '../shared/messages.js';
import { maskedInputMessage } from '../shared/secagg/masked-input.site.js';
import { acceptOffer, makePreKey, offerContext } from '../shared/secagg/pre-keys.site.js';
import { checkDivision, type DividedSites, sameSet } from '../shared/secagg/survivors.js';
import { checkAgreement, signSurvivors } from '../shared/secagg/survivors.site.js';
import { wantedShares } from '../shared/secagg/unmask.js';
import {
  applyRecord,
  keysName,
  neededSecrets,
  type ParticipantState,
  roundSubject,
  type SiteAttempt,
  sharesName,
} from './participant-state.js';
import type {
  ParticipantConfig,
  ParticipantEffect,
  ParticipantEvent,
  ParticipantRecord,
  ParticipantReport,
} from './participant-types.js';

/**
 * One site's side of a study's rounds: start reading here. Pure: time and random bytes come in events, durable facts leave
 * as `persist` effects, and the state is the fold of those facts (participant-state.ts).
 *
 * What this site never does, whoever asks: use a pre-key twice, send other bytes for an attempt than those first made,
 * sign two sets in one attempt, release both kinds of share of one site, release anything without t signatures (where the
 * coordinator may be malicious).
 */
export function stepParticipant(
  config: ParticipantConfig,
  state: ParticipantState,
  event: ParticipantEvent,
): { readonly state: ParticipantState; readonly effects: readonly ParticipantEffect[] } {
  const run = new Run(config, state, event);
  run.handle();
  return { state: run.state, effects: run.effects };
}

class Run {
  readonly effects: ParticipantEffect[] = [];
  readonly secure: boolean;

  constructor(
    readonly config: ParticipantConfig,
    public state: ParticipantState,
    readonly event: ParticipantEvent,
  ) {
    this.secure = config.terms.mode === 'secure';
  }

  handle(): void {
    const { event } = this;
    switch (event.type) {
      case 'resumed':
        this.resume(event.secrets, event.restored);
        break;
      case 'connected':
        this.state = { ...this.state, connected: true };
        this.send({
          type: 'siteReady',
          studyHash: this.studyHash(),
          incarnation: this.state.incarnation ?? '',
          context: this.state.attempt?.context ?? null,
        });
        this.upload();
        break;
      case 'disconnected':
        this.state = { ...this.state, connected: false };
        break;
      case 'message':
        this.receive(event.message);
        break;
      case 'contributionReady':
        this.contributed(event.broadcastHash, event.declarationHash, event.blobHash, event.byteLength);
        break;
      case 'contributionRefused': {
        const { attempt } = this.state;
        if (attempt?.phase === 'joined' && this.isFor(attempt, event)) this.refuse('maskedInput', event.code, []);
        break;
      }
      case 'masked': {
        const { attempt } = this.state;
        const { context, blobHash, byteLength } = event;
        if (attempt?.phase !== 'joined' || attempt.context !== context) {
          // The attempt was closed while its masked input was being made.
          const kept = [attempt?.blobHash, this.state.contribution?.blobHash];
          if (!kept.includes(blobHash)) this.emit({ type: 'discardBlobs', hashes: [blobHash] });
          break;
        }
        this.log({ type: 'masked', context, blobHash, byteLength });
        this.sweep();
        this.upload();
        break;
      }
    }
    this.work();
  }

  // Work that needs no connection --------------------------------------------------------------------------------------

  /** Asks the shell for the contribution, then for the masked input, of the attempt that was joined. */
  private work(): void {
    const { attempt, contribution, busy } = this.state;
    if (attempt?.phase !== 'joined') return;
    const { context, computation, round, broadcastHash, declarationHash } = attempt;
    if (contribution === null || !this.isFor(attempt, contribution)) {
      if (busy === 'contribute') return;
      this.state = { ...this.state, busy: 'contribute' };
      this.emit({ type: 'contribute', computation, round, broadcastHash, declarationHash });
      return;
    }
    if (busy === 'mask') return;
    this.state = { ...this.state, busy: 'mask' };
    const peers = attempt.maskPublicKeys
      .map((maskPublicKey, index) => ({ site: attempt.sites[index]!, maskPublicKey }))
      .filter((peer) => peer.site !== this.config.site);
    this.emit({
      type: 'mask',
      job: {
        context,
        computation,
        round,
        broadcastHash,
        declarationHash,
        contributionHash: contribution.blobHash,
        site: this.config.site,
        peers,
        preKeyDigest: attempt.preKeyDigest,
        secretName: this.secure ? keysName(attempt.slot) : null,
      },
    });
  }

  private contributed(broadcastHash: string, declarationHash: string, blobHash: string, byteLength: number): void {
    const { attempt, contribution } = this.state;
    if (attempt === null || attempt.phase !== 'joined' || !this.isFor(attempt, { broadcastHash, declarationHash }))
      return;
    // The first words of a round are the ones that count, in every attempt.
    if (contribution !== null && this.isFor(attempt, contribution)) return;
    const { computation, round } = attempt;
    this.log({ type: 'contribution', computation, round, broadcastHash, declarationHash, blobHash, byteLength });
    if (contribution !== null && contribution.blobHash !== blobHash)
      this.emit({ type: 'discardBlobs', hashes: [contribution.blobHash] });
  }

  private resume(present: readonly string[], restored: boolean): void {
    const { attempt, incarnation } = this.state;
    const lost = neededSecrets(this.state).some((name) => !present.includes(name));
    if (incarnation === null || restored || lost) {
      if (attempt !== null) this.close(attempt, 'lost');
      const name = Buffer.from(this.event.random.subarray(0, 16)).toString('hex');
      this.log({ type: 'incarnation', incarnation: name });
    }
    this.sweep();
  }

  // Messages -----------------------------------------------------------------------------------------------------------

  private receive(message: CoordinatorMessage): void {
    if (message.studyHash !== this.studyHash()) {
      this.ignore(message.type);
      return;
    }
    switch (message.type) {
      case 'preKeyRequest':
        if (this.secure) this.answerPreKey(message.slot);
        break;
      case 'attemptOffer':
        this.offered(message);
        break;
      case 'maskedInputReceived': {
        const { attempt } = this.state;
        if (attempt?.phase !== 'masked' || attempt.context !== message.context || attempt.blobHash !== message.blobHash)
          break;
        this.log({ type: 'acknowledged', context: message.context });
        const { computation, round } = attempt;
        this.report({ kind: 'uploaded', computation, round, attempt: attempt.attempt });
        break;
      }
      case 'survivorsProposal':
        this.proposed(message);
        break;
      case 'unmaskRequest':
        this.asked(message);
        break;
      case 'attemptClosed': {
        const { attempt } = this.state;
        if (attempt === null || attempt.context !== message.context) break;
        this.close(attempt, message.outcome);
        this.sweep();
        break;
      }
    }
  }

  /** The unused pre-key of that slot, or of a later one where that slot has served here already. */
  private answerPreKey(slot: number): void {
    const { pending, lastSlot, incarnation } = this.state;
    // A number that is far ahead would leave no room for later ones.
    if (slot > lastSlot + LIMITS.slotsAheadMax) {
      const code = 'SECAGG_PRE_KEY_INVALID';
      this.report({ kind: 'refused', code, about: [] });
      this.send({
        type: 'siteRefusal',
        studyHash: this.studyHash(),
        context: null,
        exchange: 'preKeys',
        code,
        about: [],
      });
      return;
    }
    const wanted = slot > lastSlot ? slot : Math.max(lastSlot + 1, pending?.preKey.slot ?? 0);
    const fits = pending !== null && pending.preKey.slot === wanted && pending.preKey.incarnation === incarnation;
    const preKey = fits ? pending.preKey : this.freshPreKey(wanted);
    this.send({ type: 'preKeyAnswer', studyHash: this.studyHash(), preKey });
  }

  private freshPreKey(slot: number): PreKey {
    const { terms, site, signingKey, boxKey } = this.config;
    const incarnation = this.state.incarnation ?? '';
    const { preKey, slotSecret } = makePreKey({
      terms,
      site,
      slot,
      incarnation,
      signingKey,
      boxKey,
      random: this.event.random,
    });
    const secretName = keysName(slot);
    this.emit({ type: 'persistSecret', name: secretName, secret: slotSecret });
    this.log({ type: 'preKey', preKey, secretName });
    return preKey;
  }

  private offered(offer: AttemptOffer): void {
    const { attempt, lastSlot, pending } = this.state;
    const { config } = this;
    const context = offerContext(offer);
    if (attempt !== null && attempt.context === context && attempt.slot === offer.slot) {
      if (attempt.phase === 'refused') this.tellRefusal(context, 'maskedInput', attempt.refusal!, []);
      else this.upload();
      return;
    }
    if (offer.slot <= lastSlot) {
      const reused = offer.slot === lastSlot ? 'SECAGG_PRE_KEY_REUSED' : 'SECAGG_ATTEMPT_STALE';
      this.tellRefusal(context, 'maskedInput', reused, []);
      return;
    }
    if (!this.isSameQuestion(offer)) {
      this.tellRefusal(context, 'maskedInput', 'SECAGG_ROUND_CHANGED', []);
      return;
    }
    let accepted: ReturnType<typeof acceptOffer>;
    try {
      const preKey = pending?.preKey.slot === offer.slot ? pending.preKey : null;
      accepted = acceptOffer(config.terms, offer, { site: config.site, preKey, boxKey: config.boxKey });
    } catch (error) {
      if (!(error instanceof ConcordatError) || error.code === 'INTERNAL_BUG') throw error;
      const about = error.code === 'SECAGG_SHARE_INVALID' ? error.problems.map((problem) => problem.message) : [];
      this.tellRefusal(context, 'maskedInput', error.code, about);
      return;
    }
    const { computation, round, slot, broadcastHash, declarationHash, sites } = offer;
    // Said before anything is computed: would this site ever let its data be in a sum over these sites?
    const verdict = config.guard({
      ...{ context, computation, round, attempt: offer.attempt, broadcastHash, declarationHash },
      survivors: sites,
      dropped: [],
    });
    if (verdict !== 'ok') {
      this.tellRefusal(context, 'maskedInput', verdict, []);
      return;
    }
    if (attempt !== null) this.close(attempt, 'superseded');
    if (this.secure) this.emit({ type: 'persistSecret', name: sharesName(slot), secret: accepted.held });
    this.log({
      type: 'joined',
      ...{ context, computation, round, attempt: offer.attempt, slot, broadcastHash, declarationHash, sites },
      preKeyDigest: accepted.preKeyDigest,
      maskPublicKeys: offer.preKeys.map((preKey) => preKey.maskPublicKey),
    });
    this.sweep();
    this.report({ kind: 'joined', computation, round, attempt: offer.attempt });
  }

  private proposed(message: SurvivorsProposal): void {
    const attempt = this.setFor(message, 'agreement');
    if (attempt === null || this.config.terms.coordinator === 'curious') return;
    const { context, preKeyDigest } = attempt;
    this.send(signSurvivors(this.studyHash(), context, preKeyDigest, attempt.set!, this.config.signingKey));
  }

  private asked(request: UnmaskRequest): void {
    const { terms, site } = this.config;
    const { attempt: open } = this.state;
    if (open !== null && open.context === request.context && terms.coordinator === 'malicious') {
      try {
        checkAgreement(terms, open.preKeyDigest, request);
      } catch (error) {
        if (!(error instanceof ConcordatError) || error.code === 'INTERNAL_BUG') throw error;
        this.tellRefusal(open.context, 'unmask', error.code, []);
        return;
      }
    }
    const attempt = this.setFor(request, 'unmask');
    if (attempt === null) return;
    const { context, sites, slot } = attempt;
    if (attempt.phase === 'signed') this.log({ type: 'released', context });
    this.emit({
      type: 'release',
      job: {
        studyHash: this.studyHash(),
        context,
        site,
        sites,
        secretName: sharesName(slot),
        wanted: wantedShares(attempt.set!),
      },
    });
  }

  /** The attempt with this very set durable as its only one; null (and a refusal sent) where it cannot be. */
  private setFor(message: SurvivorsProposal | UnmaskRequest, exchange: Exchange): SiteAttempt | null {
    const { attempt } = this.state;
    if (!this.secure || attempt === null || attempt.context !== message.context || attempt.phase === 'joined') {
      this.ignore(message.type);
      return null;
    }
    const { context, sites, computation, round, broadcastHash, declarationHash } = attempt;
    if (attempt.phase === 'refused') {
      this.tellRefusal(context, exchange, attempt.refusal!, []);
      return null;
    }
    const set: DividedSites = { survivors: message.survivors, dropped: message.dropped };
    if (attempt.set !== null) {
      if (sameSet(attempt.set, set) && message.preKeyDigest === attempt.preKeyDigest) return attempt;
      this.tellRefusal(context, exchange, 'SECAGG_SET_CHANGED', []);
      return null;
    }
    try {
      checkDivision(this.config.terms, sites, set);
      if (message.preKeyDigest !== attempt.preKeyDigest || !set.survivors.includes(this.config.site))
        throw new ConcordatError('SECAGG_SET_INVALID', 'the proposed set is about other keys, or without this site');
    } catch (error) {
      if (!(error instanceof ConcordatError) || error.code === 'INTERNAL_BUG') throw error;
      this.tellRefusal(context, exchange, error.code, []);
      return null;
    }
    const verdict = this.config.guard({
      ...{ context, computation, round, attempt: attempt.attempt, broadcastHash, declarationHash },
      ...set,
    });
    if (verdict !== 'ok') {
      this.refuse(exchange, verdict, []);
      return null;
    }
    // That this site is a survivor says that its masked input has arrived, even where the receipt was lost.
    if (attempt.phase === 'masked') this.log({ type: 'acknowledged', context });
    this.log({ type: 'signedSet', context, ...set });
    return this.state.attempt;
  }

  // Leaving ------------------------------------------------------------------------------------------------------------

  /** Sends the masked input where it is durable and not acknowledged; first makes the pre-key that rides on it. */
  private upload(): void {
    const { attempt, connected } = this.state;
    if (attempt?.phase !== 'masked' || !connected) return;
    const { context, slot, byteLength } = attempt;
    const blobHash = attempt.blobHash!;
    let nextPreKey: PreKey | null = null;
    if (this.secure) {
      const { pending } = this.state;
      nextPreKey = pending !== null && pending.preKey.slot > slot ? pending.preKey : this.freshPreKey(slot + 1);
    }
    const { site, signingKey } = this.config;
    const studyHash = this.studyHash();
    const message = maskedInputMessage({ studyHash, context, site, blobHash, byteLength, nextPreKey, signingKey });
    this.emit({ type: 'upload', blobHash, message });
  }

  private close(attempt: SiteAttempt, outcome: 'total' | 'aborted' | 'superseded' | 'lost'): void {
    const { contribution } = this.state;
    const { context, blobHash } = attempt;
    this.log({ type: 'closed', context, outcome });
    const blobs = [blobHash, outcome === 'total' ? (contribution?.blobHash ?? null) : null];
    const kept = this.state.contribution?.blobHash;
    const hashes = blobs.filter((hash): hash is string => hash !== null && hash !== kept);
    if (hashes.length > 0) this.emit({ type: 'discardBlobs', hashes: [...new Set(hashes)] });
    this.report({ kind: 'closed', context, outcome });
  }

  private refuse(exchange: Exchange, code: ErrorCode, about: readonly string[]): void {
    const { context } = this.state.attempt!;
    this.log({ type: 'refused', context, code });
    this.sweep();
    this.tellRefusal(context, exchange, code, about);
  }

  private tellRefusal(context: string, exchange: Exchange, code: ErrorCode, about: readonly string[]): void {
    this.report({ kind: 'refused', code, about });
    this.send({ type: 'siteRefusal', studyHash: this.studyHash(), context, exchange, code, about });
  }

  /**
   * A round is one question: asked again, after a crash or from an old log, it is the same one. Another broadcast under its
   * number would be a second total over the same patients that nobody planned.
   */
  private isSameQuestion(offer: AttemptOffer): boolean {
    let joined = this.state.rounds;
    if ((joined?.round ?? 0) < offer.round) return true;
    while (joined !== null && joined.round > offer.round) joined = joined.before;
    return joined?.round === offer.round && joined.subject === roundSubject(offer);
  }

  // Small things -------------------------------------------------------------------------------------------------------

  private isFor(
    attempt: SiteAttempt,
    what: { readonly broadcastHash: string; readonly declarationHash: string; readonly round?: number },
  ): boolean {
    return (
      what.broadcastHash === attempt.broadcastHash &&
      what.declarationHash === attempt.declarationHash &&
      (what.round === undefined || what.round === attempt.round)
    );
  }

  private studyHash(): string {
    return this.config.terms.roster.studyHash;
  }

  /** Destroys every secret that is no longer needed. */
  private sweep(): void {
    this.emit({ type: 'eraseSecretsExcept', names: neededSecrets(this.state) });
  }

  private log(record: ParticipantRecord): void {
    this.emit({ type: 'persist', record });
    this.state = applyRecord(this.state, record);
  }

  private send(message: SiteMessage): void {
    if (this.state.connected) this.emit({ type: 'send', message });
  }

  private ignore(what: string): void {
    this.report({ kind: 'ignored', what });
  }

  private report(report: ParticipantReport): void {
    this.emit({ type: 'report', report });
  }

  private emit(effect: ParticipantEffect): void {
    this.effects.push(effect);
  }
}
