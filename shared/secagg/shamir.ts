import { assert } from '../errors.js';

/**
 * Shamir's secret sharing, byte by byte over GF(2^8) with the AES polynomial x^8 + x^4 + x^3 + x + 1 (Shamir, CACM 1979).
 * Holder i (0-based roster index) has x = i + 1. Randomness is injected.
 */
const EXP = new Uint8Array(510);
const LOG = new Uint8Array(256);
for (let power = 0, value = 1; power < 255; power++) {
  EXP[power] = value;
  EXP[power + 255] = value;
  LOG[value] = power;
  // times the generator 3 = x + 1
  value ^= (value << 1) ^ (value & 0x80 ? 0x11b : 0);
}

function multiply(a: number, b: number): number {
  return a === 0 || b === 0 ? 0 : EXP[LOG[a]! + LOG[b]!]!;
}

/** Random bytes that `splitSecret` needs. */
export function splitRandomLength(secretLength: number, threshold: number): number {
  return secretLength * (threshold - 1);
}

/** Shares for x = 1..count; any `threshold` of them give the secret, fewer give nothing. */
export function splitSecret(secret: Uint8Array, count: number, threshold: number, random: Uint8Array): Uint8Array[] {
  assert(threshold >= 1 && threshold <= count && count <= 255, 'impossible number of shares');
  assert(random.length === splitRandomLength(secret.length, threshold), 'wrong amount of randomness for the shares');
  return Array.from({ length: count }, (_, index) => {
    const x = index + 1;
    return secret.map((constant, byte) => {
      // Horner's rule from the highest coefficient down.
      let y = 0;
      for (let k = threshold - 1; k >= 1; k--) y = multiply(y, x) ^ random[(k - 1) * secret.length + byte]!;
      return multiply(y, x) ^ constant;
    });
  });
}

/** Value at 0 of the polynomial through the shares: the secret, where at least `threshold` shares are given. */
export function combineShares(shares: readonly { readonly x: number; readonly share: Uint8Array }[]): Uint8Array {
  const length = shares[0]?.share.length;
  assert(length !== undefined && shares.every((part) => part.share.length === length), 'shares differ in length');
  assert(new Set(shares.map((part) => part.x)).size === shares.length, 'a share was given twice');
  assert(
    shares.every((part) => part.x >= 1 && part.x <= 255),
    'a share has no place',
  );
  const secret = new Uint8Array(length);
  for (const own of shares) {
    // Lagrange basis at 0: product of x_j / (x_j - x_i); subtraction in GF(2^8) is exclusive or.
    let logWeight = 0;
    for (const other of shares)
      if (other !== own) logWeight = (logWeight + LOG[other.x]! + 255 - LOG[other.x ^ own.x]!) % 255;
    const weight = EXP[logWeight]!;
    for (let byte = 0; byte < length; byte++) secret[byte]! ^= multiply(own.share[byte]!, weight);
  }
  return secret;
}
