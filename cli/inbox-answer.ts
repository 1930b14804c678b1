import { existsSync, readFileSync, rmSync } from 'node:fs';
import { z } from 'zod';
import type { ErrorCode } from '../shared/errors.js';
import { codeShape, readStoredJson } from '../shared/stored-shapes.js';

const answerShape = z.looseObject({ ok: z.boolean(), code: codeShape.optional(), message: z.string().optional() });

export type InboxAnswer = { readonly ok: boolean; readonly code?: ErrorCode; readonly message?: string };

/**
 * What the coordinator answered to the request in that file, beside it; undefined as long as it has not. Taken away once
 * read. Throws STORE_DAMAGED.
 */
export function takeAnswer(requestFile: string): InboxAnswer | undefined {
  const file = `${requestFile}.done`;
  if (!existsSync(file)) return undefined;
  const answer = readStoredJson(readFileSync(file, 'utf8'), answerShape, 'the answer of the coordinator');
  rmSync(file, { force: true });
  return answer as InboxAnswer;
}
