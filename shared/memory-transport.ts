import { ConcordatError } from './errors.js';
import { LIMITS } from './limits.js';
import { blobMissing, sha256 } from './memory-stores.js';
import type { CoordinatorHandlers, CoordinatorLink, SiteEvents, SiteLink } from './transport.js';
import { decodeCoordinatorFrame, decodeSiteFrame } from './wire/decode.js';
import { encodeCoordinatorFrame, encodeSiteFrame } from './wire/encode.js';
import type { CoordinatorFrame, SiteFrame } from './wire/types.js';

export interface MemoryTransport extends CoordinatorLink {
  /** A site connects; who it is was settled elsewhere. A second connection of the same site replaces the first. */
  connect(site: string, events: SiteEvents): SiteLink;
}

interface Line {
  open: boolean;
  readonly events: SiteEvents;
}

/**
 * Coordinator and sites in one process. Messages pass through the same encoding and checks as over gRPC and arrive in
 * order, never within the call that sends them. There is no reconnecting: a connection that ends stays ended.
 */
export function memoryTransport(handlers: CoordinatorHandlers): MemoryTransport {
  const lines = new Map<string, Line>();
  const later = (action: () => void) => queueMicrotask(action);

  const end = (site: string, line: Line, reason: ConcordatError): void => {
    if (!line.open) return;
    line.open = false;
    if (lines.get(site) === line) lines.delete(site);
    handlers.onSiteDisconnected(site);
    later(() => line.events.onDisconnected(reason));
  };

  const toCoordinator = (site: string, line: Line, message: SiteFrame): void => {
    const wire = encodeSiteFrame(message);
    later(() => {
      if (!line.open) return;
      try {
        const frame = decodeSiteFrame(wire);
        if (frame.type === 'hello' || frame.type === 'heartbeat') return;
        handlers.onSiteMessage(site, frame);
      } catch (error) {
        if (!(error instanceof ConcordatError)) throw error;
        end(site, line, error);
      }
    });
  };

  const toSite = (site: string, line: Line, message: CoordinatorFrame): void => {
    const wire = encodeCoordinatorFrame(message);
    later(() => {
      if (!line.open) return;
      try {
        const frame = decodeCoordinatorFrame(wire);
        if (frame.type === 'welcome' || frame.type === 'heartbeatAnswer') return;
        line.events.onMessage(frame);
      } catch (error) {
        if (!(error instanceof ConcordatError)) throw error;
        end(site, line, error);
      }
    });
  };

  const upload = async (site: string, bytes: Uint8Array): Promise<string> => {
    const hash = sha256(bytes);
    if (handlers.mayAsk(site, hash) && handlers.blobs.blobSize(hash) !== null) return hash;
    if (!handlers.mayUpload(site, hash, bytes.length))
      throw new ConcordatError('WIRE_REFUSED', `the blob ${hash.slice(0, 12)}… is not expected from site "${site}"`);
    handlers.onUploadProgress?.(site, hash, bytes.length);
    handlers.blobs.putBlob(bytes);
    handlers.onBlobStored(site, hash, bytes.length);
    return hash;
  };

  return {
    connect(site, events) {
      const line: Line = { open: true, events };
      const before = lines.get(site);
      if (before !== undefined)
        end(site, before, new ConcordatError('SITE_REPLACED', `site "${site}" connected again`));
      lines.set(site, line);
      later(() => {
        if (!line.open) return;
        handlers.onSiteConnected(site);
        events.onConnected();
      });
      return {
        get connected() {
          return line.open;
        },
        send(message) {
          if (line.open) toCoordinator(site, line, message);
          return line.open;
        },
        upload: (bytes) => upload(site, bytes),
        async download(hash, bytesMax = LIMITS.blobBytesMax) {
          const size = handlers.blobs.blobSize(hash);
          if (size === null || !handlers.mayDownload(site, hash)) throw blobMissing(hash);
          if (size > bytesMax)
            throw new ConcordatError('WIRE_SIZE_EXCEEDED', `the blob ${hash.slice(0, 12)}… is larger than allowed`);
          return handlers.blobs.getBlob(hash);
        },
        listBundles: async () => handlers.listBundles(),
        async getBundle(query) {
          const found = handlers.getBundle(query);
          if (found === null)
            throw new ConcordatError('STORE_BLOB_MISSING', `there is no published bundle "${query.name}"`);
          return found;
        },
        async close() {
          if (!line.open) return;
          line.open = false;
          if (lines.get(site) === line) lines.delete(site);
          handlers.onSiteDisconnected(site);
        },
      };
    },
    send(site, message) {
      const line = lines.get(site);
      if (line === undefined) return false;
      toSite(site, line, message);
      return true;
    },
    isConnected: (site) => lines.has(site),
    disconnect(site, reason) {
      const line = lines.get(site);
      if (line !== undefined) end(site, line, reason);
    },
    async close() {
      for (const [site, line] of [...lines])
        end(site, line, new ConcordatError('WIRE_DISCONNECTED', 'the coordinator is shutting down'));
    },
  };
}
