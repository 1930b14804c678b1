import { afterEach, describe, expect, it } from 'vitest';
import { blobsNamed } from '../../coordinator/blob-names.js';
import { decodeLoggedEvent } from '../../coordinator/logged-events.js';
import { seededRandom } from '../../shared/rng.js';
import { smallStudy } from '../e2e/support.js';
import { type Composed, closeFederation, federation, story, until } from './composed.js';

afterEach(closeFederation);

const ORPHAN = new Uint8Array(64).fill(5);
const NAMES = ['alder', 'birch', 'cedar', 'dogwood'];

/** Blobs of the store that the log names; those of one study alone, where it is given. */
function namedBlobs(of: Composed, only?: string): string[] {
  const names = new Set<string>();
  for (const { study, payload } of of.events.replay())
    if (study !== '' && (only ?? study) === study)
      for (const hash of blobsNamed(decodeLoggedEvent(payload))) names.add(hash);
  return of.blobs.blobHashes().filter((hash) => names.has(hash));
}

/** From its `nth` masked input on, what the site says of it is lost; gives the hash of the first such upload. */
function muteAfterUpload(of: Composed, site: string, nth: number): () => string | null {
  let seen = 0;
  let lost: string | null = null;
  of.site(site).beforeSend = (message) => {
    if (message.type !== 'maskedInput' || ++seen < nth) return message;
    lost ??= message.blobHash;
    return null;
  };
  return () => lost;
}

describe('a whole upload of which nothing was recorded', () => {
  it.each([1, 2, 3])(
    'is deleted at the next start, nothing that the log names is, and the study ends (seed %i)',
    async (seed) => {
      const of = await federation();
      const random = seededRandom(`orphans ${seed}`);
      const site = NAMES[Math.floor(random.uniform() * NAMES.length)]!;
      const lost = muteAfterUpload(of, site, 1 + Math.floor(random.uniform() * 4));
      const hash = of.propose(smallStudy(`orphan-${seed}`));
      await until(() => lost() !== null, story(of, hash));
      // The process is killed between the end of the upload and the record of the masked input.
      await of.stopCoordinator();
      const orphan = lost()!;
      expect(of.blobs.blobSize(orphan)).not.toBeNull();
      const before = namedBlobs(of);
      expect(before).not.toContain(orphan);
      await of.startCoordinator();
      expect(of.blobs.blobSize(orphan)).toBeNull();
      expect(namedBlobs(of)).toEqual(before);
      expect(of.progress).toContainEqual(expect.objectContaining({ kind: 'collected' }));
      of.site(site).beforeSend = (message) => message;
      of.connectAll();
      await until(() => of.phase(hash) === 'published', story(of, hash));
      // After another start, all that stands there is named, or served to a site that was away at the end.
      await of.stopCoordinator();
      await of.startCoordinator();
      const rest = of.blobs.blobHashes().filter((blob) => !of.service.mayDownload('alder', blob));
      expect(rest.filter((blob) => !namedBlobs(of).includes(blob))).toEqual([]);
    },
    60_000,
  );

  it('of a study that goes on is kept when another study ends; what nobody needs goes', async () => {
    const of = await federation();
    const lost = muteAfterUpload(of, 'birch', 1);
    const open = of.propose(smallStudy('goes-on'));
    await until(() => lost() !== null, story(of, open));
    const ending = of.propose(smallStudy('ends'));
    await until(() => of.phase(ending) !== 'unknown', story(of, ending));
    const orphan = of.blobs.putBlob(ORPHAN);
    const before = namedBlobs(of, open);
    of.abort(ending, 'not needed');
    await until(() => of.phase(ending) === 'withdrawn', story(of, ending));
    await until(() => of.blobs.blobSize(orphan) === null, story(of, ending), 5_000);
    expect(of.blobs.blobSize(lost()!)).not.toBeNull();
    expect(before.length).toBeGreaterThan(1);
    expect(namedBlobs(of, open)).toEqual(before);
  }, 60_000);

  it('stays where a study cannot be read: its events may name any blob', async () => {
    const of = await federation();
    await of.stopCoordinator();
    const orphan = of.blobs.putBlob(ORPHAN);
    of.events.append([{ study: 'f'.repeat(64), type: 'proposed', payload: Buffer.from('no event') }]);
    await of.startCoordinator();
    expect(of.blobs.blobSize(orphan)).toBe(64);
  }, 60_000);
});
