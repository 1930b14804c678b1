import { z } from 'zod';
import { decodeDocument } from './document.js';
import { SITE_NAME } from './enrollment.js';
import { ERROR_TABLE } from './error-table.js';
import { ConcordatError } from './errors.js';

/**
 * Shapes of what the two processes write into their own stores and read again after a restart. A disk that was damaged, or
 * a record of a newer program, is told apart from a defect: what does not fit is STORE_DAMAGED, never a crash half way.
 */
export const hashShape = z.string().regex(/^[0-9a-f]{64}$/);
export const siteShape = z.string().regex(SITE_NAME);
export const sitesShape = z.array(siteShape).max(1000);
export const countShape = z.int().min(0);
export const bytesShape = z.instanceof(Uint8Array);
export const ledgerHeadShape = z.looseObject({ length: countShape, head: hashShape, signature: bytesShape });
export const codeShape = z.string().refine((code) => Object.hasOwn(ERROR_TABLE, code), 'is no error code');

export const preKeyShape = z.looseObject({
  studyHash: hashShape,
  rosterVersion: countShape,
  slot: countShape,
  site: siteShape,
  incarnation: z.string(),
  maskPublicKey: bytesShape,
  selfSeedHash: bytesShape,
  shares: z.array(
    z.looseObject({
      holder: siteShape,
      selfCommitment: bytesShape,
      maskCommitment: bytesShape,
      boxesHash: bytesShape,
    }),
  ),
  boxes: z.array(z.looseObject({ holder: siteShape, self: bytesShape, mask: bytesShape })),
  signature: bytesShape,
});

export const approvalShape = z.looseObject({
  studyHash: hashShape,
  rosterVersion: countShape,
  rosterHash: hashShape,
  site: siteShape,
  decision: z.enum(['approved', 'declined', 'withdrawn']),
  reason: z.string(),
  boxPublicKey: bytesShape,
  signature: bytesShape,
});

export const ratificationShape = z.looseObject({
  studyHash: hashShape,
  bundleDigest: hashShape,
  rosterVersion: countShape,
  transcriptHead: hashShape,
  site: siteShape,
  verdict: z.enum(['ratified', 'refused']),
  reason: z.string(),
  signature: bytesShape,
});

/** One shape for each kind of record, by its `type`; a kind without a shape does not compile. */
export type ShapesOf<R extends { readonly type: string }> = { readonly [T in R['type']]: z.ZodType };

/**
 * Reads one record of a store: a document whose `type` is in the table and whose fields fit. Fields that the table does not
 * name are kept.
 *
 * @throws ConcordatError STORE_DAMAGED
 */
export function readRecord<R extends { readonly type: string }>(
  payload: Uint8Array,
  shapes: ShapesOf<R>,
  store: string,
): R {
  let value: unknown;
  try {
    value = decodeDocument(payload);
  } catch (cause) {
    throw damaged(store, 'a record is no document that this version can read', cause);
  }
  checkRecord(value, shapes, store);
  return value;
}

export function checkRecord<R extends { readonly type: string }>(
  value: unknown,
  shapes: ShapesOf<R>,
  store: string,
): asserts value is R {
  const type = typeof value === 'object' && value !== null ? (value as { type?: unknown }).type : undefined;
  if (typeof type !== 'string' || !Object.hasOwn(shapes, type))
    throw damaged(
      store,
      `a record is of a kind that this version does not know${typeof type === 'string' ? ` ("${type.slice(0, 40)}")` : ''}`,
    );
  const parsed = (shapes as Readonly<Record<string, z.ZodType>>)[type]!.safeParse(value);
  if (parsed.success) return;
  const where = parsed.error.issues[0]?.path.join('.') ?? '';
  throw damaged(store, `a record of the kind "${type}" is wrong at "${where.slice(0, 80)}"`);
}

/** Folds records; one that cannot follow from those before it is damage of the store where it is read from one. */
export function folded<T>(store: string, fold: () => T): T {
  try {
    return fold();
  } catch (error) {
    if (!(error instanceof ConcordatError) || error.code !== 'INTERNAL_BUG') throw error;
    throw damaged(store, error.message, error);
  }
}

/** A record that needs no kind, against its schema. @throws ConcordatError STORE_DAMAGED */
export function readStoredDocument<S extends z.ZodType>(payload: Uint8Array, schema: S, store: string): z.output<S> {
  let value: unknown;
  try {
    value = decodeDocument(payload);
  } catch (cause) {
    throw damaged(store, 'a record is no document that this version can read', cause);
  }
  return fitting(value, schema, store);
}

/** JSON text of a setting or a line, against its schema. @throws ConcordatError STORE_DAMAGED */
export function readStoredJson<S extends z.ZodType>(text: string, schema: S, store: string): z.output<S> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw damaged(store, 'it is not JSON', cause);
  }
  return fitting(value, schema, store);
}

function fitting<S extends z.ZodType>(value: unknown, schema: S, store: string): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw damaged(store, `it is wrong at "${(parsed.error.issues[0]?.path.join('.') ?? '').slice(0, 80)}"`);
}

function damaged(store: string, why: string, cause?: unknown): ConcordatError {
  return new ConcordatError('STORE_DAMAGED', `${store} cannot be read: ${why}`, cause === undefined ? {} : { cause });
}
