import type { Mask, Volume } from '../imaging/volume.js';
import type { FailureReason } from './extract.js';
import type { FeatureSet } from './feature.js';

/** An image with a lesion and, where it is known, the organ around it: ones and zeros on one grid. */
export interface RegionSource {
  readonly image: Volume;
  readonly lesion: Mask;
  readonly organ: Mask | null;
}

/** What a region gives. */
export type RegionResult =
  | {
      readonly status: 'ok';
      readonly features: FeatureSet;
      /** Of the lesion itself. */
      readonly volumeMm3: number;
      readonly spacingMm: readonly number[];
    }
  | { readonly status: 'failed'; readonly reason: FailureReason };
