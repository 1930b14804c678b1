import { existsSync } from 'node:fs';
import path from 'node:path';
import { openBlobStore } from '../coordinator/blob-store.js';
import { bundleOf } from '../coordinator/bundle.js';
import {
  currentRoster,
  enroll,
  pinnedConsortiumKey,
  readRosterChain,
  watchRosters,
} from '../coordinator/enrollment.js';
import { openEventStore } from '../coordinator/event-store.js';
import { readRegistry, registryEntry } from '../coordinator/registry.js';
import { type RunningServer, startServer } from '../coordinator/rpc.js';
import { CoordinatorService, type ServicePorts } from '../coordinator/service.js';
import { serverIdentity, signAsAuthority } from '../coordinator/tls.js';
import { ConcordatError } from '../shared/errors.js';
import type { Roster } from '../shared/roster.js';
import type { PartialBlobStore } from '../shared/stores.js';
import type { CoordinatorHandlers } from '../shared/transport.js';
import { lockFolder, releasing } from './lock.js';
import { PROGRAM_VERSION } from './version.js';

export interface CoordinatorProcess {
  readonly port: number;
  readonly service: CoordinatorService;
  close(): Promise<void>;
}

/** Composes stores, roster, service and server of one coordinator folder, and opens its port. */
export async function runCoordinator(
  folder: string,
  options: {
    readonly host: string;
    readonly port: number;
    readonly progress: ServicePorts['progress'];
    /** Told of every upload that is durable. */
    readonly stored?: (site: string, sizeBytes: number) => void;
  },
): Promise<CoordinatorProcess> {
  pinnedConsortiumKey(folder);
  const lock = lockFolder(folder);
  const { events, blobs, verified } = releasing(lock, () => opened(folder, options.progress));
  let roster: Roster | null = verified;
  // The chain as it was verified, not as the folder has it by now: a file that does not verify reaches no site.
  let chain = chainOf(folder, roster);
  let server: RunningServer | undefined;
  let closed = false;
  let watcher: ReturnType<typeof watchRosters> | undefined;
  const rosterOfVersion = (version: number): Roster => {
    const found = readRosterChain(folder).find((signed) => signed.roster.version === version);
    if (found === undefined)
      throw new ConcordatError('SITE_ROSTER_CHAIN_BROKEN', `roster version ${version} is not in ${folder}`);
    return found.roster;
  };
  const service = new CoordinatorService({
    folder,
    events,
    blobs,
    roster: () => (roster === null ? null : { roster, chain }),
    sign: (bytes) => signAsAuthority(folder, bytes),
    lookForRoster: () => watcher?.look(),
    rosterOfVersion,
    send: (site, message) => void server?.send(site, message),
    isConnected: (site) => server?.isConnected(site) ?? false,
    nowMs: () => Date.now(),
    assemble: async (run, study, studyRoster) => {
      const signed = readRosterChain(folder).find((entry) => entry.roster.version === studyRoster.version) ?? null;
      return bundleOf({
        run,
        study,
        roster: signed,
        simulated: (study.title ?? '').toLowerCase().includes('simulated'),
      });
    },
    // What a closed service still had under way fails on the closed log, and is nobody's concern.
    progress: (message) => {
      if (!closed) options.progress(message);
    },
  });
  const release = () => {
    service.stop();
    events.close();
    lock.release();
  };
  const handlers: CoordinatorHandlers = {
    onSiteConnected: (site) => service.onSiteConnected(site),
    onSiteMessage: (site, message) => service.onSiteMessage(site, message),
    onSiteDisconnected: (site) => service.onSiteDisconnected(site),
    enroll: (request) => enroll(folder, request),
    blobs,
    onUploadProgress: (site, hash, bytes) => service.onUploadProgress(site, hash, bytes),
    mayUpload: (site, hash, size) => service.mayUpload(site, hash, size),
    mayDownload: (site, hash) => service.mayDownload(site, hash),
    mayAsk: (site, hash) => service.mayAsk(site, hash),
    onBlobStored: (site, _hash, size) => options.stored?.(site, size),
    listBundles: () => readRegistry(folder),
    getBundle: (query) => {
      const found = registryEntry(folder, query, blobs);
      service.publishBlobs(found?.files.map((file) => file.sha256) ?? []);
      return found;
    },
  };
  try {
    await service.start();
    server = await startServer({
      host: options.host,
      port: options.port,
      identity: await serverIdentity(folder, Date.now()),
      roster: () => roster,
      handlers,
      programVersion: PROGRAM_VERSION,
      refused: ({ address, code, message, times }) =>
        options.progress({
          kind: 'refused',
          what: `a connection from ${address}`,
          code,
          message: times === 1 ? message : `${message} (${times} times so far)`,
        }),
    });
  } catch (error) {
    // A busy port: the command has to end, and not be kept alive by what was begun.
    release();
    throw error;
  }
  watcher = watchRosters(
    folder,
    (newer) => {
      roster = newer;
      chain = chainOf(folder, newer);
      server?.rosterChanged();
    },
    (error) => options.progress({ kind: 'refused', what: 'a roster file', code: error.code, message: error.message }),
    200,
  );
  return {
    port: server.port,
    service,
    close: async () => {
      closed = true;
      watcher?.stop();
      await server?.close();
      release();
    },
  };
}

function opened(folder: string, progress: ServicePorts['progress']) {
  const verified = currentRoster(folder);
  const blobs = reporting(openBlobStore(path.join(folder, 'blobs')), (code, message) =>
    progress({ kind: 'refused', what: 'an upload', code, message }),
  );
  return { verified, blobs, events: openEventStore(path.join(folder, 'events.db')) };
}

/** Uploads are answered to the site that sends them; that they cannot be stored the operator has to know too. */
function reporting(blobs: PartialBlobStore, report: (code: string, message: string) => void): PartialBlobStore {
  const told = (action: () => void) => {
    try {
      action();
    } catch (error) {
      if (error instanceof ConcordatError && error.code === 'STORE_UNWRITABLE') report(error.code, error.message);
      throw error;
    }
  };
  return {
    ...blobs,
    appendPartial: (...piece) => told(() => blobs.appendPartial(...piece)),
    finishPartial: (...name) => told(() => blobs.finishPartial(...name)),
  };
}

/** The signed versions up to this roster, as sites get them. */
function chainOf(folder: string, roster: Roster | null): Uint8Array {
  const signed = roster === null ? [] : readRosterChain(folder).slice(0, roster.version);
  return Buffer.from(JSON.stringify(signed.map((entry) => JSON.stringify(entry))));
}

/** Throws ENROLL_KEYS_MISSING with advice where the folder is none of ours. */
export function requireCoordinatorFolder(folder: string): void {
  if (!existsSync(path.join(folder, 'consortium.pub')))
    throw new ConcordatError('ENROLL_KEYS_MISSING', `${folder} is no coordinator's folder`, {
      hint: 'Make one with `concordat coordinator init`, or name the right one with --dir.',
    });
}
