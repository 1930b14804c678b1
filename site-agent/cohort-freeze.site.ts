import { createHash, createHmac } from 'node:crypto';
import type { Cohort } from '../shared/cohort.site.js';

/** What a site keeps when it approves a study: which cases, and that their content has not changed since. */
export interface FrozenCohort {
  /** One keyed hash per case, sorted: tells cases apart at this site, means nothing elsewhere. */
  readonly cases: readonly string[];
  /** Keyed hash of everything that computations read of the cohort. */
  readonly digest: string;
}

/** Keyed hash of one case: 32 hexadecimal digits. */
export function caseHash(secret: Uint8Array, site: string, id: string): string {
  const text = JSON.stringify(['concordat case v1', site, id]);
  return createHmac('sha256', secret).update(text).digest('hex').slice(0, 32);
}

/** `secret`: 32 bytes that never leave the site, so that a hash cannot be tried out against guessed identifiers. */
export function freezeCohort(cohort: Cohort, secret: Uint8Array): FrozenCohort {
  const cases = cohort.ids.map((id, row) => caseHash(secret, cohort.sites[cohort.siteOf[row]!]!, id));
  const content = createHash('sha256');
  const { outcome } = cohort;
  content.update(
    JSON.stringify([
      'concordat cohort v1',
      cohort.sites,
      cohort.ids,
      cohort.featureNames,
      cohort.covariateColumns,
      cohort.batchNames,
      cohort.stratumNames,
      outcome.type,
    ]),
  );
  const arrays = [
    cohort.siteOf,
    cohort.features,
    cohort.covariates,
    ...(outcome.type === 'binary' ? [outcome.y] : [outcome.time, outcome.event]),
    cohort.batchOf,
    cohort.stratumOf,
    cohort.cellOf,
    cohort.calibration,
    cohort.train,
    // Only where a study has them, so that the digest of any other cohort stays what it was.
    ...(cohort.learned?.landmarks === undefined ? [] : [cohort.learned.landmarks]),
    ...(cohort.learned?.points ?? []),
    // Only where there are any: hashes of cohorts without stay what they were.
    ...(cohort.repeats === undefined ? [] : [cohort.repeats.values]),
  ];
  for (const array of arrays) {
    content.update(`${array.constructor.name}:${array.length};`);
    content.update(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
  }
  const digest = createHmac('sha256', secret).update(content.digest()).digest('hex');
  return { cases: cases.sort(), digest };
}
