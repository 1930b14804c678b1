import { describe, expect, it } from 'vitest';
import { readSegmentation, segmentCount, segmentMask } from '../../site-agent/imaging/dicom/segmentation.js';
import { segmentOnOwnGrid } from '../../site-agent/imaging/dicom/segmentation-grid.js';
import { contourArea, readStructures, structureMask } from '../../site-agent/imaging/dicom/structures.js';
import { TAG } from '../../site-agent/imaging/dicom/tags.js';
import { fillEvenOdd } from '../../site-agent/imaging/polygon.js';
import type { Grid } from '../../site-agent/imaging/volume.js';
import { testGrid } from '../support/images.js';
import { codeOf } from './codes.js';
import { type Attributes, dicomFile, noDecoder, sliceAttributes } from './dicom-files.js';

const GRID = testGrid([5, 3, 4], { spacingMm: [0.75, 0.5, 2], origin: [10, 20, 30] });

interface Frame {
  readonly segment: number;
  /** Position on the grid, in voxels. */
  readonly at: readonly [number, number, number];
  readonly values: readonly number[];
}

/** A SEG of 5 × 3 frames, 15 bits each, so that no frame begins at a byte. */
function segmentation(
  frames: readonly Frame[],
  options: { bits?: 1 | 8; type?: string; segments?: readonly number[]; more?: Attributes } = {},
): Attributes {
  const { bits = 1, type = bits === 1 ? 'BINARY' : 'FRACTIONAL', segments = [1, 2] } = options;
  const values = frames.flatMap((frame) => frame.values);
  const pixels = new Uint8Array(bits === 1 ? Math.ceil(values.length / 8) : values.length);
  values.forEach((value, i) => {
    if (bits === 1) pixels[i >> 3]! |= value << (i & 7);
    else pixels[i] = value;
  });
  return sliceAttributes({
    position: null,
    columns: 5,
    rows: 3,
    bits: [bits, bits, bits - 1],
    signed: false,
    pixels,
    less: [TAG.orientation, TAG.pixelSpacing],
    more: [
      [TAG.sopClass, 'UI', '1.2.840.10008.5.1.4.1.1.66.4'],
      [TAG.modality, 'CS', 'SEG'],
      [TAG.frames, 'IS', String(frames.length)],
      [TAG.segmentationType, 'CS', type],
      [TAG.maximumFraction, 'US', 200],
      [
        TAG.segments,
        'SQ',
        segments.map((number) => [
          [TAG.segmentNumber, 'US', number],
          [TAG.segmentLabel, 'LO', `part ${number}`],
        ]),
      ],
      [
        TAG.sharedGroups,
        'SQ',
        [
          [
            [TAG.planeOrientation, 'SQ', [[[TAG.orientation, 'DS', '1\\0\\0\\0\\1\\0']]]],
            [TAG.pixelMeasures, 'SQ', [[[TAG.pixelSpacing, 'DS', '0.5\\0.75']]]],
          ],
        ],
      ],
      [
        TAG.frameGroups,
        'SQ',
        frames.map(({ segment, at }) => [
          [
            TAG.planePosition,
            'SQ',
            [
              [
                [
                  TAG.position,
                  'DS',
                  at.map((index, axis) => GRID.origin[axis]! + index * GRID.spacingMm[axis]!).join('\\'),
                ],
              ],
            ],
          ],
          [TAG.segmentIdentification, 'SQ', [[[TAG.referencedSegment, 'US', segment]]]],
        ]),
      ],
      ...(options.more ?? []),
    ],
  });
}

const ONES = Array.from({ length: 15 }, (_, i) => (i % 4 === 1 ? 1 : 0));
const OTHER = Array.from({ length: 15 }, (_, i) => (i < 7 ? 1 : 0));
const read = (attributes: Attributes) => readSegmentation(dicomFile(attributes), noDecoder);
const slice = (mask: { readonly data: Uint8Array }, z: number): number[] => [
  ...mask.data.subarray(15 * z, 15 * z + 15),
];

describe('a DICOM SEG', () => {
  const frames: readonly Frame[] = [
    { segment: 2, at: [0, 0, 3], values: OTHER },
    { segment: 1, at: [0, 0, 2], values: ONES },
    { segment: 1, at: [0, 0, 0], values: OTHER },
  ];

  it('puts each frame where its position says, bits packed across frames', () => {
    const seg = read(segmentation(frames));
    expect(seg.segments).toEqual([
      { number: 1, name: 'part 1', frames: 2 },
      { number: 2, name: 'part 2', frames: 1 },
    ]);
    const one = segmentMask(seg, 1, GRID);
    expect([0, 1, 2, 3].map((z) => slice(one, z))).toEqual([OTHER, ONES.map(() => 0), ONES, ONES.map(() => 0)]);
    expect(slice(segmentMask(seg, 2, GRID), 3)).toEqual(OTHER);
    expect(segmentCount(seg, 1)).toEqual({ voxels: 11, sum: 11 });
  });

  it('may be smaller than the image, and lie in it the other way round', () => {
    const grid: Grid = { ...GRID, size: [8, 6, 6], origin: [10 - 2 * 0.75, 20 - 1 * 0.5, 30 - 2] };
    const mask = segmentMask(read(segmentation([{ segment: 1, at: [0, 0, 0], values: OTHER }])), 1, grid);
    expect([...mask.data.keys()].filter((i) => mask.data[i] === 1)).toEqual([58, 59, 60, 61, 62, 66, 67]);
    const mirrored: Grid = { ...GRID, origin: [10 + 4 * 0.75, 20, 30], direction: [-1, 0, 0, 0, 1, 0, 0, 0, 1] };
    const turned = segmentMask(read(segmentation([{ segment: 1, at: [0, 0, 0], values: OTHER }])), 1, mirrored);
    expect(slice(turned, 0)).toEqual([1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]);
  });

  it('has a grid of its own, the slices between its frames empty', () => {
    const own = segmentOnOwnGrid(read(segmentation(frames)), 1);
    // Slices lie 2 mm apart: the frames at 0 and 2, and the other segment's at 3, leave no other distance.
    expect(own).toMatchObject({ size: [5, 3, 4], spacingMm: [0.75, 0.5, 2], origin: [10, 20, 30] });
    expect([0, 1, 2, 3].map((z) => slice(own, z))).toEqual([OTHER, ONES.map(() => 0), ONES, ONES.map(() => 0)]);
    const uneven = [0, 1, 2.5].map((z): Frame => ({ segment: 1, at: [0, 0, z], values: ONES }));
    expect(codeOf(() => segmentOnOwnGrid(read(segmentation(uneven)), 1))).toBe('IMAGE_SLICES_UNEVEN');
    const tilted = [0, 1, 2].map((z): Frame => ({ segment: 1, at: [0, z, z], values: ONES }));
    expect(codeOf(() => segmentOnOwnGrid(read(segmentation(tilted)), 1))).toBe('IMAGE_SLICES_SHEARED');
    expect(segmentOnOwnGrid(read(segmentation(frames.slice(0, 1))), 2).size).toEqual([5, 3, 1]);
  });

  it('of fractions takes what is at least half inside', () => {
    const values = [0, 99, 100, 101, 200, ...new Array<number>(10).fill(0)];
    const seg = read(segmentation([{ segment: 1, at: [0, 0, 1], values }], { bits: 8 }));
    expect(slice(segmentMask(seg, 1, GRID), 1).slice(0, 5)).toEqual([0, 0, 1, 1, 1]);
    expect(slice(segmentMask(seg, 1, GRID, 0.9), 1).slice(0, 5)).toEqual([0, 0, 0, 0, 1]);
    expect(segmentCount(seg, 1)).toEqual({ voxels: 4, sum: 500 });
  });

  it('as a label map has segments by value', () => {
    const values = [0, 1, 2, 2, 1, ...new Array<number>(10).fill(2)];
    const seg = read(
      segmentation([{ segment: 1, at: [0, 0, 1], values }], {
        bits: 8,
        type: 'LABELMAP',
        more: [[TAG.photometric, 'CS', 'PALETTE COLOR']],
      }),
    );
    expect(segmentCount(seg, 2).voxels).toBe(12);
    expect(slice(segmentMask(seg, 1, GRID), 1).slice(0, 5)).toEqual([0, 1, 0, 0, 1]);
  });

  it.each([
    ['a segment that it has not', () => segmentMask(read(segmentation(frames)), 3, GRID), 'IMAGE_LABEL_UNKNOWN'],
    [
      'frames beyond the image',
      () => segmentMask(read(segmentation([{ segment: 1, at: [0, 0, 4], values: ONES }])), 1, GRID),
      'IMAGE_GRID_MISMATCH',
    ],
    [
      'frames between voxels',
      () => segmentMask(read(segmentation([{ segment: 1, at: [0, 0, 1.5], values: ONES }])), 1, GRID),
      'IMAGE_GRID_MISMATCH',
    ],
    [
      'pixels of another size',
      () => segmentMask(read(segmentation(frames)), 1, { ...GRID, spacingMm: [0.75, 0.75, 2] }),
      'IMAGE_GRID_MISMATCH',
    ],
    ['an undescribed segment', () => read(segmentation(frames, { segments: [1] })), 'IMAGE_UNREADABLE'],
    ['no segments', () => read(segmentation(frames, { segments: [] })), 'IMAGE_TAG_MISSING'],
    [
      'another number of frames',
      () => read(segmentation(frames, { more: [[TAG.frames, 'IS', '2']] })),
      'IMAGE_UNREADABLE',
    ],
    ['another type', () => read(segmentation(frames, { type: 'GREY' })), 'IMAGE_UNREADABLE'],
    [
      'pixels cut short',
      () => read(segmentation(frames, { more: [[TAG.pixels, 'OB', new Uint8Array(4)]] })),
      'IMAGE_UNREADABLE',
    ],
  ])('with %s is a named error', (_, action, code) => {
    expect(codeOf(action)).toBe(code);
  });
});

describe('the even-odd fill', () => {
  function filled(width: number, height: number, ...outlines: readonly (readonly number[])[]): string[] {
    const pixels = new Uint8Array(width * height);
    for (const outline of outlines) fillEvenOdd(pixels, width, height, Float64Array.from(outline));
    return Array.from({ length: height }, (_, y) => pixels.subarray(y * width, (y + 1) * width).join(''));
  }

  it('takes pixels whose centre is inside, also where the outline leaves the picture', () => {
    expect(filled(5, 4, [0.5, 0.5, 3.5, 0.5, 3.5, 2.5, 0.5, 2.5])).toEqual(['00000', '01110', '01110', '00000']);
    expect(filled(4, 3, [-9, -9, 1.5, -9, 1.5, 9, -9, 9])).toEqual(['1100', '1100', '1100']);
    expect(filled(5, 5, [2, -0.5, 4.5, 2, 2, 4.5, -0.5, 2])).toEqual(['00100', '01110', '11111', '01110', '00100']);
  });

  it('leaves holes, within one outline and by a second', () => {
    const square = [-0.5, -0.5, 4.5, -0.5, 4.5, 4.5, -0.5, 4.5];
    const hole = [0.5, 0.5, 3.5, 0.5, 3.5, 3.5, 0.5, 3.5];
    const ring = ['11111', '10001', '10001', '10001', '11111'];
    expect(filled(5, 5, square, hole)).toEqual(ring);
    expect(filled(5, 5, [...square, -0.5, -0.5, ...hole, 0.5, 0.5])).toEqual(ring);
  });

  it('gives pixels on a shared edge to one side', () => {
    const left = filled(4, 3, [0, 0, 2, 0, 2, 2, 0, 2]);
    const right = filled(4, 3, [2, 0, 3, 0, 3, 2, 2, 2]);
    expect([left, right]).toEqual([
      ['1100', '1100', '0000'],
      ['0010', '0010', '0000'],
    ]);
  });

  it('equals a test of every pixel by ray casting, for stars of many corners', () => {
    for (let seed = 1; seed <= 40; seed++) {
      let state = seed * 7919;
      const next = (): number => {
        state = (state * 16807) % 2147483647;
        return state / 2147483647;
      };
      const outline = Array.from({ length: 2 * (3 + (seed % 9)) }, () => next() * 22 - 1);
      const [width, height] = [20, 20];
      const inside = (x: number, y: number): boolean => {
        let is = false;
        for (let i = 0, n = outline.length / 2, j = n - 1; i < n; j = i++) {
          const [xi, yi, xj, yj] = [outline[2 * i]!, outline[2 * i + 1]!, outline[2 * j]!, outline[2 * j + 1]!];
          if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) is = !is;
        }
        return is;
      };
      const want = Array.from({ length: height }, (_, y) =>
        Array.from({ length: width }, (_, x) => Number(inside(x, y))).join(''),
      );
      expect(filled(width, height, outline)).toEqual(want);
    }
  });
});

describe('an RTSTRUCT', () => {
  const millimetres = (points: readonly (readonly [number, number, number])[]): string =>
    points
      .flatMap((point) => point.map((index, axis) => GRID.origin[axis]! + index * GRID.spacingMm[axis]!))
      .join('\\');
  const square = (z: number, [left, top, right, bottom]: readonly [number, number, number, number]): string =>
    millimetres([
      [left, top, z],
      [right, top, z],
      [right, bottom, z],
      [left, bottom, z],
    ]);
  const contour = (data: string, type = 'CLOSED_PLANAR'): Attributes => [
    [TAG.contourType, 'CS', type],
    [TAG.contourPoints, 'IS', String(data.split('\\').length / 3)],
    [TAG.contourData, 'DS', data],
  ];
  const structures = (...rois: readonly (readonly Attributes[])[]): Attributes => [
    [TAG.modality, 'CS', 'RTSTRUCT'],
    [
      TAG.structureSetRois,
      'SQ',
      rois.map((_, i) => [
        [TAG.roiNumber, 'IS', String(i + 1)],
        [TAG.roiName, 'LO', `roi ${i + 1}`],
      ]),
    ],
    [
      TAG.roiContours,
      'SQ',
      rois.map((contours, i) => [
        [TAG.contours, 'SQ', contours],
        [TAG.referencedRoi, 'IS', String(i + 1)],
      ]),
    ],
  ];
  const mask = (attributes: Attributes, number = 1) =>
    structureMask(readStructures(dicomFile(attributes)), number, GRID);

  it('is filled slice by slice, with holes, ROI by ROI', () => {
    const file = structures(
      [
        contour(square(1, [-0.5, -0.5, 4.5, 2.5])),
        contour(square(1, [0.5, 0.5, 3.5, 1.5])),
        contour(square(3, [0.5, 0.5, 2.5, 1.5])),
      ],
      [contour(square(0, [-0.5, -0.5, 0.5, 0.5]))],
    );
    expect([0, 1, 2, 3].map((z) => slice(mask(file), z).join(''))).toEqual([
      '000000000000000',
      '111111000111111',
      '000000000000000',
      '000000110000000',
    ]);
    expect(mask(file, 2).data.reduce((sum, value) => sum + value, 0)).toBe(1);
    const [first] = readStructures(dicomFile(file));
    expect(first!.name).toBe('roi 1');
    expect(contourArea(first!.contours[0]!)).toBeCloseTo(5 * 0.75 * 3 * 0.5, 12);
  });

  it('is filled by contours of the other closed type too, a hole among them', () => {
    const file = structures([
      contour(square(1, [-0.5, -0.5, 4.5, 2.5]), 'CLOSEDPLANAR_XOR'),
      contour(square(1, [0.5, 0.5, 3.5, 1.5]), 'CLOSEDPLANAR_XOR'),
    ]);
    expect(slice(mask(file), 1).join('')).toBe('111111000111111');
  });

  it('leaves points and open lines out, which enclose nothing', () => {
    const point = contour(millimetres([[2, 1, 2]]), 'POINT');
    const line = contour(square(2, [0, 0, 4, 2]), 'OPEN_PLANAR');
    const file = structures([point, line, contour(square(1, [0.5, 0.5, 1.5, 1.5]))]);
    expect(mask(file).data.reduce((sum, value) => sum + value, 0)).toBe(1);
    expect(codeOf(() => mask(structures([point, line])))).toBe('IMAGE_MASK_EMPTY');
  });

  it.each([
    ['a ROI that it has not', () => mask(structures([]), 4), 'IMAGE_LABEL_UNKNOWN'],
    ['contours between slices', () => mask(structures([contour(square(1.3, [0, 0, 2, 2]))])), 'IMAGE_GRID_MISMATCH'],
    ['contours beyond the image', () => mask(structures([contour(square(4, [0, 0, 2, 2]))])), 'IMAGE_GRID_MISMATCH'],
    [
      'contours across slices',
      () =>
        mask(
          structures([
            contour(
              millimetres([
                [0, 0, 0],
                [3, 0, 0],
                [3, 0, 2],
              ]),
            ),
          ]),
        ),
      'IMAGE_GRID_MISMATCH',
    ],
    ['numbers that make no points', () => mask(structures([contour('1\\2\\3\\4')])), 'IMAGE_UNREADABLE'],
    ['no contour data', () => mask(structures([[[TAG.contourType, 'CS', 'CLOSED_PLANAR']]])), 'IMAGE_TAG_MISSING'],
  ])('with %s is a named error', (_, action, code) => {
    expect(codeOf(action)).toBe(code);
  });
});
