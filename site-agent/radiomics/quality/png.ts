import { crc32, deflateSync } from 'node:zlib';

/**
 * A PNG file (ISO/IEC 15948) of one byte a pixel, rows from the top, each a position in the palette of red, green and blue. The same pixels give the
 * same bytes with one version of zlib.
 */
export function pngOf(
  pixels: Uint8Array,
  width: number,
  height: number,
  palette: readonly (readonly [number, number, number])[],
): Uint8Array {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  // Bit depth 8, colour type 3 (palette); compression, filter method and interlace have one value each.
  header.set([8, 3, 0, 0, 0], 8);
  const rows = Buffer.alloc(height * (1 + width));
  for (let y = 0, at = 0; y < height; y++) {
    // Filter 1: each pixel as its difference to the one before it, which are small where the palette is a scale of greys.
    rows[at++] = 1;
    for (let x = 0, i = y * width; x < width; x++, i++)
      rows[at++] = (pixels[i]! - (x === 0 ? 0 : pixels[i - 1]!)) & 255;
  }
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', header),
    chunk('PLTE', Uint8Array.from(palette.flat())),
    chunk('IDAT', deflateSync(rows, { level: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(type: string, content: Uint8Array): Buffer {
  const named = Buffer.concat([Buffer.from(type, 'latin1'), content]);
  const framed = Buffer.alloc(named.length + 8);
  framed.writeUInt32BE(content.length, 0);
  framed.set(named, 4);
  framed.writeUInt32BE(crc32(named), named.length + 4);
  return framed;
}
