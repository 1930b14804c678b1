import { unpackWords } from '../../shared/fixed-point.js';
import type { CoordinatorMessage, SiteMessage } from '../../shared/messages.js';
import { sha256Hex } from '../../shared/secagg/statements.js';
import type { Secret } from '../../shared/secret.js';
import type { CoordinatorProcess, SiteProcess } from './processes.js';
import { entriesOf, plainSum, type SimRound, type SimStudy } from './world.js';

/** Watch a run from outside and note every broken promise. */
export class Checkers {
  readonly violations: string[] = [];
  private readonly secrets: Uint8Array[] = [];
  private readonly blobOfKeys = new Map<string, string>();
  private readonly boxOfNonce = new Map<string, string>();
  private readonly attemptOfKey = new Map<string, string>();
  private readonly kindReleased = new Map<string, string>();
  private readonly setSigned = new Map<string, string>();

  constructor(private readonly study: SimStudy) {}

  /** (a) The total equals the plain sum over exactly the sites that it names, bit for bit. */
  total(round: SimRound, sites: readonly string[], bytes: Uint8Array): void {
    const got = entriesOf(round, unpackWords(round.specs, bytes));
    const want = plainSum(round, sites);
    const wrong = want.some((block, index) => block.some((value, entry) => got[index]![entry] !== value));
    if (wrong) this.violations.push(`the total of round ${round.round} is not the sum over ${sites.join(', ')}`);
    if (this.study.terms.onMissingSite === 'wait' && sites.length !== this.study.terms.roster.sites.length)
      this.violations.push(`the total of round ${round.round} lacks sites though the study waits`);
  }

  /** (b) Nothing on the wire is an unmasked tensor, a key or a seed. (c) No nonce twice, one kind of share, one set. */
  wire(from: string, message: CoordinatorMessage | SiteMessage): void {
    if (this.study.terms.mode === 'plain') return;
    for (const bytes of byteFields(message)) {
      for (const secret of this.secrets)
        if (Buffer.from(bytes).includes(Buffer.from(secret)))
          this.violations.push(`${message.type} from ${from} carries a secret`);
    }
    if (message.type === 'maskedInput' && message.nextPreKey !== null) this.boxes(message.nextPreKey);
    if (message.type === 'preKeyAnswer') this.boxes(message.preKey);
    if (message.type === 'attemptOffer') {
      // A pre-key serves one attempt, ever.
      const attempt = `${message.computation} ${message.round} ${message.attempt} ${message.broadcastHash}`;
      for (const preKey of message.preKeys)
        this.once(
          this.attemptOfKey,
          Buffer.from(preKey.maskPublicKey).toString('hex'),
          attempt,
          'a pre-key served two attempts',
        );
    }
    if (message.type === 'sharesReleased')
      for (const { dealer, kind } of message.shares)
        this.once(this.kindReleased, `${from} ${message.context} ${dealer}`, kind, 'both kinds of share were released');
    if (message.type === 'survivorsSigned')
      this.once(
        this.setSigned,
        `${from} ${message.context}`,
        `${message.survivors.join()} / ${message.dropped.join()}`,
        'two sets were signed in one attempt',
      );
  }

  /** (c) The keys of one slot mask one vector, in one attempt, to the same bytes. */
  masked(site: string, keys: Secret, context: string, blobHash: string): void {
    const name = sha256Hex(keys.reveal());
    this.once(this.blobOfKeys, name, `${site} ${context} ${blobHash}`, 'the keys of one slot masked two things');
  }

  secretMade(secret: Secret): void {
    const bytes = secret.reveal();
    if (bytes.length !== 64) return;
    this.secrets.push(bytes.slice(0, 32), bytes.slice(32));
  }

  /** (b) A transfer holds no word of any contribution. */
  blob(from: string, blob: Uint8Array): void {
    if (this.study.terms.mode === 'plain') return;
    for (const round of this.study.rounds) {
      if (blob.length !== round.bytes) continue;
      const sent = unpackWords(round.specs, blob);
      for (const [site, words] of round.words)
        words.forEach((block, index) => {
          if (block.some((word, position) => word === sent[index]![position] && block.length > 1))
            this.violations.push(`${from} sent words of ${site}'s ${round.specs[index]!.name} unmasked`);
        });
    }
  }

  /** (d) Nothing leaves a site before it is durable there. */
  durableAtSite(site: SiteProcess, message: SiteMessage): void {
    const has = (test: (record: SiteProcess['records'][number]) => boolean) => {
      if (!site.records.some(test)) this.violations.push(`${site.site} sent ${message.type} before it was durable`);
    };
    switch (message.type) {
      case 'preKeyAnswer':
        has((record) => record.type === 'preKey' && record.preKey === message.preKey);
        if (!site.secrets.has(`keys-${message.preKey.slot}`))
          this.violations.push(`${site.site} sent a pre-key whose secrets are not durable`);
        break;
      case 'maskedInput':
        has((record) => record.type === 'masked' && record.blobHash === message.blobHash);
        break;
      case 'survivorsSigned':
        has((record) => record.type === 'signedSet' && record.context === message.context);
        break;
      case 'sharesReleased':
        has((record) => record.type === 'released' && record.context === message.context);
        break;
    }
  }

  /**
   * (d) What the guard let a site sign is written (or the write refused) before anybody else has a turn: the guard of another
   * study over the same patients would otherwise decide without it. Call when the guard has said yes.
   */
  decided(site: SiteProcess, context: string): void {
    queueMicrotask(() => {
      const isSigned = (record: SiteProcess['records'][number]) =>
        record.type === 'signedSet' && record.context === context;
      // Of an offer nothing counts as released yet.
      const isOffer = !site.records.some((record) => record.type === 'masked' && record.context === context);
      if (!isOffer && !site.records.some(isSigned) && !site.lastAppended.some(isSigned))
        this.violations.push(`${site.site} may sign a set that others cannot know of yet`);
    });
  }

  /** (d) What leaves is in the egress ledger by then. */
  ledgered(site: SiteProcess, blob: Uint8Array): void {
    const hash = sha256Hex(blob);
    if (!site.ledger.some((line) => line.blobHash === hash))
      this.violations.push(`${site.site} sent a masked input that is not in its egress ledger`);
  }

  /** (d) What the coordinator acknowledges or shows to others is in its log, and an acknowledged blob is whole. */
  durableAtCoordinator(coordinator: CoordinatorProcess, site: string, message: CoordinatorMessage): void {
    const has = (test: (record: CoordinatorProcess['records'][number]) => boolean) => {
      if (!coordinator.records.some(test))
        this.violations.push(`the coordinator sent ${message.type} to ${site} before it was durable`);
    };
    switch (message.type) {
      case 'attemptOffer':
        has((record) => record.type === 'attemptOpened' && record.slot === message.slot);
        break;
      case 'maskedInputReceived':
        has((record) => record.type === 'maskedInput' && record.site === site && record.blobHash === message.blobHash);
        if (!coordinator.isWhole(message.blobHash))
          this.violations.push(`the coordinator acknowledged a masked input of ${site} that it does not have`);
        break;
      case 'survivorsProposal':
        has((record) => record.type === 'survivors' && record.context === message.context);
        break;
      case 'unmaskRequest':
        has((record) => record.type === 'agreed' && record.context === message.context);
        break;
    }
  }

  private boxes(preKey: Extract<SiteMessage, { type: 'preKeyAnswer' }>['preKey']): void {
    for (const boxes of preKey.boxes)
      for (const box of [boxes.self, boxes.mask]) {
        // Both directions of a pair share one key, so a nonce must not come back from anyone.
        const nonce = Buffer.from(box.subarray(0, 24)).toString('hex');
        this.once(this.boxOfNonce, nonce, Buffer.from(box).toString('hex'), 'a nonce sealed two boxes');
      }
  }

  private once(seen: Map<string, string>, key: string, value: string, why: string): void {
    const known = seen.get(key);
    if (known === undefined) seen.set(key, value);
    else if (known !== value) this.violations.push(`${why}: ${key}`);
  }
}

function byteFields(value: unknown): Uint8Array[] {
  if (value instanceof Uint8Array) return [value];
  if (Array.isArray(value)) return value.flatMap(byteFields);
  if (typeof value === 'object' && value !== null) return Object.values(value).flatMap(byteFields);
  return [];
}
