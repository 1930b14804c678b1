import type { PreKey } from '../messages.js';

/** Pre-keys as one holder gets them: only the boxes for that holder. */
export function preKeysFor(preKeys: readonly PreKey[], holder: string): PreKey[] {
  return preKeys.map((preKey) => ({ ...preKey, boxes: preKey.boxes.filter((boxes) => boxes.holder === holder) }));
}

/** A pre-key from its dealer has the boxes of every holder; nobody could be served from one that lacks some. */
export function hasAllBoxes(preKey: PreKey): boolean {
  return (
    preKey.boxes.length === preKey.shares.length &&
    preKey.shares.every((share, index) => preKey.boxes[index]?.holder === share.holder)
  );
}
