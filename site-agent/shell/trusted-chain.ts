import { ConcordatError } from '../../shared/errors.js';
import {
  extendTrust,
  findMember,
  parseSignedRoster,
  type Roster,
  rosterTexts,
  type SignedRoster,
} from '../../shared/roster.js';
import { type Study, studySites } from '../../shared/study.js';
import { ROSTER_SETTING } from '../roster-store.js';
import type { AgentContext } from './agent-context.js';

/** The chain of signed rosters that this site has verified; it only grows. */
export class TrustedChain {
  private roster: Roster | null = null;
  private chain: SignedRoster[] = [];

  constructor(private readonly context: AgentContext) {
    const stored = context.config.store.getSetting(ROSTER_SETTING);
    if (stored !== null) this.trust(rosterTexts(stored));
  }

  onPublished(bytes: Uint8Array): void {
    const texts = rosterTexts(Buffer.from(bytes).toString('utf8'));
    // An older chain is no reason to forget what was revoked since.
    if (this.trust(texts)) this.context.config.store.setSetting(ROSTER_SETTING, JSON.stringify(texts));
  }

  private trust(texts: readonly string[]): boolean {
    const chain = texts.map((text) => parseSignedRoster(text));
    const key = this.context.config.consortiumPublicKey;
    // All of it from version 1: `extendTrust` alone skips what is older than the trusted version, and studies look there.
    extendTrust(null, chain, key);
    const newest = extendTrust(this.roster, chain, key);
    if (chain.length <= this.chain.length) return false;
    this.roster = newest;
    this.chain = chain;
    return true;
  }

  /** A study may be pinned to an older version, but not to a key that the consortium has revoked or replaced since. */
  checkMembers(study: Study, roster: Roster): void {
    const gone = studySites(study).filter((site) => {
      const pinned = findMember(roster, site);
      const now = findMember(this.roster, site);
      return (
        pinned?.status !== 'active' || now?.status !== 'active' || now.signingPublicKey !== pinned.signingPublicKey
      );
    });
    if (gone.length > 0)
      throw new ConcordatError(
        'STUDY_SITES_UNKNOWN',
        `no longer in the signed roster with that key: ${gone.join(', ')}`,
      );
  }

  version(version: number): Roster {
    const found = this.chain.find(({ roster }) => roster.version === version)?.roster;
    if (found === undefined)
      throw new ConcordatError('SITE_ROSTER_CHAIN_BROKEN', `roster version ${version} is not known here`);
    return found;
  }
}
