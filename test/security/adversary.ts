import type { CoordinatorMessage, PreKey, RoundTerms, SiteMessage } from '../../shared/messages.js';
import type { DividedSites } from '../../shared/secagg/survivors.js';
import { signSurvivors } from '../../shared/secagg/survivors.site.js';
import type { Secret } from '../../shared/secret.js';
import { stepParticipant } from '../../site-agent/participant.js';
import { INITIAL_PARTICIPANT_STATE, type ParticipantState } from '../../site-agent/participant-state.js';
import type {
  ParticipantConfig,
  ParticipantEffect,
  ParticipantEvent,
  ParticipantRecord,
} from '../../site-agent/participant-types.js';
import { fixedRandom, offerFor, preKeyOf } from '../secagg/kit.js';
import { makeStudy, type SimRound, simKeys } from '../sim/world.js';

type Untimed<T> = T extends unknown ? Omit<T, 'nowMs' | 'random'> : never;

/** An honest site (the real reducer) in the hands of whoever plays the coordinator. */
export class HonestSite {
  state: ParticipantState = INITIAL_PARTICIPANT_STATE;
  readonly records: ParticipantRecord[] = [];
  readonly secrets = new Map<string, Secret>();
  readonly reports: string[] = [];
  effects: readonly ParticipantEffect[] = [];
  private count = 0;

  constructor(readonly config: ParticipantConfig) {
    this.feed({ type: 'resumed', secrets: [], restored: false });
    this.feed({ type: 'connected' });
  }

  static of(terms: RoundTerms, site: string, guard: ParticipantConfig['guard'] = () => 'ok'): HonestSite {
    return new HonestSite({ site, terms, ...simKeys(site), guard });
  }

  feed(event: Untimed<ParticipantEvent>): void {
    const random = fixedRandom('honest', this.config.site, this.count++);
    const { state, effects } = stepParticipant(this.config, this.state, {
      ...event,
      nowMs: 0,
      random,
    } as ParticipantEvent);
    this.state = state;
    this.effects = effects;
    for (const effect of effects) {
      if (effect.type === 'persist') this.records.push(effect.record);
      else if (effect.type === 'persistSecret') this.secrets.set(effect.name, effect.secret);
      else if (effect.type === 'report' && effect.report.kind === 'refused') this.reports.push(effect.report.code);
    }
  }

  hear(message: CoordinatorMessage): SiteMessage[] {
    this.feed({ type: 'message', message });
    return this.sent();
  }

  sent(): SiteMessage[] {
    return this.effects.flatMap((effect) =>
      effect.type === 'send' || effect.type === 'upload' ? [effect.message] : [],
    );
  }

  /** Codes that the site refused the last message with; each is in its own log too. */
  refusals(): string[] {
    return this.sent().flatMap((message) => (message.type === 'siteRefusal' ? [message.code] : []));
  }

  /** Whether the last message made it give shares away. */
  get released(): boolean {
    return this.effects.some((effect) => effect.type === 'release');
  }

  preKey(slot: number): PreKey {
    const { studyHash } = this.config.terms.roster;
    const answer = this.hear({ type: 'preKeyRequest', studyHash, slot }).find(({ type }) => type === 'preKeyAnswer');
    if (answer?.type !== 'preKeyAnswer') throw new Error('no pre-key');
    return answer.preKey;
  }

  /** Computes and masks what it was offered, up to the coordinator's receipt. */
  upload(round: SimRound): void {
    const { studyHash } = this.config.terms.roster;
    const { broadcastHash, declarationHash, context } = this.state.attempt!;
    const blobHash = 'b0'.repeat(32);
    this.feed({
      ...{ type: 'contributionReady', broadcastHash, declarationHash },
      ...{ blobHash: 'c0'.repeat(32), byteLength: round.bytes },
    });
    this.feed({ type: 'masked', context, blobHash, byteLength: round.bytes });
    this.hear({ type: 'maskedInputReceived', studyHash, context, blobHash });
  }
}

/** An attempt of one round with these honest sites in it and everybody else played by the test. */
export function offered(terms: RoundTerms, honest: readonly HonestSite[], slot = 1, round = roundsOf(terms)[0]!) {
  const own = new Map(honest.map((site) => [site.config.site, site.preKey(slot)]));
  const sites = terms.roster.sites.map((entry) => entry.site);
  const preKeys = sites.map((site) => own.get(site) ?? preKeyOf(terms, site, slot).preKey);
  const offerTo = (site: string) => offerFor(terms, round, preKeys, slot, site);
  return { round, sites, preKeys, offerTo };
}

export function roundsOf(terms: RoundTerms): readonly SimRound[] {
  return makeStudy(terms, 3, 1).rounds;
}

export function signedBy(
  signers: readonly string[],
  terms: RoundTerms,
  attempt: { readonly context: string; readonly preKeyDigest: string },
  set: DividedSites,
) {
  const { studyHash } = terms.roster;
  return signers.map((site) => ({
    site,
    signature: signSurvivors(studyHash, attempt.context, attempt.preKeyDigest, set, simKeys(site).signingKey).signature,
  }));
}
