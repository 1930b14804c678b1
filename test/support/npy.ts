import { readFileSync } from 'node:fs';

/** An array that numpy saved (format 1, little-endian float64 or int, C order): shape and values. */
export function readNpy(file: string): { shape: number[]; values: number[] } {
  const bytes = readFileSync(file);
  const start = 10 + bytes.readUInt16LE(8);
  const header = bytes.toString('latin1', 10, start);
  const shape = (/'shape': \(([^)]*)\)/.exec(header)?.[1] ?? '').split(',').filter((part) => part.trim() !== '');
  const type = /'descr': '<([fi])(\d)'/.exec(header);
  if (type === null || /'fortran_order': True/.test(header)) throw new Error(`${file} is of a kind not read here`);
  const width = Number(type[2]);
  const values: number[] = [];
  for (let at = start; at < bytes.length; at += width)
    values.push(
      type[1] === 'f' ? bytes.readDoubleLE(at) : width === 8 ? Number(bytes.readBigInt64LE(at)) : bytes.readInt32LE(at),
    );
  return { shape: shape.map(Number), values };
}
