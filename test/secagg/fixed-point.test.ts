import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConcordatError } from '../../shared/errors.js';
import {
  addInto,
  checkSpec,
  decodeTensor,
  decodeTotal,
  encodeContribution,
  encodeTensor,
  packWords,
  powerOfTwo,
  roundHalfEven,
  subtractInto,
  unpackWords,
} from '../../shared/fixed-point.js';
import type { TensorSpec } from '../../shared/tensors.js';
import { twinDecode, twinEncode } from '../twins/fixed-point.js';

function spec(over: Partial<TensorSpec> = {}): TensorSpec {
  return {
    name: 'all/gradient',
    kind: 'test.gradient',
    shape: [1],
    bound: 1024,
    ring: 64,
    fractionBits: 30,
    contributors: [],
    visibility: 'total',
    momentColumns: 0,
    fold: 'study',
    meaning: 'a test tensor',
    ...over,
  };
}

const FORMS = [
  { ring: 64, fractionBits: 0, bound: 2 ** 40 },
  { ring: 64, fractionBits: 24, bound: 2 ** 20 },
  { ring: 64, fractionBits: 40, bound: 2 ** 18 },
  { ring: 128, fractionBits: 80, bound: 2 ** 40 },
  { ring: 128, fractionBits: 120, bound: 1 },
] as const;

const entry = (words: BigUint64Array, ring: 64 | 128, index = 0): bigint =>
  ring === 64 ? words[index]! : words[2 * index]! | (words[2 * index + 1]! << 64n);

/** Doubles of every size up to the bound, with ties of the last kept bit among them. */
const valuesUpTo = (bound: number, fractionBits: number) =>
  fc.oneof(
    fc.double({ min: -bound, max: bound, noNaN: true }),
    fc.double({ min: -1, max: 1, noNaN: true }),
    fc.integer({ min: -4000, max: 4000 }).map((k) => (k / 2) * powerOfTwo(-fractionBits)),
    fc.constantFrom(0, -0, bound, -bound, Number.MIN_VALUE, 2.2250738585072014e-308),
  );

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof ConcordatError) return error.code;
    throw error;
  }
  return 'ok';
}

describe('fixed point', () => {
  for (const form of FORMS) {
    const of = spec(form);
    const name = `2^${form.ring}, ${form.fractionBits} fraction bits`;

    it(`encodes every double as the twin does (${name})`, () => {
      fc.assert(
        fc.property(valuesUpTo(form.bound, form.fractionBits), (value) => {
          const words = encodeTensor(of, Float64Array.of(value), 5);
          expect(entry(words, form.ring)).toBe(twinEncode(value, form.fractionBits, form.ring));
        }),
        { numRuns: 2000 },
      );
    });

    it(`decodes every element to the nearest double (${name})`, () => {
      fc.assert(
        fc.property(
          fc.bigInt({ min: 0n, max: (1n << BigInt(form.ring)) - 1n }),
          fc.nat(form.ring - 1),
          (big, shift) => {
            // Shifted down, so that small magnitudes of both signs appear too.
            const element = BigInt.asUintN(form.ring, BigInt.asIntN(form.ring, big) >> BigInt(shift));
            const words =
              form.ring === 64
                ? BigUint64Array.of(element)
                : BigUint64Array.of(BigInt.asUintN(64, element), element >> 64n);
            expect(decodeTensor(of, words)[0]).toBe(twinDecode(element, form.fractionBits, form.ring));
          },
        ),
        { numRuns: 2000 },
      );
    });

    it(`adds and subtracts modulo the ring, in any order (${name})`, () => {
      const element = fc.bigInt({ min: 0n, max: (1n << BigInt(form.ring)) - 1n });
      const wordsOf = (elements: bigint[]) =>
        BigUint64Array.from(elements.flatMap((e) => (form.ring === 64 ? [e] : [BigInt.asUintN(64, e), e >> 64n])));
      fc.assert(
        fc.property(fc.array(fc.tuple(element, element), { minLength: 1, maxLength: 6 }), (pairs) => {
          const a = wordsOf(pairs.map(([x]) => x));
          const b = wordsOf(pairs.map(([, y]) => y));
          const sum = a.slice();
          addInto(sum, b, form.ring);
          pairs.forEach(([x, y], i) => {
            expect(entry(sum, form.ring, i)).toBe(BigInt.asUintN(form.ring, x + y));
          });
          const reverse = b.slice();
          addInto(reverse, a, form.ring);
          expect(reverse).toEqual(sum);
          subtractInto(sum, b, form.ring);
          expect(sum).toEqual(a);
        }),
      );
    });
  }

  it('rounds half to even', () => {
    expect(
      [0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.49999999999999994, 4503599627370495.5].map((x) => roundHalfEven(x) + 0),
    ).toEqual([0, 2, 2, 0, -2, -2, 0, 4503599627370496]);
  });

  it('makes powers of two exactly, to the ends of the range', () => {
    for (const exponent of [-1022, -120, -1, 0, 1, 53, 80, 1023]) expect(powerOfTwo(exponent)).toBe(2 ** exponent);
    expect(codeOf(() => powerOfTwo(-1023))).toBe('INTERNAL_BUG');
  });

  it('accepts the largest sum that fits the ring and refuses one more site', () => {
    // n * 2^61 < 2^63 holds for three sites and fails for four.
    const wide = spec({ bound: 2 ** 31, fractionBits: 30 });
    expect(codeOf(() => checkSpec(wide, 3))).toBe('ok');
    expect(codeOf(() => checkSpec(wide, 4))).toBe('SECAGG_RING_OVERFLOW');
    const words = [1, 2, 3].map(() => encodeTensor(wide, Float64Array.of(-(2 ** 31)), 3));
    const sum = words[0]!;
    addInto(sum, words[1]!, 64);
    addInto(sum, words[2]!, 64);
    expect(decodeTensor(wide, sum)[0]).toBe(-3 * 2 ** 31);
  });

  it('refuses declarations that make no sense', () => {
    for (const over of [
      { bound: 0 },
      { bound: Number.NaN },
      { fractionBits: -1 },
      { fractionBits: 1.5 },
      { shape: [-1] },
    ])
      expect(codeOf(() => checkSpec(spec(over), 3))).toBe('SECAGG_RING_OVERFLOW');
  });

  it('refuses values past the bound, NaN and infinities, naming the tensors and no value', () => {
    for (const value of [1024.0000000000002, -1e300, Number.NaN, Number.POSITIVE_INFINITY]) {
      try {
        encodeContribution(
          [spec({ shape: [2] }), spec({ name: 'other' }), spec({ name: 'third', ring: 128 })],
          new Map([
            ['all/gradient', Float64Array.of(0, value)],
            ['other', Float64Array.of(1)],
            ['third', Float64Array.of(value)],
          ]),
          3,
        );
        expect.unreachable();
      } catch (error) {
        expect(error).toBeInstanceOf(ConcordatError);
        const { code, problems, message } = error as ConcordatError;
        expect(code).toBe('SECAGG_BOUND_EXCEEDED');
        expect(problems.map((problem) => problem.message.split(' ')[1])).toEqual(['all/gradient', 'third']);
        expect(message).not.toContain(String(value));
      }
    }
  });

  it('counts an absent tensor as zeros and turns an undeclared one away', () => {
    const specs = [spec({ shape: [2] }), spec({ name: 'b', ring: 128, fractionBits: 80 })];
    const words = encodeContribution(specs, new Map([['b', Float64Array.of(-0.25)]]), 3);
    expect([...decodeTotal(specs, words)]).toEqual([
      ['all/gradient', Float64Array.of(0, 0)],
      ['b', Float64Array.of(-0.25)],
    ]);
    expect(codeOf(() => encodeContribution(specs, new Map([['c', Float64Array.of(1)]]), 3))).toBe('INTERNAL_BUG');
  });

  it('packs words and unpacks exactly as many as were declared', () => {
    const specs = [spec({ shape: [3] }), spec({ name: 'b', ring: 128, shape: [2] })];
    const words = [BigUint64Array.of(1n, 2n, 3n), BigUint64Array.of(4n, 5n, 6n, 7n)];
    const bytes = packWords(words);
    expect(bytes[0]).toBe(1);
    expect(unpackWords(specs, bytes)).toEqual(words);
    // An unaligned view of a larger buffer gives the same.
    const shifted = new Uint8Array(bytes.length + 3);
    shifted.set(bytes, 3);
    expect(unpackWords(specs, shifted.subarray(3))).toEqual(words);
    expect(codeOf(() => unpackWords(specs, bytes.subarray(8)))).toBe('SECAGG_LENGTH_MISMATCH');
  });
});
