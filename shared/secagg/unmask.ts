import type { ShareKind } from '../messages.js';
import type { DividedSites } from './survivors.js';

export interface WantedShare {
  readonly dealer: string;
  readonly kind: ShareKind;
}

/** Which share of whom unmasks this set: the self seed of a survivor, the mask key of a dropped site, never both. */
export function wantedShares(set: DividedSites): WantedShare[] {
  return [
    ...set.survivors.map((dealer): WantedShare => ({ dealer, kind: 'self' })),
    ...set.dropped.map((dealer): WantedShare => ({ dealer, kind: 'mask' })),
  ];
}
