import { ConcordatError } from '../../shared/errors.js';
import type { SiteStore } from '../../shared/stores.js';
import type { KnownStudy } from '../../site-agent/site-records.js';

/** The site's store for one command, beside its agent. */
export async function withStore<T>(folder: string, act: (store: SiteStore) => Promise<T>): Promise<T> {
  const { readSiteKeys } = await import('../../site-agent/keys.js');
  readSiteKeys(folder);
  const { openSiteStore } = await import('../../site-agent/store.js');
  const store = openSiteStore(folder);
  try {
    return await act(store);
  } finally {
    store.close();
  }
}

export async function studiesOf(store: SiteStore): Promise<KnownStudy[]> {
  const { knownStudies } = await import('../../site-agent/site-records.js');
  return knownStudies(store);
}

/** The one study whose hash begins so. Throws STUDY_UNKNOWN. */
export function findStudy(digits: string, studies: readonly KnownStudy[]): KnownStudy {
  const found = studies.filter((study) => study.studyHash.startsWith(digits.toLowerCase()));
  if (found.length === 1) return found[0]!;
  const why =
    found.length === 0 ? `no study begins with "${digits}"` : `${found.length} studies begin with "${digits}"`;
  throw new ConcordatError('STUDY_UNKNOWN', why);
}
