import { ed25519Sign } from '../ed25519.js';
import { assert } from '../errors.js';
import type { SharesReleased } from '../messages.js';
import type { Secret } from '../secret.js';
import { heldShare } from './pre-keys.site.js';
import { sharesStatement } from './statements.js';
import type { WantedShare } from './unmask.js';

/**
 * The shares this site gives away for one agreed set. `held`: the secret that acceptOffer gave, `sites`: the attempt's
 * sites in order. The set and its kinds are durable before this is called.
 */
export function releaseShares(
  job: {
    readonly studyHash: string;
    readonly context: string;
    readonly site: string;
    readonly sites: readonly string[];
    readonly wanted: readonly WantedShare[];
  },
  held: Secret,
  signingKey: Secret,
): SharesReleased {
  assert(
    new Set(job.wanted.map((wanted) => wanted.dealer)).size === job.wanted.length,
    'both kinds of share of one site were asked for',
  );
  const shares = job.wanted.map(({ dealer, kind }) => {
    const index = job.sites.indexOf(dealer);
    assert(index >= 0, `${dealer} is not in this attempt`);
    return { dealer, kind, ...heldShare(held, index, kind) };
  });
  const signature = ed25519Sign(signingKey, sharesStatement(job.context, job.site, shares));
  return { type: 'sharesReleased', studyHash: job.studyHash, context: job.context, shares, signature };
}
