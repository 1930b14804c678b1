import { parseSignedRoster, type Roster, rosterTexts } from '../shared/roster.js';
import type { SiteStore } from '../shared/stores.js';

/** Where the agent keeps the roster chain that it verified: the signed texts, version 1 first, as a JSON list. */
export const ROSTER_SETTING = 'roster chain';

/** One version of the chain that the agent trusts; null where it has none of that version. */
export function trustedRoster(store: Pick<SiteStore, 'getSetting'>, version: number): Roster | null {
  const texts = rosterTexts(store.getSetting(ROSTER_SETTING) ?? '[]');
  return texts.map((text) => parseSignedRoster(text).roster).find((roster) => roster.version === version) ?? null;
}
