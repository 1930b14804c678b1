import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import type { SignedRoster } from '../../shared/roster.js';
import type { PartialBlobStore, StoredRecord } from '../../shared/stores.js';
import { studyHash } from '../../shared/study.js';
import { smallStudy } from '../e2e/support.js';
import { Composed, until } from '../security/composed.js';

/**
 * What one small published study left at the coordinator and at its sites, as one release wrote it. A later release must read
 * it to the same state and the same bytes. Blobs of closed attempts are gone by then, as in a real folder.
 */
export interface FormatSample {
  readonly release: string;
  readonly study: string;
  readonly chain: readonly SignedRoster[];
  readonly phase: string;
  readonly transcriptHead: string;
  readonly bundleDigest: string;
  readonly coordinator: {
    readonly events: readonly EncodedRecord[];
    /** base64 */
    readonly blobs: readonly string[];
    /** Its files, base64. */
    readonly bundle: Readonly<Record<string, string>>;
  };
  readonly sites: Readonly<
    Record<
      string,
      {
        readonly records: readonly EncodedRecord[];
        readonly settings: Readonly<Record<string, string>>;
        readonly ledger: readonly string[];
      }
    >
  >;
}

interface EncodedRecord {
  readonly study: string;
  readonly type: string;
  /** base64 */
  readonly payload: string;
}

export const SAMPLES = 'test/versions/samples';
export const SITES = ['alder', 'birch', 'cedar', 'dogwood'];

export function readSample(file: string): FormatSample {
  return JSON.parse(gunzipSync(readFileSync(path.join(SAMPLES, file))).toString('utf8')) as FormatSample;
}

export function sampleBytes(sample: FormatSample): Uint8Array {
  return gzipSync(JSON.stringify(sample), { level: 9 });
}

const encode = ({ study, type, payload }: StoredRecord): EncodedRecord => ({
  study,
  type,
  payload: Buffer.from(payload).toString('base64'),
});

export const decodeRecord = ({ study, type, payload }: EncodedRecord) => ({
  study,
  type,
  payload: new Uint8Array(Buffer.from(payload, 'base64')),
});

/** Runs the study with the real service and agents of this release, and takes down what they wrote. */
export async function makeSample(release: string): Promise<FormatSample> {
  const world = new Composed(SITES);
  const stored = rememberBlobs(world.blobs);
  try {
    await world.start();
    const study = smallStudy(`sample-${release.replaceAll('.', '-')}`, { harmonization: { method: 'none' } });
    const hash = studyHash(study);
    world.propose(study);
    await until(
      () => world.phase(hash) === 'published',
      () => `${world.phase(hash)} ${world.reason(hash)}`,
    );
    const agents = [...world.sites.values()];
    await until(
      () =>
        agents.every(({ progress }) => progress.some((event) => event.kind === 'study' && event.state === 'published')),
      () => 'every site hears of it',
    );
    const host = world.service.studies.find(({ studyHash: found }) => found === hash)!;
    const entry = path.join(world.root, 'registry', world.registry()[0]!, 'bundle');
    return {
      release,
      study: hash,
      chain: world.chain,
      phase: 'published',
      transcriptHead: host.transcriptHead,
      bundleDigest: host.bundleDigest ?? '',
      coordinator: {
        events: [...world.events.replay()].map(encode),
        blobs: [...stored].flatMap((blob) =>
          world.blobs.blobSize(blob) === null ? [] : [Buffer.from(world.blobs.getBlob(blob)).toString('base64')],
        ),
        bundle: Object.fromEntries(filesOf(entry)),
      },
      sites: Object.fromEntries(
        // One site's is enough, and half the size.
        agents.slice(0, 1).map(({ name, store }) => [
          name,
          {
            records: [...store.replay()].map(encode),
            settings: Object.fromEntries(store.settings()),
            ledger: store.ledger(),
          },
        ]),
      ),
    };
  } finally {
    await world.close();
  }
}

/** Hashes of all that was ever stored. */
function rememberBlobs(blobs: PartialBlobStore): Set<string> {
  const stored = new Set<string>();
  const { putBlob, finishPartial } = blobs;
  blobs.putBlob = (bytes) => {
    const hash = putBlob.call(blobs, bytes);
    stored.add(hash);
    return hash;
  };
  blobs.finishPartial = (owner, hash) => {
    finishPartial.call(blobs, owner, hash);
    stored.add(hash);
  };
  return stored;
}

function filesOf(folder: string): [string, string][] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((found) => found.isFile())
    .map((found) => path.join(found.parentPath, found.name))
    .sort()
    .map((file) => [path.relative(folder, file), readFileSync(file).toString('base64')]);
}
