import { describe, expect, it } from 'vitest';
import { unpackWords } from '../../shared/fixed-point.js';
import type { CoordinatorMessage, SiteMessage } from '../../shared/messages.js';
import { checkDeclaration, declarationHash } from '../../shared/secagg/context.js';
import { signStatement } from '../../shared/secagg/keys.js';
import { maskedInput } from '../../shared/secagg/masked-input.site.js';
import { survivorsStatement } from '../../shared/secagg/statements.js';
import type { DividedSites } from '../../shared/secagg/survivors.js';
import { signSurvivors } from '../../shared/secagg/survivors.site.js';
import type { Secret } from '../../shared/secret.js';
import { stepParticipant } from '../../site-agent/participant.js';
import { INITIAL_PARTICIPANT_STATE, type ParticipantState, recover } from '../../site-agent/participant-state.js';
import type {
  ParticipantConfig,
  ParticipantEffect,
  ParticipantEvent,
  ParticipantRecord,
} from '../../site-agent/participant-types.js';
import { siteNames } from '../sim/federation.js';
import { makeStudy, makeTerms, simKeys } from '../sim/world.js';
import { codeOf, fixedRandom, offerFor, preKeyOf } from './kit.js';

type Without<T> = T extends unknown ? Omit<T, 'nowMs' | 'random'> : never;

/** One site under a test's thumb: remembers what it persisted and what it sent. */
class Site {
  state: ParticipantState = INITIAL_PARTICIPANT_STATE;
  readonly records: ParticipantRecord[] = [];
  readonly secrets = new Map<string, Secret>();
  effects: readonly ParticipantEffect[] = [];
  private count = 0;

  constructor(readonly config: ParticipantConfig) {
    this.feed({ type: 'resumed', secrets: [], restored: false });
    this.feed({ type: 'connected' });
  }

  feed(event: Without<ParticipantEvent>): void {
    const full = { ...event, nowMs: 0, random: fixedRandom(this.config.site, this.count++) } as ParticipantEvent;
    const { state, effects } = stepParticipant(this.config, this.state, full);
    this.state = state;
    this.effects = effects;
    for (const effect of effects) {
      if (effect.type === 'persist') this.records.push(effect.record);
      if (effect.type === 'persistSecret') this.secrets.set(effect.name, effect.secret);
      if (effect.type === 'eraseSecretsExcept')
        for (const name of [...this.secrets.keys()]) if (!effect.names.includes(name)) this.secrets.delete(name);
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

  refusals(): string[] {
    return this.sent().flatMap((message) => (message.type === 'siteRefusal' ? [message.code] : []));
  }
}

const terms = makeTerms(siteNames(4), { onMissingSite: 'continue' });
const { studyHash } = terms.roster;
const study = makeStudy(terms, 2, 1);
const round = study.rounds[0]!;
const sites = siteNames(4);
const all: DividedSites = { survivors: sites, dropped: [] };
const three: DividedSites = { survivors: sites.slice(0, 3), dropped: sites.slice(3) };

function newSite(over: Partial<ParticipantConfig> = {}): Site {
  return new Site({ site: 'alder', terms, ...simKeys('alder'), guard: () => 'ok', ...over });
}

/** A site with an attempt joined; its peers' keys are fixed. */
function joined(slot = 1, over: Partial<ParticipantConfig> = {}) {
  const site = newSite(over);
  const answer = site
    .hear({ type: 'preKeyRequest', studyHash, slot })
    .find((message) => message.type === 'preKeyAnswer')!;
  const peers = sites.slice(1).map((peer) => preKeyOf(terms, peer, slot).preKey);
  const offer = offerFor(
    terms,
    round,
    [answer.type === 'preKeyAnswer' ? answer.preKey : peers[0]!, ...peers],
    slot,
    'alder',
  );
  site.hear(offer);
  return { site, offer };
}

/** ... and its masked input acknowledged. */
function uploaded(over: Partial<ParticipantConfig> = {}) {
  const { site, offer } = joined(1, over);
  const { broadcastHash, declarationHash: declaration } = offer;
  site.feed({
    type: 'contributionReady',
    broadcastHash,
    declarationHash: declaration,
    blobHash: 'c0'.repeat(32),
    byteLength: round.bytes,
  });
  const { context, preKeyDigest } = site.state.attempt!;
  site.feed({ type: 'masked', context, blobHash: 'b0'.repeat(32), byteLength: round.bytes });
  const upload = site.sent().find((message) => message.type === 'maskedInput')!;
  site.hear({ type: 'maskedInputReceived', studyHash, context, blobHash: 'b0'.repeat(32) });
  return { site, offer, context, preKeyDigest, upload };
}

const propose = (context: string, preKeyDigest: string, set: DividedSites): CoordinatorMessage => ({
  type: 'survivorsProposal',
  studyHash,
  context,
  preKeyDigest,
  ...set,
});

const request = (context: string, preKeyDigest: string, set: DividedSites, signers: string[]): CoordinatorMessage => ({
  type: 'unmaskRequest',
  studyHash,
  context,
  preKeyDigest,
  ...set,
  signatures: signers.map((site) => ({
    site,
    signature: signSurvivors(studyHash, context, preKeyDigest, set, simKeys(site).signingKey).signature,
  })),
});

describe('a site and its keys', () => {
  it('answers a repeated request with the same pre-key, and makes it durable before it leaves', () => {
    const site = newSite();
    const first = site.hear({ type: 'preKeyRequest', studyHash, slot: 1 });
    expect(site.effects.map((effect) => effect.type)).toEqual(['persistSecret', 'persist', 'send']);
    expect(site.hear({ type: 'preKeyRequest', studyHash, slot: 1 })).toEqual(first);
  });

  it('uses a pre-key once: another attempt for the same slot is refused, an older slot too', () => {
    const { site, offer } = joined(2);
    expect(site.state.attempt?.phase).toBe('joined');
    site.hear({ ...offer, attempt: 2 });
    expect(site.refusals()).toEqual(['SECAGG_PRE_KEY_REUSED']);
    site.hear({ ...offer, slot: 1 });
    expect(site.refusals()).toEqual(['SECAGG_ATTEMPT_STALE']);
    // After the attempt has closed its slot stays used.
    site.hear({ type: 'attemptClosed', studyHash, context: site.state.attempt!.context, outcome: 'aborted' });
    site.hear({ ...offer, attempt: 3 });
    expect(site.refusals()).toEqual(['SECAGG_PRE_KEY_REUSED']);
    expect([...site.secrets.keys()]).toEqual([]);
  });

  it('joins before it computes: shares and set durable, then the contribution is asked for', () => {
    const { site, offer } = joined();
    expect(site.effects.map((effect) => effect.type)).toEqual([
      'persistSecret',
      'persist',
      'eraseSecretsExcept',
      'report',
      'contribute',
    ]);
    // The same offer again changes nothing.
    site.hear(offer);
    expect(site.effects).toEqual([]);
  });

  it('a repeated contribution does not replace the first: re-sent work is the same bytes', () => {
    const { site, offer } = joined();
    const { broadcastHash, declarationHash: declaration } = offer;
    const ready = (blobHash: string) =>
      site.feed({ type: 'contributionReady', broadcastHash, declarationHash: declaration, blobHash, byteLength: 8 });
    ready('c0'.repeat(32));
    ready('c1'.repeat(32));
    expect(site.state.contribution?.blobHash).toBe('c0'.repeat(32));
    const { context } = site.state.attempt!;
    site.feed({ type: 'masked', context, blobHash: 'b0'.repeat(32), byteLength: 8 });
    const first = site.sent();
    site.feed({ type: 'masked', context, blobHash: 'b1'.repeat(32), byteLength: 8 });
    expect(site.sent()).toEqual([]);
    site.feed({ type: 'disconnected' });
    site.feed({ type: 'connected' });
    expect(site.sent().slice(1)).toEqual(first);
  });

  it('destroys its own keys once the masked input is durable, and the shares it holds when the attempt closes', () => {
    const { site, context } = uploaded();
    expect([...site.secrets.keys()].sort()).toEqual(['keys-2', 'shares-1']);
    site.hear({ type: 'attemptClosed', studyHash, context, outcome: 'total' });
    expect([...site.secrets.keys()]).toEqual(['keys-2']);
    expect(site.state.contribution).toBeNull();
  });

  it('takes a new incarnation when restored from a backup, and knows nothing of older attempts', () => {
    const { site, offer, context } = uploaded();
    const before = site.state.incarnation;
    for (const [secrets, restored] of [
      [[...site.secrets.keys()], true],
      [[], false],
    ] as const) {
      const back = newSite();
      back.state = recover(site.records);
      back.feed({ type: 'resumed', secrets, restored });
      expect(back.state.incarnation).not.toBe(before);
      expect(back.state.attempt).toBeNull();
      back.feed({ type: 'connected' });
      back.hear(offer);
      expect(back.refusals()).toEqual(['SECAGG_PRE_KEY_REUSED']);
      expect(back.hear(request(context, 'aa', all, sites))).toEqual([]);
    }
    // An ordinary restart keeps both.
    const again = newSite();
    again.state = recover(site.records);
    again.feed({ type: 'resumed', secrets: [...site.secrets.keys()], restored: false });
    expect(again.state).toEqual({ ...site.state, connected: false, busy: null });
  });

  it('records hold no secret', () => {
    const { site, context, preKeyDigest } = uploaded();
    const everything = new Map(site.secrets);
    site.hear(propose(context, preKeyDigest, all));
    const written = JSON.stringify(site.records, (_, value) =>
      value instanceof Uint8Array ? Buffer.from(value).toString('hex') : (value as unknown),
    );
    for (const secret of everything.values())
      for (let at = 0; at + 32 <= secret.length; at += 16)
        expect(written).not.toContain(Buffer.from(secret.reveal().subarray(at, at + 32)).toString('hex'));
  });
});

describe('a site and the survivor set', () => {
  it('signs one set per attempt, durable before the signature leaves', () => {
    const { site, context, preKeyDigest } = uploaded();
    const [signed] = site.hear(propose(context, preKeyDigest, three));
    expect(signed?.type).toBe('survivorsSigned');
    expect(site.effects.map((effect) => effect.type)).toEqual(['persist', 'send']);
    const bytes = survivorsStatement(context, preKeyDigest, three.survivors, three.dropped);
    expect(signed?.type === 'survivorsSigned' && signed.signature).toEqual(
      signStatement(simKeys('alder').signingKey, bytes),
    );
    expect(site.hear(propose(context, preKeyDigest, three))).toEqual([signed]);
    site.hear(propose(context, preKeyDigest, all));
    expect(site.refusals()).toEqual(['SECAGG_SET_CHANGED']);
    // Nor does it unmask another set, whoever has signed that.
    site.hear(request(context, preKeyDigest, all, sites));
    expect(site.refusals()).toEqual(['SECAGG_SET_CHANGED']);
    expect(site.effects.some((effect) => effect.type === 'release')).toBe(false);
  });

  it('refuses a set that is no division, is about other keys, or leaves this site out', () => {
    const { site, context, preKeyDigest } = uploaded();
    for (const message of [
      propose(context, preKeyDigest, { survivors: sites, dropped: ['dogwood'] }),
      propose(context, preKeyDigest, { survivors: sites.slice(0, 2), dropped: sites.slice(2) }),
      propose(context, 'ee'.repeat(32), all),
      propose(context, preKeyDigest, { survivors: sites.slice(1), dropped: ['alder'] }),
    ]) {
      site.hear(message);
      expect(site.refusals()).toEqual(['SECAGG_SET_INVALID']);
    }
  });

  it('asks its disclosure guard before it joins and before it signs, and stands by the answer', () => {
    const cautious = joined(1, { guard: () => 'SECAGG_SET_INVALID' });
    expect(cautious.site.state.attempt).toBeNull();
    expect(cautious.site.refusals()).toEqual(['SECAGG_SET_INVALID']);
    const asked: number[] = [];
    const { site, context, preKeyDigest } = uploaded({
      guard: (set) => {
        asked.push(set.survivors.length);
        return set.dropped.length > 0 ? 'SECAGG_SET_INVALID' : 'ok';
      },
    });
    site.hear(propose(context, preKeyDigest, three));
    expect(site.refusals()).toEqual(['SECAGG_SET_INVALID']);
    expect(asked).toEqual([4, 3]);
    site.hear(request(context, preKeyDigest, three, sites.slice(0, 3)));
    expect(site.effects.some((effect) => effect.type === 'release')).toBe(false);
    expect(site.state.attempt?.phase).toBe('refused');
  });

  it('releases shares after t signatures on the same set, the kinds durable before', () => {
    const { site, context, preKeyDigest } = uploaded();
    site.hear(request(context, preKeyDigest, three, ['alder', 'birch']));
    expect(site.refusals()).toEqual(['SECAGG_THRESHOLD']);
    site.hear(request(context, preKeyDigest, three, ['alder', 'birch', 'dogwood']));
    expect(site.refusals()).toEqual(['SECAGG_SIGNATURE_INVALID']);
    site.hear(request(context, preKeyDigest, three, ['alder', 'birch', 'cedar']));
    expect(site.effects.map((effect) => effect.type)).toEqual(['persist', 'persist', 'release']);
    const release = site.effects.find((effect) => effect.type === 'release');
    expect(release?.type === 'release' && release.job.wanted).toEqual([
      { dealer: 'alder', kind: 'self' },
      { dealer: 'birch', kind: 'self' },
      { dealer: 'cedar', kind: 'self' },
      { dealer: 'dogwood', kind: 'mask' },
    ]);
    // Asked again: the same, with nothing more to make durable.
    site.hear(request(context, preKeyDigest, three, ['alder', 'birch', 'cedar']));
    expect(site.effects.map((effect) => effect.type)).toEqual(['release']);
  });

  it('without an agreement exchange it still takes one set and checks it', () => {
    const curious = { ...terms, coordinator: 'curious' as const };
    const { site, context, preKeyDigest } = uploaded({ terms: curious });
    site.hear(request(context, preKeyDigest, all, []));
    expect(site.effects.some((effect) => effect.type === 'release')).toBe(true);
    site.hear(request(context, preKeyDigest, three, []));
    expect(site.refusals()).toEqual(['SECAGG_SET_CHANGED']);
  });

  it('says why a contribution is not sent', () => {
    const { site, offer } = joined();
    const { broadcastHash, declarationHash: declaration } = offer;
    site.feed({
      type: 'contributionRefused',
      broadcastHash,
      declarationHash: declaration,
      code: 'SECAGG_BOUND_EXCEEDED',
    });
    expect(site.refusals()).toEqual(['SECAGG_BOUND_EXCEEDED']);
    expect([...site.secrets.keys()]).toEqual([]);
    site.hear(offer);
    expect(site.refusals()).toEqual(['SECAGG_BOUND_EXCEEDED']);
  });
});

describe('declarations', () => {
  it('have one hash, that changes with any part', () => {
    const [first, second] = round.specs;
    const base = declarationHash(round.specs);
    const changed = [
      { ...first!, bound: first!.bound * 2 },
      { ...first!, name: 'other' },
      { ...first!, shape: [3, 2] },
      { ...first!, fractionBits: 79 },
      { ...first!, contributors: [{ site: 'alder', cells: [0] }] },
      { ...first!, visibility: 'site' as const },
      { ...first!, meaning: 'other' },
      { ...first!, fold: 'other' },
    ].map((spec) => declarationHash([spec, second!]));
    expect(new Set([base, declarationHash([second!, first!]), ...changed]).size).toBe(changed.length + 2);
    expect(codeOf(() => checkDeclaration(round.specs, base, 4))).toBe('ok');
    expect(codeOf(() => checkDeclaration(round.specs.slice(1), base, 4))).toBe('SECAGG_DECLARATION_MISMATCH');
  });
});

describe('a masked input', () => {
  it('is the same bytes from the same keys and words', () => {
    const { site } = joined();
    const { context, preKeyDigest, maskPublicKeys } = site.state.attempt!;
    const peers = sites.slice(1).map((peer, index) => ({ site: peer, maskPublicKey: maskPublicKeys[index + 1]! }));
    const make = () => {
      const words = unpackWords(round.specs, new Uint8Array(round.bytes));
      return maskedInput(
        { context, preKeyDigest, site: 'alder', peers },
        round.specs,
        words,
        site.secrets.get('keys-1')!,
      );
    };
    expect(make()).toEqual(make());
    expect(make().every((byte) => byte === 0)).toBe(false);
  });
});
