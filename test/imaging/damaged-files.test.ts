import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { ConcordatError } from '../../shared/errors.js';
import { seededRandom } from '../../shared/rng.js';
import { parseDicom } from '../../site-agent/imaging/dicom/parse.js';
import type { FrameDecoder } from '../../site-agent/imaging/dicom/pixels.js';
import { readSegmentation, segmentMask } from '../../site-agent/imaging/dicom/segmentation.js';
import { chosenSeries, readSeries, seriesAmong } from '../../site-agent/imaging/dicom/series.js';
import { readStructures, structureMask } from '../../site-agent/imaging/dicom/structures.js';
import { TAG } from '../../site-agent/imaging/dicom/tags.js';
import { readNifti } from '../../site-agent/imaging/nifti.js';
import { writeNifti } from '../../site-agent/imaging/nifti-write.js';
import { readNrrd } from '../../site-agent/imaging/nrrd.js';
import { writeNrrd } from '../../site-agent/imaging/nrrd-write.js';
import { dicomFiles } from '../../site-agent/imaging/shell/read-file.js';
import { testGrid, testVolume } from '../support/images.js';
import { type Attributes, dicomBytes, SYNTAX, sliceAttributes } from './dicom-files.js';

/** Seeded damage to whole files: each reader ends with an image or a named error, and makes no more memory than the file can fill. */
const GRID = testGrid([7, 6, 5], { spacingMm: [0.75, 0.5, 2], origin: [1, 2, 3] });
const volume = testVolume(GRID, Int16Array, (x, y, z) => x * y - z);

const contours: Attributes = [
  [TAG.modality, 'CS', 'RTSTRUCT'],
  [TAG.structureSetRois, 'SQ', [[[TAG.roiNumber, 'IS', '1']]]],
  [
    TAG.roiContours,
    'SQ',
    [
      [
        [
          TAG.contours,
          'SQ',
          [
            [
              [TAG.contourType, 'CS', 'CLOSED_PLANAR'],
              [TAG.contourPoints, 'IS', '3'],
              [TAG.contourData, 'DS', '1\\2\\3\\4\\2\\3\\4\\5\\3'],
            ],
          ],
        ],
        [TAG.referencedRoi, 'IS', '1'],
      ],
    ],
  ],
];

const group = (tag: number, inner: number, vr: string, value: string | number): Attributes[number] => [
  tag,
  'SQ',
  [[[inner, vr, value]]],
];
const segmentation = sliceAttributes({
  position: null,
  columns: 7,
  rows: 6,
  bits: [1, 1, 0],
  signed: false,
  pixels: Uint8Array.from({ length: 12 }, (_, i) => 37 * i),
  less: [TAG.orientation, TAG.pixelSpacing],
  more: [
    [TAG.modality, 'CS', 'SEG'],
    [TAG.frames, 'IS', '2'],
    [TAG.segmentationType, 'CS', 'BINARY'],
    [TAG.segments, 'SQ', [[[TAG.segmentNumber, 'US', 1]]]],
    [
      TAG.sharedGroups,
      'SQ',
      [
        [
          group(TAG.planeOrientation, TAG.orientation, 'DS', '1\\0\\0\\0\\1\\0'),
          group(TAG.pixelMeasures, TAG.pixelSpacing, 'DS', '0.5\\0.75'),
        ],
      ],
    ],
    [
      TAG.frameGroups,
      'SQ',
      [3, 5].map((z) => [
        group(TAG.planePosition, TAG.position, 'DS', `1\\2\\${z}`),
        group(TAG.segmentIdentification, TAG.referencedSegment, 'US', 1),
      ]),
    ],
  ],
});

/** A file whose damage names another compression. */
const noCodec: FrameDecoder = () => {
  throw new ConcordatError('IMAGE_CODEC_UNSUPPORTED', 'no codec here');
};

const readImage = (bytes: Uint8Array) =>
  readSeries(chosenSeries(seriesAmong([{ name: 'a', file: parseDicom(bytes) }])), noCodec);
const rleFrame = Buffer.concat([
  Buffer.from(Uint32Array.from([2, 64, 66]).buffer),
  Buffer.alloc(52),
  Buffer.from([0x81 + 122, 3, 0x81 + 122, 9]),
]);

const READERS: readonly [string, Uint8Array, (bytes: Uint8Array) => unknown][] = [
  ['NIfTI', writeNifti(volume, { gzip: false }), readNifti],
  ['compressed NIfTI', writeNifti(volume), readNifti],
  ['NRRD', writeNrrd(volume, { gzip: false }), (bytes) => readNrrd(bytes)],
  ['compressed NRRD', writeNrrd(volume), (bytes) => readNrrd(bytes)],
  ['DICOM', dicomBytes(sliceAttributes()), readImage],
  ['implicit DICOM', dicomBytes(sliceAttributes(), { syntax: SYNTAX.implicit, undefinedLengths: true }), readImage],
  ['big-endian DICOM', dicomBytes(sliceAttributes({ littleEndian: false }), { syntax: SYNTAX.bigEndian }), readImage],
  ['deflated DICOM', dicomBytes(sliceAttributes(), { syntax: SYNTAX.deflated }), readImage],
  [
    'RLE',
    dicomBytes(sliceAttributes({ pixels: { fragments: [new Uint8Array(0), rleFrame] } }), { syntax: SYNTAX.rle }),
    readImage,
  ],
  ['SEG', dicomBytes(segmentation), (bytes) => segmentMask(readSegmentation(parseDicom(bytes), noCodec), 1, GRID)],
  [
    'RTSTRUCT',
    dicomBytes(contours, { undefinedLengths: true }),
    (bytes) => structureMask(readStructures(parseDicom(bytes)), 1, GRID),
  ],
];

/** Whether reading ended well; any error but a named one passes through and fails the test. */
function isRead(read: (bytes: Uint8Array) => unknown, bytes: Uint8Array): boolean {
  try {
    read(bytes);
    return true;
  } catch (error) {
    if (!(error instanceof ConcordatError) || !error.code.startsWith('IMAGE_')) throw error;
    expect(error.message).not.toMatch(/Secret|4711/);
    return false;
  }
}

describe('damaged files', () => {
  it.each(READERS)('of %s: whole they are read, cut short never crash', (_, bytes, read) => {
    expect(isRead(read, bytes)).toBe(true);
    let refused = 0;
    for (let length = 0; length < bytes.length; length += Math.ceil(bytes.length / 300))
      if (!isRead(read, bytes.subarray(0, length))) refused++;
    expect(refused).toBeGreaterThan(100);
  });

  it.each(READERS)('of %s with changed bytes are read or refused', (name, bytes, read) => {
    const rng = seededRandom('damaged files', name);
    const below = (n: number): number => rng.integer(n);
    let refused = 0;
    for (let round = 0; round < 600; round++) {
      const bad = Uint8Array.from(bytes);
      // Headers lie in front, and are what can mislead.
      const reach = round % 2 === 0 ? bad.length : Math.min(bad.length, 700);
      for (let changes = 1 + below(3); changes > 0; changes--)
        bad[below(reach)] = [0, 1, 0x7f, 0x80, 0xff, below(256)][below(6)]!;
      if (!isRead(read, bad)) refused++;
    }
    expect(refused).toBeGreaterThan(20);
  });

  it('that promise gigabytes in a few bytes allocate none of them', () => {
    const before = process.memoryUsage().arrayBuffers;
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
    const lying = Buffer.from(writeNifti(volume, { gzip: false }));
    [30000, 300, 100].forEach((size, i) => {
      lying.writeInt16LE(size, 42 + 2 * i);
    });
    for (const bytes of [lying, gzipSync(lying), Buffer.concat([gzipSync(lying), bomb])])
      expect(isRead(readNifti, bytes)).toBe(false);
    const header = Buffer.from(
      'NRRD0004\ntype: short\ndimension: 3\nspace: LPS\nsizes: 900 900 900\nspace directions: (1,0,0) (0,1,0) (0,0,1)\nendian: little\n',
    );
    for (const encoding of ['raw', 'gzip', 'text', 'hex'])
      expect(
        isRead(
          (bytes) => readNrrd(bytes),
          Buffer.concat([header, Buffer.from(`encoding: ${encoding}\n\n`), bomb.subarray(0, 4096)]),
        ),
      ).toBe(false);
    const huge = dicomBytes(
      sliceAttributes({
        values: [],
        rows: 65535,
        columns: 65535,
        pixels: { fragments: [new Uint8Array(0), rleFrame] },
      }),
      { syntax: SYNTAX.rle },
    );
    expect(isRead(readImage, huge)).toBe(false);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(300 * 1024 * 1024);
  });

  it('that are small one by one do not fill the memory together', () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'concordat-packed-'));
    const one = dicomBytes(sliceAttributes());
    for (let at = 0; at < 8; at++) writeFileSync(path.join(folder, `${at}.dcm.gz`), gzipSync(one));
    expect(dicomFiles(folder, 8 * one.length)).toHaveLength(8);
    expect(() => dicomFiles(folder, 8 * one.length - 1)).toThrow(expect.objectContaining({ code: 'IMAGE_TOO_LARGE' }));
    rmSync(folder, { recursive: true });
  });

  it('of sequences nested without end are refused', () => {
    const nested = (depth: number): Attributes => [[TAG.segments, 'SQ', depth === 0 ? [] : [nested(depth - 1)]]];
    expect(isRead(parseDicom, dicomBytes(nested(60), { undefinedLengths: true }))).toBe(false);
    expect(isRead(parseDicom, dicomBytes(nested(20), { undefinedLengths: true }))).toBe(true);
  });
});
