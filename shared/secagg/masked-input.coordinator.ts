import { ed25519Verify } from '../ed25519.js';
import { ConcordatError } from '../errors.js';
import { addInto, unpackWords } from '../fixed-point.js';
import type { MaskedInput, RoundTerms } from '../messages.js';
import type { TensorSpec } from '../tensors.js';
import { maskedInputStatement } from './statements.js';

/** Throws SECAGG_LENGTH_MISMATCH or SECAGG_SIGNATURE_INVALID. */
export function checkMaskedInput(terms: RoundTerms, site: string, message: MaskedInput, byteLength: number): void {
  if (message.byteLength !== byteLength)
    throw new ConcordatError(
      'SECAGG_LENGTH_MISMATCH',
      `site ${site} announced ${message.byteLength} bytes, the declaration makes ${byteLength}`,
    );
  const key = terms.roster.sites.find((entry) => entry.site === site)?.signingPublicKey;
  const bytes = maskedInputStatement(message.context, site, message.blobHash, message.byteLength);
  if (key === undefined || !ed25519Verify(key, bytes, message.signature))
    throw new ConcordatError('SECAGG_SIGNATURE_INVALID', `the masked input is not signed by ${site}`);
}

/** accumulator += blob, in place. Throws SECAGG_LENGTH_MISMATCH. */
export function accumulate(
  accumulator: readonly BigUint64Array[],
  specs: readonly TensorSpec[],
  blob: Uint8Array,
): void {
  unpackWords(specs, blob).forEach((block, index) => {
    addInto(accumulator[index]!, block, specs[index]!.ring);
  });
}
