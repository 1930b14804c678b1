import type grpc from '@grpc/grpc-js';
import { ConcordatError } from '../shared/errors.js';
import { LIMITS } from '../shared/limits.js';
import { blobMissing, hashMismatch, sha256 } from '../shared/memory-stores.js';
import type { PartialBlobStore } from '../shared/stores.js';
import type { CoordinatorHandlers } from '../shared/transport.js';
import {
  downloadChunk,
  downloadRequest,
  statRequest,
  statResponse,
  uploadChunk,
  uploadReceipt,
} from '../shared/wire/codecs.js';
import type { Access } from './rpc-access.js';
import { addressOf } from './rpc-door.js';
import { rpcError, unary } from './rpc-services.js';

/** The Transfer service: blobs in chunks, each hashed, resumable both ways. */
export function transferService(
  access: Access,
  handlers: CoordinatorHandlers,
  /** A chunk of the site arrived. */
  heard: (site: string) => void,
  refused: (address: string, error: unknown) => void = () => undefined,
  /** In every such span an upload has to move on by LIMITS.transferProgressBytesMin, or it is dropped. */
  progressMs: number = LIMITS.livenessTimeoutMs,
): grpc.UntypedServiceImplementation {
  const { blobs } = handlers;
  return {
    stat: unary((call) => {
      const site = access.site(call);
      const { sha256: hash } = statRequest.decode(call.request, 'StatRequest');
      // What others sent is to this site as what is not there.
      if (!handlers.mayAsk(site, hash))
        return statResponse.encode({ complete: false, offset: blobs.partialSize(site, hash) });
      dropDamaged(blobs, hash);
      const size = blobs.blobSize(hash);
      return statResponse.encode({ complete: size !== null, offset: size ?? blobs.partialSize(site, hash) });
    }),

    upload: (call: grpc.ServerReadableStream<unknown, unknown>, callback: grpc.sendUnaryData<unknown>) => {
      let announced: { readonly site: string; readonly hash: string; readonly size: number } | undefined;
      let finished = false;
      let uploader = '';
      let moved = 0;
      const watch = setInterval(
        () =>
          guarded(() => {
            if (moved < LIMITS.transferProgressBytesMin)
              throw new ConcordatError(
                'WIRE_SILENT',
                `an upload of site "${uploader}" moved on by ${moved} bytes in ${progressMs} ms`,
              );
            moved = 0;
          }),
        progressMs,
      );
      watch.unref();
      const finish = (error: unknown, answer?: unknown) => {
        clearInterval(watch);
        if (finished) return;
        finished = true;
        if (error === null) callback(null, answer);
        else callback(rpcError(error));
      };
      const guarded = (action: () => void) => {
        try {
          if (!finished) action();
        } catch (error) {
          // Without a site it was logged as such already.
          if (uploader !== '') refused(addressOf(call), error);
          finish(error);
          // What still arrives is read and dropped, so that the sender gets to see the status.
          call.resume();
        }
      };
      // At once, not with the first chunk: who has no site would otherwise hold a call open that never says anything.
      guarded(() => {
        uploader = access.site(call);
      });
      call.on('data', (wire: unknown) =>
        guarded(() => {
          const chunk = uploadChunk.decode(wire, 'UploadChunk');
          announced ??= opened(uploader, chunk.blobSha256, chunk.blobSize, handlers);
          const { site, hash, size } = announced;
          heard(site);
          if (blobs.blobSize(hash) !== null) return;
          if (chunk.data.length > LIMITS.transferChunkBytesMax || chunk.offset + chunk.data.length > size)
            throw new ConcordatError('WIRE_SIZE_EXCEEDED', 'a chunk is larger than allowed or reaches beyond its blob');
          if (sha256(chunk.data) !== chunk.sha256) throw hashMismatch(hash);
          blobs.appendPartial(site, hash, chunk.offset, chunk.data);
          moved += chunk.data.length;
          handlers.onUploadProgress?.(site, hash, chunk.offset + chunk.data.length);
        }),
      );
      call.on('end', () =>
        guarded(() => {
          if (announced === undefined) throw new ConcordatError('WIRE_FIELD_MISSING', 'the transfer held no chunk');
          const { site, hash, size } = announced;
          heard(site);
          if (blobs.blobSize(hash) === null) {
            const arrived = blobs.partialSize(site, hash);
            if (arrived < size)
              throw new ConcordatError('WIRE_OFFSET_MISMATCH', `the transfer ended after ${arrived} of ${size} bytes`);
            blobs.finishPartial(site, hash);
          }
          handlers.onBlobStored(site, hash, size);
          finish(null, uploadReceipt.encode({ sha256: hash, size }));
        }),
      );
      // A broken line: what has arrived stays for the next try.
      for (const event of ['error', 'close', 'cancelled'])
        call.on(event, () => {
          clearInterval(watch);
          finished = true;
        });
    },

    download: (call: grpc.ServerWritableStream<unknown, unknown>) => {
      sendBlob(call, access, handlers).catch((error: unknown) => call.emit('error', rpcError(error)));
    },
  };
}

function opened(site: string, hash: string | null, size: number | null, handlers: CoordinatorHandlers) {
  if (hash === null || size === null)
    throw new ConcordatError('WIRE_FIELD_MISSING', 'the first chunk does not name its blob and size');
  if (size > LIMITS.blobBytesMax)
    throw new ConcordatError('WIRE_SIZE_EXCEEDED', `a blob may have at most ${LIMITS.blobBytesMax} bytes`);
  if (!handlers.mayUpload(site, hash, size))
    throw new ConcordatError('WIRE_REFUSED', `the blob ${hash.slice(0, 12)}… is not expected from site "${site}"`);
  dropDamaged(handlers.blobs, hash);
  return { site, hash, size };
}

/** What a crash left damaged under its name is sent again, not taken for what arrived. */
function dropDamaged(blobs: PartialBlobStore, hash: string): void {
  if (blobs.blobSize(hash) !== null && !blobs.isWhole(hash)) blobs.deleteBlob(hash);
}

async function sendBlob(
  call: grpc.ServerWritableStream<unknown, unknown>,
  access: Access,
  handlers: CoordinatorHandlers,
): Promise<void> {
  const site = access.site(call);
  const { sha256: hash, offset } = downloadRequest.decode(call.request, 'DownloadRequest');
  const size = handlers.blobs.blobSize(hash);
  // A blob that this site may not see is treated as one that is not there.
  if (size === null || !handlers.mayDownload(site, hash)) throw blobMissing(hash);
  if (offset > size) throw new ConcordatError('WIRE_OFFSET_MISMATCH', `the blob has ${size} bytes`);
  let position = offset;
  do {
    const data = handlers.blobs.readBlob(hash, position, LIMITS.transferChunkBytes);
    const blobSize = position === offset ? size : null;
    const roomLeft = call.write(downloadChunk.encode({ blobSize, offset: position, data, sha256: sha256(data) }));
    position += data.length;
    if (!roomLeft) await drained(call);
    if (call.cancelled || call.destroyed) return;
  } while (position < size);
  call.end();
}

/** Resolves when the stream takes more, or will never again. */
function drained(call: grpc.ServerWritableStream<unknown, unknown>): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      for (const event of ['drain', 'close', 'cancelled', 'error']) call.off(event, done);
      resolve();
    };
    for (const event of ['drain', 'close', 'cancelled', 'error']) call.on(event, done);
  });
}
