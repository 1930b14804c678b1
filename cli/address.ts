import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { readStoredJson } from '../shared/stored-shapes.js';

const addressShape = z.looseObject({ port: z.int().min(1).max(65_535) });

/** The port that a coordinator said it listens on, of its address.json. Throws STORE_DAMAGED. */
export function readPort(file: string): number {
  return readStoredJson(readFileSync(file, 'utf8'), addressShape, file).port;
}
