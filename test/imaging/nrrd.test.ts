import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { readNrrd } from '../../site-agent/imaging/nrrd.js';
import { writeNrrd } from '../../site-agent/imaging/nrrd-write.js';
import { testGrid, testVolume } from '../support/images.js';
import { codeOf } from './codes.js';

const HEADER = {
  type: 'short',
  dimension: '3',
  space: 'left-posterior-superior',
  sizes: '2 2 1',
  'space directions': '(0.5,0,0) (0,0.75,0) (0,0,2)',
  endian: 'little',
  encoding: 'raw',
  'space origin': '(1,2,3)',
};
const SAMPLES = new Uint8Array(Int16Array.of(1, -2, 300, 4).buffer);

function nrrd(changes: Record<string, string | null> = {}, samples: Uint8Array = SAMPLES, newline = '\n'): Uint8Array {
  const fields = Object.entries({ ...HEADER, ...changes }).filter(([, value]) => value !== null);
  const header = [
    'NRRD0005',
    '# made for a test',
    ...fields.map(([name, value]) => `${name}: ${value}`),
    'who:=nobody',
    '',
    '',
  ];
  return Buffer.concat([Buffer.from(header.join(newline)), samples]);
}

describe('NRRD', () => {
  it('is written and read without loss, position and spacing to the last digit', () => {
    const grid = testGrid([3, 4, 2], {
      spacingMm: [0.1, 2.9999999999998486, 1 / 3],
      origin: [-0.30000000000000004, 20.5, -300],
    });
    for (const make of [
      Int8Array,
      Uint8Array,
      Int16Array,
      Uint16Array,
      Int32Array,
      Uint32Array,
      Float32Array,
      Float64Array,
    ])
      for (const gzip of [true, false]) {
        const volume = testVolume(grid, make as typeof Float64Array, (x, y, z) => x + 5 * y + 25 * z);
        const read = readNrrd(writeNrrd(volume, { gzip }));
        // ITK's way of taking out the spacing costs the direction its last bit.
        for (let i = 0; i < 9; i++) expect(read.direction[i]).toBeCloseTo(volume.direction[i]!, 15);
        expect({ ...read, direction: volume.direction }).toEqual(volume);
      }
  });

  it('reads raw, gzip, text and hex, either byte order, LF and CRLF', () => {
    const plain = readNrrd(nrrd());
    expect(plain.data).toEqual(Int16Array.of(1, -2, 300, 4));
    expect(plain).toMatchObject({
      size: [2, 2, 1],
      spacingMm: [0.5, 0.75, 2],
      origin: [1, 2, 3],
      direction: [1, 0, 0, 0, 1, 0, 0, 0, 1],
    });
    expect(readNrrd(nrrd({}, SAMPLES, '\r\n'))).toEqual(plain);
    expect(readNrrd(nrrd({ endian: 'big' }, Buffer.from(SAMPLES).swap16()))).toEqual(plain);
    expect(readNrrd(nrrd({ encoding: 'gz' }, gzipSync(SAMPLES)))).toEqual(plain);
    expect(readNrrd(nrrd({ encoding: 'ascii', endian: null }, Buffer.from('1 -2\n300 4\n')))).toEqual(plain);
    expect(readNrrd(nrrd({ encoding: 'hex' }, Buffer.from('0100feff\n2c010400')))).toEqual(plain);
  });

  it('takes a detached file, skips lines and bytes, and counts bytes from the end', () => {
    const plain = readNrrd(nrrd());
    const resolve = (name: string): Uint8Array => {
      expect(name).toBe('samples.raw');
      return Buffer.concat([Buffer.from('one line\n!!'), SAMPLES]);
    };
    const detached = { 'data file': 'samples.raw', 'line skip': '1', 'byte skip': '2' };
    expect(readNrrd(nrrd(detached, new Uint8Array(0)), resolve)).toEqual(plain);
    expect(readNrrd(nrrd({ 'data file': 'samples.raw', 'byte skip': '-1' }, new Uint8Array(0)), resolve)).toEqual(
      plain,
    );
    expect(codeOf(() => readNrrd(nrrd(detached)))).toBe('IMAGE_UNREADABLE');
  });

  it('takes several data files, listed or by a pattern, each with its part', () => {
    const plain = readNrrd(nrrd());
    const parts = [SAMPLES.subarray(0, 4), SAMPLES.subarray(4)];
    const asked: string[] = [];
    const resolve = (name: string): Uint8Array => {
      asked.push(name);
      return gzipSync(parts[Number(/\d+/.exec(name)![0]) - 7]!);
    };
    const header = { encoding: 'gzip', 'data file': 'LIST 2' };
    const text = Buffer.from(nrrd(header, new Uint8Array(0)))
      .toString('latin1')
      .replace('who:=nobody\n\n', '');
    // The list ends the header: nothing may follow it but names.
    const listed = `${text.replace(/(data file: LIST 2\n)/, '')}data file: LIST 2\ns 007.gz\ns 008.gz\n`;
    expect(readNrrd(Buffer.from(listed), resolve)).toEqual(plain);
    const pattern = nrrd({ ...header, 'data file': 's %03d.gz 7 8 1 2' }, new Uint8Array(0));
    expect(readNrrd(pattern, resolve)).toEqual(plain);
    expect(readNrrd(nrrd({ ...header, 'data file': '%1d 8 7 -1' }, new Uint8Array(0)), resolve).data).toEqual(
      Int16Array.of(300, 4, 1, -2),
    );
    expect(asked).toEqual(['s 007.gz', 's 008.gz', 's 007.gz', 's 008.gz', '8', '7']);
    const three = nrrd({ ...header, 'data file': '%d 7 9 1' }, new Uint8Array(0));
    expect(codeOf(() => readNrrd(three, resolve))).toBe('IMAGE_UNREADABLE');
  });

  it('takes axis mins as where the first sample begins, as ITK does, unless samples stand on nodes', () => {
    const plain = { space: null, 'space directions': null, 'space origin': null, spacings: '0.5 0.75 2' };
    const at = (more: Record<string, string>) => readNrrd(nrrd({ ...plain, 'axis mins': '10 20 30', ...more })).origin;
    expect(at({})).toEqual([10.25, 20.375, 31]);
    expect(at({ centers: 'node cell node' })).toEqual([10, 20.375, 30]);
    expect(at({ 'axis mins': '10 20 nan' })).toEqual([0, 0, 0]);
  });

  it('leaves out what follows a gzip stream, and nothing of several streams', () => {
    const plain = readNrrd(nrrd());
    const named = Buffer.concat([
      Buffer.from([0x1f, 0x8b, 8, 0x1c, 0, 0, 0, 0, 0, 3, 2, 0, 65, 66]),
      Buffer.from('name\0comment\0'),
      gzipSync(SAMPLES).subarray(10),
    ]);
    const trailer = Buffer.from('a trailer');
    for (const stream of [gzipSync(SAMPLES), named])
      expect(readNrrd(nrrd({ encoding: 'gzip' }, Buffer.concat([stream, trailer])))).toEqual(plain);
    const halves = [gzipSync(SAMPLES.subarray(0, 3)), gzipSync(SAMPLES.subarray(3))];
    expect(readNrrd(nrrd({ encoding: 'gzip' }, Buffer.concat(halves)))).toEqual(plain);
    const wrong = gzipSync(SAMPLES);
    wrong[wrong.length - 6]! ^= 1;
    expect(codeOf(() => readNrrd(nrrd({ encoding: 'gzip' }, Buffer.concat([wrong, trailer]))))).toBe(
      'IMAGE_UNREADABLE',
    );
  });

  it('turns RAS and LAS into LPS, and takes no space as LPS', () => {
    expect(readNrrd(nrrd({ space: 'RAS' }))).toMatchObject({
      origin: [-1, -2, 3],
      direction: [-1, 0, 0, 0, -1, 0, 0, 0, 1],
    });
    expect(readNrrd(nrrd({ space: 'left-anterior-superior' }))).toMatchObject({
      origin: [1, -2, 3],
      direction: [1, 0, 0, 0, -1, 0, 0, 0, 1],
    });
    const plain = { space: null, 'space directions': null, 'space origin': null, spacings: '0.5 0.75 2' };
    expect(readNrrd(nrrd(plain))).toMatchObject({ origin: [0, 0, 0], spacingMm: [0.5, 0.75, 2] });
  });

  it('drops an axis of one component and refuses several', () => {
    const withAxis = (size: number) =>
      nrrd(
        { dimension: '4', sizes: `${size} 2 2 1`, 'space directions': 'none (0.5,0,0) (0,0.75,0) (0,0,2)' },
        Buffer.alloc(8 * size),
      );
    expect(readNrrd(withAxis(1)).size).toEqual([2, 2, 1]);
    expect(codeOf(() => readNrrd(withAxis(3)))).toBe('IMAGE_DIMENSIONS');
  });

  it('quotes nothing of a damaged header, whose fields may have run into each other', () => {
    for (const [field, word] of [
      ['space', 'right-anterior-superi'],
      ['type', 'shor'],
      ['encoding', 'ra'],
      ['endian', 'littl'],
    ] as const)
      try {
        readNrrd(nrrd({ [field]: `${word} content: Canary^Anna` }));
        expect.unreachable();
      } catch (error) {
        expect((error as Error).message).not.toMatch(/Canary|content/);
      }
  });

  it.each([
    ['another magic', Buffer.from('NRRX0004\n\n'), 'IMAGE_FORMAT_UNKNOWN'],
    ['no end of a header', Buffer.concat([Buffer.from('NRRD0004'), Buffer.alloc(300_000)]), 'IMAGE_FORMAT_UNKNOWN'],
    ['no sizes', nrrd({ sizes: null }), 'IMAGE_UNREADABLE'],
    ['size 0', nrrd({ sizes: '2 0 1' }), 'IMAGE_UNREADABLE'],
    ['sizes that are no numbers', nrrd({ sizes: 'two 2 1' }), 'IMAGE_UNREADABLE'],
    ['as many sizes as not announced', nrrd({ sizes: '2 2' }), 'IMAGE_UNREADABLE'],
    ['samples cut short', nrrd({}, SAMPLES.subarray(0, 5)), 'IMAGE_UNREADABLE'],
    ['more voxels than any image has', nrrd({ sizes: '99999 99999 99999' }), 'IMAGE_UNREADABLE'],
    [
      'a gzip stream that cannot hold them',
      nrrd({ encoding: 'gzip', sizes: '900 900 900' }, gzipSync(SAMPLES)),
      'IMAGE_UNREADABLE',
    ],
    ['text that ends early', nrrd({ encoding: 'text' }, Buffer.from('1 2 3')), 'IMAGE_UNREADABLE'],
    ['text that is no number', nrrd({ encoding: 'text' }, Buffer.from('1 2 3 x')), 'IMAGE_UNREADABLE'],
    ['text beyond the type', nrrd({ encoding: 'text' }, Buffer.from('1 2 3 40000')), 'IMAGE_UNREADABLE'],
    ['no byte order', nrrd({ endian: null }), 'IMAGE_UNREADABLE'],
    ['bzip2', nrrd({ encoding: 'bzip2' }), 'IMAGE_UNREADABLE'],
    ['a list of no files', nrrd({ 'data file': 'LIST' }), 'IMAGE_UNREADABLE'],
    ['a pattern of no files', nrrd({ 'data file': 'a%d.raw 3 1 1' }), 'IMAGE_UNREADABLE'],
    ['a pattern without end', nrrd({ 'data file': 'a%d.raw 0 9 0' }), 'IMAGE_UNREADABLE'],
    ['a type that is no number', nrrd({ type: 'block' }), 'IMAGE_PIXEL_TYPE'],
    ['an unknown space', nrrd({ space: 'scanner-xyz' }), 'IMAGE_GEOMETRY_UNUSABLE'],
    ['spacing 0', nrrd({ 'space directions': '(0,0,0) (0,1,0) (0,0,1)' }), 'IMAGE_GEOMETRY_UNUSABLE'],
    ['no spacing', nrrd({ 'space directions': null }), 'IMAGE_GEOMETRY_UNUSABLE'],
    ['sheared axes', nrrd({ 'space directions': '(1,0,0) (0.3,1,0) (0,0,1)' }), 'IMAGE_GEOMETRY_UNUSABLE'],
    ['an origin of two numbers', nrrd({ 'space origin': '(1,2)' }), 'IMAGE_GEOMETRY_UNUSABLE'],
  ])('with %s is a named error', (_, bytes, code) => {
    expect(codeOf(() => readNrrd(bytes))).toBe(code);
  });
});
