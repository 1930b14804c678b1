import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { dctFrame } from '../../site-agent/imaging/dicom/jpeg-dct.js';
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
  readonly allocated: 1 | 8 | 16;
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

  it('of lossy JPEG are transformed as libjpeg does, sample by sample, and at 12 bits as the definition says', async () => {
    const decode = await frameDecoderFor(everything);
    const baseline = frames.find(({ name }) => name.startsWith('baseline'))!;
    const reference = decode(baseline.syntax, bytesOf(baseline), layoutOf(baseline));
    const own = dctFrame(bytesOf(baseline), 1);
    expect(Buffer.from(own).equals(Buffer.from(reference))).toBe(true);
    // One block of 12 bits: a constant coefficient of 1000 with step 4 is 4000 / 8 above the middle.
    const table = (kind: number, symbol: number) => [
      0xff,
      0xc4,
      0,
      20,
      kind,
      1,
      ...new Array<number>(15).fill(0),
      symbol,
    ];
    const stream = Uint8Array.from([
      ...[0xff, 0xd8, 0xff, 0xc1, 0, 11, 12, 0, 8, 0, 8, 1, 1, 0x11, 0],
      ...[0xff, 0xdb, 0, 67, 0, ...new Array<number>(64).fill(4)],
      ...[...table(0, 10), ...table(0x10, 0)],
      ...[0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0],
      // 0, 1000 in ten bits, 0, and ones to the end of the byte.
      ...[0b01111101, 0b00001111, 0xff, 0xd9],
    ]);
    const extended = '1.2.840.10008.1.2.4.51';
    const layout: PixelLayout = {
      ...layoutOf(baseline),
      rows: 8,
      columns: 8,
      bitsAllocated: 16,
      bitsStored: 12,
      highBit: 11,
    };
    const samples = new Uint16Array((await frameDecoderFor(new Set([extended])))(extended, stream, layout).buffer);
    expect([...samples]).toEqual(new Array<number>(64).fill(2548));
    expect(codeOf(() => decode(extended, stream.subarray(0, -4), layout))).toBe('IMAGE_UNREADABLE');
  });

  it('of a compression that is not supported are a named error', async () => {
    const syntax = '1.2.840.10008.1.2.4.100';
    const decode = await frameDecoderFor(new Set([syntax]));
    expect(codeOf(() => decode(syntax, bytesOf(frames[0]!), layoutOf(frames[0]!)))).toBe('IMAGE_CODEC_UNSUPPORTED');
  });
});
