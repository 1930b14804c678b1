import { readFileSync } from 'node:fs';

/** An array of float64 that numpy saved (format 1, little-endian), read by index whatever order it is stored in. */
export function readNpy(file: string): { shape: number[]; at: (...index: number[]) => number } {
  const bytes = readFileSync(file);
  const start = 10 + bytes.readUInt16LE(8);
  const header = bytes.toString('latin1', 10, start);
  if (!header.includes("'descr': '<f8'")) throw new Error(`${file} is not of float64`);
  const shape = (/'shape': \(([^)]*)\)/.exec(header)?.[1] ?? '')
    .split(',')
    .filter((part) => part.trim() !== '')
    .map(Number);
  const axes = [...shape.keys()];
  if (!header.includes("'fortran_order': True")) axes.reverse();
  const strides = new Array<number>(shape.length);
  let stride = 8;
  for (const axis of axes) {
    strides[axis] = stride;
    stride *= shape[axis]!;
  }
  return {
    shape,
    at: (...index) => bytes.readDoubleLE(start + index.reduce((sum, k, axis) => sum + k * strides[axis]!, 0)),
  };
}
