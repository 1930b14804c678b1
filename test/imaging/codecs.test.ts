import { describe, expect, it } from 'vitest';
import { frameDecoderFor } from '../../site-agent/imaging/shell/codecs.js';

describe('compressed frames', () => {
  it('of a compression that is not supported are a named error', async () => {
    const syntax = '1.2.840.10008.1.2.4.100';
    const decoding = async () =>
      (await frameDecoderFor(new Set([syntax])))(syntax, new Uint8Array(10), {
        rows: 1,
        columns: 1,
        frames: 1,
        bitsAllocated: 16,
        bitsStored: 16,
        highBit: 15,
        signed: false,
        kind: 'integer',
      });
    await expect(decoding()).rejects.toMatchObject({ code: 'IMAGE_CODEC_UNSUPPORTED' });
  });
});
