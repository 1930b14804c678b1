/**
 * Slow, obvious twin of shared/fixed-point.ts: doubles as exact fractions of BigInts, nothing but whole-number arithmetic.
 */

/** value * 2^fractionBits rounded half to even, modulo 2^ring. */
export function twinEncode(value: number, fractionBits: number, ring: number): bigint {
  const { numerator, exponent } = exactFraction(value);
  const shift = exponent + fractionBits;
  let scaled: bigint;
  if (shift >= 0) {
    scaled = numerator << BigInt(shift);
  } else {
    const divisor = 1n << BigInt(-shift);
    const magnitude = numerator < 0n ? -numerator : numerator;
    const quotient = magnitude / divisor;
    const twiceRest = 2n * (magnitude % divisor);
    const up = twiceRest > divisor || (twiceRest === divisor && quotient % 2n === 1n);
    const rounded = up ? quotient + 1n : quotient;
    scaled = numerator < 0n ? -rounded : rounded;
  }
  const modulus = 1n << BigInt(ring);
  return ((scaled % modulus) + modulus) % modulus;
}

/** The double nearest to the signed value of the ring element over 2^fractionBits, by way of its exact decimal form. */
export function twinDecode(element: bigint, fractionBits: number, ring: number): number {
  const modulus = 1n << BigInt(ring);
  const signed = element >= modulus / 2n ? element - modulus : element;
  // signed / 2^f = signed * 5^f / 10^f, and a decimal literal is read to the nearest double.
  return Number(`${signed * 5n ** BigInt(fractionBits)}e-${fractionBits}`);
}

/** value = numerator * 2^exponent exactly. */
function exactFraction(value: number): { numerator: bigint; exponent: number } {
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, value);
  const word = bits.getBigUint64(0);
  const sign = word >> 63n === 1n ? -1n : 1n;
  const biased = Number((word >> 52n) & 0x7ffn);
  const mantissa = word & 0xfffffffffffffn;
  if (biased === 0) return { numerator: sign * mantissa, exponent: -1074 };
  return { numerator: sign * (mantissa | (1n << 52n)), exponent: biased - 1075 };
}
