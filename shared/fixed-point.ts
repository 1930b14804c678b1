import { assert, ConcordatError, type Problem } from './errors.js';
import { type Contribution, type TensorSpec, tensorSize } from './tensors.js';

/**
 * Fixed-point encoding of contributions (law 2: aggregation is exact). A value v travels as
 * round-half-even(v * 2^f) modulo 2^w, two's complement, w = 64 (one word an entry) or 128 (two words, low first). Sums in
 * the ring are exact while n * round(B * 2^f) < 2^(w-1); the total is decoded once, correctly rounded.
 *
 * Words are written through 32-bit halves, low half first, so the host has to be little-endian (every platform that
 * Node 20 supports with prebuilt binaries but s390x is).
 */
const TWO32 = 4294967296;
const TWO64 = TWO32 * TWO32;
const TWO96 = TWO64 * TWO32;
const littleEndian = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/** 2^exponent exactly, for normal results: `**` on non-constants differs between Node majors. */
export function powerOfTwo(exponent: number): number {
  assert(Number.isInteger(exponent) && exponent >= -1022 && exponent <= 1023, `no power of two for ${exponent}`);
  const view = new DataView(new ArrayBuffer(8));
  view.setUint32(0, (exponent + 1023) << 20);
  return view.getFloat64(0);
}

/** Round half to even; exact for every finite double. */
export function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest < 0.5) return floor;
  if (rest > 0.5) return floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

/** Words (64 bit) per entry. */
export function wordsPerEntry(ring: 64 | 128): 1 | 2 {
  return ring === 64 ? 1 : 2;
}

/** Length of one site's words for these tensors, in bytes. */
export function contributionBytes(specs: readonly TensorSpec[]): number {
  return specs.reduce((sum, spec) => sum + 8 * wordsPerEntry(spec.ring) * tensorSize(spec), 0);
}

/**
 * Checks that a sum over n sites cannot leave the ring: n * round(B * 2^f) < 2^(w-1).
 * Throws SECAGG_RING_OVERFLOW naming the tensor, also where bound, fraction bits or shape make no sense.
 */
export function checkSpec(spec: TensorSpec, siteCount: number): void {
  const overflow = (why: string) => new ConcordatError('SECAGG_RING_OVERFLOW', `tensor ${spec.name}: ${why}`);
  assert(Number.isInteger(siteCount) && siteCount >= 1, 'siteCount must be a positive integer');
  if (spec.ring !== 64 && spec.ring !== 128) throw overflow('the ring must be 64 or 128');
  if (!Number.isInteger(spec.fractionBits) || spec.fractionBits < 0 || spec.fractionBits > 120)
    throw overflow('fraction bits must be an integer from 0 to 120');
  if (!(Number.isFinite(spec.bound) && spec.bound > 0)) throw overflow('the bound must be positive and finite');
  if (
    spec.shape.some((dimension) => !Number.isSafeInteger(dimension) || dimension < 0) ||
    !Number.isSafeInteger(tensorSize(spec))
  )
    throw overflow('the shape must be whole numbers');
  const scaled = spec.bound * powerOfTwo(spec.fractionBits);
  const fits =
    Number.isFinite(scaled) && BigInt(siteCount) * BigInt(roundHalfEven(scaled)) < 1n << BigInt(spec.ring - 1);
  if (!fits)
    throw overflow(
      `${siteCount} sites with bound ${spec.bound} and ${spec.fractionBits} fraction bits do not fit 2^${spec.ring}`,
    );
}

/**
 * One site's values -> words. `values`: row-major, tensorSize(spec) entries, in the tensor's own units.
 * Throws SECAGG_BOUND_EXCEEDED (naming the tensor, not the value) for a value past its bound, NaN or infinite, and
 * SECAGG_RING_OVERFLOW as checkSpec does.
 */
export function encodeTensor(spec: TensorSpec, values: Float64Array, siteCount: number): BigUint64Array {
  checkSpec(spec, siteCount);
  assert(littleEndian, 'fixed-point words need a little-endian host');
  assert(
    values.length === tensorSize(spec),
    `tensor ${spec.name} has ${values.length} entries, declared ${tensorSize(spec)}`,
  );
  const { bound } = spec;
  const scale = powerOfTwo(spec.fractionBits);
  const words = new BigUint64Array(values.length * wordsPerEntry(spec.ring));
  const halves = new Uint32Array(words.buffer);
  let outside = 0;
  if (spec.ring === 64) {
    for (let i = 0; i < values.length; i++) {
      const v = values[i]!;
      // Written so that NaN fails too.
      if (!(v >= -bound && v <= bound)) {
        outside++;
        continue;
      }
      const q = roundHalfEven(v * scale);
      const high = Math.floor(q / TWO32);
      halves[2 * i] = q - high * TWO32;
      // A typed array stores modulo 2^32, which is two's complement for a negative high half.
      halves[2 * i + 1] = high;
    }
  } else {
    for (let i = 0; i < values.length; i++) {
      const v = values[i]!;
      if (!(v >= -bound && v <= bound)) {
        outside++;
        continue;
      }
      writeLimbs(halves, 4 * i, roundHalfEven(v * scale));
    }
  }
  if (outside > 0)
    throw new ConcordatError(
      'SECAGG_BOUND_EXCEEDED',
      `tensor ${spec.name} (${spec.meaning}) has entries outside its declared bound of ${bound}`,
    );
  return words;
}

/** A double that is an integer below 2^127 in magnitude -> four 32-bit limbs, two's complement, low first. */
function writeLimbs(halves: Uint32Array, at: number, q: number): void {
  // Every step splits a double at a power of two, which is exact.
  let rest = Math.abs(q);
  const l3 = Math.floor(rest / TWO96);
  rest -= l3 * TWO96;
  const l2 = Math.floor(rest / TWO64);
  rest -= l2 * TWO64;
  const l1 = Math.floor(rest / TWO32);
  const l0 = rest - l1 * TWO32;
  halves[at] = l0;
  halves[at + 1] = l1;
  halves[at + 2] = l2;
  halves[at + 3] = l3;
  if (q >= 0) return;
  let carry = 1;
  for (let k = at; k < at + 4; k++) {
    const sum = (~halves[k]! >>> 0) + carry;
    halves[k] = sum;
    carry = sum >= TWO32 ? 1 : 0;
  }
}

/** The words of a total -> values, each the double nearest to the exact sum divided by 2^f. */
export function decodeTensor(spec: TensorSpec, words: BigUint64Array): Float64Array {
  const size = tensorSize(spec);
  assert(words.length === size * wordsPerEntry(spec.ring), `tensor ${spec.name}: ${words.length} words do not fit`);
  const unit = powerOfTwo(-spec.fractionBits);
  const values = new Float64Array(size);
  if (spec.ring === 64) {
    const high = new Int32Array(words.buffer, words.byteOffset, words.length * 2);
    const low = new Uint32Array(words.buffer, words.byteOffset, words.length * 2);
    // Both terms are exact doubles, so their sum is rounded once.
    for (let i = 0; i < size; i++) values[i] = (high[2 * i + 1]! * TWO32 + low[2 * i]!) * unit;
  } else {
    for (let i = 0; i < size; i++) {
      const sum = (BigInt.asIntN(64, words[2 * i + 1]!) << 64n) | words[2 * i]!;
      values[i] = Number(sum) * unit;
    }
  }
  return values;
}

/** accumulator += words, entry by entry modulo 2^ring, in place. */
export function addInto(accumulator: BigUint64Array, words: BigUint64Array, ring: 64 | 128): void {
  assert(accumulator.length === words.length, 'words of different length cannot be added');
  if (ring === 64) {
    for (let i = 0; i < accumulator.length; i++) accumulator[i] = accumulator[i]! + words[i]!;
    return;
  }
  const a = new Uint32Array(accumulator.buffer, accumulator.byteOffset, accumulator.length * 2);
  const b = new Uint32Array(words.buffer, words.byteOffset, words.length * 2);
  for (let i = 0; i < a.length; i += 4) {
    let carry = 0;
    for (let k = i; k < i + 4; k++) {
      const sum = a[k]! + b[k]! + carry;
      a[k] = sum;
      carry = sum >= TWO32 ? 1 : 0;
    }
  }
}

/** accumulator -= words, entry by entry modulo 2^ring, in place. */
export function subtractInto(accumulator: BigUint64Array, words: BigUint64Array, ring: 64 | 128): void {
  assert(accumulator.length === words.length, 'words of different length cannot be subtracted');
  if (ring === 64) {
    for (let i = 0; i < accumulator.length; i++) accumulator[i] = accumulator[i]! - words[i]!;
    return;
  }
  const a = new Uint32Array(accumulator.buffer, accumulator.byteOffset, accumulator.length * 2);
  const b = new Uint32Array(words.buffer, words.byteOffset, words.length * 2);
  for (let i = 0; i < a.length; i += 4) {
    let borrow = 0;
    for (let k = i; k < i + 4; k++) {
      const difference = a[k]! - b[k]! - borrow;
      a[k] = difference;
      borrow = difference < 0 ? 1 : 0;
    }
  }
}

/**
 * All tensors of one site's contribution, in declaration order; an absent tensor counts as zeros. All problems at once:
 * SECAGG_BOUND_EXCEEDED lists every tensor with an entry outside its bound.
 */
export function encodeContribution(
  specs: readonly TensorSpec[],
  contribution: Contribution,
  siteCount: number,
): BigUint64Array[] {
  const declared = new Set(specs.map((spec) => spec.name));
  for (const name of contribution.keys()) assert(declared.has(name), `tensor ${name} was not declared`);
  const problems: Problem[] = [];
  const encoded = specs.map((spec) => {
    const values = contribution.get(spec.name);
    if (values === undefined) {
      checkSpec(spec, siteCount);
      return new BigUint64Array(tensorSize(spec) * wordsPerEntry(spec.ring));
    }
    try {
      return encodeTensor(spec, values, siteCount);
    } catch (error) {
      if (!(error instanceof ConcordatError && error.code === 'SECAGG_BOUND_EXCEEDED')) throw error;
      problems.push({ message: error.message });
      return new BigUint64Array(0);
    }
  });
  if (problems.length > 0)
    throw new ConcordatError('SECAGG_BOUND_EXCEEDED', problems.map((problem) => problem.message).join('; '), {
      problems,
    });
  return encoded;
}

/** The words of a total, in declaration order -> tensor name -> values. */
export function decodeTotal(specs: readonly TensorSpec[], words: readonly BigUint64Array[]): Map<string, Float64Array> {
  assert(words.length === specs.length, 'a total has one block of words for each declared tensor');
  return new Map(specs.map((spec, index) => [spec.name, decodeTensor(spec, words[index]!)]));
}

/** Blocks of words -> one blob, little-endian, in declaration order: what travels and is hashed. */
export function packWords(words: readonly BigUint64Array[]): Uint8Array {
  const bytes = new Uint8Array(words.reduce((sum, block) => sum + block.byteLength, 0));
  let offset = 0;
  for (const block of words) {
    bytes.set(new Uint8Array(block.buffer, block.byteOffset, block.byteLength), offset);
    offset += block.byteLength;
  }
  return bytes;
}

/** The reverse, into fresh aligned memory. Throws SECAGG_LENGTH_MISMATCH where the blob does not fit the declaration. */
export function unpackWords(specs: readonly TensorSpec[], bytes: Uint8Array): BigUint64Array[] {
  const wanted = contributionBytes(specs);
  if (bytes.byteLength !== wanted)
    throw new ConcordatError(
      'SECAGG_LENGTH_MISMATCH',
      `a contribution has ${bytes.byteLength} bytes, its declaration makes ${wanted}`,
    );
  const { blocks, packed } = zeroVector(specs);
  packed.set(bytes);
  return blocks;
}

/** Zeros for every declared tensor: an empty accumulator. */
export function zeroWords(specs: readonly TensorSpec[]): BigUint64Array[] {
  return zeroVector(specs).blocks;
}

/** Words in one piece of memory, seen both as blocks and as the blob that they make. */
export interface WordVector {
  readonly blocks: BigUint64Array[];
  /** What packWords would copy the blocks to. */
  readonly packed: Uint8Array;
}

export function zeroVector(specs: readonly TensorSpec[]): WordVector {
  const packed = new Uint8Array(contributionBytes(specs));
  let offset = 0;
  const blocks = specs.map((spec) => {
    const block = new BigUint64Array(packed.buffer, offset, tensorSize(spec) * wordsPerEntry(spec.ring));
    offset += block.byteLength;
    return block;
  });
  return { blocks, packed };
}

/** Whether such a vector has these tensors' blocks. */
export function fitsVector(specs: readonly TensorSpec[], { blocks }: WordVector): boolean {
  return (
    blocks.length === specs.length &&
    specs.every((spec, index) => blocks[index]!.length === tensorSize(spec) * wordsPerEntry(spec.ring))
  );
}
