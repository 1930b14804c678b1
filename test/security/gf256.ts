/** GF(2^8) with the AES polynomial, by long multiplication: shares no code with shared/secagg/shamir.ts. */
function times(a: number, b: number): number {
  let product = 0;
  for (let left = a, right = b; right > 0; right >>= 1) {
    if (right & 1) product ^= left;
    left = left & 0x80 ? (left << 1) ^ 0x11b : left << 1;
  }
  return product;
}

function inverse(a: number): number {
  for (let b = 1; b < 256; b++) if (times(a, b) === 1) return b;
  throw new Error('0 has no inverse');
}

export interface Point {
  readonly x: number;
  readonly y: Uint8Array;
}

/** Value at `x` of the one polynomial of degree below points.length through them all, byte by byte (Lagrange). */
export function valueAt(points: readonly Point[], x: number): Uint8Array {
  const value = new Uint8Array(points[0]!.y.length);
  for (const own of points) {
    let weight = 1;
    for (const other of points) if (other !== own) weight = times(weight, times(x ^ other.x, inverse(own.x ^ other.x)));
    for (let byte = 0; byte < value.length; byte++) value[byte]! ^= times(own.y[byte]!, weight);
  }
  return value;
}
