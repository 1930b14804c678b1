import type { Codec } from './codec.js';
import { COORDINATOR_FRAMES, SITE_FRAMES } from './codecs.js';
import type { CoordinatorFrame, SiteFrame } from './types.js';

/** Domain message -> the plain object that the protobuf library writes: `{ body-field: message }`. */
export function encodeSiteFrame(frame: SiteFrame): object {
  const { type, ...fields } = frame;
  return { [type]: (SITE_FRAMES[type] as Codec<unknown>).encode(fields) };
}

export function encodeCoordinatorFrame(frame: CoordinatorFrame): object {
  const { type, ...fields } = frame;
  return { [type]: (COORDINATOR_FRAMES[type] as Codec<unknown>).encode(fields) };
}
