import { ConcordatError } from '../../../shared/errors.js';

/**
 * One frame of DICOM RLE (PS3.5 annex G): a segment for each byte of a sample, the highest byte first, each in PackBits.
 * @param count samples of the frame
 * @param width bytes of a sample
 * @returns little-endian samples
 * @throws ConcordatError IMAGE_UNREADABLE
 */
export function rleFrame(bytes: Uint8Array, count: number, width: number): Uint8Array {
  if (bytes.length < 64) throw damaged();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0, true) !== width) throw damaged();
  // Two bytes give at most 128: no array is made for pixels that cannot be there.
  if (count * width > 64 * bytes.length) throw damaged();
  const frame = new Uint8Array(count * width);
  for (let segment = 0; segment < width; segment++) {
    const start = view.getUint32(4 + 4 * segment, true);
    const end = segment + 1 < width ? view.getUint32(8 + 4 * segment, true) : bytes.length;
    if (start < 64 || end < start || end > bytes.length) throw damaged();
    unpack(bytes.subarray(start, end), frame, width - 1 - segment, width);
  }
  return frame;
}

function unpack(packed: Uint8Array, frame: Uint8Array, first: number, step: number): void {
  let to = first;
  for (let at = 0; at < packed.length && to < frame.length; ) {
    const control = packed[at++]!;
    if (control === 128) continue;
    if (control < 128) {
      for (let left = control + 1; left > 0 && to < frame.length; left--, to += step) {
        if (at >= packed.length) throw damaged();
        frame[to] = packed[at++]!;
      }
    } else {
      if (at >= packed.length) throw damaged();
      const value = packed[at++]!;
      for (let left = 257 - control; left > 0 && to < frame.length; left--, to += step) frame[to] = value;
    }
  }
  if (to < frame.length) throw damaged();
}

const damaged = (): ConcordatError => new ConcordatError('IMAGE_UNREADABLE', 'a frame compressed by RLE is damaged');
