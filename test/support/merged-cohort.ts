import type { Cohort } from '../../shared/cohort.site.js';

/** Cohorts of one site each, in order of their sites, as one holder of all rows would have them. */
export function mergedCohort(cohorts: readonly Cohort[]): Cohort {
  const [first] = cohorts;
  const floats = (of: (cohort: Cohort) => Float64Array) =>
    Float64Array.from(cohorts.flatMap((cohort) => [...of(cohort)]));
  const bytes = (of: (cohort: Cohort) => Uint8Array) => Uint8Array.from(cohorts.flatMap((cohort) => [...of(cohort)]));
  const sites = cohorts.map(({ holder }) => holder);
  const place = Int32Array.from(cohorts.flatMap(({ n }, at) => new Array<number>(n).fill(at)));
  const outcome = first!.outcome.type;
  if (outcome !== 'binary') throw new Error('only binary outcomes are merged here');
  const points = cohorts.flatMap(({ learned }) => learned?.points ?? []);
  const landmarks = cohorts.every(({ learned }) => learned?.landmarks !== undefined)
    ? { landmarks: floats(({ learned }) => learned!.landmarks!) }
    : {};
  return {
    ...first!,
    holder: 'all',
    sites,
    siteOf: place,
    n: place.length,
    ids: cohorts.flatMap(({ ids }) => [...ids]),
    features: floats(({ features }) => features),
    covariates: floats(({ covariates }) => covariates),
    outcome: { type: 'binary', y: bytes((cohort) => (cohort.outcome as { y: Uint8Array }).y) },
    batchNames: sites,
    batchOf: place,
    stratumNames: sites,
    stratumOf: place,
    cellOf: Int32Array.from(cohorts.flatMap(({ cellOf }) => [...cellOf])),
    calibration: bytes(({ calibration }) => calibration),
    train: bytes(({ train }) => train),
    ...(first!.learned === undefined ? {} : { learned: { ...landmarks, ...(points.length === 0 ? {} : { points }) } }),
    exclusions: cohorts.flatMap(({ exclusions }) => [...exclusions]),
  };
}
