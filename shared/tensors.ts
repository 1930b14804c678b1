import { assert } from './errors.js';

/** What a computation announces before anything leaves a site, and what it then sends and receives. */

/** Which patients of which site may fill a tensor: the site's cells, one per inner fold (see shared/fits.ts). */
export interface Contributor {
  readonly site: string;
  /** Inner-fold cells of that site whose patients are in the sum, ascending. */
  readonly cells: readonly number[];
}

/**
 * One tensor that will leave. All entries of one site's contribution lie within [-bound, bound], in the tensor's own
 * units. It travels as round-half-even(value * 2^fractionBits) modulo 2^ring.
 */
export interface TensorSpec {
  /** Unique within its round, e.g. `all/gradient`. */
  readonly name: string;
  /** The statistic whatever the round and the fold, e.g. `logistic.gradient`: what the disclosure guard keeps apart. */
  readonly kind: string;
  readonly shape: readonly number[];
  readonly bound: number;
  readonly ring: 64 | 128;
  readonly fractionBits: number;
  readonly contributors: readonly Contributor[];
  /** `site` when fewer than minSites sites can fill it (or a cell of it), whatever masks it wears. */
  readonly visibility: 'total' | 'site';
  /** Columns of a Gram or Hessian, for the rule n > p; 0 where the tensor is no second moment over patients. */
  readonly momentColumns: number;
  /** The outer fold it belongs to, or `study`. */
  readonly fold: string;
  /** Plain words, shown before a site approves. */
  readonly meaning: string;
}

/** Tensor name -> row-major values. A declared tensor that is absent counts as zeros. */
export type Contribution = ReadonlyMap<string, Float64Array>;

/** The exact sum over `sites`, decoded once. */
export interface Total {
  readonly sites: readonly string[];
  readonly values: ReadonlyMap<string, Float64Array>;
}

export function tensorSize(spec: { readonly shape: readonly number[] }): number {
  return spec.shape.reduce((product, dimension) => product * dimension, 1);
}

/** The default form of a statistic of wide range: Z_2^128 with 80 fraction bits holds sums up to 2^40 from 128 sites. */
export const STATISTIC = { ring: 128, fractionBits: 80, bound: 2 ** 40 } as const;

/** The default form of counts: exact integers in Z_2^64. */
export const COUNT = { ring: 64, fractionBits: 0, bound: 2 ** 40 } as const;

/** A tensor of a total that was declared, so it must be there. */
export function totalOf(total: Total, name: string): Float64Array {
  const values = total.values.get(name);
  assert(values !== undefined, `the total holds no tensor ${name}`);
  return values;
}
