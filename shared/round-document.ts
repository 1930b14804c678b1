import { decodeDocument, encodeDocument } from './document.js';
import { ConcordatError } from './errors.js';

/**
 * The broadcast of one round as it travels: which computation of the plan it belongs to, its own content, and the
 * public results that the computation may use, by hash. Its hash is part of the attempt's context.
 */
export interface RoundDocument {
  readonly instance: string;
  readonly iteration: number;
  readonly broadcast: unknown;
  /** Instance -> hash of its result document. */
  readonly upstream: Readonly<Record<string, string>>;
}

export function encodeRoundDocument(document: RoundDocument): Uint8Array {
  return encodeDocument(document);
}

/** Throws WIRE_DOCUMENT_INVALID where a field is missing or of the wrong kind. */
export function decodeRoundDocument(bytes: Uint8Array): RoundDocument {
  const value = decodeDocument(bytes) as Partial<RoundDocument> | null;
  const upstream = value?.upstream;
  const valid =
    typeof value === 'object' &&
    value !== null &&
    typeof value.instance === 'string' &&
    Number.isSafeInteger(value.iteration) &&
    typeof upstream === 'object' &&
    upstream !== null &&
    Object.values(upstream).every((hash) => typeof hash === 'string' && /^[0-9a-f]{64}$/.test(hash));
  if (!valid)
    throw new ConcordatError('WIRE_DOCUMENT_INVALID', 'a broadcast lacks its computation, iteration or results');
  return value as RoundDocument;
}
