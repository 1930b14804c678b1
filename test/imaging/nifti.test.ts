import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { readNifti, readNiftiImage } from '../../site-agent/imaging/nifti.js';
import { writeNifti } from '../../site-agent/imaging/nifti-write.js';
import type { Volume } from '../../site-agent/imaging/volume.js';
import { testGrid, testVolume } from '../support/images.js';
import { codeOf } from './codes.js';
import { niftiFile, niftiTwoFile } from './nifti-files.js';

const OBLIQUE = [0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1];
const GRID = testGrid([3, 4, 2], { spacingMm: [0.75, 1.5, 2.5], origin: [-10.25, 20.5, -300] });

describe('NIfTI, written and read', () => {
  const values = (x: number, y: number, z: number): number => x + 3 * y + 12 * z;
  it.each([Int8Array, Uint8Array, Int16Array, Uint16Array, Int32Array, Uint32Array, Float32Array, Float64Array])(
    'gives back %o with its pixel type, in LPS',
    (make) => {
      const volume = testVolume({ ...GRID, direction: OBLIQUE }, make as typeof Float64Array, values);
      for (const gzip of [true, false]) {
        const read = readNifti(writeNifti(volume, { gzip }));
        expect(read.data.constructor).toBe(make);
        expect(read.data).toEqual(volume.data);
        expect(read.size).toEqual(volume.size);
        expect(read.spacingMm).toEqual(volume.spacingMm);
        expect(read.origin).toEqual(volume.origin);
        for (let i = 0; i < 9; i++) expect(read.direction[i]).toBeCloseTo(OBLIQUE[i]!, 6);
      }
    },
  );

  it('writes a qform that says the same as the sform, also where an axis is mirrored', () => {
    for (const direction of [
      OBLIQUE,
      [-1, 0, 0, 0, -1, 0, 0, 0, 1],
      [1, 0, 0, 0, 0, 1, 0, 1, 0],
      [0, 0, 1, 1, 0, 0, 0, 1, 0],
    ]) {
      const file = writeNifti(testVolume({ ...GRID, direction }, Int16Array, values), { gzip: false });
      const withSform = readNifti(file);
      new DataView(file.buffer).setInt16(254, 0, true);
      const withQform = readNifti(file);
      for (let i = 0; i < 9; i++) expect(withQform.direction[i]).toBeCloseTo(withSform.direction[i]!, 6);
      expect(withQform.origin).toEqual(withSform.origin);
    }
  });
});

describe('NIfTI headers', () => {
  it('turn RAS into LPS', () => {
    const read = readNifti(
      niftiFile({ dim: [2, 1, 1], srow: [2, 0, 0, 5, 0, 3, 0, 7, 0, 0, 4, 11], pixdim: [1, 2, 3, 4] }),
    );
    expect(read.origin).toEqual([-5, -7, 11]);
    expect(read.direction).toEqual([-1, 0, 0, 0, -1, 0, 0, 0, 1]);
    expect(read.spacingMm).toEqual([2, 3, 4]);
  });

  const both = {
    dim: [2, 2, 2],
    pixdim: [1, 1, 1, 1],
    qoffset: [100, 0, 0] as const,
    srow: [1, 0, 0, 5, 0, 1, 0, 0, 0, 0, 1, 0],
  };
  it.each([
    ['an sform in scanner coordinates before the qform', { qformCode: 1, sformCode: 1 }, -5],
    ['the qform before an sform that is aligned to something else', { qformCode: 1, sformCode: 2 }, -100],
    ['an sform without a qform, whatever its code', { qformCode: 0, sformCode: 4 }, -5],
    ['the qform where there is no sform', { qformCode: 2, sformCode: 0 }, -100],
    ['neither: the origin', { qformCode: 0, sformCode: 0 }, 0],
  ])('give, as ITK takes them, %s', (_, codes, x) => {
    expect(readNifti(niftiFile({ ...both, ...codes })).origin[0]).toBe(x);
  });

  it('with a sheared sform fall back on the qform, and without one are an error', () => {
    const srow = [1, 0.2, 0, 5, 0, 1, 0, 0, 0, 0, 1, 0];
    expect(readNifti(niftiFile({ ...both, srow, qformCode: 1, sformCode: 1 })).origin[0]).toBe(-100);
    expect(codeOf(() => readNifti(niftiFile({ ...both, srow, qformCode: 0, sformCode: 1 })))).toBe(
      'IMAGE_GEOMETRY_UNUSABLE',
    );
  });

  it('of version 2, big-endian headers, and units of metres and micrometres are read', () => {
    const plain = readNifti(niftiFile({ dim: [2, 3, 2] }));
    expect(readNifti(niftiTwoFile({ dim: [2, 3, 2] }))).toEqual(plain);
    expect(readNifti(niftiFile({ dim: [2, 3, 2], littleEndian: false }))).toEqual(plain);
    expect(readNifti(niftiTwoFile({ dim: [2, 3, 2], littleEndian: false }))).toEqual(plain);
    expect(readNifti(niftiFile({ dim: [2, 3, 2], units: 1, pixdim: [1, 0.5, 1, 1] })).spacingMm).toEqual([
      500, 1000, 1000,
    ]);
    expect(readNifti(niftiFile({ dim: [2, 3, 2], units: 3, pixdim: [1, 500, 1000, 1000] })).spacingMm).toEqual([
      0.5, 1, 1,
    ]);
  });

  it('that stand alone take their samples from the .img file, compressed or not', () => {
    const whole = niftiFile({ dim: [2, 3, 2] });
    const header = niftiFile({ dim: [2, 3, 2], magic: 'ni1\0', voxOffset: 0 }).subarray(0, 348);
    const samples = whole.subarray(352);
    expect(readNifti(header, samples)).toEqual(readNifti(whole));
    expect(readNifti(header, gzipSync(samples))).toEqual(readNifti(whole));
    expect(codeOf(() => readNifti(header))).toBe('IMAGE_UNREADABLE');
  });

  it('note a spacing that contradicts the sform, and a missing orientation', () => {
    expect(readNiftiImage(niftiFile({ dim: [2, 2, 2] })).notes).toEqual([]);
    expect(readNiftiImage(niftiFile({ dim: [2, 2, 2], pixdim: [1, 1, 1, 2] })).notes[0]).toMatch(
      /axis z pixdim says 2 and the sform 1/,
    );
    expect(readNiftiImage(niftiFile({ dim: [2, 2, 2], sformCode: 0 })).notes[0]).toMatch(
      /neither an sform nor a qform/,
    );
  });
});

describe('NIfTI samples', () => {
  const scaled = (slope: number, intercept: number): Volume =>
    readNifti(niftiFile({ dim: [3, 1, 1], values: [0, 100, -7], slope, intercept }));

  it('are scaled to float32 by scl_slope and scl_inter', () => {
    expect(scaled(0.5, -3).data).toEqual(Float32Array.of(-3, 47, -6.5));
    expect(scaled(1, -2048).data).toEqual(Float32Array.of(-2048, -1948, -2055));
  });

  it('keep their integers where the scaling is the identity, or is none', () => {
    for (const [slope, intercept] of [
      [1, 0],
      [0, 5],
      [Number.NaN, 0],
      [Number.NaN, Number.NaN],
      [Infinity, 0],
    ] as const)
      expect(scaled(slope, intercept).data).toEqual(Int16Array.of(0, 100, -7));
    expect(codeOf(() => scaled(2, Number.NaN))).toBe('IMAGE_UNREADABLE');
  });

  it('of 64-bit integers are numbers, exact or refused', () => {
    const file = niftiFile({ dim: [2, 1, 1], datatype: 1024, bytesPerSample: 8 });
    const view = new DataView(file.buffer);
    view.setBigInt64(352, -(2n ** 52n), true);
    view.setBigInt64(360, 7n, true);
    expect(readNifti(file).data).toEqual(Float64Array.of(-(2 ** 52), 7));
    view.setBigInt64(352, 2n ** 60n, true);
    expect(codeOf(() => readNifti(file))).toBe('IMAGE_UNREADABLE');
  });

  it('of several volumes are an error, of one in four dimensions are not', () => {
    expect(readNifti(niftiFile({ dim: [2, 3, 2, 1] })).size).toEqual([2, 3, 2]);
    expect(readNifti(niftiFile({ dim: [2, 3] })).size).toEqual([2, 3, 1]);
    expect(codeOf(() => readNifti(niftiFile({ dim: [2, 3, 2, 4] })))).toBe('IMAGE_DIMENSIONS');
    expect(codeOf(() => readNifti(niftiFile({ dim: [2, 3, 2, 1, 3] })))).toBe('IMAGE_DIMENSIONS');
  });
});

describe('broken NIfTI files', () => {
  const good = niftiFile({ dim: [8, 8, 8] });
  it.each([
    ['nothing', new Uint8Array(0), 'IMAGE_UNREADABLE'],
    ['text', Buffer.from('an image, they said'.repeat(50)), 'IMAGE_FORMAT_UNKNOWN'],
    ['another magic', niftiFile({ dim: [2, 2, 2], magic: 'xxxx' }), 'IMAGE_FORMAT_UNKNOWN'],
    ['Analyze 7.5', niftiFile({ dim: [2, 2, 2], magic: '\0\0\0\0' }), 'IMAGE_FORMAT_UNKNOWN'],
    ['a header cut short', good.subarray(0, 200), 'IMAGE_FORMAT_UNKNOWN'],
    ['samples cut short', good.subarray(0, 500), 'IMAGE_UNREADABLE'],
    ['a gzip stream cut short', gzipSync(good).subarray(0, -30), 'IMAGE_UNREADABLE'],
    ['a gzip stream with a wrong checksum', flipped(gzipSync(good), -6), 'IMAGE_UNREADABLE'],
    ['size 0', niftiFile({ dim: [2, 0, 2] }), 'IMAGE_UNREADABLE'],
    ['a negative size', niftiFile({ dim: [2, -3, 2] }), 'IMAGE_UNREADABLE'],
    ['a size that the file cannot hold', niftiFile({ dim: [900, 900, 900], count: 8 }), 'IMAGE_UNREADABLE'],
    [
      'a size that the compressed file cannot hold',
      gzipSync(niftiFile({ dim: [900, 900, 900], count: 8 })),
      'IMAGE_UNREADABLE',
    ],
    ['a size beyond any image', niftiFile({ dim: [32767, 32767, 32767], count: 8 }), 'IMAGE_UNREADABLE'],
    ['eight dimensions', niftiFile({ dim: [1, 1, 1, 1, 1, 1, 1], dimensions: 8 }), 'IMAGE_UNREADABLE'],
    [
      'spacing 0 and no other',
      niftiFile({ dim: [2, 2, 2], pixdim: [1, 0, 0, 0], sformCode: 0 }),
      'IMAGE_GEOMETRY_UNUSABLE',
    ],
    [
      'axes beyond the range of numbers',
      niftiTwoFile({ dim: [2, 2, 2], srow: [1e200, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0] }),
      'IMAGE_GEOMETRY_UNUSABLE',
    ],
    ['an unknown data type', niftiFile({ dim: [2, 2, 2], datatype: 7777 }), 'IMAGE_PIXEL_TYPE'],
    ['colour', niftiFile({ dim: [2, 2, 2], datatype: 128 }), 'IMAGE_PIXEL_TYPE'],
    ['samples that begin nowhere', niftiFile({ dim: [2, 2, 2], voxOffset: Number.NaN }), 'IMAGE_UNREADABLE'],
    ['samples that begin beyond the file', niftiFile({ dim: [2, 2, 2], voxOffset: 1e9 }), 'IMAGE_UNREADABLE'],
    ['far more bytes than announced', gzipSync(Buffer.concat([good, Buffer.alloc(4_000_000)])), 'IMAGE_UNREADABLE'],
  ])('with %s are a named error', (_, bytes, code) => {
    expect(codeOf(() => readNifti(bytes))).toBe(code);
  });
});

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[copy.length + at]! ^= 0xff;
  return copy;
}
