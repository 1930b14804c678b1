import { createCipheriv } from 'node:crypto';
import { inspect } from 'node:util';
import fc from 'fast-check';
import nacl from 'tweetnacl';
import { describe, expect, it } from 'vitest';
import { agree, agreementPublicKey, expandRandom, isLowOrder, openBox, sealBox } from '../../shared/secagg/keys.js';
import { applyMasks, maskKey } from '../../shared/secagg/prg.js';
import { combineShares, splitRandomLength, splitSecret } from '../../shared/secagg/shamir.js';
import { statement } from '../../shared/secagg/statements.js';
import { Secret } from '../../shared/secret.js';
import type { TensorSpec } from '../../shared/tensors.js';

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const hex = (text: string) => Uint8Array.from(Buffer.from(text, 'hex'));

// RFC 7748, section 6.1.
const BOB_PRIVATE = '5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb';
const BOB_PUBLIC = 'de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f';
const ALICE_PUBLIC = '8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a';
const SHARED = '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742';

describe('Shamir sharing over GF(2^8)', () => {
  /** Twin: schoolbook multiplication, and Lagrange by trying every candidate inverse. */
  const slowMultiply = (a: number, b: number) => {
    let product = 0;
    for (let bit = 7; bit >= 0; bit--) {
      product = ((product << 1) ^ (product & 0x80 ? 0x11b : 0)) & 0xff;
      if (b & (1 << bit)) product ^= a;
    }
    return product;
  };
  const slowInverse = (a: number) => {
    for (let candidate = 1; candidate < 256; candidate++) if (slowMultiply(a, candidate) === 1) return candidate;
    throw new Error('zero has no inverse');
  };

  it('gives each holder the value of the polynomial at its place, as the twin computes it', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 0, max: 6 }),
        fc.infiniteStream(fc.nat(255)),
        (t, more, stream) => {
          const draw = (length: number) => Uint8Array.from({ length }, () => stream.next().value!);
          const secret = draw(4);
          const random = draw(splitRandomLength(4, t));
          const shares = splitSecret(secret, t + more, t, random);
          shares.forEach((share, holder) => {
            const x = holder + 1;
            share.forEach((got, byte) => {
              let want = secret[byte]!;
              let power = 1;
              for (let k = 1; k < t; k++) {
                power = slowMultiply(power, x);
                want ^= slowMultiply(random[(k - 1) * 4 + byte]!, power);
              }
              expect(got).toBe(want);
            });
          });
        },
      ),
      { numRuns: 60 },
    );
  });

  it('is rebuilt by any t shares, and by more', () => {
    fc.assert(
      fc.property(
        bytes(32),
        fc.integer({ min: 2, max: 7 }),
        fc.nat(5),
        fc.infiniteStream(fc.nat(255)),
        (secret, t, more, stream) => {
          const random = Uint8Array.from({ length: splitRandomLength(32, t) }, () => stream.next().value!);
          const shares = splitSecret(secret, t + more, t, random).map((share, index) => ({ x: index + 1, share }));
          const rotated = [...shares.slice(more), ...shares.slice(0, more)];
          expect(combineShares(rotated.slice(0, t))).toEqual(secret);
          expect(combineShares(rotated)).toEqual(secret);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('tells nothing from t - 1 shares: every secret is equally consistent with them', () => {
    // One byte, t = 2: given the share at x = 1, each of 256 secrets has exactly one coefficient that fits.
    const [share] = splitSecret(Uint8Array.of(0x53), 3, 2, Uint8Array.of(0xca));
    for (let secret = 0; secret < 256; secret++) {
      const fitting = [];
      for (let coefficient = 0; coefficient < 256; coefficient++)
        if (splitSecret(Uint8Array.of(secret), 1 + 1, 2, Uint8Array.of(coefficient))[0]![0] === share![0])
          fitting.push(coefficient);
      expect(fitting).toHaveLength(1);
    }
  });

  it('agrees with the field of FIPS 197: {57} times {83} is {c1}', () => {
    // FIPS 197, section 4.2. Interpolation at 0 from x = 1, 2 is share1 * 2/(1^2) ^ share2 * 1/(1^2).
    expect(slowMultiply(0x57, 0x83)).toBe(0xc1);
    const rebuilt = combineShares([
      { x: 1, share: Uint8Array.of(0x57) },
      { x: 2, share: Uint8Array.of(0x83) },
    ]);
    const third = slowInverse(3);
    expect(rebuilt[0]).toBe(slowMultiply(0x57, slowMultiply(2, third)) ^ slowMultiply(0x83, third));
  });
});

describe('keys', () => {
  it('X25519 of node:crypto equals tweetnacl, keys and shared secrets', () => {
    fc.assert(
      fc.property(bytes(32), bytes(32), (a, b) => {
        const publicA = agreementPublicKey(new Secret(a));
        expect(publicA).toEqual(nacl.scalarMult.base(a));
        const publicB = nacl.scalarMult.base(b);
        expect(agree(new Secret(a), publicB)!.reveal()).toEqual(nacl.scalarMult(a, publicB));
        expect(agree(new Secret(b), publicA)!.equals(agree(new Secret(a), publicB)!)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  it('X25519 gives the public key and shared secret of RFC 7748, section 6.1', () => {
    const bob = new Secret(hex(BOB_PRIVATE));
    expect(agreementPublicKey(bob)).toEqual(hex(BOB_PUBLIC));
    expect(agree(bob, hex(ALICE_PUBLIC))!.reveal()).toEqual(hex(SHARED));
  });

  it('refuses a peer key of low order, which would make the shared secret known to all', () => {
    const secret = new Secret(new Uint8Array(32).fill(7));
    expect(agree(secret, new Uint8Array(32))).toBeNull();
    expect(agree(secret, Uint8Array.of(1, ...new Uint8Array(31)))).toBeNull();
    expect(agree(secret, new Uint8Array(31))).toBeNull();
  });

  it('knows the keys of low order: those with which nothing but zeros is agreed', () => {
    const secret = new Secret(new Uint8Array(32).fill(7));
    const prime = (1n << 255n) - 19n;
    const littleEndian = (u: bigint) => hex(u.toString(16).padStart(64, '0')).reverse();
    const agreesOnZeros = (key: Uint8Array) => agree(secret, key) === null;
    // Their u is a root of a polynomial of the curve; that it is the right one is what the agreement below shows.
    const orderEight = [
      'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
      '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    ].map(hex);
    const low = [0n, 1n, prime - 1n, prime, prime + 1n].map(littleEndian).concat(orderEight);
    for (const key of low)
      for (const highBit of [0, 0x80]) {
        key[31] = key[31]! | highBit;
        expect([isLowOrder(key), agreesOnZeros(key)], Buffer.from(key).toString('hex')).toEqual([true, true]);
      }
    // The largest prime + u that 255 bits hold is with u = 18.
    for (let u = 2n; u < 19n; u++)
      for (const key of [littleEndian(u), littleEndian(prime + u)])
        expect([isLowOrder(key), agreesOnZeros(key)], String(u)).toEqual([false, false]);
    expect(isLowOrder(new Uint8Array(31))).toBe(true);
  });

  it('seals boxes that only the holder opens, and notices a flipped bit', () => {
    const dealer = new Secret(new Uint8Array(32).fill(1));
    const holder = new Secret(new Uint8Array(32).fill(2));
    const stranger = new Secret(new Uint8Array(32).fill(3));
    const text = Buffer.from('share');
    const sealed = sealBox(dealer, agreementPublicKey(holder), new Uint8Array(24).fill(9), text);
    // The same box by tweetnacl's own one-shot call.
    const nonce = new Uint8Array(24).fill(9);
    const whole = nacl.box(new Uint8Array(text), nonce, agreementPublicKey(holder), dealer.reveal());
    expect(Buffer.from(sealed)).toEqual(Buffer.concat([nonce, whole]));
    expect(Buffer.from(openBox(holder, agreementPublicKey(dealer), sealed)!).toString()).toBe('share');
    expect(openBox(stranger, agreementPublicKey(dealer), sealed)).toBeNull();
    expect(openBox(holder, agreementPublicKey(stranger), sealed)).toBeNull();
    for (const index of [0, 24, sealed.length - 1]) {
      const flipped = Uint8Array.from(sealed);
      flipped[index]! ^= 1;
      expect(openBox(holder, agreementPublicKey(dealer), flipped)).toBeNull();
    }
    expect(openBox(holder, agreementPublicKey(dealer), sealed.subarray(0, 30))).toBeNull();
  });

  it('expands randomness differently for each label', () => {
    const random = new Uint8Array(32).fill(5);
    const a = expandRandom(random, statement('a'), 100);
    expect(a).toHaveLength(100);
    expect(Buffer.from(a).equals(Buffer.from(expandRandom(random, statement('b'), 100)))).toBe(false);
    expect(expandRandom(random, statement('a'), 40)).toEqual(a.slice(0, 40));
  });
});

describe('statements', () => {
  it('have different bytes whenever their fields differ, also in where one field ends', () => {
    const variants = [
      statement('x', 'ab', 'c'),
      statement('x', 'a', 'bc'),
      statement('x', ['ab', 'c']),
      statement('x', ['ab'], 'c'),
      statement('y', 'ab', 'c'),
      statement('x', 'ab', Buffer.from('c')),
      statement('x', '1'),
      statement('x', 1),
      statement('x', []),
      statement('x'),
    ].map((made) => Buffer.from(made).toString('hex'));
    expect(new Set(variants).size).toBe(variants.length);
  });
});

describe('masks', () => {
  const scope = { kind: 'pair', context: 'c', preKeyDigest: 'ab'.repeat(32), lower: 'alder', upper: 'birch' } as const;
  const tensor = (name: string, size: number, ring: 64 | 128): TensorSpec => ({
    name,
    kind: name,
    shape: [size],
    ring,
    bound: 1,
    fractionBits: 0,
    contributors: [],
    visibility: 'total',
    momentColumns: 0,
    fold: 'study',
    meaning: name,
  });

  it('are the AES-256-CTR keystream from a zero counter, read as little-endian words', () => {
    // Longer than one chunk, so that the chunks are seen to join.
    const spec = tensor('weights', 40_000, 64);
    const words = [new BigUint64Array(40_000)];
    const secret = new Secret(new Uint8Array(32).fill(4));
    applyMasks(words, [spec], [{ secret, scope, sign: 1 }]);
    const cipher = createCipheriv('aes-256-ctr', maskKey(secret, scope, 'weights'), Buffer.alloc(16));
    const stream = cipher.update(Buffer.alloc(320_000));
    for (const index of [0, 1, 32_767, 32_768, 39_999])
      expect(words[0]![index]).toBe(stream.readBigUInt64LE(8 * index));
    applyMasks(words, [spec], [{ secret, scope, sign: -1 }]);
    expect(words[0]!.every((word) => word === 0n)).toBe(true);
  });

  it('differ in every part of their scope', () => {
    const secret = new Secret(new Uint8Array(32).fill(4));
    const keys = [
      maskKey(secret, scope, 'a'),
      maskKey(secret, scope, 'b'),
      maskKey(secret, { ...scope, kind: 'self' }, 'a'),
      maskKey(secret, { ...scope, context: 'd' }, 'a'),
      maskKey(secret, { ...scope, lower: 'aldera' }, 'a'),
      maskKey(secret, { ...scope, upper: 'cedar' }, 'a'),
      maskKey(secret, { ...scope, preKeyDigest: 'ac'.repeat(32) }, 'a'),
      maskKey(new Secret(new Uint8Array(32).fill(6)), scope, 'a'),
    ].map((key) => Buffer.from(key).toString('hex'));
    expect(new Set(keys).size).toBe(keys.length);
  });

  it('cover every word of an entry of ring 128', () => {
    const words = [new BigUint64Array(8)];
    applyMasks(
      words,
      [tensor('moments', 4, 128)],
      [{ secret: new Secret(new Uint8Array(32).fill(4)), scope, sign: 1 }],
    );
    expect(words[0]!.every((word) => word !== 0n)).toBe(true);
  });
});

describe('secrets', () => {
  it('cannot be printed by accident', () => {
    const secret = new Secret(Buffer.from('planted canary planted canary 32'));
    for (const text of [String(secret), JSON.stringify({ secret }), inspect({ deep: [secret] }), `${secret}`]) {
      expect(text).toContain('[secret 32 bytes]');
      expect(text).not.toContain('canary');
      expect(text).not.toContain(Buffer.from('canary').toString('hex'));
    }
    secret.wipe();
    expect(secret.reveal().every((byte) => byte === 0)).toBe(true);
  });
});
