import { createHash } from 'node:crypto';

/**
 * Seeded randomness for folds, calibration subsets, weight initialisation and shuffles: xoshiro128** (Blackman and
 * Vigna 2018) started from SHA-256 of a label, so that two uses with different labels never share a stream.
 * Not for keys: those come from the operating system and arrive in events.
 */
export interface SeededRandom {
  uint32(): number;
  /** Uniform on [0, 1) with 53 bits. */
  uniform(): number;
  /** Uniform integer in [0, below). */
  integer(below: number): number;
  /** Standard normal by the polar method (Marsaglia 1964). */
  normal(): number;
  /** Fisher-Yates, in place. */
  shuffle(items: Int32Array | number[]): void;
}

export function seededRandom(...label: (string | number)[]): SeededRandom {
  const digest = createHash('sha256').update(JSON.stringify(label)).digest();
  const state = new Uint32Array([0, 4, 8, 12].map((offset) => digest.readUInt32LE(offset)));
  if (state.every((word) => word === 0)) state[0] = 1;
  const rotl = (x: number, k: number) => ((x << k) | (x >>> (32 - k))) >>> 0;
  let spare: number | undefined;

  const uint32 = (): number => {
    const s1 = state[1]!;
    const result = Math.imul(rotl(Math.imul(s1, 5) >>> 0, 7), 9) >>> 0;
    const t = (s1 << 9) >>> 0;
    state[2]! ^= state[0]!;
    state[3]! ^= s1;
    state[1]! ^= state[2]!;
    state[0]! ^= state[3]!;
    state[2]! ^= t;
    state[3] = rotl(state[3]!, 11);
    return result;
  };
  const uniform = (): number => ((uint32() >>> 5) * 67108864 + (uint32() >>> 6)) / 9007199254740992;
  const integer = (below: number): number => Math.floor(uniform() * below);
  const normal = (): number => {
    if (spare !== undefined) {
      const value = spare;
      spare = undefined;
      return value;
    }
    for (;;) {
      const u = 2 * uniform() - 1;
      const v = 2 * uniform() - 1;
      const s = u * u + v * v;
      if (s > 0 && s < 1) {
        const factor = Math.sqrt((-2 * Math.log(s)) / s);
        spare = v * factor;
        return u * factor;
      }
    }
  };
  const shuffle = (items: Int32Array | number[]): void => {
    for (let i = items.length - 1; i > 0; i--) {
      const j = integer(i + 1);
      const kept = items[i]!;
      items[i] = items[j]!;
      items[j] = kept;
    }
  };
  return { uint32, uniform, integer, normal, shuffle };
}

/** A uniform rank key for one item, the same whatever holds it: SHA-256 of the label as a hexadecimal string. */
export function rankKey(...label: (string | number)[]): string {
  return createHash('sha256').update(JSON.stringify(label)).digest('hex');
}
