import { ConcordatError } from '../errors.js';
import type { Codec } from './codec.js';
import { COORDINATOR_FRAMES, SITE_FRAMES } from './codecs.js';
import type { CoordinatorFrame, SiteFrame } from './types.js';

/**
 * What the protobuf library loaded -> checked domain message. Throws WIRE_MESSAGE_UNKNOWN for an empty envelope (an
 * empty one is also what a message of a newer version looks like), WIRE_FIELD_MISSING and WIRE_FIELD_INVALID otherwise.
 */
export function decodeSiteFrame(wire: unknown): SiteFrame {
  return decodeFrame(wire, SITE_FRAMES) as SiteFrame;
}

export function decodeCoordinatorFrame(wire: unknown): CoordinatorFrame {
  return decodeFrame(wire, COORDINATOR_FRAMES) as CoordinatorFrame;
}

function decodeFrame(wire: unknown, table: Readonly<Record<string, Codec<unknown>>>): unknown {
  const envelope = (typeof wire === 'object' && wire !== null ? wire : {}) as Record<string, unknown>;
  const type = Object.keys(table).find((key) => envelope[key] !== undefined && envelope[key] !== null);
  if (type === undefined) throw new ConcordatError('WIRE_MESSAGE_UNKNOWN', 'a message of an unknown kind arrived');
  return { type, ...(table[type]!.decode(envelope[type], type) as object) };
}
