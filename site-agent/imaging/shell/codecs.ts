import { ConcordatError } from '../../../shared/errors.js';
import type { FrameDecoder } from '../dicom/pixels.js';

export async function frameDecoderFor(_syntaxes: ReadonlySet<string>): Promise<FrameDecoder> {
  return (syntax) => {
    throw new ConcordatError('IMAGE_CODEC_UNSUPPORTED', `the compression ${syntax} is not supported`);
  };
}
