import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { isConsistent, isIncluded, leafHash, MerkleLog } from '../../shared/merkle.js';

/** Leaves and roots of the reference implementation's own test (certificate-transparency, merkletree). */
const LEAVES = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'].map(
  (hex) => Buffer.from(hex, 'hex'),
);
const ROOTS = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

/** The slow twin: the definition of RFC 6962, 2.1, word for word. */
function rootOf(leaves: readonly Buffer[]): string {
  const hash = (...parts: Buffer[]) => createHash('sha256').update(Buffer.concat(parts)).digest();
  const mth = (d: readonly Buffer[]): Buffer => {
    if (d.length === 0) return hash();
    if (d.length === 1) return hash(Buffer.of(0), d[0]!);
    let k = 1;
    while (2 * k < d.length) k *= 2;
    return hash(Buffer.of(1), mth(d.slice(0, k)), mth(d.slice(k)));
  };
  return mth(leaves).toString('hex');
}

function logOf(count: number): { log: MerkleLog; leaves: Buffer[] } {
  const leaves = Array.from({ length: count }, (_, i) => Buffer.from(`entry ${i}`));
  const log = new MerkleLog();
  for (const leaf of leaves) log.append(leafHash(leaf));
  return { log, leaves };
}

describe('the Merkle log', () => {
  it('has the published roots of the reference implementation', () => {
    const log = new MerkleLog();
    const roots = [log.root()];
    for (const leaf of LEAVES) {
      log.append(leafHash(leaf));
      roots.push(log.root());
    }
    expect(roots).toEqual(ROOTS);
    expect(ROOTS.map((_, size) => log.root(size))).toEqual(ROOTS);
  });

  it('proves every leaf in every tree, and no other leaf, place, path or root', () => {
    const { log, leaves } = logOf(20);
    for (let size = 1; size <= 20; size++) {
      const root = rootOf(leaves.slice(0, size));
      expect(log.root(size)).toBe(root);
      for (let index = 0; index < size; index++) {
        const path = log.inclusion(index, size);
        const leaf = leafHash(leaves[index]!);
        expect(isIncluded(leaf, index, size, path, root)).toBe(true);
        expect(isIncluded(leafHash(Buffer.from('another')), index, size, path, root)).toBe(false);
        expect(isIncluded(leaf, index, size, path, rootOf(leaves.slice(1)))).toBe(false);
        if (size > 1) expect(isIncluded(leaf, (index + 1) % size, size, path, root)).toBe(false);
        if (path.length > 0) expect(isIncluded(leaf, index, size, path.slice(1), root)).toBe(false);
        expect(isIncluded(leaf, index, size, [...path, leaf], root)).toBe(false);
        expect(isIncluded(leaf, size, size, path, root)).toBe(false);
      }
    }
  });

  it('proves every earlier tree a prefix of every later one, and no tree that is none', () => {
    const { log } = logOf(20);
    for (let size = 0; size <= 20; size++)
      for (let from = 0; from <= size; from++) {
        const proof = log.consistency(from, size);
        const [before, root] = [log.root(from), log.root(size)];
        expect(isConsistent(from, before, size, root, proof)).toBe(true);
        if (from === 0) continue;
        // Another history of the same length: one entry replaced.
        const other = new MerkleLog();
        for (let i = 0; i < from; i++) other.append(leafHash(Buffer.from(i === from - 1 ? 'replaced' : `entry ${i}`)));
        expect(isConsistent(from, other.root(), size, root, proof)).toBe(false);
        if (proof.length > 0) expect(isConsistent(from, before, size, root, proof.slice(0, -1))).toBe(false);
        expect(isConsistent(from, before, size, root, [...proof, root])).toBe(false);
        expect(isConsistent(size + 1, before, size, root, proof)).toBe(false);
      }
  });
});
