import { ConcordatError } from '../../../shared/errors.js';
import type { PixelLayout } from './pixels.js';

/** What a stream of the JPEG families says of itself before its pixels. */
export interface StreamHeader {
  readonly process: 'baseline' | 'extended' | 'progressive' | 'lossless' | 'jpeg-ls' | 'jpeg-2000';
  readonly rows: number;
  readonly columns: number;
  readonly bits: number;
  /** Samples are two's complement, which only JPEG 2000 knows. */
  readonly signed: boolean;
  readonly components: number;
}

/** Where a JPEG 2000 stream states depth and sign of its first component (ITU-T T.800, Ssiz). */
export const JPEG_2000_DEPTH = 42;

const PROCESSES: Record<number, StreamHeader['process']> = {
  192: 'baseline',
  193: 'extended',
  194: 'progressive',
  195: 'lossless',
  247: 'jpeg-ls',
};

/**
 * Reads the frame header of a JPEG, JPEG-LS or JPEG 2000 stream.
 * @throws ConcordatError IMAGE_UNREADABLE where there is none
 */
export function streamHeader(bytes: Uint8Array): StreamHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length > 45 && view.getUint32(0) === 0xff4fff51) {
    const span = (at: number): number => view.getUint32(at) - view.getUint32(at + 8);
    return {
      process: 'jpeg-2000',
      columns: span(8),
      rows: span(12),
      components: view.getUint16(40),
      bits: (bytes[JPEG_2000_DEPTH]! & 0x7f) + 1,
      signed: bytes[JPEG_2000_DEPTH]! > 0x7f,
    };
  }
  for (let at = 2; at + 10 <= bytes.length && bytes[0] === 0xff && bytes[1] === 0xd8; ) {
    if (bytes[at] !== 0xff) break;
    const marker = bytes[at + 1]!;
    if (marker === 0xff) {
      at++;
      continue;
    }
    const process = PROCESSES[marker];
    if (process !== undefined) {
      requireWhole(bytes, at);
      return {
        process,
        bits: bytes[at + 4]!,
        signed: false,
        rows: view.getUint16(at + 5),
        columns: view.getUint16(at + 7),
        components: bytes[at + 9]!,
      };
    }
    at += 2 + view.getUint16(at + 2);
  }
  throw new ConcordatError(
    'IMAGE_UNREADABLE',
    'a compressed frame has no header of the compression that the file names',
  );
}

/**
 * Decoders written for whole streams may look for the end of a stream that has none for ever: a scan has to begin, and the stream to end.
 * @throws ConcordatError IMAGE_UNREADABLE
 */
function requireWhole(bytes: Uint8Array, frameHeader: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = frameHeader;
  while (at + 4 <= bytes.length && bytes[at] === 0xff && bytes[at + 1] !== 0xda) at += 2 + view.getUint16(at + 2);
  let end = bytes.length;
  // Fragments are padded to an even length, by some writers with 0xFF.
  while (end > 0 && (bytes[end - 1] === 0 || bytes[end - 1] === 0xff)) end--;
  const hasScan = at + 4 <= bytes.length && bytes[at] === 0xff && at + 2 + view.getUint16(at + 2) <= bytes.length;
  if (!hasScan || bytes[end - 2] !== 0xff || bytes[end - 1] !== 0xd9)
    throw new ConcordatError('IMAGE_UNREADABLE', 'a compressed frame is cut short');
}

/**
 * Holds a stream against the data set before anything is made of it: a decoder allocates what the stream says.
 * @throws ConcordatError IMAGE_UNREADABLE
 */
export function requireSameLayout(stream: StreamHeader, layout: PixelLayout): void {
  if (stream.rows !== layout.rows || stream.columns !== layout.columns)
    throw new ConcordatError(
      'IMAGE_UNREADABLE',
      `a compressed frame is ${stream.columns} × ${stream.rows} where the file says ${layout.columns} × ${layout.rows}`,
    );
  if (stream.components !== 1 || stream.bits > layout.bitsAllocated)
    throw new ConcordatError(
      'IMAGE_UNREADABLE',
      `a compressed frame has ${stream.components} components of ${stream.bits} bits where the file says one of at most ${layout.bitsAllocated}`,
    );
}
