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
import { serverIdentity } from '../coordinator/tls.js';
import { ConcordatError } from '../shared/errors.js';
import { LIMITS } from '../shared/limits.js';
import type { Roster } from '../shared/roster.js';
import type { CoordinatorHandlers } from '../shared/transport.js';
import { lockFolder } from './lock.js';
import { PROGRAM_VERSION } from './version.js';

export interface CoordinatorProcess {
  readonly port: number;
  readonly service: CoordinatorService;
  close(): Promise<void>;
}

/** Composes stores, roster, service and server of one coordinator folder, and opens its port. */
export async function runCoordinator(
  folder: string,
  options: { readonly host: string; readonly port: number; readonly progress: ServicePorts['progress'] },
): Promise<CoordinatorProcess> {
  pinnedConsortiumKey(folder);
  const lock = lockFolder(folder);
  const events = openEventStore(path.join(folder, 'events.db'));
  const blobs = openBlobStore(path.join(folder, 'blobs'));
  let roster: Roster | null = currentRoster(folder);
  let server: RunningServer | undefined;
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
    roster: () =>
      roster === null
        ? null
        : {
            roster,
            chain: Buffer.from(JSON.stringify(readRosterChain(folder).map((signed) => JSON.stringify(signed)))),
          },
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
    progress: options.progress,
  });
  await service.start();
  const handlers: CoordinatorHandlers = {
    onSiteConnected: (site) => service.onSiteConnected(site),
    onSiteMessage: (site, message) => service.onSiteMessage(site, message),
    onSiteDisconnected: (site) => service.onSiteDisconnected(site),
    enroll: (request) => enroll(folder, request),
    blobs,
    mayUpload: (_site, _hash, size) => size <= LIMITS.blobBytesMax,
    mayDownload: () => true,
    onBlobStored: () => undefined,
    listBundles: () => readRegistry(folder),
    getBundle: (query) => registryEntry(folder, query, blobs),
  };
  server = await startServer({
    host: options.host,
    port: options.port,
    identity: await serverIdentity(folder, Date.now()),
    roster: () => roster,
    handlers,
    programVersion: PROGRAM_VERSION,
  });
  const watcher = watchRosters(
    folder,
    (newer) => {
      roster = newer;
      server?.rosterChanged();
    },
    (error) => options.progress({ kind: 'refused', what: 'a roster file', code: error.code, message: error.message }),
    200,
  );
  return {
    port: server.port,
    service,
    close: async () => {
      watcher.stop();
      service.stop();
      await server?.close();
      events.close();
      lock.release();
    },
  };
}

/** Throws ENROLL_KEYS_MISSING with advice where the folder is none of ours. */
export function requireCoordinatorFolder(folder: string): void {
  if (!existsSync(path.join(folder, 'consortium.pub')))
    throw new ConcordatError('ENROLL_KEYS_MISSING', `${folder} is no coordinator's folder`, {
      hint: 'Make one with `concordat coordinator init`, or name the right one with --dir.',
    });
}
