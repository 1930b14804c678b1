import { packWords, unpackWords, zeroWords } from '../../shared/fixed-point.js';
import type { ShareKind } from '../../shared/messages.js';
import { threshold } from '../../shared/secagg/context.js';
import { agree } from '../../shared/secagg/keys.js';
import { heldShare, slotMaskKey, slotSelfSeed } from '../../shared/secagg/pre-keys.site.js';
import { applyMasks } from '../../shared/secagg/prg.js';
import { combineShares } from '../../shared/secagg/shamir.js';
import type { DividedSites } from '../../shared/secagg/survivors.js';
import { wantedShares } from '../../shared/secagg/unmask.js';
import type { Secret } from '../../shared/secret.js';
import { type Attempt, inputOf } from '../secagg/kit.js';
import { entriesOf } from '../sim/world.js';

/** One vector of the round: tensor by tensor, entry by entry, as numbers of its ring. */
export type Vector = readonly (readonly bigint[])[];

/**
 * An attempt with all its secrets laid open, in plain arithmetic: x, self masks and pairwise masks as vectors. `replaced`
 * holds masks that are other random strings than the generator made.
 */
export class OpenAttempt {
  constructor(
    readonly attempt: Attempt,
    readonly inputs: ReadonlyMap<string, Vector>,
    readonly replaced: ReadonlyMap<string, Vector> = new Map(),
    /** What the generator makes, kept between worlds of one attempt. */
    readonly generated = new Map<string, Vector>(),
  ) {}

  static of(attempt: Attempt): OpenAttempt {
    const inputs = attempt.sites.map(
      (site) => [site, entriesOf(attempt.round, attempt.round.words.get(site)!)] as const,
    );
    return new OpenAttempt(attempt, new Map(inputs));
  }

  mask(a: string, b: string): Vector {
    const [lower, upper] = a < b ? [a, b] : [b, a];
    const name = maskName(lower, upper);
    const known = this.replaced.get(name) ?? this.generated.get(name);
    if (known !== undefined) return known;
    const { slotSecrets, preKeys, context, preKeyDigest, round } = this.attempt;
    const own = slotSecrets.get(lower)!;
    const peer = preKeys.find(({ site }) => site === upper)!.maskPublicKey;
    const kind = lower === upper ? ('self' as const) : ('pair' as const);
    const secret = kind === 'self' ? slotSelfSeed(own) : agree(slotMaskKey(own), peer)!;
    const words = zeroWords(round.specs);
    applyMasks(words, round.specs, [{ secret, scope: { kind, context, preKeyDigest, lower, upper }, sign: 1 }]);
    const mask = entriesOf(round, words);
    this.generated.set(name, mask);
    return mask;
  }

  /** y = x + self mask + masks with later sites - masks with earlier ones (Bonawitz et al., CCS 2017, section 4). */
  maskedInput(site: string): Vector {
    let y = this.plus(this.inputs.get(site)!, this.mask(site, site), 1n);
    for (const peer of this.attempt.sites)
      if (peer !== site) y = this.plus(y, this.mask(site, peer), site < peer ? 1n : -1n);
    return y;
  }

  total(sites: readonly string[]): Vector {
    return sites.map((site) => this.inputs.get(site)!).reduce((sum, vector) => this.plus(sum, vector, 1n));
  }

  plus(a: Vector, b: Vector, sign: bigint): Vector {
    return a.map((tensor, t) => {
      const { ring } = this.attempt.round.specs[t]!;
      return tensor.map((entry, at) => BigInt.asUintN(ring, entry + sign * b[t]![at]!));
    });
  }
}

export const maskName = (a: string, b: string): string => (a < b ? `${a} ${b}` : `${b} ${a}`);

export function bytesOf(attempt: Attempt, vector: Vector): Uint8Array {
  return packWords(
    attempt.round.specs.map(({ ring }, t) =>
      BigUint64Array.from(
        vector[t]!.flatMap((entry) => (ring === 64 ? [entry] : [BigInt.asUintN(64, entry), entry >> 64n])),
      ),
    ),
  );
}

/** What the protocol itself makes of the real inputs: anchors the arithmetic above to the product. */
export function sentBytes(attempt: Attempt, site: string): Uint8Array {
  return packWords(unpackWords(attempt.round.specs, inputOf(attempt, site)));
}

/**
 * Everything that a coalition of the coordinator and some sites sees of an attempt that went through: all messages, its own
 * secrets and shares, the shares that honest survivors released, and whatever can be computed from those.
 */
export class Coalition {
  private readonly secrets = new Map<string, Uint8Array | null>();

  constructor(
    readonly members: readonly string[],
    readonly attempt: Attempt,
    readonly set: DividedSites,
  ) {}

  /** Shares of one secret of `dealer` that the coalition has, by holder. */
  shares(dealer: string, kind: ShareKind): Map<string, Uint8Array> {
    const { attempt, set, members } = this;
    const asked = wantedShares(set).some((wanted) => wanted.dealer === dealer && wanted.kind === kind);
    const holders = attempt.sites.filter((site) => members.includes(site) || (asked && set.survivors.includes(site)));
    const index = attempt.sites.indexOf(dealer);
    return new Map(holders.map((holder) => [holder, heldShare(attempt.held.get(holder)!, index, kind).share]));
  }

  /** The secret, where the coalition has it or t shares of it. */
  rebuilt(dealer: string, kind: ShareKind): Uint8Array | null {
    const name = `${dealer} ${kind}`;
    const known = this.secrets.get(name);
    if (known !== undefined) return known;
    const secret = this.rebuild(dealer, kind);
    this.secrets.set(name, secret);
    return secret;
  }

  private rebuild(dealer: string, kind: ShareKind): Uint8Array | null {
    const own: Secret | undefined = this.members.includes(dealer) ? this.attempt.slotSecrets.get(dealer) : undefined;
    if (own !== undefined) return (kind === 'self' ? slotSelfSeed(own) : slotMaskKey(own)).reveal();
    const shares = [...this.shares(dealer, kind)];
    if (shares.length < threshold(this.attempt.terms)) return null;
    return combineShares(shares.map(([holder, share]) => ({ x: this.attempt.sites.indexOf(holder) + 1, share })));
  }

  /** Whether the coalition can compute that mask. */
  computes(a: string, b: string): boolean {
    if (a === b) return this.rebuilt(a, 'self') !== null;
    return this.rebuilt(a, 'mask') !== null || this.rebuilt(b, 'mask') !== null;
  }

  /** As text, byte for byte: equal texts are equal views. */
  view(world: OpenAttempt): string {
    const { attempt, set, members } = this;
    const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
    const pairs = attempt.sites.flatMap((a) => attempt.sites.filter((b) => a <= b).map((b) => [a, b] as const));
    return JSON.stringify({
      set,
      preKeys: attempt.preKeys.map((preKey) =>
        JSON.stringify(preKey, (_, value) => (value instanceof Uint8Array ? hex(value) : value)),
      ),
      ownSecrets: members.map((site) => hex(attempt.slotSecrets.get(site)!.reveal())),
      ownInputs: members.map((site) => hex(bytesOf(attempt, world.inputs.get(site)!))),
      shares: attempt.sites.flatMap((dealer) =>
        (['self', 'mask'] as const).map((kind) =>
          [...this.shares(dealer, kind)].map(([holder, share]) => [holder, hex(share)]),
        ),
      ),
      // The late masked input of a dropped site has arrived as well.
      maskedInputs: attempt.sites.map((site) => hex(bytesOf(attempt, world.maskedInput(site)))),
      masks: pairs.filter(([a, b]) => this.computes(a, b)).map(([a, b]) => hex(bytesOf(attempt, world.mask(a, b)))),
      total: hex(bytesOf(attempt, world.total(set.survivors))),
    });
  }
}
