import { createCipheriv, createHmac, hkdfSync } from 'node:crypto';
import { assert } from '../errors.js';
import { addInto, subtractInto, wordsPerEntry } from '../fixed-point.js';
import type { Secret } from '../secret.js';
import { type TensorSpec, tensorSize } from '../tensors.js';
import { field, statement } from './statements.js';

/**
 * Masks: HKDF-SHA256(secret, salt = digest of all signed pre-keys, info = kind, C, min(u,v), max(u,v), tensor), then
 * AES-256-CTR from a zero IV, read as little-endian 64-bit words. One key per tensor, so no counter is ever shared.
 */
export interface MaskKeyScope {
  readonly kind: 'self' | 'pair';
  readonly context: string;
  readonly preKeyDigest: string;
  /** The pair in roster order; the same site twice for a self mask. */
  readonly lower: string;
  readonly upper: string;
}

/** AES key of one tensor's mask, 32 bytes: the definition. applyMasks computes the same with the extraction done once. */
export function maskKey(secret: Secret, scope: MaskKeyScope, tensor: string): Uint8Array {
  const info = statement('mask', scope.kind, scope.context, scope.lower, scope.upper, tensor);
  return new Uint8Array(hkdfSync('sha256', secret.reveal(), Buffer.from(scope.preKeyDigest, 'hex'), info, 32));
}

/** HKDF (RFC 5869): extract once, then one block of expansion for each tensor. */
function maskKeys(secret: Secret, scope: MaskKeyScope): (tensor: string) => Uint8Array {
  const salt = Buffer.from(scope.preKeyDigest, 'hex');
  const extracted = createHmac('sha256', salt).update(secret.reveal()).digest();
  const prefix = statement('mask', scope.kind, scope.context, scope.lower, scope.upper);
  const last = Uint8Array.of(1);
  return (tensor) => createHmac('sha256', extracted).update(prefix).update(field(tensor)).update(last).digest();
}

/** So much of every mask at a time: what it is added to stays in the processor's cache until all masks have been. */
const CHUNK_BYTES = 1 << 16;
const ZERO_IV = new Uint8Array(16);
const ZEROS = new Uint8Array(CHUNK_BYTES);

/** One mask of all tensors, and whether it is added or subtracted. */
export interface Mask {
  readonly secret: Secret;
  readonly scope: MaskKeyScope;
  readonly sign: 1 | -1;
}

/** Adds (or subtracts) the masks to every block of words, in place; `words` are in declaration order. */
export function applyMasks(
  words: readonly BigUint64Array[],
  specs: readonly TensorSpec[],
  masks: readonly Mask[],
): void {
  assert(words.length === specs.length, 'one block of words for each declared tensor');
  const keyed = masks.map(({ secret, scope, sign }) => ({
    keyOf: maskKeys(secret, scope),
    apply: sign === 1 ? addInto : subtractInto,
  }));
  specs.forEach((spec, index) => {
    const block = words[index]!;
    assert(block.length === tensorSize(spec) * wordsPerEntry(spec.ring), `words of ${spec.name} do not fit`);
    if (block.length === 0) return;
    const streams = keyed.map(({ keyOf, apply }) => ({
      cipher: createCipheriv('aes-256-ctr', keyOf(spec.name), ZERO_IV),
      apply,
    }));
    // In chunks, so that no mask is ever held whole; a chunk is a whole number of entries of either ring.
    for (let start = 0; start < block.length; start += CHUNK_BYTES / 8) {
      const part = block.subarray(start, Math.min(block.length, start + CHUNK_BYTES / 8));
      const zeros = ZEROS.subarray(0, part.byteLength);
      for (const { cipher, apply } of streams) apply(part, alignedWords(cipher.update(zeros)), spec.ring);
    }
  });
}

function alignedWords(bytes: Uint8Array): BigUint64Array {
  if (bytes.byteOffset % 8 === 0) return new BigUint64Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 8);
  return new BigUint64Array(new Uint8Array(bytes).buffer);
}
