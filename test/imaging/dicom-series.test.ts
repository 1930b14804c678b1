import { describe, expect, it } from 'vitest';
import { ConcordatError } from '../../shared/errors.js';
import { parseDicom } from '../../site-agent/imaging/dicom/parse.js';
import {
  chosenSeries,
  kindOf,
  type NamedFile,
  readSeries,
  seriesAmong,
} from '../../site-agent/imaging/dicom/series.js';
import { TAG } from '../../site-agent/imaging/dicom/tags.js';
import type { Volume } from '../../site-agent/imaging/volume.js';
import { codeOf } from './codes.js';
import {
  type Attributes,
  dicomBytes,
  dicomFile,
  type FileOptions,
  noDecoder,
  type SliceFile,
  SYNTAX,
  sliceAttributes,
} from './dicom-files.js';

const named = (attributes: Attributes, options?: FileOptions, i = 0): NamedFile => ({
  name: `${i}.dcm`,
  file: dicomFile(attributes, options),
});

function stack(slices: readonly SliceFile[], options?: FileOptions): Volume {
  const files = slices.map((slice, i) => named(sliceAttributes(slice), options, i));
  return readSeries(chosenSeries(seriesAmong(files)), noDecoder);
}

const atZ = (...positions: number[]): SliceFile[] =>
  positions.map((z) => ({ position: [0, 0, z], values: [z, 0, 0, 0, 0, 0] }));

function errorOf(action: () => unknown): ConcordatError {
  try {
    action();
  } catch (error) {
    if (error instanceof ConcordatError) return error;
    throw error;
  }
  throw new Error('no error');
}

describe('a DICOM file', () => {
  const expected = { size: [3, 2, 1], spacingMm: [0.75, 0.5, 5], data: Int16Array.of(-5, 4, 3, 2, 1, 0) };
  const slice: SliceFile = { values: [-5, 4, 3, 2, 1, 0], more: [[TAG.sliceThickness, 'DS', '5']] };
  it.each([
    ['explicit little-endian', {}],
    ['implicit little-endian', { syntax: SYNTAX.implicit }],
    ['deflated', { syntax: SYNTAX.deflated }],
    ['without a preamble', { preamble: false }],
    ['without preamble and meta information', { preamble: false, meta: false }],
    ['implicit without preamble and meta information', { preamble: false, meta: false, syntax: SYNTAX.implicit }],
  ] as const)('is read in %s', (_, options) => {
    const more = Object.hasOwn(options, 'meta') && 'syntax' in options ? { ...options, meta: false } : options;
    expect(stack([slice], more)).toMatchObject(expected);
  });

  it('is read in big-endian, bytes in words too', () => {
    expect(stack([{ ...slice, littleEndian: false }], { syntax: SYNTAX.bigEndian })).toMatchObject(expected);
    const bytes = { ...slice, bits: [8, 8, 7], pixels: Uint8Array.of(4, -5, 2, 3, 0, 1) } as const;
    expect(stack([bytes], { syntax: SYNTAX.bigEndian }).data).toEqual(Int8Array.of(-5, 4, 3, 2, 1, 0));
    // The last byte of an odd frame stands behind its padding.
    const odd = { ...bytes, columns: 3, rows: 1, pixels: Uint8Array.of(4, -5, 0, 2) } as const;
    expect(stack([odd], { syntax: SYNTAX.bigEndian }).data).toEqual(Int8Array.of(-5, 4, 2));
  });

  it('takes only the stored bits, and their sign', () => {
    // Bit 12 to 15 hold something else.
    const values = [0x7fff, 0xf800, 0x0001, 0x1000, 0x2fff, 0x0800];
    expect(stack([{ values, bits: [16, 12, 11], signed: false }]).data).toEqual(
      Uint16Array.of(4095, 2048, 1, 0, 4095, 2048),
    );
    expect(stack([{ values, bits: [16, 12, 11] }]).data).toEqual(Int16Array.of(-1, -2048, 1, 0, -1, -2048));
    expect(stack([{ values, bits: [16, 12, 15], signed: false }]).data).toEqual(
      Uint16Array.of(2047, 3968, 0, 256, 767, 128),
    );
    expect(stack([{ values: [-7, 2 ** 31 - 1, 0, 1, 2, 3], bits: [32, 32, 31] }]).data).toEqual(
      Int32Array.of(-7, 2 ** 31 - 1, 0, 1, 2, 3),
    );
  });

  it('is rescaled to the pixel type that SimpleITK gives it', () => {
    const values = [0, 1, 2, 3, 4, 4095];
    const twelve = { values, bits: [16, 12, 11], signed: false } as const;
    expect(stack([{ ...twelve, slope: '1', intercept: '-1024' }]).data).toEqual(
      Int16Array.of(-1024, -1023, -1022, -1021, -1020, 3071),
    );
    expect(stack([{ values, slope: '1', intercept: '-1024' }]).data).toBeInstanceOf(Int32Array);
    expect(stack([{ ...twelve, slope: '1', intercept: '0' }]).data).toBeInstanceOf(Uint16Array);
    expect(stack([{ ...twelve, slope: '0.5', intercept: '0' }]).data).toEqual(
      Float64Array.of(0, 0.5, 1, 1.5, 2, 2047.5),
    );
    expect(codeOf(() => stack([{ ...twelve, slope: '0' }]))).toBe('IMAGE_UNREADABLE');
    expect(codeOf(() => stack([{ more: [[TAG.modalityLut, 'SQ', [[[TAG.rows, 'US', 1]]]]] }]))).toBe(
      'IMAGE_PIXEL_TYPE',
    );
  });

  it('is told by what it holds', () => {
    expect(kindOf(dicomFile(sliceAttributes()))).toBe('image');
    expect(kindOf(dicomFile([[TAG.modality, 'CS', 'RTSTRUCT']]))).toBe('structures');
    expect(kindOf(dicomFile([[TAG.sopClass, 'UI', '1.2.840.10008.5.1.4.1.1.66.4']]))).toBe('segmentation');
    expect(kindOf(dicomFile([[TAG.modality, 'CS', 'RTPLAN']]))).toBe('other');
  });

  it.each([
    ['no rows', { less: [TAG.rows] }, 'IMAGE_TAG_MISSING'],
    ['rows 0', { more: [[TAG.rows, 'US', 0]] }, 'IMAGE_UNREADABLE'],
    ['more rows than pixels', { more: [[TAG.rows, 'US', 60000]] }, 'IMAGE_UNREADABLE'],
    ['no pixels', { less: [TAG.pixels] }, 'IMAGE_UNREADABLE'],
    ['no position', { position: null }, 'IMAGE_TAG_MISSING'],
    ['a position of two numbers', { position: [1, 2] }, 'IMAGE_UNREADABLE'],
    ['a position that is no number', { position: [1, 2, Number.NaN] }, 'IMAGE_UNREADABLE'],
    ['no orientation', { less: [TAG.orientation] }, 'IMAGE_TAG_MISSING'],
    ['orientation 0', { orientation: [0, 0, 0, 0, 0, 0] }, 'IMAGE_GEOMETRY_UNUSABLE'],
    ['skew orientation', { orientation: [1, 0, 0, 0.6, 0.8, 0] }, 'IMAGE_GEOMETRY_UNUSABLE'],
    ['no spacing', { less: [TAG.pixelSpacing] }, 'IMAGE_TAG_MISSING'],
    ['a position beyond the range of numbers', { position: [0, 0, 1e300] }, 'IMAGE_GEOMETRY_UNUSABLE'],
    ['spacing 0', { spacing: [0, 1] }, 'IMAGE_GEOMETRY_UNUSABLE'],
    ['colour', { more: [[TAG.samplesPerPixel, 'US', 3]] }, 'IMAGE_PIXEL_TYPE'],
    ['a palette', { more: [[TAG.photometric, 'CS', 'PALETTE COLOR']] }, 'IMAGE_PIXEL_TYPE'],
    ['12 bits allocated', { more: [[TAG.bitsAllocated, 'US', 12]] }, 'IMAGE_PIXEL_TYPE'],
    ['more bits stored than allocated', { more: [[TAG.bitsStored, 'US', 17]] }, 'IMAGE_UNREADABLE'],
    ['frames that are no number', { more: [[TAG.frames, 'IS', '1A']] }, 'IMAGE_UNREADABLE'],
    [
      'more frames than pixels',
      {
        more: [
          [TAG.frames, 'IS', '900000000'],
          [TAG.frameGroups, 'SQ', [[]]],
        ],
      },
      'IMAGE_UNREADABLE',
    ],
    ['a mosaic', { more: [[TAG.imageType, 'CS', 'ORIGINAL\\PRIMARY\\MOSAIC']] }, 'IMAGE_DIMENSIONS'],
    ['no series', { less: [TAG.seriesInstance] }, 'IMAGE_TAG_MISSING'],
  ] as readonly [string, SliceFile, string][])('with %s is a named error', (_, slice, code) => {
    expect(codeOf(() => stack([slice]))).toBe(code);
  });

  it('that is none, or does not say how it is encoded, is a named error', () => {
    expect(codeOf(() => parseDicom(Buffer.from('not an image at all'.repeat(20))))).toBe('IMAGE_FORMAT_UNKNOWN');
    const bytes = Buffer.from(dicomBytes([[TAG.modality, 'CS', 'CT']]));
    bytes.write('0012', 132 + 8);
    bytes.writeUInt16LE(0x12, 134);
    expect(codeOf(() => parseDicom(bytes))).toBe('IMAGE_UNREADABLE');
  });
});

describe('a series', () => {
  it('is stacked by position, whatever the order and the names of its files', () => {
    const volume = stack(atZ(5, -2.5, 0, 2.5));
    expect(volume).toMatchObject({ size: [3, 2, 4], spacingMm: [0.75, 0.5, 2.5], origin: [0, 0, -2.5] });
    expect([0, 1, 2, 3].map((z) => volume.data[6 * z])).toEqual([-2.5, 0, 2.5, 5].map(Math.trunc));
  });

  it('runs along the normal of its planes, oblique and sagittal too', () => {
    const orientation = [0, 1, 0, 0, 0, -1];
    const volume = stack([3, 1, 2].map((x) => ({ position: [x, 7, 9], orientation })));
    expect(volume).toMatchObject({
      origin: [3, 7, 9],
      direction: [0, 0, -1, 1, 0, 0, 0, -1, 0],
      spacingMm: [0.75, 0.5, 1],
    });
    const [c, s] = [Math.cos(0.3), Math.sin(0.3)];
    const oblique = stack(
      [0, 1, 2].map((i) => ({ orientation: [1, 0, 0, 0, c, s], position: [0, -2 * s * i, 2 * c * i] })),
    );
    expect(oblique.spacingMm[2]).toBeCloseTo(2, 12);
    expect(oblique.direction[8]).toBeCloseTo(c, 12);
  });

  it('is rescaled slice by slice', () => {
    const volume = stack(
      atZ(0, 1).map((slice, i) => ({ ...slice, values: [10, 0, 0, 0, 0, 0], slope: String(i + 1), intercept: '-3' })),
    );
    expect([volume.data[0], volume.data[6]]).toEqual([7, 17]);
  });

  it('with a missing slice says where, and makes none up', () => {
    const error = errorOf(() => stack(atZ(0, 2.5, 7.5, 10, 12.5)));
    expect(error.code).toBe('IMAGE_SLICES_UNEVEN');
    expect(error.message).toMatch(/between 2.5 mm and 7.5 mm one slice is missing/);
    expect(error.problems.map(({ file }) => file)).toEqual(['1.dcm', '2.dcm']);
    // Of many slices too, and where the hole is next to the end.
    const many = Array.from({ length: 300 }, (_, i) => 1.25 * i);
    for (const hole of [1, 150, 298])
      expect(errorOf(() => stack(atZ(...many.filter((_, i) => i !== hole)))).code).toBe('IMAGE_SLICES_UNEVEN');
    expect(errorOf(() => stack(atZ(0, 2, 5, 7, 10, 12, 15, 17, 20))).message).toMatch(/uneven: from 2 mm to 3 mm/);
    expect(stack(atZ(0, 0.63, 1.25, 1.88, 2.5)).spacingMm[2]).toBe(0.625);
  });

  it('with a slice twice, from two phases, or of another size is a named error', () => {
    expect(errorOf(() => stack(atZ(0, 1, 1, 2))).message).toMatch(/the slice at 1 mm is there more than once/);
    expect(errorOf(() => stack(atZ(0, 1, 1, 2))).code).toBe('IMAGE_SLICES_DUPLICATE');
    expect(errorOf(() => stack([...atZ(0, 1, 2), ...atZ(0, 1, 2)])).code).toBe('IMAGE_SLICES_DUPLICATE');
    // Both at once are both told.
    expect(errorOf(() => stack(atZ(0, 1, 1, 2, 5))).message).toMatch(/more than once.*2 slices are missing/);
    expect(errorOf(() => stack([...atZ(0, 1), { position: [0, 0, 2], rows: 3 }])).code).toBe('IMAGE_SLICES_DIFFER');
    expect(errorOf(() => stack([...atZ(0, 1), { position: [0, 0, 2], spacing: [1, 1] }])).code).toBe(
      'IMAGE_SLICES_DIFFER',
    );
    expect(errorOf(() => stack([...atZ(0, 1), { position: [0, 0, 2], orientation: [0, 1, 0, 0, 0, 1] }])).code).toBe(
      'IMAGE_SLICES_DIFFER',
    );
  });

  it('from a tilted gantry is a named error with its angle', () => {
    const tilted = [0, 1, 2].map((i) => ({ position: [0, Math.tan(0.2) * 5 * i, 5 * i] }));
    const error = errorOf(() => stack(tilted));
    expect(error.code).toBe('IMAGE_SLICES_SHEARED');
    expect(error.message).toMatch(/11\.5°/);
  });

  it('among several has to be chosen, and none of what is said names a patient', () => {
    const files = ['1.2.9', '1.2.8', '1.2.9'].map((series, i) =>
      named(sliceAttributes({ series, position: [0, 0, i] }), {}, i),
    );
    const all = seriesAmong(files);
    const error = errorOf(() => chosenSeries(all));
    expect(error.code).toBe('IMAGE_SERIES_AMBIGUOUS');
    expect(error.message).toBe('the folder holds 2 series (1: CT, 1 slices, 3 × 2; 2: CT, 2 slices, 3 × 2)');
    expect(chosenSeries(all, 2).files).toHaveLength(2);
    expect(errorOf(() => chosenSeries(all, 3)).code).toBe('IMAGE_SERIES_AMBIGUOUS');
    expect(JSON.stringify([error.message, error.problems])).not.toMatch(/Secret|4711|1\.2\.9/);
  });

  it('tells every file that cannot be read, at once', () => {
    const error = errorOf(() => stack([...atZ(0, 1), { position: null }, { position: null }]));
    expect(error.code).toBe('IMAGE_TAG_MISSING');
    expect(error.message).toBe('ImagePositionPatient (0020,0032) is missing in 2 of 4 files');
    expect(error.problems.map(({ file }) => file)).toEqual(['2.dcm', '3.dcm']);
  });
});

describe('an enhanced multi-frame file', () => {
  const frames = (positions: readonly number[], intercepts?: readonly number[], thickness = '1'): Attributes =>
    sliceAttributes({
      position: null,
      less: [TAG.orientation, TAG.pixelSpacing],
      pixels: Buffer.from(Int16Array.from(positions.flatMap((z) => [z, 0, 0, 0, 0, 0])).buffer),
      more: [
        [TAG.frames, 'IS', String(positions.length)],
        [
          TAG.sharedGroups,
          'SQ',
          [
            [
              [TAG.planeOrientation, 'SQ', [[[TAG.orientation, 'DS', '1\\0\\0\\0\\1\\0']]]],
              [
                TAG.pixelMeasures,
                'SQ',
                [
                  [
                    [TAG.sliceThickness, 'DS', thickness],
                    [TAG.pixelSpacing, 'DS', '0.5\\0.75'],
                  ],
                ],
              ],
            ],
          ],
        ],
        [
          TAG.frameGroups,
          'SQ',
          positions.map((z, i) => [
            [TAG.planePosition, 'SQ', [[[TAG.position, 'DS', `0\\0\\${z}`]]]],
            ...(intercepts === undefined
              ? []
              : ([
                  [
                    TAG.valueTransformation,
                    'SQ',
                    [
                      [
                        [TAG.intercept, 'DS', String(intercepts[i])],
                        [TAG.slope, 'DS', '1'],
                      ],
                    ],
                  ],
                ] as const)),
          ]),
        ],
      ],
    });

  it.each([
    ['explicit', {}],
    ['implicit', { syntax: SYNTAX.implicit }],
    ['explicit with end marks', { undefinedLengths: true }],
    ['implicit with end marks', { syntax: SYNTAX.implicit, undefinedLengths: true }],
  ])('is stacked by its frames’ positions (%s)', (_, options) => {
    const volume = readSeries(chosenSeries(seriesAmong([named(frames([4, 0, 2]), options)])), noDecoder);
    expect(volume).toMatchObject({ size: [3, 2, 3], spacingMm: [0.75, 0.5, 2], origin: [0, 0, 0] });
    expect([0, 1, 2].map((z) => volume.data[6 * z])).toEqual([0, 2, 4]);
  });

  it('of one frame is as thick as its measures say', () => {
    const one = frames([4], undefined, '2.5');
    expect(readSeries(chosenSeries(seriesAmong([named(one)])), noDecoder).spacingMm).toEqual([0.75, 0.5, 2.5]);
  });

  it('is rescaled frame by frame, and has the same errors as a folder', () => {
    const read = (attributes: Attributes) => readSeries(chosenSeries(seriesAmong([named(attributes)])), noDecoder);
    expect([0, 6].map((i) => read(frames([0, 1], [100, 200])).data[i])).toEqual([100, 201]);
    expect(codeOf(() => read(frames([0, 1, 1])))).toBe('IMAGE_SLICES_DUPLICATE');
    expect(codeOf(() => read(frames([0, 1, 3])))).toBe('IMAGE_SLICES_UNEVEN');
    const bare = sliceAttributes({ pixels: new Uint8Array(24), more: [[TAG.frames, 'IS', '2']] });
    expect(codeOf(() => read(bare))).toBe('IMAGE_TAG_MISSING');
  });
});

describe('RLE', () => {
  /** Every sample as literals: the high bytes, then the low ones. */
  function rle(values: readonly number[]): Uint8Array {
    const segment = (bytes: readonly number[]) =>
      Buffer.from([bytes.length - 1, ...bytes, ...(bytes.length % 2 === 0 ? [128] : [])]);
    const parts = [segment(values.map((v) => (v >> 8) & 255)), segment(values.map((v) => v & 255))];
    const header = Buffer.alloc(64);
    [2, 64, 64 + parts[0]!.length].forEach((value, i) => {
      header.writeUInt32LE(value, 4 * i);
    });
    return Buffer.concat([header, ...parts]);
  }
  const values = [300, -1, 2, 3, -32768, 5];
  const file = (...fragments: readonly Uint8Array[]): Attributes =>
    sliceAttributes({ pixels: { fragments: [new Uint8Array(0), ...fragments] } });
  const read = (attributes: Attributes) =>
    readSeries(chosenSeries(seriesAmong([named(attributes, { syntax: SYNTAX.rle })])), noDecoder);

  it('is unpacked, from one fragment or several', () => {
    const frame = rle(values);
    expect(read(file(frame)).data).toEqual(Int16Array.from(values));
    expect(read(file(frame.subarray(0, 20), frame.subarray(20))).data).toEqual(Int16Array.from(values));
  });

  it('that is damaged is a named error', () => {
    const frame = Buffer.from(rle(values));
    for (const bad of [
      frame.subarray(0, 40),
      frame.subarray(0, -3),
      Buffer.concat([Buffer.from([9, 0, 0, 0]), frame.subarray(4)]),
      new Uint8Array(0),
    ])
      expect(codeOf(() => read(file(bad)))).toBe('IMAGE_UNREADABLE');
  });
});
