import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { FrameDecoder, PixelLayout } from '../../site-agent/imaging/dicom/pixels.js';
import { chosenSeries, readSeries, seriesAmong } from '../../site-agent/imaging/dicom/series.js';
import { frameDecoderFor } from '../../site-agent/imaging/shell/codecs.js';
import { codeOf } from './codes.js';
import { dicomFile, sliceAttributes } from './dicom-files.js';

interface Compressed {
  readonly name: string;
  readonly syntax: string;
  readonly rows: number;
  readonly columns: number;
  readonly bits: number;
  readonly allocated: 8 | 16;
  readonly signed: boolean;
  readonly sha256: string;
  readonly frame: string;
}
const { frames } = JSON.parse(readFileSync('test/imaging/compressed-frames.json', 'utf8')) as { frames: Compressed[] };
const everything = new Set(frames.map(({ syntax }) => syntax));
const bytesOf = ({ frame }: Compressed): Buffer => Buffer.from(frame, 'base64');

function layoutOf({ rows, columns, bits, allocated, signed }: Compressed): PixelLayout {
  return {
    rows,
    columns,
    frames: 1,
    bitsAllocated: allocated,
    bitsStored: bits,
    highBit: bits - 1,
    signed,
    kind: 'integer',
  };
}

describe('compressed frames', () => {
  it.each(frames)('of $name are read as pydicom reads them', async (compressed) => {
    const { rows, columns, bits, allocated, signed, syntax } = compressed;
    const frame = bytesOf(compressed);
    const pixels = {
      fragments: [new Uint8Array(0), frame.length % 2 === 0 ? frame : Buffer.concat([frame, Buffer.alloc(1)])],
    };
    const file = dicomFile(sliceAttributes({ rows, columns, bits: [allocated, bits, bits - 1], signed, pixels }), {
      syntax,
    });
    const { data } = readSeries(
      chosenSeries(seriesAmong([{ name: 'a', file }])),
      await frameDecoderFor(new Set([syntax])),
    );
    expect(
      createHash('sha256')
        .update(new Uint8Array(Int32Array.from(data).buffer))
        .digest('hex'),
    ).toBe(compressed.sha256);
  });

  it.each(frames)('of $name that are damaged are a named error or other pixels, never a crash', async (compressed) => {
    const good = bytesOf(compressed);
    const layout = layoutOf(compressed);
    for (let at = 0; at < good.length; at += Math.ceil(good.length / 25)) {
      // A decoder that failed is loaded anew.
      let decode: FrameDecoder = await frameDecoderFor(everything);
      const bad = Buffer.from(good);
      bad[at]! ^= 0x5a;
      for (const bytes of [bad, good.subarray(0, at)])
        try {
          decode(compressed.syntax, bytes, layout);
        } catch (error) {
          expect((error as { code?: string }).code).toMatch(/^IMAGE_(UNREADABLE|CODEC_UNSUPPORTED)$/);
          decode = await frameDecoderFor(everything);
        }
    }
  });

  it('of another size, of several components or another compression than the file says are refused before they are decoded', async () => {
    const decode = await frameDecoderFor(everything);
    for (const compressed of frames) {
      const layout = layoutOf(compressed);
      expect(codeOf(() => decode(compressed.syntax, bytesOf(compressed), { ...layout, rows: 9 }))).toBe(
        'IMAGE_UNREADABLE',
      );
      expect(codeOf(() => decode(compressed.syntax, Buffer.from('no stream'), layout))).toBe('IMAGE_UNREADABLE');
    }
    const wide = frames.find(({ bits }) => bits === 16)!;
    expect(codeOf(() => decode(wide.syntax, bytesOf(wide), { ...layoutOf(wide), bitsAllocated: 8 }))).toBe(
      'IMAGE_UNREADABLE',
    );
  });

  it('of a compression that is not supported are a named error', async () => {
    const syntax = '1.2.840.10008.1.2.4.100';
    const decode = await frameDecoderFor(new Set([syntax]));
    expect(codeOf(() => decode(syntax, bytesOf(frames[0]!), layoutOf(frames[0]!)))).toBe('IMAGE_CODEC_UNSUPPORTED');
  });
});
