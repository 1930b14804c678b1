import { ed25519Sign } from '../ed25519.js';
import { assert, ConcordatError } from '../errors.js';
import { packWords } from '../fixed-point.js';
import type { MaskedInput, PreKey } from '../messages.js';
import type { Secret } from '../secret.js';
import type { TensorSpec } from '../tensors.js';
import { agree } from './keys.js';
import { slotMaskKey, slotSelfSeed } from './pre-keys.site.js';
import { applyMasks, type Mask } from './prg.js';
import { maskedInputStatement } from './statements.js';

export interface MaskingScope {
  readonly context: string;
  readonly preKeyDigest: string;
  readonly site: string;
  /** The attempt's other sites; empty in plain mode. */
  readonly peers: readonly { readonly site: string; readonly maskPublicKey: Uint8Array }[];
}

/**
 * y_u = x_u + PRG(self_u) + sum over v > u of PRG(s_uv) - sum over v < u of PRG(s_uv), in roster order
 * (Bonawitz et al., CCS 2017, figure 4, round 2). `words` (declaration order) are masked in place and returned packed.
 * `slotSecret` null = plain mode: the words as they are. Throws SECAGG_PRE_KEY_INVALID for a peer's key of low order.
 */
export function maskedInput(
  scope: MaskingScope,
  specs: readonly TensorSpec[],
  words: readonly BigUint64Array[],
  slotSecret: Secret | null,
): Uint8Array {
  if (slotSecret === null) {
    assert(scope.peers.length === 0, 'an attempt with peers needs the keys of its slot');
    return packWords(words);
  }
  assert(scope.peers.length > 0, 'a masked input needs peers');
  const { context, preKeyDigest, site } = scope;
  const own: Mask = {
    secret: slotSelfSeed(slotSecret),
    scope: { kind: 'self', context, preKeyDigest, lower: site, upper: site },
    sign: 1,
  };
  const maskKey = slotMaskKey(slotSecret);
  const shared = scope.peers.map((peer): Mask => {
    const secret = agree(maskKey, peer.maskPublicKey);
    if (secret === null)
      throw new ConcordatError('SECAGG_PRE_KEY_INVALID', `the mask key of site ${peer.site} is of low order`);
    const [lower, upper] = site < peer.site ? [site, peer.site] : [peer.site, site];
    return { secret, scope: { kind: 'pair', context, preKeyDigest, lower, upper }, sign: lower === site ? 1 : -1 };
  });
  applyMasks(words, specs, [own, ...shared]);
  for (const { secret } of [own, ...shared]) secret.wipe();
  maskKey.wipe();
  return packWords(words);
}

export function maskedInputMessage(of: {
  readonly studyHash: string;
  readonly context: string;
  readonly site: string;
  readonly blobHash: string;
  readonly byteLength: number;
  readonly nextPreKey: PreKey | null;
  readonly signingKey: Secret;
}): MaskedInput {
  const { studyHash, context, blobHash, byteLength, nextPreKey } = of;
  const signature = ed25519Sign(of.signingKey, maskedInputStatement(context, of.site, blobHash, byteLength));
  return { type: 'maskedInput', studyHash, context, blobHash, byteLength, nextPreKey, signature };
}
