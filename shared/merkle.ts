import { createHash } from 'node:crypto';

/**
 * A Merkle tree over an append-only list, as in RFC 6962, section 2.1: leaves and nodes are hashed under different prefixes,
 * so that no node can be passed off as a leaf. Hashes are lower-case hexadecimal SHA-256. Verification follows RFC 9162,
 * sections 2.1.3.2 and 2.1.4.2.
 */
export function leafHash(data: Uint8Array): string {
  return createHash('sha256').update(Uint8Array.of(0)).update(data).digest('hex');
}

function nodeHash(left: string, right: string): string {
  return createHash('sha256').update(Uint8Array.of(1)).update(left, 'hex').update(right, 'hex').digest('hex');
}

const EMPTY_ROOT = createHash('sha256').digest('hex');

/** Grows by appending. Keeps the hash of every complete subtree, so that a root or a proof costs O(log² n). */
export class MerkleLog {
  /** levels[k][i]: hash over leaves i * 2^k to (i + 1) * 2^k - 1. */
  private readonly levels: string[][] = [[]];

  get size(): number {
    return this.levels[0]!.length;
  }

  /** Returns the index of the new leaf. */
  append(leaf: string): number {
    this.levels[0]!.push(leaf);
    for (let level = 0; this.levels[level]!.length % 2 === 0; level++) {
      const [left, right] = this.levels[level]!.slice(-2);
      this.levels[level + 1] ??= [];
      this.levels[level + 1]!.push(nodeHash(left!, right!));
    }
    return this.size - 1;
  }

  /** Root over the first `size` leaves. */
  root(size = this.size): string {
    return size === 0 ? EMPTY_ROOT : this.hashOf(0, size);
  }

  /** Audit path of a leaf in the tree of the first `size` leaves (RFC 6962, 2.1.1). */
  inclusion(index: number, size = this.size): string[] {
    return this.path(index, 0, size);
  }

  /** Proof that the first `from` leaves are those of the tree of `size` leaves (RFC 6962, 2.1.2); none needed from 0. */
  consistency(from: number, size = this.size): string[] {
    return from === 0 || from >= size ? [] : this.subproof(from, 0, size, true);
  }

  private hashOf(start: number, end: number): string {
    const count = end - start;
    if (isPowerOfTwo(count)) return this.levels[Math.log2(count)]![start / count]!;
    const split = start + largestPowerBelow(count);
    return nodeHash(this.hashOf(start, split), this.hashOf(split, end));
  }

  private path(index: number, start: number, end: number): string[] {
    if (end - start <= 1) return [];
    const split = start + largestPowerBelow(end - start);
    return index < split
      ? [...this.path(index, start, split), this.hashOf(split, end)]
      : [...this.path(index, split, end), this.hashOf(start, split)];
  }

  private subproof(from: number, start: number, end: number, whole: boolean): string[] {
    if (from === end) return whole ? [] : [this.hashOf(start, end)];
    const split = start + largestPowerBelow(end - start);
    return from <= split
      ? [...this.subproof(from, start, split, whole), this.hashOf(split, end)]
      : [...this.subproof(from, split, end, false), this.hashOf(start, split)];
  }
}

/** Whether the leaf stands at `index` in the tree with that root over `size` leaves. */
export function isIncluded(leaf: string, index: number, size: number, path: readonly string[], root: string): boolean {
  if (index >= size) return false;
  let fn = index;
  let sn = size - 1;
  let hash = leaf;
  for (const step of path) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      hash = nodeHash(step, hash);
      while (fn % 2 === 0 && fn !== 0) {
        fn = Math.floor(fn / 2);
        sn = Math.floor(sn / 2);
      }
    } else hash = nodeHash(hash, step);
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  return sn === 0 && hash === root;
}

/** Whether the tree (`size`, `root`) begins with all leaves of the tree (`from`, `before`). */
export function isConsistent(
  from: number,
  before: string,
  size: number,
  root: string,
  proof: readonly string[],
): boolean {
  if (from > size) return false;
  if (from === 0) return before === EMPTY_ROOT && proof.length === 0;
  if (from === size) return before === root && proof.length === 0;
  const [first, ...rest] = isPowerOfTwo(from) ? [before, ...proof] : proof;
  if (first === undefined) return false;
  let fn = from - 1;
  let sn = size - 1;
  while (fn % 2 === 1) {
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  let old = first;
  let now = first;
  for (const step of rest) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      old = nodeHash(step, old);
      now = nodeHash(step, now);
      while (fn % 2 === 0 && fn !== 0) {
        fn = Math.floor(fn / 2);
        sn = Math.floor(sn / 2);
      }
    } else now = nodeHash(now, step);
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  return sn === 0 && old === before && now === root;
}

function isPowerOfTwo(count: number): boolean {
  return count === 1 << (31 - Math.clz32(count));
}

/** Largest power of two below `count`, which is at least 2. */
function largestPowerBelow(count: number): number {
  return 1 << (31 - Math.clz32(count - 1));
}
