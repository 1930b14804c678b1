import { gzipSync } from 'node:zlib';
import { bytesOf, pixelTypeOf } from './samples.js';
import type { Volume } from './volume.js';

/**
 * A NRRD file in space LPS, compressed unless `gzip` is false. Spacing and position are written with all their digits, unlike in a
 * NIfTI, which has float32.
 */
export function writeNrrd(volume: Volume, { gzip = true }: { readonly gzip?: boolean } = {}): Uint8Array {
  const vector = (axis: number): string =>
    `(${[0, 1, 2].map((row) => volume.direction[3 * row + axis]! * volume.spacingMm[axis]!).join(',')})`;
  const type = pixelTypeOf(volume.data);
  const header = [
    'NRRD0004',
    `type: ${type === 'float32' ? 'float' : type === 'float64' ? 'double' : type}`,
    'dimension: 3',
    'space: left-posterior-superior',
    `sizes: ${volume.size.join(' ')}`,
    `space directions: ${[0, 1, 2].map(vector).join(' ')}`,
    'kinds: domain domain domain',
    'endian: little',
    `encoding: ${gzip ? 'gzip' : 'raw'}`,
    `space origin: (${volume.origin.join(',')})`,
    '',
    '',
  ].join('\n');
  const samples = bytesOf(volume.data);
  return Buffer.concat([Buffer.from(header, 'latin1'), gzip ? gzipSync(samples) : samples]);
}
