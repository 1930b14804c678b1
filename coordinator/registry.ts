import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { hashShape, readStoredJson } from '../shared/stored-shapes.js';
import type { BlobStore } from '../shared/stores.js';
import type { BundleDetail, BundleEntry, BundleQuery } from '../shared/wire/types.js';

/** What the coordinator has registered: published bundles, and summaries of studies that ended after validation. */
const statusShape = z.looseObject({
  study: hashShape,
  name: z.string(),
  /** Null where the study ended before it had a bundle. */
  bundleDigest: hashShape.nullable(),
  phase: z.string(),
});

const registryOf = (folder: string) => path.join(folder, 'registry');

/** Throws STORE_DAMAGED where an entry's status is none. */
export function readRegistry(folder: string): BundleEntry[] {
  const registry = registryOf(folder);
  if (!existsSync(registry)) return [];
  return readdirSync(registry)
    .filter((name) => !name.endsWith('.tmp') && existsSync(path.join(registry, name, 'status.json')))
    .sort()
    .map((name) => {
      const file = path.join(registry, name, 'status.json');
      const status = readStoredJson(readFileSync(file, 'utf8'), statusShape, file);
      return {
        name,
        version: 1,
        digest: status.bundleDigest ?? '',
        studyHash: status.study,
        phase: status.phase,
        publishedAt: statSync(file).mtime.toISOString(),
      };
    });
}

/** Files of one entry, put where a transfer finds them; null where there is none of that name. A name may be shortened. */
export function registryEntry(folder: string, query: BundleQuery, blobs: BlobStore): BundleDetail | null {
  const bundle = readRegistry(folder).find(
    (entry) => entry.name === query.name || entry.name.startsWith(`${query.name}-`),
  );
  if (bundle === undefined) return null;
  const root = path.join(registryOf(folder), bundle.name);
  // Retained inputs and shares stay here: whoever audits gets them from the coordinator's operator, not over the wire.
  const sent = filesBelow(root).filter(
    (file) => !file.startsWith('transcript/') || file === 'transcript/transcript.json',
  );
  const files = sent.map((file) => {
    const bytes = readFileSync(path.join(root, file));
    return { path: file, sha256: blobs.putBlob(bytes), size: bytes.length };
  });
  return { bundle, files };
}

function filesBelow(root: string, prefix = ''): string[] {
  return readdirSync(path.join(root, prefix), { withFileTypes: true }).flatMap((entry) => {
    const name = prefix === '' ? entry.name : `${prefix}/${entry.name}`;
    return entry.isDirectory() ? filesBelow(root, name) : [name];
  });
}
