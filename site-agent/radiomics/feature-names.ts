import { CATALOGUE, type FeatureClass } from './features/catalogue.js';

/** PyRadiomics' feature classes, in the order of a parameter file that names none. */
export type FeatureClassName = FeatureClass;
export const FEATURE_CLASSES = Object.keys(CATALOGUE) as FeatureClassName[];

/** Every feature that a parameter file may name. */
export const knownFeatures = (name: FeatureClassName): string[] => CATALOGUE[name].map((entry) => entry.name);

/** What a class gives where a parameter file names no feature of it. */
export const activeFeatures = (name: FeatureClassName): string[] =>
  CATALOGUE[name].filter(({ deprecated }) => deprecated === undefined).map((entry) => entry.name);

/** Whether PyRadiomics knows the feature and gives no value of it: it equals another one. */
export const isWithdrawn = (name: FeatureClassName, feature: string): boolean =>
  CATALOGUE[name].some((entry) => entry.name === feature && entry.deprecated === 'withdrawn');
