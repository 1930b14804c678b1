import type grpc from '@grpc/grpc-js';
import { ConcordatError } from '../shared/errors.js';
import { LIMITS } from '../shared/limits.js';
import { hashMismatch, offsetMismatch, sha256 } from '../shared/memory-stores.js';
import {
  downloadChunk,
  downloadRequest,
  statRequest,
  statResponse,
  uploadChunk,
  uploadReceipt,
} from '../shared/wire/codecs.js';
import { isTransient } from '../shared/wire/status.js';
import { callUnary, errorOf, type Stubs } from './rpc-channel.js';

/** What a transfer needs of the connection it runs over. */
export interface Line {
  /** Of the channel in use now; another one after a line was given up. */
  readonly stubs: Stubs;
  /** Waits before try number `n` (from 1) is repeated; rejects when the connection is closed for good. */
  pause(tryNumber: number): Promise<void>;
  /** The call is cancelled when its line is given up, because a dead line may never end it by itself. */
  track<T extends grpc.Call>(call: T): T;
  /** Something arrived that shows the other side to be alive. */
  heard(): void;
}

/**
 * Sends what the coordinator lacks of the blob, going on after a broken line; returns once it is durable there. A fresh one
 * that fits in a chunk is sent at once: asking first would double the calls. Where the line breaks, the question is asked.
 */
export async function uploadBlob(line: Line, bytes: Uint8Array, fresh = false): Promise<string> {
  if (bytes.length > LIMITS.blobBytesMax)
    throw new ConcordatError('WIRE_SIZE_EXCEEDED', `a blob may have at most ${LIMITS.blobBytesMax} bytes`);
  const hash = sha256(bytes);
  let durable = 0;
  const sent = async (from: number) => {
    const receipt = uploadReceipt.decode(await sendFrom(line, bytes, hash, from), 'UploadReceipt');
    if (receipt.sha256 !== hash) throw hashMismatch(hash);
  };
  if (fresh && bytes.length <= LIMITS.transferChunkBytes)
    try {
      await sent(0);
      return hash;
    } catch (error) {
      // The process before this one may have sent a part of it after all.
      const resumes = error instanceof ConcordatError && error.code === 'WIRE_OFFSET_MISMATCH';
      if (!resumes && !(error instanceof ConcordatError && isTransient(error))) throw error;
    }
  await repeated(
    line,
    () => durable,
    async () => {
      const { transfer } = line.stubs;
      const stat = await callUnary(transfer.stat, transfer, statRequest.encode({ sha256: hash }) as object);
      const { complete, offset } = statResponse.decode(stat, 'StatResponse');
      if (complete) return;
      durable = offset;
      await sent(Math.min(offset, bytes.length));
    },
  );
  return hash;
}

/** Fetches a blob, going on after a broken line, and checks every chunk and the whole. */
export async function downloadBlob(
  line: Line,
  hash: string,
  bytesMax: number = LIMITS.blobBytesMax,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let arrived = 0;
  let size = Number.POSITIVE_INFINITY;
  await repeated(
    line,
    () => arrived,
    async () => {
      const request = downloadRequest.encode({ sha256: hash, offset: arrived }) as object;
      const call = line.track(line.stubs.transfer.download(request));
      try {
        for await (const wire of call) {
          const chunk = downloadChunk.decode(wire, 'DownloadChunk');
          if (chunk.blobSize !== null) size = chunk.blobSize;
          if (chunk.offset !== arrived) throw offsetMismatch(chunk.offset, arrived);
          if (size > bytesMax || arrived + chunk.data.length > size || (chunk.data.length === 0 && size > 0))
            throw new ConcordatError(
              'WIRE_SIZE_EXCEEDED',
              `the blob ${hash.slice(0, 12)}… is larger than announced or allowed, or does not come`,
            );
          if (sha256(chunk.data) !== chunk.sha256) throw hashMismatch(hash);
          parts.push(chunk.data);
          arrived += chunk.data.length;
          line.heard();
        }
      } catch (error) {
        call.cancel();
        throw error instanceof ConcordatError ? error : errorOf(error as grpc.ServiceError);
      }
      if (arrived !== size) throw offsetMismatch(arrived, size);
    },
  );
  const whole = new Uint8Array(Buffer.concat(parts, arrived));
  if (sha256(whole) !== hash) throw hashMismatch(hash);
  return whole;
}

/**
 * Tries again after what may pass; anything else, and the last failure, goes to the caller. As long as `moved` bytes
 * grow from try to try the count begins anew: a line that often breaks is no line that is dead.
 */
async function repeated(line: Line, moved: () => number, action: () => Promise<void>): Promise<void> {
  let before = moved();
  for (let tryNumber = 1; ; tryNumber++) {
    try {
      return await action();
    } catch (error) {
      if (!(error instanceof ConcordatError) || !isTransient(error)) throw error;
      if (moved() > before) tryNumber = 1;
      else if (tryNumber >= LIMITS.transferTriesMax) throw error;
      before = moved();
    }
    await line.pause(tryNumber);
  }
}

function sendFrom(line: Line, bytes: Uint8Array, hash: string, start: number): Promise<unknown> {
  return new Promise((resolve, reject) => {
    let ended = false;
    let offset = start;
    const call = line.stubs.transfer.upload((error, answer) => {
      ended = true;
      if (error === null) resolve(answer);
      else reject(errorOf(error));
    });
    const pump = () => {
      while (!ended) {
        const data = bytes.subarray(offset, offset + LIMITS.transferChunkBytes);
        const first = offset === start;
        const wire = uploadChunk.encode({
          blobSha256: first ? hash : null,
          blobSize: first ? bytes.length : null,
          offset,
          data,
          sha256: sha256(data),
        });
        offset += data.length;
        const roomLeft = call.write(wire);
        if (offset >= bytes.length) {
          call.end();
          return;
        }
        if (!roomLeft) {
          call.once('drain', pump);
          return;
        }
      }
    };
    line.track(call);
    // The status comes through the callback; a stream without a listener would bring the process down.
    call.on('error', () => undefined);
    pump();
  });
}
