import type { FeatureSet, FeatureValue } from '../feature.js';
import { CATALOGUE, type FeatureClass } from './catalogue.js';

/** Names of features, or null for every active one. */
export type Wanted = readonly string[] | null;

/**
 * The wanted features of a class in the catalogue's order. A value that is not a number becomes null with a reason; infinity is kept, as
 * PyRadiomics keeps it.
 * @param values by name; what the catalogue does not know is left out
 */
export function collect(
  featureClass: FeatureClass,
  values: Readonly<Record<string, number>>,
  wanted: Wanted = null,
  reason = 'not defined for this region',
): FeatureSet {
  const set: FeatureSet = new Map();
  for (const { name, code, deprecated } of CATALOGUE[featureClass]) {
    if (wanted === null ? deprecated !== undefined : !wanted.includes(name)) continue;
    const value = values[name];
    if (value === undefined) continue;
    const found: FeatureValue = Number.isNaN(value) ? { value: null, reason } : { value };
    set.set(name, code === undefined ? found : { ...found, code });
  }
  return set;
}

/** Mean of the numbers that are not NaN; NaN where there is none. */
export class MeanOf {
  private sum = 0;
  private count = 0;
  add(value: number): void {
    if (Number.isNaN(value)) return;
    this.sum += value;
    this.count++;
  }
  get value(): number {
    return this.sum / this.count;
  }
}

/** PyRadiomics adds this to every probability before it takes a logarithm. */
export const LOG_EPSILON = 2.220446049250313e-16;
