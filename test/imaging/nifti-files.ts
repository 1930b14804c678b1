/** What a NIfTI file under test says; int16 samples that count up, at the origin, unless told otherwise. */
export interface NiftiFile {
  readonly dim: readonly number[];
  readonly dimensions?: number;
  readonly pixdim?: readonly number[];
  readonly srow?: readonly number[];
  readonly qoffset?: readonly [number, number, number];
  readonly qformCode?: number;
  readonly sformCode?: number;
  readonly datatype?: number;
  readonly bytesPerSample?: number;
  readonly littleEndian?: boolean;
  readonly magic?: string;
  readonly voxOffset?: number;
  readonly slope?: number;
  readonly intercept?: number;
  readonly units?: number;
  readonly values?: readonly number[];
  /** Samples in the file, where they are fewer than the header announces. */
  readonly count?: number;
}

const SROW = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0];

/** The bytes of a NIfTI-1 file, built field by field from the standard and apart from the product's writer. */
export function niftiFile(file: NiftiFile): Uint8Array {
  const { littleEndian = true, dim, dimensions = dim.length } = file;
  const { bytes, view } = fileWithSamples(file, 352);
  const float = (at: number, value: number) => view.setFloat32(at, value, littleEndian);
  const short = (at: number, value: number) => view.setInt16(at, value, littleEndian);
  view.setInt32(0, 348, littleEndian);
  short(40, dimensions);
  dim.forEach((size, i) => {
    short(42 + 2 * i, size);
  });
  short(70, file.datatype ?? 4);
  (file.pixdim ?? [1, 1, 1, 1]).forEach((value, i) => {
    float(76 + 4 * i, value);
  });
  float(108, file.voxOffset ?? 352);
  float(112, file.slope ?? 1);
  float(116, file.intercept ?? 0);
  bytes[123] = file.units ?? 2;
  short(252, file.qformCode ?? 0);
  short(254, file.sformCode ?? 1);
  (file.qoffset ?? [0, 0, 0]).forEach((value, i) => {
    float(268 + 4 * i, value);
  });
  (file.srow ?? SROW).forEach((value, i) => {
    float(280 + 4 * i, value);
  });
  bytes.set(Buffer.from(file.magic ?? 'n+1\0', 'latin1'), 344);
  return bytes;
}

/** The same as NIfTI-2. */
export function niftiTwoFile(file: NiftiFile): Uint8Array {
  const { littleEndian = true, dim } = file;
  const { bytes, view } = fileWithSamples(file, 544);
  const double = (at: number, value: number) => view.setFloat64(at, value, littleEndian);
  view.setInt32(0, 540, littleEndian);
  bytes.set(Buffer.from('n+2\0\r\n\x1a\n', 'latin1'), 4);
  view.setInt16(12, file.datatype ?? 4, littleEndian);
  [dim.length, ...dim].forEach((size, i) => {
    view.setBigInt64(16 + 8 * i, BigInt(size), littleEndian);
  });
  (file.pixdim ?? [1, 1, 1, 1]).forEach((value, i) => {
    double(104 + 8 * i, value);
  });
  view.setBigInt64(168, 544n, littleEndian);
  double(176, file.slope ?? 1);
  double(184, file.intercept ?? 0);
  view.setInt32(348, file.sformCode ?? 1, littleEndian);
  (file.srow ?? SROW).forEach((value, i) => {
    double(400 + 8 * i, value);
  });
  view.setInt32(500, file.units ?? 2, littleEndian);
  return bytes;
}

function fileWithSamples(file: NiftiFile, offset: number): { bytes: Uint8Array; view: DataView } {
  const { littleEndian = true, bytesPerSample = 2, values } = file;
  const count = file.count ?? file.dim.reduce((product, size) => product * Math.max(0, size), 1);
  const bytes = new Uint8Array(offset + count * bytesPerSample);
  const view = new DataView(bytes.buffer);
  if (bytesPerSample === 2)
    for (let i = 0; i < count; i++) view.setInt16(offset + 2 * i, values?.[i] ?? i, littleEndian);
  return { bytes, view };
}
