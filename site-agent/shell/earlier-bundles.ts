import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { BUNDLE_FILE, bundleDigest } from '../../shared/bundle/bundle.js';
import { type BundleFiles, originProblems, takenOver } from '../../shared/bundle/learned.js';
import { verifyBundle } from '../../shared/bundle/verify.js';
import { flushFolder } from '../../shared/durable-files.js';
import { LIMITS } from '../../shared/limits.js';
import type { Study } from '../../shared/study.js';
import type { SiteLink } from '../../shared/transport.js';

/** Folder of a site with the bundles of earlier studies that later ones take values from, each under its digest. */
export const EARLIER_FOLDER = 'earlier';

export type EarlierRegistry = Pick<SiteLink, 'download' | 'listBundles' | 'getBundle'>;

const folderOf = (folder: string, digest: string): string => path.join(folder, EARLIER_FOLDER, digest);

/** Why what the study takes over from earlier studies is not what they published, by the bundles that lie here. */
export function originsAt(study: Study, folder: string, consortiumPublicKey: Uint8Array): string[] {
  if (study.imaging === undefined) return [];
  return originProblems(study.imaging, (digest) => bundleAt(folderOf(folder, digest)), consortiumPublicKey);
}

/**
 * Fetches the bundles that a study takes values from and that do not lie here yet. One that the coordinator has not published is left out; `originsAt` says so.
 *
 * @throws ConcordatError WIRE_* where the coordinator cannot be asked.
 */
export async function fetchEarlierBundles(
  study: Study,
  place: { readonly folder: string; readonly consortiumPublicKey: Uint8Array },
  registry: EarlierRegistry,
): Promise<void> {
  if (study.imaging === undefined) return;
  const named = [...takenOver(study.imaging).values()].flatMap(({ from }) => from.bundle ?? []);
  for (const digest of new Set(named)) {
    const target = folderOf(place.folder, digest);
    const known = bundleAt(target);
    if (known !== null && verifyBundle(known, place).problems.length === 0) continue;
    const files = await download(digest, registry);
    if (files !== null) keep(target, files);
  }
}

async function download(digest: string, registry: EarlierRegistry): Promise<BundleFiles | null> {
  const entry = (await registry.listBundles()).find((known) => known.digest === digest && known.phase === 'published');
  if (entry === undefined) return null;
  const detail = await registry.getBundle({ name: entry.name, version: null });
  const files = new Map<string, Uint8Array>();
  let left: number = LIMITS.bundleBytesMax;
  for (const file of detail.files) {
    if (!file.path.startsWith(IN_REGISTRY)) continue;
    const bytes = await registry.download(file.sha256, left);
    files.set(file.path.slice(IN_REGISTRY.length), bytes);
    left -= bytes.length;
  }
  // Whatever else the coordinator may have sent under this name is not kept in its place.
  return bundleDigest(files.get(BUNDLE_FILE) ?? new Uint8Array()) === digest ? files : null;
}

/** Where a registry entry has the bundle. */
const IN_REGISTRY = 'bundle/';

/** Whole or not at all: a fetch that was interrupted begins anew. The link takes no path that leads out of its folder. */
function keep(target: string, files: BundleFiles): void {
  const draft = `${target}.${process.pid}.tmp`;
  rmSync(draft, { recursive: true, force: true });
  for (const [file, bytes] of files) {
    const place = path.join(draft, file);
    mkdirSync(path.dirname(place), { recursive: true, mode: 0o700 });
    writeFileSync(place, bytes, { mode: 0o600 });
  }
  rmSync(target, { recursive: true, force: true });
  renameSync(draft, target);
  flushFolder(path.dirname(target));
}

function bundleAt(folder: string): BundleFiles | null {
  if (!existsSync(folder)) return null;
  const files = new Map<string, Uint8Array>();
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const full = path.join(entry.parentPath, entry.name);
    files.set(path.relative(folder, full).split(path.sep).join('/'), readFileSync(full));
  }
  return files;
}
