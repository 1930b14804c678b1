import { createRequire } from 'node:module';
import { ConcordatError } from '../../../shared/errors.js';
import { dctFrame } from '../dicom/jpeg-dct.js';
import { JPEG_2000_DEPTH, requireSameLayout, type StreamHeader, streamHeader } from '../dicom/jpeg-header.js';
import { losslessFrame } from '../dicom/jpeg-lossless.js';
import { jpegLsFrame } from '../dicom/jpeg-ls.js';
import type { FrameDecoder, PixelLayout } from '../dicom/pixels.js';

/** What all decoders of the WebAssembly packages have in common. */
interface Decoder {
  getEncodedBuffer(length: number): Uint8Array;
  decode(): void;
  getDecodedBuffer(): Uint8Array;
  delete(): void;
}

type Module = Readonly<Record<string, new () => Decoder>>;

interface Codec {
  readonly load: string;
  readonly decoder: string;
}

const JPEG: Codec = { load: '@cornerstonejs/codec-libjpeg-turbo-8bit/decodewasmjs', decoder: 'JPEGDecoder' };
const JPEG_2000: Codec = { load: '@cornerstonejs/codec-openjpeg/decodewasmjs', decoder: 'J2KDecoder' };

/** Transfer syntaxes of the JPEG families by the codec that reads them; 'own' code reads the lossless ones. */
const CODECS: Record<string, Codec | 'own'> = {
  '1.2.840.10008.1.2.4.50': JPEG,
  '1.2.840.10008.1.2.4.51': JPEG,
  '1.2.840.10008.1.2.4.57': 'own',
  '1.2.840.10008.1.2.4.70': 'own',
  '1.2.840.10008.1.2.4.80': 'own',
  '1.2.840.10008.1.2.4.81': 'own',
  '1.2.840.10008.1.2.4.90': JPEG_2000,
  '1.2.840.10008.1.2.4.91': JPEG_2000,
};

const loaded = new Map<string, Promise<Module>>();

interface Options {
  readonly print: () => void;
  readonly printErr: () => void;
}

function load({ load: name }: Codec): Promise<Module> {
  const known = loaded.get(name);
  if (known !== undefined) return known;
  const factory = createRequire(import.meta.url)(name) as (options: Options) => Promise<Module>;
  // A codec prints what it does, but a command's output is its own. The object becomes the module: a fresh one each time.
  const module = factory({ print: () => undefined, printErr: () => undefined });
  loaded.set(name, module);
  return module;
}

/**
 * A decoder for the compressions that these files use; WebAssembly is loaded only for them.
 * @returns decodes one frame; throws ConcordatError IMAGE_CODEC_UNSUPPORTED, IMAGE_UNREADABLE
 */
export async function frameDecoderFor(transferSyntaxes: ReadonlySet<string>): Promise<FrameDecoder> {
  const modules = new Map<Codec, Module>();
  for (const syntax of transferSyntaxes) {
    const codec = CODECS[syntax];
    if (codec !== undefined && codec !== 'own') modules.set(codec, await load(codec));
  }
  return (syntax, bytes, layout) => {
    const codec = CODECS[syntax];
    if (codec === undefined) throw unsupported(`the compression ${syntax.replace(/[^0-9.]/g, '')}`);
    const stream = streamHeader(bytes);
    requireSameLayout(stream, layout);
    const width = layout.bitsAllocated / 8;
    if (stream.process === 'lossless' || stream.process === 'jpeg-ls') {
      if (width !== 1 && width !== 2) throw unsupported('lossless JPEG of 32 bits');
      return stream.process === 'lossless' ? losslessFrame(bytes, width) : jpegLsFrame(bytes, width);
    }
    if (codec === 'own') throw new ConcordatError('IMAGE_UNREADABLE', 'a frame is not compressed as its file says');
    if (codec === JPEG && stream.process === 'progressive') throw unsupported('progressive JPEG');
    if (codec === JPEG && stream.bits === 12 && width === 2) return dctFrame(bytes, width);
    const module = modules.get(codec)!;
    if (stream.signed && stream.bits <= 8) return signedBytes(module, codec, bytes, stream, layout);
    return widened(decoded(module, codec, bytes), stream.bits, layout);
  };
}

function decoded(module: Module, codec: Codec, bytes: Uint8Array): Uint8Array {
  const decoder = new module[codec.decoder]!();
  try {
    decoder.getEncodedBuffer(bytes.length).set(bytes);
    decoder.decode();
    // A view into the codec's memory, which the next frame overwrites.
    return Uint8Array.from(decoder.getDecodedBuffer());
  } catch (error) {
    // A module that was stopped in the middle is not used again.
    loaded.delete(codec.load);
    throw new ConcordatError('IMAGE_UNREADABLE', 'a compressed frame is damaged', { cause: error });
  } finally {
    release(decoder);
  }
}

/**
 * Signed samples of at most 8 bits, which the codec cuts off below 0. As unsigned ones the same stream gives each sample plus half the range,
 * because that shift is the last step of decoding and the only one that knows of the sign (ITU-T T.800, annex G.1).
 */
function signedBytes(
  module: Module,
  codec: Codec,
  bytes: Uint8Array,
  { bits }: StreamHeader,
  { rows, columns, bitsAllocated }: PixelLayout,
): Uint8Array {
  const asUnsigned = Uint8Array.from(bytes);
  asUnsigned[JPEG_2000_DEPTH]! &= 0x7f;
  const shifted = decoded(module, codec, asUnsigned);
  const half = 1 << (bits - 1);
  const width = Math.max(1, bitsAllocated / 8);
  if (shifted.length < rows * columns) return shifted;
  const samples = new Uint8Array(width * rows * columns);
  for (let i = 0; i < rows * columns; i++)
    for (let byte = 0; byte < width; byte++) samples[width * i + byte] = (shifted[i]! - half) >> (8 * byte);
  return samples;
}

/** Frees a decoder's memory; in a module that was stopped that fails too, and the module goes as a whole. */
function release(decoder: Decoder): void {
  try {
    decoder.delete();
  } catch {
    return;
  }
}

/** Samples of one byte as samples of two, where the file has room for more bits than the stream. */
function widened(samples: Uint8Array, bits: number, { bitsAllocated, rows, columns }: PixelLayout): Uint8Array {
  if (bits > 8 || bitsAllocated === 8) return samples;
  if (bitsAllocated !== 16 || samples.length < rows * columns) return samples;
  const wide = new Uint8Array(2 * rows * columns);
  for (let i = 0; i < rows * columns; i++) wide[2 * i] = samples[i]!;
  return wide;
}

const unsupported = (what: string): ConcordatError =>
  new ConcordatError('IMAGE_CODEC_UNSUPPORTED', `${what} is not supported`);
