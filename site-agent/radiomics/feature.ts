/**
 * One feature of one region. `value` is null where the definition gives none (an empty matrix, a single grey level where the
 * feature needs two), and then `reason` says why, without naming a case. PyRadiomics' own conventions for such cells are kept under
 * its profile, so a value that it defines by convention is a value here.
 */
export interface FeatureValue {
  readonly value: number | null;
  /** IBSI's four-character code of the feature, where it has one. */
  readonly code?: string;
  readonly reason?: string;
}

/** Features by name in the order in which they were computed. */
export type FeatureSet = Map<string, FeatureValue>;
